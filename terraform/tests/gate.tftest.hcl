# The whole of an environment, from its linegate.yaml.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789" }
  }
  mock_data "google_storage_project_service_account" {
    defaults = { email_address = "service-123456789@gs-project-accounts.iam.gserviceaccount.com" }
  }
}

variables {
  packages        = "tests/packages"
  secret_versions = { ROBOFLOW_API_KEY = "1", HMI_SECRET = "1", SLACK_WEBHOOK_URL = "1" }
}

run "dev" {
  command = apply

  variables {
    environment  = "dev"
    config_file  = "envs/dev.yaml"
    protect_data = false
  }

  assert {
    condition     = toset(keys(module.stage)) == toset(["detect", "verify", "aggregate", "notify", "sweep"])
    error_message = "there is one function for each stage"
  }
  assert {
    condition     = alltrue([for bucket in google_storage_bucket.bucket : bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access])
    error_message = "no bucket may be public"
  }
  assert {
    condition     = alltrue([for bucket in google_storage_bucket.bucket : bucket.force_destroy]) && google_firestore_database.gate.deletion_policy == "DELETE"
    error_message = "what dev holds goes with it"
  }
  assert {
    condition     = toset([for bucket in google_storage_bucket.bucket : bucket.name]) == toset(["my-plant-dev-uploads", "my-plant-dev-results", "my-plant-dev-golden", "my-plant-dev-linegate-source"])
    error_message = "buckets are named by linegate.yaml"
  }
  assert {
    condition     = google_storage_notification.uploads.object_name_prefix == "uploads/" && google_storage_notification.uploads.payload_format == "JSON_API_V1"
    error_message = "new uploads, and only those, are told"
  }
  assert {
    condition     = alltrue([for line, grant in google_storage_bucket_iam_member.camera : grant.role == "roles/storage.objectCreator" && strcontains(grant.condition[0].expression, "/objects/uploads/${line}/")])
    error_message = "a camera may create objects below its line's prefix, and nothing else"
  }
  assert {
    condition     = toset(keys(google_storage_bucket_iam_member.stage)) == toset(["aggregate-results", "aggregate-uploads", "detect-golden", "detect-results", "detect-uploads", "sweep-results", "sweep-uploads"])
    error_message = "verify and notify have no business in any bucket"
  }
  assert {
    condition     = alltrue([for grant in google_storage_bucket_iam_member.stage : grant.role == (grant.bucket == "my-plant-dev-results" ? "roles/storage.objectUser" : "roles/storage.objectViewer")])
    error_message = "only results are written"
  }
  assert {
    condition     = toset(keys(google_pubsub_topic_iam_member.publish)) == toset(["aggregate-notify", "detect-notify", "detect-verify", "sweep-notify", "verify-aggregate"])
    error_message = "a stage may publish to those it feeds and to no other"
  }
  assert {
    condition     = alltrue([for grant in google_project_iam_member.firestore : grant.role == "roles/datastore.user" && strcontains(grant.condition[0].expression, "/databases/(default)")])
    error_message = "functions may use the gate's database only"
  }
  assert {
    condition     = alltrue([for field in google_firestore_field.expiry : field.field == "expire_at" && length(field.ttl_config) == 1]) && toset(keys(google_firestore_field.expiry)) == toset(["inspections", "checks", "revisions", "outbox"])
    error_message = "every collection has its TTL, sub-collections too"
  }
  assert {
    condition     = toset([for secret in google_secret_manager_secret.value : secret.secret_id]) == toset(["linegate-ROBOFLOW_API_KEY", "linegate-HMI_SECRET", "linegate-SLACK_WEBHOOK_URL"])
    error_message = "each name in linegate.yaml has its secret"
  }
  assert {
    condition     = local.secret_names.detect == toset(["ROBOFLOW_API_KEY"]) && length(local.secret_names.verify) == 0 && local.secret_names.notify == toset(["HMI_SECRET", "SLACK_WEBHOOK_URL"]) && length(local.secret_names.aggregate) == 0
    error_message = "each function gets the secrets of its own section"
  }
  assert {
    condition     = strcontains(google_secret_manager_secret_version.config.secret_data, "$${ROBOFLOW_API_KEY}")
    error_message = "the configuration holds names of secrets, not their values"
  }
  assert {
    condition     = toset([for grant in google_project_iam_member.build : grant.role]) == toset(["roles/logging.logWriter", "roles/artifactregistry.writer"]) && strcontains(google_project_iam_member.build_sources.condition[0].expression, "/buckets/gcf-v2-")
    error_message = "builds may write logs and images, and read sources, and nothing else"
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.alert["review_ratio"].conditions[0].condition_prometheus_query_language[0].query, "user_linegate_verdicts")
    error_message = "the share of REVIEW is held against its own past"
  }
  assert {
    condition     = [for grant in google_project_iam_member.vertex : "${grant.project} ${grant.role} ${grant.member == module.stage["verify"].service_account.member}"] == ["my-plant-dev roles/aiplatform.user true"]
    error_message = "Gemini on Vertex AI is asked by the identity of verify, and by no other"
  }
  assert {
    condition     = contains(keys(google_project_service.api), "aiplatform.googleapis.com") && contains(keys(google_project_service.api), "iam.googleapis.com")
    error_message = "every API that is used is switched on"
  }
  assert {
    condition     = google_cloud_scheduler_job.sweep.schedule == "* * * * *" && google_cloud_scheduler_job.sweep.pubsub_target[0].attributes["type"] == "sweep.due"
    error_message = "sweep runs every minute"
  }
  assert {
    condition     = toset(keys(local.alerts)) == toset(["latency", "review_ratio"])
    error_message = "nobody is paged for a silent line of dev"
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.retired_model.conditions[0].condition_matched_log[0].filter, "service_name=\"linegate-verify\" AND jsonPayload.message=\"gemini.model_retired\"") && google_monitoring_alert_policy.retired_model.alert_strategy[0].notification_rate_limit[0].period == "21600s"
    error_message = "a retired model is one alert, whatever many boards it costs"
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.alert : policy.conditions[0].condition_prometheus_query_language[0].disable_metric_validation])
    error_message = "a log metric is unknown while it is young: no alert on one may ask for it"
  }
  assert {
    condition     = !strcontains(jsonencode(google_monitoring_alert_policy.errors.conditions), "logging.googleapis.com")
    error_message = "an alert that is checked names no log metric"
  }
  assert {
    condition     = google_secret_manager_secret_version.config.deletion_policy == "ABANDON"
    error_message = "the configuration before is read until the functions are rebuilt, and by a rollback"
  }
  assert {
    condition     = alltrue([for tile in jsondecode(google_monitoring_dashboard.gate.dashboard_json).mosaicLayout.tiles : tile.widget.xyChart.dataSets[0].timeSeriesQuery.timeSeriesFilter.aggregation.perSeriesAligner == "ALIGN_DELTA" if startswith(tile.widget.title, "Verdicts a minute")])
    error_message = "verdicts a minute are counted, not given as a rate a second"
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.alert : length(policy.documentation[0].content) > 80])
    error_message = "every alert has its runbook"
  }
}

run "prod" {
  command = apply

  variables {
    environment          = "prod"
    config_file          = "envs/prod.yaml"
    silent_after_minutes = 30
    pager_emails         = ["quality@my-plant.example"]
    sizing               = { detect = { min_instances = "1" }, verify = { min_instances = "1" } }
  }

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.bucket : !bucket.force_destroy])
    error_message = "buckets of prod survive a destroy by default"
  }
  assert {
    condition     = google_firestore_database.gate.delete_protection_state == "DELETE_PROTECTION_ENABLED" && google_firestore_database.gate.deletion_policy == "ABANDON" && google_firestore_database.gate.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
    error_message = "the database of prod is protected by default"
  }
  assert {
    condition     = toset(keys(local.alerts)) == toset(["latency", "review_ratio", "silent-smt-1", "silent-smt-2"])
    error_message = "a silent line of prod pages somebody"
  }
  assert {
    condition     = google_monitoring_alert_policy.alert["silent-smt-1"].conditions[0].condition_prometheus_query_language[0].query == "sum(increase(logging_googleapis_com:user_linegate_verdicts{monitored_resource=\"cloud_run_revision\",line=\"smt-1\"}[1440m])) > 0 unless sum(increase(logging_googleapis_com:user_linegate_verdicts{monitored_resource=\"cloud_run_revision\",line=\"smt-1\"}[30m])) > 0"
    error_message = "silence is of all verdicts of a line together"
  }
  assert {
    condition     = alltrue([for secret in google_secret_manager_secret.value : secret.deletion_protection])
    error_message = "values of secrets can't be had again"
  }
  assert {
    condition     = length(google_monitoring_alert_policy.alert["review_ratio"].notification_channels) == 1
    error_message = "alerts of prod reach somebody"
  }
  assert {
    condition     = [for bucket in google_storage_bucket.bucket : bucket.name if endswith(bucket.name, "uploads")] == ["my-plant-prod-uploads"]
    error_message = "prod has buckets of its own"
  }
}

run "a_name_that_is_dropped_keeps_its_secret" {
  command = plan

  variables {
    environment     = "dev"
    config_file     = "envs/dev.yaml"
    secret_versions = { ROBOFLOW_API_KEY = "1", HMI_SECRET = "1", SLACK_WEBHOOK_URL = "1", GEMINI_API_KEY = "4" }
  }

  assert {
    condition     = contains(keys(google_secret_manager_secret.value), "GEMINI_API_KEY") && !contains(local.all_secret_names, "GEMINI_API_KEY")
    error_message = "a secret outlives its name in linegate.yaml"
  }
}

run "a_secret_without_a_version_is_refused" {
  command = plan

  variables {
    environment     = "dev"
    config_file     = "envs/dev.yaml"
    secret_versions = { ROBOFLOW_API_KEY = "1", SLACK_WEBHOOK_URL = "1" }
  }

  expect_failures = [google_secret_manager_secret.value["HMI_SECRET"]]
}

run "an_unknown_stage_is_refused" {
  command = plan

  variables {
    environment = "dev"
    config_file = "envs/dev.yaml"
    sizing      = { inspect = { memory = "1Gi" } }
  }

  expect_failures = [var.sizing]
}
