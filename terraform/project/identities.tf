# Who ships a gate. `deploy` applies it; `plan` reads, for pull requests, whose code is not yet trusted.

locals {
  deploys = [
    "roles/artifactregistry.reader",
    "roles/cloudfunctions.developer",
    "roles/cloudscheduler.admin",
    "roles/containeranalysis.occurrences.viewer",
    "roles/datastore.owner",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/logging.configWriter",
    "roles/logging.logWriter",
    "roles/monitoring.editor",
    "roles/pubsub.admin",
    "roles/run.admin",
    "roles/secretmanager.admin",
    "roles/storage.admin",
  ]
  # What a gate's Terraform grants on the project, and nothing else may be granted by it
  grantable = [
    "roles/aiplatform.user",
    "roles/artifactregistry.writer",
    "roles/datastore.user",
    "roles/datastore.viewer",
    "roles/logging.logWriter",
    "roles/storage.objectViewer",
  ]
  plans = ["roles/iam.securityReviewer", "roles/logging.logWriter", "roles/storage.bucketViewer", "roles/viewer"]
}

resource "google_service_account" "deploy" {
  account_id   = "linegate-deploy"
  display_name = "Linegate deployments"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "deploy" {
  for_each = toset(local.deploys)

  project = var.project
  role    = each.key
  member  = google_service_account.deploy.member
}

resource "google_project_iam_member" "grant" {
  project = var.project
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = google_service_account.deploy.member

  condition {
    title      = "only what a gate needs"
    expression = "api.getAttribute(\"iam.googleapis.com/modifiedGrantsByRole\", []).hasOnly([${join(", ", [for role in local.grantable : "\"${role}\""])}])"
  }
}

resource "google_service_account" "plan" {
  account_id   = "linegate-plan"
  display_name = "Linegate plans"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "plan" {
  for_each = toset(local.plans)

  project = var.project
  role    = each.key
  member  = google_service_account.plan.member
}

# A plan reads linegate.yaml where it lies, which holds no secret, and no other secret.
resource "google_project_iam_member" "plan_config" {
  project = var.project
  role    = "roles/secretmanager.secretAccessor"
  member  = google_service_account.plan.member

  condition {
    title      = "only the configurations of gates"
    expression = "resource.name.extract(\"/secrets/{name}/versions/\").endsWith(\"-config\")"
  }
}

# And the packages that are deployed, but no pictures.
resource "google_project_iam_member" "plan_sources" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.plan.member

  condition {
    title      = "only the sources of gates"
    expression = "resource.name.extract(\"/buckets/{name}/objects/\").endsWith(\"-source\")"
  }
}

resource "google_storage_bucket_iam_member" "state" {
  bucket = coalesce(var.state_bucket, "${var.project}-terraform")
  role   = "roles/storage.objectViewer"
  member = google_service_account.plan.member
}

# --- what Cloud Build runs

resource "google_cloudbuild_trigger" "deploy" {
  for_each = var.repository == null ? {} : var.environments

  name            = "linegate-${each.key}"
  location        = "global"
  filename        = "cloudbuild.yaml"
  service_account = google_service_account.deploy.id
  substitutions   = { _ENVIRONMENT = each.key }

  github {
    owner = var.repository.owner
    name  = var.repository.name
    push {
      branch = each.value.branch
    }
  }

  approval_config {
    approval_required = each.value.approval
  }
}

resource "google_cloudbuild_trigger" "plan" {
  for_each = var.repository == null ? {} : var.environments

  name            = "linegate-${each.key}-plan"
  location        = "global"
  filename        = "cloudbuild.yaml"
  service_account = google_service_account.plan.id
  substitutions   = { _ENVIRONMENT = each.key, _APPLY = "false" }

  github {
    owner = var.repository.owner
    name  = var.repository.name
    pull_request {
      branch          = each.value.branch
      comment_control = "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"
    }
  }
}
