output "ip_address" {
  description = "What the name in station.address must lead to, as an A record. The certificate is there some minutes after it does."
  value       = google_compute_global_address.station.address
}

output "audience" {
  description = "What the proxy signs its word for: station.iap_audience of linegate.yaml."
  value       = "/projects/${data.google_project.this.number}/global/backendServices/${google_compute_backend_service.station.generated_id}"
}
