# What every gate of a project stands on, and what those who ship it may do.

mock_provider "google" {}
mock_provider "google-beta" {}

variables {
  project      = "my-plant"
  repository   = { owner = "my-plant", name = "gate" }
  environments = { dev = { approval = false }, prod = { branch = "^release$" } }
}

run "project" {
  command = apply

  assert {
    condition     = alltrue([for api in ["aiplatform", "cloudresourcemanager", "iam", "iamcredentials", "serviceusage"] : contains(keys(google_project_service.api), "${api}.googleapis.com")])
    error_message = "every API that is used is switched on"
  }
  assert {
    condition     = alltrue([for agent in ["pubsub", "iap"] : contains(keys(google_project_service_identity.agent), "${agent}.googleapis.com")])
    error_message = "an agent is there before anything is granted to it"
  }
  assert {
    condition     = alltrue([for service, config in google_project_iam_audit_config.data : toset([for log in config.audit_log_config : log.log_type]) == toset(["DATA_READ", "DATA_WRITE"])]) && toset(keys(google_project_iam_audit_config.data)) == toset(["storage.googleapis.com", "secretmanager.googleapis.com"])
    error_message = "who read pictures and secrets is logged"
  }
  assert {
    condition     = strcontains(google_project_iam_member.grant.condition[0].expression, "modifiedGrantsByRole") && !strcontains(google_project_iam_member.grant.condition[0].expression, "roles/owner")
    error_message = "who deploys may grant what a gate needs, and no more"
  }
  assert {
    condition     = toset([for grant in google_project_iam_member.plan : grant.role]) == toset(["roles/iam.securityReviewer", "roles/logging.logWriter", "roles/storage.bucketViewer", "roles/viewer"])
    error_message = "who plans changes nothing"
  }
  assert {
    condition     = { for name, trigger in google_cloudbuild_trigger.deploy : name => trigger.approval_config[0].approval_required } == { dev = false, prod = true }
    error_message = "a person approves what goes to prod"
  }
  assert {
    condition     = alltrue([for trigger in google_cloudbuild_trigger.plan : trigger.substitutions["_APPLY"] == "false" && trigger.service_account == google_service_account.plan.id])
    error_message = "a pull request plans, by an identity that can't apply"
  }
}

run "a_project_without_a_station" {
  command = plan

  variables {
    station = false
  }

  assert {
    condition     = !contains(keys(google_project_service.api), "iap.googleapis.com") && !contains(keys(google_project_service_identity.agent), "iap.googleapis.com")
    error_message = "what nobody uses is not switched on"
  }
}

run "prod_without_approval_is_refused" {
  command = plan

  variables {
    environments = { prod = { approval = false } }
  }

  expect_failures = [var.environments]
}
