# Keys of the customer's own, where there are any: Google's agents must be let use them before anything is encrypted with them.

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = merge(
    { for key in compact([var.kms_key]) : "pubsub" => { key = key, agent = "service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com" } },
    { for key in compact([var.kms_key]) : "storage" => { key = key, agent = data.google_storage_project_service_account.storage.email_address } },
    { for key in compact([var.database_kms_key]) : "firestore" => { key = key, agent = "service-${data.google_project.this.number}@gcp-sa-firestore.iam.gserviceaccount.com" } },
  )

  crypto_key_id = each.value.key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value.agent}"
}
