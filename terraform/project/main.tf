# What a project holds once, however many gates are in it: APIs, Google's agents, audit logs, and the identities that plan and deploy.
# An owner applies it, before any gate and with a state of its own; `terraform destroy` of a gate touches none of it.

locals {
  # Resource Manager, Service Usage and IAM are asked by Terraform itself: shared/docs/cloud.md switches them on before.
  apis = concat([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "containerscanning.googleapis.com", # looks for vulnerabilities in the functions' images
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
    ],
    var.vertex ? ["aiplatform.googleapis.com"] : [],
    var.station ? ["compute.googleapis.com", "iap.googleapis.com"] : [],
  )
}

resource "google_project_service" "api" {
  for_each = toset(local.apis)

  service            = each.key
  disable_on_destroy = false # others in the project may use it
}

# Switching an API on does not make its agent, and a grant to an agent that is not there is refused.
resource "google_project_service_identity" "agent" {
  provider = google-beta
  for_each = toset(concat(["cloudbuild.googleapis.com", "cloudfunctions.googleapis.com", "cloudscheduler.googleapis.com", "firestore.googleapis.com", "pubsub.googleapis.com", "run.googleapis.com"], var.station ? ["iap.googleapis.com"] : []))

  service = each.key

  depends_on = [google_project_service.api]
}

# Who read which picture and which secret. Admin activity is logged anyway.
resource "google_project_iam_audit_config" "data" {
  for_each = toset(["storage.googleapis.com", "secretmanager.googleapis.com"])

  project = var.project
  service = each.key

  audit_log_config {
    log_type = "DATA_READ"
  }
  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
