locals {
  # Made of the package's own tables by .ci/reference: what each stage is fed by, feeds, and needs of a machine.
  stages = local.defaults.stages

  recipes = [
    for recipe in values(local.config.recipes) : {
      detectors = [
        for detector in try(recipe.detectors, [try(recipe.detector, local.defaults.recipe.detector)]) :
        local.defaults.detectors[try(detector.type, tostring(detector))]
      ]
      verifier       = local.defaults.verifiers[try(recipe.verifier.type, tostring(recipe.verifier), local.defaults.recipe.verifier)]
      check_budget_s = try(recipe.check_budget_s, local.defaults.recipe.check_budget_s)
    }
  ]

  # An instance holds the largest pictures that are let through, as many as it works on at a time: as many as the memory of one core
  # holds, or one. The package reckons the same way (`Instance.holding` in stages.py); tests hold both to the same figures.
  memory     = local.defaults.memory
  max_pixels = try(local.config.images.max_pixels, local.defaults.images.max_pixels)
  picture_mib = {
    for stage, parts in local.stages : stage =>
    local.max_pixels * (parts.bytes_a_pixel + (parts.detects ? max([for recipe in local.recipes : sum(recipe.detectors[*].bytes_a_pixel)]...) : 0)) / 1048576
  }
  beside_mib = { for stage, parts in local.stages : stage => parts.memory_mib + local.max_pixels * parts.kept_bytes_a_pixel / 1048576 }
  at_a_time = {
    for stage, parts in local.stages : stage =>
    max(1, min(parts.sizing.concurrency, floor((local.memory.a_core_mib - local.beside_mib[stage]) / max(local.picture_mib[stage], 0.001))))
  }
  memory_mib = {
    for stage, parts in local.stages : stage => local.picture_mib[stage] == 0 ? parts.memory_mib :
    local.memory.step_mib * ceil((local.beside_mib[stage] + local.at_a_time[stage] * local.picture_mib[stage]) / local.memory.step_mib)
  }
  sizing = {
    for stage, parts in local.stages : stage => merge(parts.sizing, {
      memory      = "${local.memory_mib[stage]}Mi"
      cpu         = tostring([for cores in [1, 2, 4, 8] : cores if local.memory_mib[stage] <= cores * local.memory.a_core_mib || cores == 8][0])
      concurrency = local.at_a_time[stage]
    }, lookup(var.sizing, stage, {}))
  }
  sized_mib = {
    for stage, size in local.sizing : stage =>
    try(tonumber(trimsuffix(size.memory, "Mi")), 1024 * tonumber(trimsuffix(size.memory, "Gi")), 0)
  }

  # How long each stage waits for a service at most, by linegate.yaml
  budgets_s = {
    for stage, parts in local.stages : stage => max(0, concat(
      parts.detects ? [for detector in flatten(local.recipes[*].detectors) : try(local.config[detector.service].budget_s, detector.budget_s)] : [],
      parts.verifies ? [for recipe in local.recipes : recipe.check_budget_s if recipe.verifier.asks] : [],
    )...)
  }

  # A push subscription takes its rate from how its pushes fare. Each target has one of its own, so that one that is down slows no
  # other. What is for a target that the file no longer names has none: sweep closes it.
  # Lines share theirs. Notifications of the bucket tell no line but by the object's name; a filter holds 256 bytes and can't be
  # changed, so there is none that takes the rest, and a picture of a line that nobody knows must be heard of.
  filters = {
    for stage in keys(local.stages) : stage => stage == "notify" ?
    { for target in keys(try(local.config.targets, {})) : "-to-${target}" => "attributes.target = \"${target}\"" } : { "" = null }
  }

  gate = {
    prefix                = local.prefix
    project               = { id = local.project_id, number = data.google_project.this.number }
    region                = local.region
    build_service_account = google_service_account.build.id
    config_secret         = { id = google_secret_manager_secret.config.secret_id, version = google_secret_manager_secret_version.config.version }
    notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]
    labels                = local.labels
    kms_key               = var.kms_key
  }
  wiring = {
    for stage, parts in local.stages : stage => {
      name   = stage
      topic  = parts.topic
      source = { bucket = google_storage_bucket.bucket["source"].name, object = google_storage_bucket_object.package[stage].name }
      sizing = local.sizing[stage]
      secrets = {
        for name in local.secret_names[stage] : name => {
          id      = google_secret_manager_secret.value[name].secret_id
          version = var.secret_versions[name]
        }
      }
      secrets_elsewhere = sort(setsubtract(local.all_secret_names, local.secret_names[stage]))
      filters           = local.filters[stage]
      vpc_connector     = stage == "notify" ? var.vpc_connector : null
    }
  }
}

resource "google_storage_bucket_object" "package" {
  for_each = local.stages

  bucket = google_storage_bucket.bucket["source"].name
  # The name changes with the content and with nothing else: no change, no deployment.
  name   = "${each.key}-${filesha256("${var.packages}/${each.key}.zip")}.zip"
  source = "${var.packages}/${each.key}.zip"

  lifecycle {
    precondition {
      condition     = local.sized_mib[each.key] >= local.beside_mib[each.key] + local.sizing[each.key].concurrency * local.picture_mib[each.key]
      error_message = "${each.key}: ${local.sizing[each.key].concurrency} pictures of ${local.max_pixels} pixels at a time need ${ceil(local.beside_mib[each.key] + local.sizing[each.key].concurrency * local.picture_mib[each.key])}Mi, not ${local.sizing[each.key].memory}. Lower `concurrency` or raise `memory` in sizing, or lower images.max_pixels."
    }
    precondition {
      condition     = local.sized_mib[each.key] <= local.memory.most_mib
      error_message = "${each.key}: no instance has ${local.sizing[each.key].memory}; lower images.max_pixels."
    }
    precondition {
      condition     = local.budgets_s[each.key] <= local.sizing[each.key].timeout_s - local.defaults.margin_s
      error_message = "${each.key} ends after ${local.sizing[each.key].timeout_s} s, so a service may take ${local.sizing[each.key].timeout_s - local.defaults.margin_s} s at most, not ${local.budgets_s[each.key]} (budget_s of the detector's service, check_budget_s of the recipes)."
    }
  }
}

# What reads a message is deployed before what writes it, so that a release's new messages find readers that know them.
module "notify" {
  source = "./modules/stage"
  gate   = local.gate
  stage  = local.wiring["notify"]
  retry  = local.defaults.retry

  depends_on = [terraform_data.granted, google_kms_crypto_key_iam_member.agent]
}

module "aggregate" {
  source = "./modules/stage"
  gate   = local.gate
  stage  = local.wiring["aggregate"]
  retry  = local.defaults.retry

  depends_on = [module.notify]
}

module "review" {
  source = "./modules/stage"
  gate   = local.gate
  stage  = local.wiring["review"]
  retry  = local.defaults.retry

  depends_on = [module.notify]
}

module "sweep" {
  source = "./modules/stage"
  gate   = local.gate
  stage  = local.wiring["sweep"]
  retry  = local.defaults.retry

  depends_on = [module.notify]
}

module "verify" {
  source = "./modules/stage"
  gate   = local.gate
  stage  = local.wiring["verify"]
  retry  = local.defaults.retry

  depends_on = [module.aggregate]
}

module "detect" {
  source = "./modules/stage"
  gate   = local.gate
  stage  = local.wiring["detect"]
  retry  = local.defaults.retry

  depends_on = [module.verify]
}

locals {
  deployed = { detect = module.detect, verify = module.verify, aggregate = module.aggregate, review = module.review, notify = module.notify, sweep = module.sweep }
  # By themselves, so that what a function may do is granted while it is built, and not after all of them are.
  members = {
    detect    = module.detect.service_account.member
    verify    = module.verify.service_account.member
    aggregate = module.aggregate.service_account.member
    review    = module.review.service_account.member
    notify    = module.notify.service_account.member
    sweep     = module.sweep.service_account.member
  }
  topics = {
    detect    = module.detect.topic.name
    verify    = module.verify.topic.name
    aggregate = module.aggregate.topic.name
    review    = module.review.topic.name
    notify    = module.notify.topic.name
    sweep     = module.sweep.topic.name
  }
}

moved {
  from = module.stage["detect"]
  to   = module.detect
}

moved {
  from = module.stage["verify"]
  to   = module.verify
}

moved {
  from = module.stage["aggregate"]
  to   = module.aggregate
}

moved {
  from = module.stage["notify"]
  to   = module.notify
}

moved {
  from = module.stage["sweep"]
  to   = module.sweep
}

# Each stage may publish to those it feeds, topic by topic.
resource "google_pubsub_topic_iam_member" "publish" {
  for_each = merge([
    for stage, parts in local.stages : { for next in parts.publishes_to : "${stage}-${next}" => { stage = stage, next = next } }
  ]...)

  topic  = local.topics[each.value.next]
  role   = "roles/pubsub.publisher"
  member = local.members[each.value.stage]
}

# Where Gemini is asked on Vertex AI there is no key: the function's identity may.
resource "google_project_iam_member" "vertex" {
  for_each = toset(compact([local.vertex]))

  project = each.key
  role    = "roles/aiplatform.user"
  member  = module.verify.service_account.member
}

# --- the identity that builds the functions' images: nothing but what a build needs

resource "google_service_account" "build" {
  account_id   = "${local.prefix}-build"
  display_name = "Linegate builds"
  description  = "Builds the functions' images."
}

resource "google_project_iam_member" "build" {
  for_each = toset(["roles/logging.logWriter", "roles/artifactregistry.writer"])

  project = local.project_id
  role    = each.key
  member  = google_service_account.build.member
}

# The platform keeps copies of sources in buckets of its own, which it makes itself.
resource "google_project_iam_member" "build_sources" {
  project = local.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.build.member

  condition {
    title      = "only the platform's buckets of sources"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-\")"
  }
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.bucket["source"].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

# A grant takes a minute or two to hold everywhere, and a build that comes before it fails. Once for an identity and its grants.
resource "terraform_data" "granted" {
  triggers_replace = concat(
    [for grant in google_project_iam_member.build : grant.id],
    [google_project_iam_member.build_sources.id, google_storage_bucket_iam_member.build.id],
  )

  provisioner "local-exec" {
    command = "sleep ${var.settle_s}"
  }
}

# --- the clock

resource "google_cloud_scheduler_job" "sweep" {
  name        = "${local.prefix}-sweep"
  region      = local.region
  description = "Decides overdue boards and sends again what got lost, every minute."
  schedule    = "* * * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = module.sweep.topic.id
    data       = base64encode(jsonencode({ schema = 1 }))
    attributes = { type = "sweep.due" }
  }
}
