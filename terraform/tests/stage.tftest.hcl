# One stage by itself: who may call it, what becomes of a message that fails, what it is given.

mock_provider "google" {}

variables {
  gate = {
    prefix                = "gate"
    project               = { id = "my-plant", number = "123" }
    region                = "europe-west1"
    build_service_account = "projects/my-plant/serviceAccounts/build@my-plant.iam.gserviceaccount.com"
    config_secret         = { id = "gate-config", version = "7" }
    notification_channels = []
    labels                = { app = "linegate" }
    kms_key               = null
  }
  stage = {
    name              = "verify"
    topic             = "crops"
    source            = { bucket = "source", object = "verify-abc.zip" }
    sizing            = { memory = "1Gi", cpu = "1", concurrency = 64, min_instances = 0, max_instances = 3, timeout_s = 180 }
    secrets           = { GEMINI_API_KEY = { id = "gate-GEMINI_API_KEY", version = "3" } }
    secrets_elsewhere = ["HMI_SECRET", "ROBOFLOW_API_KEY"]
    filters           = { "" = null }
    vpc_connector     = null
  }
  retry = { minimum_s = 10, maximum_s = 300, attempts = 100 }
}

run "stage" {
  command = apply

  module {
    source = "./modules/stage"
  }

  assert {
    condition     = google_pubsub_subscription.push[""].dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.dead.id
    error_message = "what fails too often must go to the stage's own dead letter"
  }
  assert {
    condition     = google_pubsub_subscription.push[""].dead_letter_policy[0].max_delivery_attempts >= 20
    error_message = "Cloud Run's 429 counts as a delivery: fewer than 20 attempts lose messages that no code has seen"
  }
  assert {
    condition     = google_pubsub_subscription.push[""].retry_policy[0].minimum_backoff == "10s" && google_pubsub_subscription.push[""].retry_policy[0].maximum_backoff == "300s"
    error_message = "a failed message must come again with backoff"
  }
  assert {
    condition     = google_pubsub_subscription.push[""].expiration_policy[0].ttl == "" && google_pubsub_subscription.dead.expiration_policy[0].ttl == ""
    error_message = "subscriptions must never expire"
  }
  assert {
    condition     = google_pubsub_subscription.push[""].push_config[0].oidc_token[0].service_account_email == google_service_account.invoker.email
    error_message = "pushes must carry the identity of the invoker"
  }
  assert {
    condition     = google_cloud_run_service_iam_member.invoke.member == google_service_account.invoker.member && google_cloud_run_service_iam_member.invoke.role == "roles/run.invoker"
    error_message = "nobody but the invoker may call the function"
  }
  assert {
    condition     = google_cloudfunctions2_function.function.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
    error_message = "the function must not be reachable from the internet"
  }
  assert {
    condition     = google_cloudfunctions2_function.function.build_config[0].entry_point == "verify" && google_cloudfunctions2_function.function.build_config[0].runtime == "python313"
    error_message = "the entry point is the stage's name, on Python 3.13"
  }
  assert {
    condition     = length(google_cloudfunctions2_function.function.event_trigger) == 0
    error_message = "a trigger of the function's own has no dead letter"
  }
  assert {
    condition     = google_cloudfunctions2_function.function.service_config[0].environment_variables["THREADS"] == "64"
    error_message = "gunicorn needs as many threads as the instance takes requests"
  }
  assert {
    condition     = [for secret in google_cloudfunctions2_function.function.service_config[0].secret_environment_variables : "${secret.key}=${secret.secret}@${secret.version}"] == ["GEMINI_API_KEY=gate-GEMINI_API_KEY@3"]
    error_message = "the function gets its own secrets, pinned, and no others"
  }
  assert {
    condition     = length(setintersection(keys(google_cloudfunctions2_function.function.service_config[0].environment_variables), ["GEMINI_API_KEY", "HMI_SECRET", "ROBOFLOW_API_KEY"])) == 0
    error_message = "a secret must never be a plain variable"
  }
  assert {
    condition     = toset([for grant in google_secret_manager_secret_iam_member.read : grant.secret_id]) == toset(["gate-config", "gate-GEMINI_API_KEY"])
    error_message = "the function may read its own secrets and no others"
  }
  assert {
    condition     = google_pubsub_topic_iam_member.bury.member == "serviceAccount:service-123@gcp-sa-pubsub.iam.gserviceaccount.com" && google_pubsub_subscription_iam_member.bury[""].role == "roles/pubsub.subscriber"
    error_message = "Pub/Sub itself must be allowed to move messages to the dead letter"
  }
  assert {
    condition     = google_service_account_iam_member.sign.role == "roles/iam.serviceAccountTokenCreator" && google_service_account_iam_member.sign.service_account_id == google_service_account.invoker.name
    error_message = "Pub/Sub must be able to sign as the invoker, and as nobody else"
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.dead_letters.documentation[0].content, "linegate replay --cloud")
    error_message = "an alert must say what to do"
  }
}

run "a_subscription_for_each_target" {
  command = apply

  module {
    source = "./modules/stage"
  }

  variables {
    stage = {
      name              = "notify"
      topic             = "notifications"
      source            = { bucket = "source", object = "notify-abc.zip" }
      sizing            = { memory = "512Mi", cpu = "1", concurrency = 32, min_instances = 0, max_instances = 2, timeout_s = 60 }
      secrets           = {}
      secrets_elsewhere = []
      filters           = { "-to-hmi" = "attributes.target = \"hmi\"", "-to-slack" = "attributes.target = \"slack\"" }
      vpc_connector     = "projects/my-plant/locations/europe-west1/connectors/plant"
    }
  }

  assert {
    condition     = { for push in google_pubsub_subscription.push : push.name => push.filter } == { gate-notify-to-hmi = "attributes.target = \"hmi\"", gate-notify-to-slack = "attributes.target = \"slack\"" }
    error_message = "a target that is down must slow no other"
  }
  assert {
    condition     = toset([for grant in google_pubsub_subscription_iam_member.bury : grant.subscription]) == toset(["gate-notify-to-hmi", "gate-notify-to-slack"]) && alltrue([for push in google_pubsub_subscription.push : push.dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.dead.id])
    error_message = "each has the stage's dead letter"
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.backlog[0].conditions[0].condition_threshold[0].filter, "one_of(\"gate-notify-to-hmi\",\"gate-notify-to-slack\")")
    error_message = "all of them are watched"
  }
  assert {
    condition     = google_cloudfunctions2_function.function.service_config[0].vpc_connector_egress_settings == "ALL_TRAFFIC"
    error_message = "what goes to targets goes through the connector"
  }
}

run "too_few_deliveries_are_refused" {
  command = plan

  module {
    source = "./modules/stage"
  }

  variables {
    retry = { minimum_s = 10, maximum_s = 60, attempts = 5 }
  }

  expect_failures = [var.retry]
}
