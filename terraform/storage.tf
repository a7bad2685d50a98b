locals {
  buckets = merge(
    {
      uploads = { name = local.uploads, days = var.uploads_days }
      results = { name = local.results, days = var.results_days }
      source  = { name = "${local.project_id}-${local.prefix}-source", days = null }
    },
    { for name in compact([local.golden]) : "golden" => { name = name, days = null } },
  )
}

resource "google_storage_bucket" "bucket" {
  #checkov:skip=CKV_GCP_62:Cloud Audit Logs record access, with identities; usage logs would need a bucket of their own
  for_each = local.buckets

  name                        = each.value.name
  location                    = local.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.protect_data

  # Uploads are read by generation and never overwritten by cameras; golden pictures are, and the old one may be wanted back.
  versioning {
    enabled = each.key == "golden" || each.key == "source"
  }

  soft_delete_policy {
    retention_duration_seconds = 604800
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.days == null ? [] : [each.value.days]
    content {
      action {
        type = "Delete"
      }
      condition {
        age = lifecycle_rule.value
      }
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      default_kms_key_name = encryption.value
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 5
      with_state         = "ARCHIVED"
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

# A new object below uploads/ ▶ a message. Cloud Storage publishes under an identity of its own.
data "google_storage_project_service_account" "storage" {
  project = local.project_id
}

resource "google_pubsub_topic_iam_member" "storage" {
  topic  = module.detect.topic.name
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:${data.google_storage_project_service_account.storage.email_address}"
}

resource "google_storage_notification" "uploads" {
  bucket             = google_storage_bucket.bucket["uploads"].name
  topic              = module.detect.topic.id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "uploads/"

  depends_on = [google_pubsub_topic_iam_member.storage]
}

# --- who may do what with which bucket

locals {
  bucket_access = merge(
    { for stage in ["detect", "aggregate", "review", "sweep"] : "${stage}-uploads" => { stage = stage, bucket = "uploads", role = "roles/storage.objectViewer" } },
    { for stage in ["detect", "aggregate", "review", "sweep"] : "${stage}-results" => { stage = stage, bucket = "results", role = "roles/storage.objectUser" } },
    { for name in compact([local.golden]) : "detect-golden" => { stage = "detect", bucket = "golden", role = "roles/storage.objectViewer" } },
  )
}

resource "google_storage_bucket_iam_member" "stage" {
  for_each = local.bucket_access

  bucket = google_storage_bucket.bucket[each.value.bucket].name
  role   = each.value.role
  member = local.members[each.value.stage]
}

# The cameras of a line may create objects below its prefix, and neither read, overwrite nor delete any.
resource "google_service_account" "camera" {
  for_each = toset(local.lines)

  account_id   = "${local.prefix}-cam-${substr(sha1(each.key), 0, 8)}" # a line's name may be too long, or hold capitals
  display_name = "Cameras of line ${each.key}"
}

resource "google_storage_bucket_iam_member" "camera" {
  for_each = google_service_account.camera

  bucket = google_storage_bucket.bucket["uploads"].name
  role   = "roles/storage.objectCreator"
  member = each.value.member

  condition {
    title      = "below uploads/${each.key}/"
    expression = "resource.name.startsWith(\"projects/_/buckets/${local.uploads}/objects/uploads/${each.key}/\")"
  }
}

# Who hands out signed addresses to a line's cameras, which then hold no key: whoever signs borrows the cameras' identity.
resource "google_service_account_iam_member" "signer" {
  for_each = merge([
    for line, account in google_service_account.camera : { for member in var.camera_signers : "${line} ${member}" => { account = account.name, member = member } }
  ]...)

  service_account_id = each.value.account
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value.member
}
