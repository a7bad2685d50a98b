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
  settle_s        = 0
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
    condition     = toset(keys(local.deployed)) == toset(["detect", "verify", "aggregate", "review", "notify", "sweep"])
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
    condition     = toset(keys(google_storage_bucket_iam_member.stage)) == toset(["aggregate-results", "aggregate-uploads", "detect-golden", "detect-results", "detect-uploads", "review-results", "review-uploads", "sweep-results", "sweep-uploads"])
    error_message = "verify and notify have no business in any bucket"
  }
  assert {
    condition     = alltrue([for grant in google_storage_bucket_iam_member.stage : grant.role == (grant.bucket == "my-plant-dev-results" ? "roles/storage.objectUser" : "roles/storage.objectViewer")])
    error_message = "only results are written"
  }
  assert {
    condition     = toset(keys(google_pubsub_topic_iam_member.publish)) == toset(["aggregate-notify", "detect-notify", "detect-verify", "review-notify", "sweep-notify", "verify-aggregate"])
    error_message = "a stage may publish to those it feeds and to no other"
  }
  assert {
    condition     = alltrue([for stage, grant in google_project_iam_member.firestore : grant.role == (stage == "verify" ? "roles/datastore.viewer" : "roles/datastore.user") && strcontains(grant.condition[0].expression, "/databases/(default)")])
    error_message = "functions may use the gate's database only, and verify only reads it"
  }
  assert {
    condition     = alltrue([for field in google_firestore_field.expiry : field.field == "expire_at" && length(field.ttl_config) == 1]) && toset(keys(google_firestore_field.expiry)) == toset(["inspections", "checks", "revisions", "refusals", "outbox", "challenges", "rollups"])
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
    condition     = [for grant in google_project_iam_member.vertex : "${grant.project} ${grant.role} ${grant.member == module.verify.service_account.member}"] == ["my-plant-dev roles/aiplatform.user true"]
    error_message = "Gemini on Vertex AI is asked by the identity of verify, and by no other"
  }
  assert {
    # tests/unit/test_memory.py holds the package to the same figures.
    condition = { for stage, size in local.sizing : stage => "${size.memory} ${size.cpu} ${size.concurrency}" } == {
      detect    = "3840Mi 1 2"
      verify    = "1024Mi 1 64"
      aggregate = "3072Mi 1 8"
      review    = "3072Mi 1 8"
      notify    = "512Mi 1 32"
      sweep     = "768Mi 1 1"
    }
    error_message = "an instance has the memory that the pictures take which it works on at a time"
  }
  assert {
    condition     = jsonencode(local.filters.notify) == jsonencode({ "-to-hmi" = "attributes.target = \"hmi\"", "-to-quality" = "attributes.target = \"quality\"" }) && alltrue([for stage, filters in local.filters : join(",", keys(filters)) == "" && length(filters) == 1 if stage != "notify"])
    error_message = "each target has a subscription of its own, the other stages one for all"
  }
  assert {
    condition     = google_firestore_database.gate.location_id == "eur3" && length(google_firestore_backup_schedule.daily) == 0 && length(google_kms_crypto_key_iam_member.agent) == 0
    error_message = "the database lies around the functions; backups and keys are asked for"
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
    condition     = [for grant in google_cloud_run_service_iam_member.station : "${grant.service} ${grant.role} ${grant.member}"] == ["linegate-station roles/run.invoker serviceAccount:service-123456789@gcp-sa-iap.iam.gserviceaccount.com"]
    error_message = "nobody but the Identity-Aware Proxy may call the station"
  }
  assert {
    condition     = google_cloudfunctions2_function.station["linegate-station"].service_config[0].ingress_settings == "ALLOW_INTERNAL_AND_GCLB" && google_cloudfunctions2_function.station["linegate-station"].build_config[0].entry_point == "station"
    error_message = "the station is reached by its load balancer only"
  }
  assert {
    condition     = google_cloudfunctions2_function.station["linegate-station"].service_config[0].environment_variables["FUNCTION_USE_ASGI"] == "true" && google_cloudfunctions2_function.station["linegate-station"].service_config[0].timeout_seconds == 3600 && google_cloudfunctions2_function.station["linegate-station"].service_config[0].max_instance_request_concurrency > 200
    error_message = "events are streamed, to many pages, for as long as Cloud Run lets them"
  }
  assert {
    condition     = google_cloudfunctions2_function.station["linegate-station"].service_config[0].available_memory == "1792Mi" && length(google_cloudfunctions2_function.station["linegate-station"].service_config[0].secret_environment_variables) == 0
    error_message = "it has room for the pictures that it shows, and no secret"
  }
  assert {
    condition     = { for name, grant in google_storage_bucket_iam_member.station : name => "${grant.bucket} ${grant.role}" } == { golden = "my-plant-dev-golden roles/storage.objectViewer", results = "my-plant-dev-results roles/storage.objectViewer", uploads = "my-plant-dev-uploads roles/storage.objectViewer" }
    error_message = "it shows pictures and writes none"
  }
  assert {
    condition     = [for grant in google_project_iam_member.station : "${grant.role} ${strcontains(grant.condition[0].expression, "/databases/(default)")}"] == ["roles/datastore.viewer true"] && [for grant in google_pubsub_topic_iam_member.station : "${grant.topic} ${grant.role}"] == ["linegate-reviews roles/pubsub.publisher"] && [for grant in google_secret_manager_secret_iam_member.station : grant.secret_id] == ["linegate-config"]
    error_message = "it reads, and publishes what persons decided, and nothing else"
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
    camera_signers       = ["group:lines@my-plant.example"]
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
    condition     = toset(keys(google_service_account_iam_member.signer)) == toset([for line in ["smoke", "smt-1", "smt-2"] : "${line} group:lines@my-plant.example"]) && alltrue([for line, account in google_service_account.camera : google_service_account_iam_member.signer["${line} group:lines@my-plant.example"].service_account_id == account.name])
    error_message = "who signs addresses borrows the cameras' identities, and no other"
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

run "a_station_without_an_audience_is_told" {
  command = plan

  variables {
    environment     = "dev"
    config_file     = "tests/gates/station.yaml"
    secret_versions = {}
  }

  expect_failures = [check.station]
}

run "a_station_that_serves_one_at_a_time_is_refused" {
  command = plan

  variables {
    environment = "dev"
    config_file = "envs/dev.yaml"
    sizing      = { station = { concurrency = "1" } }
  }

  expect_failures = [google_storage_bucket_object.station["linegate-station"]]
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

run "a_sizing_that_holds_less_than_its_pictures_is_refused" {
  command = plan

  variables {
    environment = "dev"
    config_file = "envs/dev.yaml"
    sizing      = { detect = { concurrency = "8" } }
  }

  expect_failures = [google_storage_bucket_object.package["detect"]]
}

run "a_sizing_that_holds_more_is_taken" {
  command = plan

  variables {
    environment = "dev"
    config_file = "envs/dev.yaml"
    sizing      = { detect = { concurrency = "8", memory = "16Gi", cpu = "4" } }
  }

  assert {
    condition     = local.sizing.detect.memory == "16Gi" && tonumber(local.sizing.detect.concurrency) == 8
    error_message = "the tfvars have the last word"
  }
}

run "pictures_that_no_instance_holds_are_refused" {
  command = plan

  variables {
    environment = "dev"
    config_file = "tests/gates/pixels.yaml"
  }

  expect_failures = [google_storage_bucket_object.package["detect"]]
}

run "large_pictures_get_the_cores_that_their_memory_asks_for" {
  command = plan

  variables {
    environment = "dev"
    config_file = "tests/gates/large.yaml"
  }

  assert {
    condition     = local.sizing.detect.memory == "7168Mi" && local.sizing.detect.cpu == "2" && local.sizing.detect.concurrency == 1
    error_message = "one picture of 100 megapixels and its golden picture take more than a core's memory"
  }
  assert {
    condition     = local.database_location == "asia-south1" && google_storage_bucket.bucket["uploads"].location == "asia-south1"
    error_message = "where no multi-region is around the functions, the database lies beside them"
  }
}

run "a_service_that_outlives_its_function_is_refused" {
  command = plan

  variables {
    environment = "dev"
    config_file = "tests/gates/budget.yaml"
  }

  expect_failures = [google_storage_bucket_object.package["detect"], google_storage_bucket_object.package["verify"]]
}

run "gates_that_share_a_database_are_refused" {
  command = plan

  variables {
    environment = "dev"
    config_file = "tests/plant/north.yaml"
  }

  expect_failures = [google_firestore_database.gate]
}

run "gates_of_several_plants_lie_beside_each_other" {
  command = plan

  variables {
    environment     = "north"
    config_file     = "envs/plants/north.yaml"
    secret_versions = { HMI_SECRET = "1" }
  }

  assert {
    condition     = length(google_cloudfunctions2_function.station) == 0 && length(google_service_account.station) == 0
    error_message = "a gate that says no address has no station"
  }
  assert {
    condition     = length(local.neighbours) == 1 && google_firestore_database.gate.name == "north" && google_cloud_scheduler_job.sweep.name == "north-sweep"
    error_message = "each gate of a project has names of its own"
  }
}

run "keys_and_backups_where_they_are_asked_for" {
  command = plan

  variables {
    environment      = "dev"
    config_file      = "envs/dev.yaml"
    kms_key          = "projects/my-plant-dev/locations/europe-west1/keyRings/gate/cryptoKeys/pictures"
    database_kms_key = "projects/my-plant-dev/locations/europe/keyRings/gate/cryptoKeys/database"
    backup_days      = 14
  }

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.bucket : bucket.encryption[0].default_kms_key_name == var.kms_key]) && google_firestore_database.gate.cmek_config[0].kms_key_name == var.database_kms_key
    error_message = "buckets and database are encrypted with the keys that are named"
  }
  assert {
    condition     = toset(keys(google_kms_crypto_key_iam_member.agent)) == toset(["firestore", "pubsub", "storage"])
    error_message = "the agents that encrypt may use the keys"
  }
  assert {
    condition     = google_firestore_backup_schedule.daily[0].retention == "1209600s"
    error_message = "a backup is kept for as long as it is asked for"
  }
}
