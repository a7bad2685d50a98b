# What pages a person, beside what each stage watches by itself (dead letters, messages that wait).

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.pager_emails)

  display_name = "Linegate ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
}

locals {
  channels  = [for channel in google_monitoring_notification_channel.email : channel.id]
  functions = join(" OR ", [for stage in keys(local.stages) : "resource.labels.service_name=\"${local.prefix}-${stage}\""])
  verdicts  = "logging.googleapis.com/user/${google_logging_metric.verdicts.name}"
  latency   = "logging.googleapis.com/user/${google_logging_metric.latency.name}"
  answers   = "resource.type = \"cloud_run_revision\" AND metric.type = \"run.googleapis.com/request_count\" AND resource.labels.service_name = starts_with(\"${local.prefix}-\")"
  dead      = join(",", [for stage in keys(local.stages) : "\"${local.prefix}-${stage}-dead\""])
}

resource "google_logging_metric" "verdicts" {
  name        = "${local.prefix}/verdicts"
  description = "Verdicts by line and word, from the structured logs."
  filter      = "resource.type=\"cloud_run_revision\" AND (${local.functions}) AND jsonPayload.message=\"product.decided\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"

    labels {
      key        = "verdict"
      value_type = "STRING"
    }
    labels {
      key        = "line"
      value_type = "STRING"
    }
  }

  label_extractors = {
    verdict = "EXTRACT(jsonPayload.verdict)"
    line    = "EXTRACT(jsonPayload.line)"
  }
}

resource "google_logging_metric" "latency" {
  name            = "${local.prefix}/decided_ms"
  description     = "Milliseconds from the receipt of an upload to its verdict."
  filter          = "resource.type=\"cloud_run_revision\" AND (${local.functions}) AND jsonPayload.message=\"product.decided\""
  value_extractor = "EXTRACT(jsonPayload.decided_ms)"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "ms"
  }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 40
      growth_factor      = 1.3
      scale              = 50
    }
  }
}

# Alerts on our own metrics are PromQL, which is not checked against the metrics there are: seconds after it was made, and until the
# first verdict, a log metric is unknown, and an alert that names it otherwise is refused.
locals {
  promql        = { for name in ["verdicts", "decided_ms"] : name => "logging_googleapis_com:user_${replace("${local.prefix}_${name}", "-", "_")}" }
  of_gate       = "monitored_resource=\"cloud_run_revision\""
  silent_for    = "${var.silent_after_minutes}m"
  heard_within  = "${max(1440, 2 * var.silent_after_minutes)}m"
  verdicts_in   = { for window in ["1h", "7d"] : window => "sum(increase(${local.promql["verdicts"]}{${local.of_gate}}[${window}]))" }
  reviews_in    = { for window in ["1h", "7d"] : window => "sum(increase(${local.promql["verdicts"]}{${local.of_gate},verdict=\"REVIEW\"}[${window}]))" }
  review_shares = { for window in ["1h", "7d"] : window => "((${local.reviews_in[window]} or vector(0)) / clamp_min(${local.verdicts_in[window]}, 1))" }

  alerts = merge(
    {
      latency = {
        name     = "verdicts are late"
        severity = "WARNING"
        query    = "histogram_quantile(0.95, sum by (le) (rate(${local.promql["decided_ms"]}_bucket{${local.of_gate}}[5m]))) > ${1000 * var.latency_s}"
        duration = "300s"
        runbook  = "`detector_ms` in `product.detected` and `latency_ms` in `crop.checked` say whether Roboflow or Gemini is slow. If neither is, instances are missing: raise `min_instances` or `max_instances`."
      }
      review_ratio = {
        name     = "many boards go to REVIEW"
        severity = "WARNING"
        query    = "${local.review_shares["1h"]} > ${var.review_factor} * ${local.review_shares["7d"]} and ${local.review_shares["1h"]} > ${var.review_floor}"
        duration = "0s"
        runbook  = "People must look at more boards than usual. The verdicts' `summary` says why: a service that is away, answers of Gemini that can't be used, a golden picture that no longer fits, a camera that was moved."
      }
    },
    {
      # All words and revisions of a line together, and only a line that was heard before: one that has not begun, or that has stood
      # still for a day, pages nobody.
      for line in local.making : "silent-${line}" => {
        name     = "line ${line} is silent"
        severity = "WARNING"
        query = join(" unless ", [
          for window in [local.heard_within, local.silent_for] :
          "sum(increase(${local.promql["verdicts"]}{${local.of_gate},line=\"${line}\"}[${window}])) > 0"
        ])
        duration = "0s"
        runbook  = "No verdict for a while. Does the line stand still? Else: does the camera write below uploads/${line}/, with the right identity? Is there a `message.failed` of stage detect?"
      } if var.silent_after_minutes > 0
    },
  )
}

resource "google_monitoring_alert_policy" "alert" {
  for_each = local.alerts

  display_name          = "${local.prefix}: ${each.value.name}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.name

    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = each.value.duration
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.runbook
  }
}

resource "google_monitoring_alert_policy" "errors" {
  display_name          = "${local.prefix}: functions fail"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "functions fail"

    condition_threshold {
      filter             = "${local.answers} AND metric.labels.response_code_class = \"5xx\""
      denominator_filter = local.answers
      comparison         = "COMPARISON_GT"
      threshold_value    = 0.05
      duration           = "300s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
      denominator_aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "More than one answer in twenty is a failure. Messages are redelivered, none is lost yet. The logs' `message.failed` and `message.crashed` say why; after a release, deploy the one before (its zip is still in the source bucket)."
  }
}

# A retired model costs every board its verdict in the same way: one alert, from the first such line of `verify`, not one a board.
resource "google_monitoring_alert_policy" "retired_model" {
  display_name          = "${local.prefix}: Gemini's model is retired"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "verify says that its model is not served"

    condition_matched_log {
      filter           = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${local.prefix}-verify\" AND jsonPayload.message=\"gemini.model_retired\""
      label_extractors = { model = "EXTRACT(jsonPayload.model)", successor = "EXTRACT(jsonPayload.successor)" }
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "21600s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "Google does not serve the model in `gemini.model` to this gate (any more), so every finding is UNSURE and its board REVIEW. The line's `successor` says which model to take: set `gemini.model`, `terraform apply`, and see `linegate doctor`. It may answer 429 in place of 404; more quota would not help."
  }
}

moved {
  from = google_monitoring_alert_policy.alert["errors"]
  to   = google_monitoring_alert_policy.errors
}

moved {
  from = google_monitoring_alert_policy.review_ratio
  to   = google_monitoring_alert_policy.alert["review_ratio"]
}

resource "google_monitoring_dashboard" "gate" {
  dashboard_json = jsonencode({
    displayName = "Linegate (${var.environment})"
    mosaicLayout = {
      columns = 12
      tiles = [
        for index, widget in [
          { title = "Verdicts a minute", filter = "metric.type=\"${local.verdicts}\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_DELTA", group = ["metric.label.verdict"] },
          { title = "Verdicts a minute, by line", filter = "metric.type=\"${local.verdicts}\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_DELTA", group = ["metric.label.line"] },
          { title = "Upload to verdict, p95 (ms)", filter = "metric.type=\"${local.latency}\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_PERCENTILE_95", group = [] },
          { title = "Oldest message that waits (s)", filter = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" resource.type=\"pubsub_subscription\"", aligner = "ALIGN_MAX", group = ["resource.label.subscription_id"] },
          { title = "Dead letters", filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" resource.type=\"pubsub_subscription\" resource.label.subscription_id=one_of(${local.dead})", aligner = "ALIGN_MAX", group = ["resource.label.subscription_id"] },
          { title = "Instances", filter = "metric.type=\"run.googleapis.com/container/instance_count\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_MAX", group = ["resource.label.service_name"] },
          ] : {
          xPos   = 6 * (index % 2)
          yPos   = 4 * floor(index / 2)
          width  = 6
          height = 4
          widget = {
            title = widget.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = widget.filter
                    # What ALIGN_DELTA counts in 60 s is a minute's.
                    aggregation = merge(
                      { alignmentPeriod = "60s", perSeriesAligner = widget.aligner },
                      { for key, value in { crossSeriesReducer = "REDUCE_SUM", groupByFields = widget.group } : key => value if length(widget.group) > 0 },
                    )
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })
}
