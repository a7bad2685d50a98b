# The pages for people: a function that nobody may call but Google's Identity-Aware Proxy, which stands before it by
# terraform/station. It is deployed where linegate.yaml says how people reach it (`station.address`). Who they are is the proxy's word,
# signed for `station.iap_audience`; what each may is `station.people`.

locals {
  station      = local.defaults.station
  station_name = "${local.prefix}-station"
  # To be looped over: one or none
  stations = toset(try(local.config.station.address, null) == null ? [] : [local.station_name])

  station_mib = local.memory.step_mib * ceil((local.station.memory_mib + local.max_pixels * local.station.bytes_a_pixel / 1048576) / local.memory.step_mib)
  station_sizing = merge(local.station.sizing, {
    memory = "${local.station_mib}Mi"
    cpu    = tostring([for cores in [1, 2, 4, 8] : cores if local.station_mib <= cores * local.memory.a_core_mib || cores == 8][0])
  }, lookup(var.sizing, "station", {}))
}

# Without it the station knows nobody, and keeps everybody out.
check "station" {
  assert {
    condition     = length(local.stations) == 0 || can(regex("^/projects/[0-9]+/", local.config.station.iap_audience))
    error_message = "station.iap_audience is missing: nobody gets in. It is what `terraform output -raw audience` in terraform/station says."
  }
}

resource "google_service_account" "station" {
  for_each = local.stations

  account_id   = each.key
  display_name = "Linegate station"
  description  = "Runs the function ${each.key}: it reads, and publishes what persons decided."
}

resource "google_storage_bucket_object" "station" {
  for_each = local.stations

  bucket = google_storage_bucket.bucket["source"].name
  name   = "station-${filesha256("${var.packages}/station.zip")}.zip"
  source = "${var.packages}/station.zip"

  lifecycle {
    precondition {
      condition     = startswith(local.config.station.address, "https://")
      error_message = "station.address must begin with https://: it is how the proxy is reached."
    }
    precondition {
      condition     = tonumber(local.station_sizing.concurrency) > 1
      error_message = "station: an open page is a request for as long as it is open; with a `concurrency` of 1 it would keep out all others."
    }
  }
}

resource "google_cloudfunctions2_function" "station" {
  for_each = local.stations

  name        = each.key
  location    = local.region
  description = "Linegate, the pages for people"
  labels      = local.labels

  build_config {
    runtime         = "python313"
    entry_point     = "station"
    service_account = google_service_account.build.id

    source {
      storage_source {
        bucket = google_storage_bucket.bucket["source"].name
        object = google_storage_bucket_object.station[each.key].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.station[each.key].email
    available_memory                 = local.station_sizing.memory
    available_cpu                    = local.station_sizing.cpu
    max_instance_request_concurrency = local.station_sizing.concurrency
    min_instance_count               = local.station_sizing.min_instances
    max_instance_count               = local.station_sizing.max_instances
    timeout_seconds                  = local.station_sizing.timeout_s
    ingress_settings                 = "ALLOW_INTERNAL_AND_GCLB" # the load balancer that the proxy stands in
    all_traffic_on_latest_revision   = true

    environment_variables = {
      LINEGATE_CONFIG            = "/etc/linegate/linegate.yaml"
      LINEGATE_SECRETS_ELSEWHERE = join(",", sort(local.all_secret_names)) # it needs none
      FUNCTION_USE_ASGI          = "true"                                  # of functions-framework: events are streamed
    }

    secret_volumes {
      mount_path = "/etc/linegate"
      project_id = local.project_id
      secret     = google_secret_manager_secret.config.secret_id

      versions {
        version = google_secret_manager_secret_version.config.version
        path    = "linegate.yaml"
      }
    }
  }

  # What it publishes, the functions behind it can read.
  depends_on = [google_secret_manager_secret_iam_member.station, module.review]
}

# --- who may call it

resource "google_cloud_run_service_iam_member" "station" {
  for_each = local.stations

  location = google_cloudfunctions2_function.station[each.key].location
  service  = google_cloudfunctions2_function.station[each.key].name
  role     = "roles/run.invoker"
  member   = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-iap.iam.gserviceaccount.com"
}

# --- what it may

resource "google_secret_manager_secret_iam_member" "station" {
  for_each = local.stations

  secret_id = google_secret_manager_secret.config.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.station[each.key].member
}

resource "google_project_iam_member" "station" {
  for_each = local.stations

  project = local.project_id
  role    = "roles/datastore.viewer"
  member  = google_service_account.station[each.key].member

  condition {
    title      = "only the gate's database"
    expression = "resource.name == \"projects/${local.project_id}/databases/${local.database}\""
  }
}

resource "google_storage_bucket_iam_member" "station" {
  for_each = length(local.stations) == 0 ? toset([]) : setsubtract(keys(local.buckets), ["source"])

  bucket = google_storage_bucket.bucket[each.key].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.station[local.station_name].member
}

resource "google_pubsub_topic_iam_member" "station" {
  for_each = local.stations

  topic  = local.topics[local.station.publishes_to]
  role   = "roles/pubsub.publisher"
  member = google_service_account.station[each.key].member
}
