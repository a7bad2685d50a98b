resource "google_firestore_database" "gate" {
  name                              = local.database
  location_id                       = var.location
  type                              = "FIRESTORE_NATIVE"
  delete_protection_state           = var.protect_data ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.protect_data ? "ABANDON" : "DELETE"
  point_in_time_recovery_enablement = var.protect_data ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"

  depends_on = [google_project_service.api]
}

# A sub-collection is not covered by its parent's TTL: each has its own.
resource "google_firestore_field" "expiry" {
  for_each = toset(["inspections", "checks", "revisions", "outbox"])

  database   = google_firestore_database.gate.name
  collection = each.key
  field      = "expire_at"

  ttl_config {}
  index_config {} # a rising timestamp's index would be a hot spot, and nobody asks by it
}

# Nobody asks for what lies inside these but by the indexes below, and hundreds of detections would meet the limit of index entries.
resource "google_firestore_field" "unindexed" {
  for_each = {
    manifest = { collection = "inspections", field = "manifest" }
    latest   = { collection = "inspections", field = "revision" }
    decision = { collection = "revisions", field = "decision" }
    body     = { collection = "outbox", field = "body" }
  }

  database   = google_firestore_database.gate.name
  collection = each.value.collection
  field      = each.value.field

  index_config {}
}

# What `sweep` asks: overdue boards, and notifications that must have got lost.
resource "google_firestore_index" "sweep" {
  for_each = {
    overdue   = { collection = "inspections", fields = ["decided", "deadline"] }
    never     = { collection = "outbox", fields = ["state", "attempted_at", "created_at"] }
    attempted = { collection = "outbox", fields = ["state", "attempted_at"] }
  }

  database   = google_firestore_database.gate.name
  collection = each.value.collection

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path = fields.value
      order      = "ASCENDING"
    }
  }
}

# What people ask: the latest boards of a line, with a verdict, of a serial. Two conditions are served by two of these together.
resource "google_firestore_index" "latest" {
  for_each = toset(["place.line", "place.serial", "revision.decision.verdict"])

  database   = google_firestore_database.gate.name
  collection = "inspections"

  fields {
    field_path = each.key
    order      = "ASCENDING"
  }
  fields {
    field_path = "received_at"
    order      = "DESCENDING"
  }
}

# Firestore has no access control below the database; a condition keeps the functions out of the project's others.
resource "google_project_iam_member" "firestore" {
  for_each = module.stage

  project = local.project_id
  role    = "roles/datastore.user"
  member  = each.value.service_account.member

  condition {
    title      = "only the gate's database"
    expression = "resource.name == \"projects/${local.project_id}/databases/${local.database}\""
  }
}
