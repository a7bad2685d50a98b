# The configuration is one secret, without any secret in it; each ${NAME} that it names is another, whose value is added with
#   printf %s "$VALUE" | gcloud secrets versions add PREFIX-NAME --data-file=-
# and pinned in the tfvars, so that a change is a deployment and can be rolled back.

resource "google_secret_manager_secret" "config" {
  secret_id = "${local.prefix}-config"
  labels    = local.labels

  replication {
    auto {}
  }
}

# An edit of the file makes a version. The one before stays: the functions read it until the new ones are built, and those of a
# rollback read it again. `.ci/retire` disables old ones.
resource "google_secret_manager_secret_version" "config" {
  secret          = google_secret_manager_secret.config.id
  secret_data     = local.text
  deletion_policy = "ABANDON"

  lifecycle {
    create_before_destroy = true
  }
}

# A name that is dropped from the file keeps its secret while the tfvars list it: its values can't be had again. Where data is
# protected, the provider refuses to delete it even then.
resource "google_secret_manager_secret" "value" {
  for_each = setunion(local.all_secret_names, keys(var.secret_versions))

  secret_id           = "${local.prefix}-${each.key}"
  labels              = local.labels
  deletion_protection = var.protect_data

  replication {
    auto {}
  }

  lifecycle {
    precondition {
      condition     = contains(keys(var.secret_versions), each.key)
      error_message = "secret_versions lacks ${each.key}, which linegate.yaml names."
    }
    precondition {
      condition     = each.key != "config"
      error_message = "The secret ${local.prefix}-config holds linegate.yaml itself: no $${NAME} may be called config."
    }
  }
}
