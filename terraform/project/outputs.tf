output "deploy" {
  description = "Identity that applies."
  value       = google_service_account.deploy.email
}

output "plan" {
  description = "Identity that plans pull requests."
  value       = google_service_account.plan.email
}
