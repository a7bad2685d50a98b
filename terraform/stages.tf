locals {
  # Made of the package's own table of stages by .ci/reference: what each is fed by, feeds, and gets of a machine.
  stages = local.defaults.stages
}

resource "google_storage_bucket_object" "package" {
  for_each = local.stages

  bucket = google_storage_bucket.bucket["source"].name
  # The name changes with the content and with nothing else: no change, no deployment.
  name   = "${each.key}-${filesha256("${var.packages}/${each.key}.zip")}.zip"
  source = "${var.packages}/${each.key}.zip"
}

module "stage" {
  source   = "./modules/stage"
  for_each = local.stages

  name                  = each.key
  prefix                = local.prefix
  project               = { id = local.project_id, number = data.google_project.this.number }
  region                = local.region
  topic                 = each.value.topic
  source_object         = { bucket = google_storage_bucket.bucket["source"].name, object = google_storage_bucket_object.package[each.key].name }
  build_service_account = google_service_account.build.id
  sizing                = merge(each.value.sizing, lookup(var.sizing, each.key, {}))
  config_secret         = { id = google_secret_manager_secret.config.secret_id, version = google_secret_manager_secret_version.config.version }
  secrets = {
    for name in local.secret_names[each.key] : name => {
      id      = google_secret_manager_secret.value[name].secret_id
      version = var.secret_versions[name]
    }
  }
  secrets_elsewhere     = sort(setsubtract(local.all_secret_names, local.secret_names[each.key]))
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]
  labels                = local.labels

  depends_on = [google_project_service.api, google_project_iam_member.build, google_project_iam_member.build_sources, google_storage_bucket_iam_member.build]
}

# Each stage may publish to those it feeds, topic by topic.
resource "google_pubsub_topic_iam_member" "publish" {
  for_each = merge([
    for stage, parts in local.stages : { for next in parts.publishes_to : "${stage}-${next}" => { stage = stage, next = next } }
  ]...)

  topic  = module.stage[each.value.next].topic.name
  role   = "roles/pubsub.publisher"
  member = module.stage[each.value.stage].service_account.member
}

# Where Gemini is asked on Vertex AI there is no key: the function's identity may.
resource "google_project_iam_member" "vertex" {
  for_each = toset(compact([local.vertex]))

  project = each.key
  role    = "roles/aiplatform.user"
  member  = module.stage["verify"].service_account.member
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

# --- the clock

resource "google_cloud_scheduler_job" "sweep" {
  name        = "${local.prefix}-sweep"
  region      = local.region
  description = "Decides overdue boards and sends again what got lost, every minute."
  schedule    = "* * * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = module.stage["sweep"].topic.id
    data       = base64encode(jsonencode({ schema = 1 }))
    attributes = { type = "sweep.due" }
  }
}
