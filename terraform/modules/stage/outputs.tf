output "topic" {
  description = "The topic that feeds the stage."
  value       = { id = google_pubsub_topic.feed.id, name = google_pubsub_topic.feed.name }
}

output "service_account" {
  description = "Identity of the function: its e-mail address and its IAM member."
  value       = { email = google_service_account.function.email, member = google_service_account.function.member }
}

output "function" {
  description = "Name of the function."
  value       = google_cloudfunctions2_function.function.name
}

output "dead_letters" {
  description = "Subscription that holds what the stage could not do."
  value       = google_pubsub_subscription.dead.name
}
