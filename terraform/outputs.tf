output "upload_prefix" {
  description = "Where the cameras of each line write."
  value       = { for line in local.lines : line => "gs://${local.uploads}/uploads/${line}/" }
}

output "cameras" {
  description = "Identity of the cameras of each line."
  value       = { for line, account in google_service_account.camera : line => account.email }
}

output "secrets" {
  description = "Secrets whose values a person adds with gcloud."
  value       = sort([for secret in google_secret_manager_secret.value : secret.secret_id])
}

output "functions" {
  description = "Names of the functions."
  value       = { for stage, parts in local.deployed : stage => parts.function }
}

output "dead_letters" {
  description = "Subscriptions that hold what a stage could not do."
  value       = { for stage, parts in local.deployed : stage => parts.dead_letters }
}
