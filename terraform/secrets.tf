# The configuration is one secret, without any secret in it; each ${NAME} that it names is another, whose value is added with
#   printf %s "$VALUE" | gcloud secrets versions add PREFIX-NAME --data-file=-
# and pinned in the tfvars, so that a change is a deployment and can be rolled back.

resource "google_secret_manager_secret" "config" {
  secret_id = "${local.prefix}-config"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_version" "config" {
  secret      = google_secret_manager_secret.config.id
  secret_data = local.text
}

resource "google_secret_manager_secret" "value" {
  for_each = local.all_secret_names

  secret_id = "${local.prefix}-${each.key}"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]

  lifecycle {
    precondition {
      condition     = contains(keys(var.secret_versions), each.key)
      error_message = "secret_versions lacks ${each.key}, which linegate.yaml names."
    }
  }
}
