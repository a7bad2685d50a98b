# One stage of the gate: a function that nobody but its own push subscription may call, the topic that feeds it, and the
# dead letter that takes what it could not do. A trigger that comes with the function could not have a dead letter.

locals {
  name   = "${var.gate.prefix}-${var.stage.name}"
  pushes = join(",", [for push in google_pubsub_subscription.push : "\"${push.name}\""])
}

resource "google_service_account" "function" {
  account_id   = local.name
  display_name = "Linegate ${var.stage.name}"
  description  = "Runs the function ${local.name}."
}

resource "google_cloudfunctions2_function" "function" {
  name        = local.name
  location    = var.gate.region
  description = "Linegate, stage ${var.stage.name}"
  labels      = var.gate.labels

  build_config {
    runtime         = "python313"
    entry_point     = var.stage.name
    service_account = var.gate.build_service_account

    source {
      storage_source {
        bucket = var.stage.source.bucket
        object = var.stage.source.object
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function.email
    available_memory                 = var.stage.sizing.memory
    available_cpu                    = var.stage.sizing.cpu
    max_instance_request_concurrency = var.stage.sizing.concurrency
    min_instance_count               = var.stage.sizing.min_instances
    max_instance_count               = var.stage.sizing.max_instances
    timeout_seconds                  = var.stage.sizing.timeout_s
    ingress_settings                 = "ALLOW_INTERNAL_ONLY" # a push of this project counts as internal
    all_traffic_on_latest_revision   = true
    vpc_connector                    = var.stage.vpc_connector
    vpc_connector_egress_settings    = var.stage.vpc_connector == null ? null : "ALL_TRAFFIC"

    environment_variables = {
      LINEGATE_CONFIG            = "/etc/linegate/linegate.yaml"
      LINEGATE_SECRETS_ELSEWHERE = join(",", var.stage.secrets_elsewhere)
      THREADS                    = tostring(var.stage.sizing.concurrency) # of gunicorn: fewer would queue what Cloud Run lets in
    }

    secret_volumes {
      mount_path = "/etc/linegate"
      project_id = var.gate.project.id
      secret     = var.gate.config_secret.id

      versions {
        version = var.gate.config_secret.version
        path    = "linegate.yaml"
      }
    }

    dynamic "secret_environment_variables" {
      for_each = var.stage.secrets
      content {
        key        = secret_environment_variables.key
        project_id = var.gate.project.id
        secret     = secret_environment_variables.value.id
        version    = secret_environment_variables.value.version
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.read]
}

resource "google_secret_manager_secret_iam_member" "read" {
  for_each = merge({ config = var.gate.config_secret }, var.stage.secrets)

  secret_id = each.value.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function.member
}

# --- how messages come in

resource "google_pubsub_topic" "feed" {
  name                       = "${var.gate.prefix}-${var.stage.topic}"
  labels                     = var.gate.labels
  kms_key_name               = var.gate.kms_key
  message_retention_duration = "604800s" # a week: enough to seek back after a bad release
}

resource "google_service_account" "invoker" {
  account_id   = "${local.name}-push"
  display_name = "Linegate push to ${var.stage.name}"
  description  = "The identity under which the subscription ${local.name} calls its function, and nothing else."
}

resource "google_cloud_run_service_iam_member" "invoke" {
  location = google_cloudfunctions2_function.function.location
  service  = google_cloudfunctions2_function.function.name
  role     = "roles/run.invoker"
  member   = google_service_account.invoker.member
}

# Pub/Sub signs the pushes as the invoker. Projects of before April 2021 do not grant that by themselves.
resource "google_service_account_iam_member" "sign" {
  service_account_id = google_service_account.invoker.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:service-${var.gate.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_subscription" "push" {
  for_each = var.stage.filters

  name                       = "${local.name}${each.key}"
  filter                     = each.value
  topic                      = google_pubsub_topic.feed.id
  labels                     = var.gate.labels
  ack_deadline_seconds       = var.stage.sizing.timeout_s
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = "" # never: a line that stands still for a month must find its gate again
  }

  push_config {
    push_endpoint = google_cloudfunctions2_function.function.service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.invoker.email
      audience              = google_cloudfunctions2_function.function.service_config[0].uri
    }
  }

  retry_policy {
    minimum_backoff = "${var.retry.minimum_s}s"
    maximum_backoff = "${var.retry.maximum_s}s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead.id
    max_delivery_attempts = var.retry.attempts
  }

  depends_on = [google_cloud_run_service_iam_member.invoke, google_service_account_iam_member.sign]
}

# --- what could not be done

resource "google_pubsub_topic" "dead" {
  name                       = "${var.gate.prefix}-${var.stage.topic}-dead"
  labels                     = var.gate.labels
  kms_key_name               = var.gate.kms_key
  message_retention_duration = "2678400s"
}

resource "google_pubsub_subscription" "dead" {
  name                       = "${local.name}-dead"
  topic                      = google_pubsub_topic.dead.id
  labels                     = var.gate.labels
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s" # 31 days, the longest there is: a person replays these

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub itself moves a message to the dead letter: it needs to publish there and to acknowledge here.
resource "google_pubsub_topic_iam_member" "bury" {
  topic  = google_pubsub_topic.dead.name
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:service-${var.gate.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_subscription_iam_member" "bury" {
  for_each = google_pubsub_subscription.push

  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:service-${var.gate.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

moved {
  from = google_pubsub_subscription.push
  to   = google_pubsub_subscription.push[""]
}

moved {
  from = google_pubsub_subscription_iam_member.bury
  to   = google_pubsub_subscription_iam_member.bury[""]
}

# The function publishes what it can't parse to its own dead letter, with the reason.
resource "google_pubsub_topic_iam_member" "refuse" {
  topic  = google_pubsub_topic.dead.name
  role   = "roles/pubsub.publisher"
  member = google_service_account.function.member
}

# --- alerts

moved {
  from = google_monitoring_alert_policy.backlog
  to   = google_monitoring_alert_policy.backlog[0]
}

resource "google_monitoring_alert_policy" "dead_letters" {
  display_name          = "${local.name}: dead letters"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.gate.notification_channels
  user_labels           = var.gate.labels

  conditions {
    display_name = "There are dead letters"

    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = <<-EOT
      Messages of stage **${var.stage.name}** could not be served. No board was lost: each went to REVIEW at its deadline at the latest.
      1. Read why: `gcloud pubsub subscriptions pull ${google_pubsub_subscription.dead.name} --limit=5` and the function's logs
         (`message.failed`, `message.unparseable`).
      2. Mend the cause (a key, a workflow, a quota, a release).
      3. Put them back to work: `linegate replay --cloud --config linegate.yaml --topic ${var.stage.topic}`.
    EOT
  }
}

resource "google_monitoring_alert_policy" "backlog" {
  count = length(var.stage.filters) > 0 ? 1 : 0

  display_name          = "${local.name}: messages wait"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.gate.notification_channels
  user_labels           = var.gate.labels

  conditions {
    display_name = "The oldest message has waited for five minutes"

    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = one_of(${local.pushes}) AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      comparison      = "COMPARISON_GT"
      threshold_value = 300
      duration        = "60s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = <<-EOT
      Stage **${var.stage.name}** does not keep up, or keeps failing. Boards wait, and go to REVIEW at their deadline.
      1. The function's logs: does `message.failed` name a service that is down, or a key that is wrong?
      2. If it is load: raise the stage's `max_instances` (`sizing` in the tfvars), or the quota that it meets.
    EOT
  }
}
