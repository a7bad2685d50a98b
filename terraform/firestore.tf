resource "google_firestore_database" "gate" {
  name                              = local.database
  location_id                       = local.database_location
  type                              = "FIRESTORE_NATIVE"
  delete_protection_state           = var.protect_data ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.protect_data ? "ABANDON" : "DELETE"
  point_in_time_recovery_enablement = var.protect_data ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"

  dynamic "cmek_config" {
    for_each = var.database_kms_key == null ? [] : [var.database_kms_key]
    content {
      kms_key_name = cmek_config.value
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.shared) == 0
      error_message = "${var.config_file} shares with other gates of project ${local.project_id}: ${join(", ", local.shared)}. Each gate has a database, a prefix and buckets of its own."
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

resource "google_firestore_backup_schedule" "daily" {
  count = var.backup_days > 0 ? 1 : 0

  database  = google_firestore_database.gate.name
  retention = "${86400 * var.backup_days}s"

  daily_recurrence {}
}

# A sub-collection is not covered by its parent's TTL: each has its own.
resource "google_firestore_field" "expiry" {
  for_each = toset(["inspections", "checks", "revisions", "refusals", "outbox", "challenges", "rollups"])

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
    review   = { collection = "revisions", field = "review" }
    refused  = { collection = "refusals", field = "review" }
    body     = { collection = "outbox", field = "body" }
    counts   = { collection = "rollups", field = "hours" }
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

# What people ask: the latest products of a line, with a verdict, of a serial … Several conditions are served by several of these
# together, which end with the same field in the same order.
resource "google_firestore_index" "latest" {
  for_each = toset(["place.line", "place.serial", "recipe", "revision.decision.verdict", "by"])

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

# The same, the oldest first; `waiting` is what awaits a person, of all lines.
resource "google_firestore_index" "oldest" {
  for_each = toset(["place.line", "place.serial", "recipe", "revision.decision.verdict", "by", "waiting"])

  database   = google_firestore_database.gate.name
  collection = "inspections"

  fields {
    field_path = each.key
    order      = "ASCENDING"
  }
  fields {
    field_path = "received_at"
    order      = "ASCENDING"
  }
}

# By class of a finding, and by what a person said of it.
resource "google_firestore_index" "marks" {
  for_each = toset(["DESCENDING", "ASCENDING"])

  database   = google_firestore_database.gate.name
  collection = "inspections"

  fields {
    field_path   = "marks"
    array_config = "CONTAINS"
  }
  fields {
    field_path = "received_at"
    order      = each.key
  }
}

# What awaits a person on some lines.
resource "google_firestore_index" "waiting" {
  database   = google_firestore_database.gate.name
  collection = "inspections"

  dynamic "fields" {
    for_each = ["waiting", "place.line", "received_at"]
    content {
      field_path = fields.value
      order      = "ASCENDING"
    }
  }
}

# The counts of some days, of a line, of a recipe, or of both.
resource "google_firestore_index" "counts" {
  for_each = toset(["line", "recipe"])

  database   = google_firestore_database.gate.name
  collection = "rollups"

  fields {
    field_path = each.key
    order      = "ASCENDING"
  }
  fields {
    field_path = "day"
    order      = "ASCENDING"
  }
}

# Firestore has no access control below the database; a condition keeps the functions out of the project's others.
resource "google_project_iam_member" "firestore" {
  for_each = local.members

  project = local.project_id
  role    = each.key == "verify" ? "roles/datastore.viewer" : "roles/datastore.user" # it looks whether its check is there
  member  = each.value

  condition {
    title      = "only the gate's database"
    expression = "resource.name == \"projects/${local.project_id}/databases/${local.database}\""
  }
}
