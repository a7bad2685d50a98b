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

  # Where documents lie if the tfvars say nothing: in the multi-region around the functions, where there is one.
  database_location = coalesce(var.location, lookup({ europe = "eur3", us = "nam5" }, split("-", local.region)[0], local.region))

  # The gates of a plant, and of the others, are the files beside this one. What two of one project may not share is named.
  sites = { for name in fileset(dirname(var.config_file), "*.yaml") : name => yamldecode(file("${dirname(var.config_file)}/${name}")) }
  neighbours = [
    for name, site in local.sites : site
    if name != basename(var.config_file) && try(site.cloud.project, "") == local.project_id
  ]
  shared = distinct(concat(
    [for site in local.neighbours : "the database ${local.database}" if try(site.cloud.database, local.defaults.cloud.database) == local.database],
    [for site in local.neighbours : "the prefix ${local.prefix}" if try(site.cloud.prefix, local.defaults.cloud.prefix) == local.prefix],
    flatten([for site in local.neighbours : [for bucket in [site.storage.uploads_bucket, site.storage.results_bucket] : "the bucket ${bucket}" if contains([local.uploads, local.results], bucket)]]),
  ))

  labels = { app = "linegate", environment = var.environment }
}

data "google_project" "this" {
  project_id = local.project_id
}

# APIs are the project's: terraform/project switches them on.
removed {
  from = google_project_service.api

  lifecycle {
    destroy = false
  }
}
