# Everything is derived from the environment's linegate.yaml, so that what is provisioned and what runs can't disagree.

locals {
  text   = file(var.config_file)
  config = yamldecode(local.text)
  # What holds where the file says nothing, as the package itself has it.
  defaults = jsondecode(file("${path.module}/defaults.json"))

  project_id = local.config.cloud.project
  region     = try(local.config.cloud.region, local.defaults.cloud.region)
  database   = try(local.config.cloud.database, local.defaults.cloud.database)
  prefix     = try(local.config.cloud.prefix, local.defaults.cloud.prefix)
  uploads    = local.config.storage.uploads_bucket
  results    = local.config.storage.results_bucket
  golden     = try(local.config.cloud.golden_bucket, null)
  lines      = keys(local.config.lines)
  # Lines that make boards. The others try the gate out.
  making = [for line, parts in local.config.lines : line if try(parts.notifies, true)]
  # Gemini on Vertex AI is asked by the identity of the function that verifies.
  vertex = try(local.config.gemini.project, null)

  # Which ${NAME} stands in which section: each function gets the secrets of its own section and no others.
  secret_names = {
    for stage, sections in {
      for stage, row in local.stages : stage => join("", [for section in row.sections : try(jsonencode(local.config[section]), "")])
    } : stage => toset(flatten(regexall("\\$\\{([A-Za-z_][A-Za-z0-9_]*)\\}", sections)))
  }
  all_secret_names = toset(flatten(regexall("\\$\\{([A-Za-z_][A-Za-z0-9_]*)\\}", jsonencode(local.config))))

  labels = { app = "linegate", environment = var.environment }
}

data "google_project" "this" {
  project_id = local.project_id
}

resource "google_project_service" "api" {
  for_each = toset(concat([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudscheduler.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ], local.vertex == local.project_id ? ["aiplatform.googleapis.com"] : []))

  service            = each.key
  disable_on_destroy = false # others in the project may use it
}
