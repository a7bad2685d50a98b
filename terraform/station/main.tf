# The door of a gate's station: a public address with Google's Identity-Aware Proxy behind it, and nothing else. What it leads to is
# the function `station` of the gate, which takes calls from the proxy only. An owner applies it once for each gate, after the gate, and
# with a state of its own.
#
# It is a root of its own, since who deploys a gate need not open it to people; and since the resources here (load balancer, proxy) are
# in the provider, but not in the schema that `.ci/run` holds terraform/ against where the registry can't be reached. Cloud Build
# validates and tests both.

locals {
  config   = yamldecode(file("${path.module}/../${var.config_file}"))
  defaults = jsondecode(file("${path.module}/../defaults.json"))

  project_id = local.config.cloud.project
  region     = try(local.config.cloud.region, local.defaults.cloud.region)
  prefix     = try(local.config.cloud.prefix, local.defaults.cloud.prefix)
  name       = "${local.prefix}-station"
  address    = try(local.config.station.address, "")
  domain     = try(regex("^https://([^/:]+)/?$", local.address)[0], "")
}

data "google_project" "this" {
  project_id = local.project_id
}

# --- the function as what a load balancer leads to

resource "google_compute_region_network_endpoint_group" "station" {
  name                  = local.name
  region                = local.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = local.name # of the function, by the same name
  }
}

# With no client named, the proxy signs people in by Google's own: those of the project's organization.
resource "google_compute_backend_service" "station" {
  name                  = local.name
  description           = "Linegate, the pages for people"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"

  backend {
    group = google_compute_region_network_endpoint_group.station.id
  }

  iap {
    enabled = true
  }

  log_config {
    enable      = true
    sample_rate = 1.0
  }
}

# Who gets in at all: groups, if you like. What each may is `station.people` of linegate.yaml, by e-mail address.
resource "google_iap_web_backend_service_iam_member" "people" {
  for_each = toset(var.members)

  project             = local.project_id
  web_backend_service = google_compute_backend_service.station.name
  role                = "roles/iap.httpsResourceAccessor"
  member              = each.key
}

# --- the address

resource "google_compute_global_address" "station" {
  name = local.name

  lifecycle {
    precondition {
      condition     = local.domain != ""
      error_message = "station.address of ${var.config_file} must be https:// and a name, e.g. https://gate.my-plant.example, not '${local.address}'."
    }
  }
}

resource "google_compute_managed_ssl_certificate" "station" {
  name = "${local.name}-${substr(sha1(local.domain), 0, 6)}" # a certificate can't be changed: another name is another one

  managed {
    domains = [local.domain]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_ssl_policy" "station" {
  name            = local.name
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_url_map" "station" {
  name            = local.name
  default_service = google_compute_backend_service.station.id
}

resource "google_compute_target_https_proxy" "station" {
  name             = local.name
  url_map          = google_compute_url_map.station.id
  ssl_certificates = [google_compute_managed_ssl_certificate.station.id]
  ssl_policy       = google_compute_ssl_policy.station.id
}

resource "google_compute_global_forwarding_rule" "station" {
  name                  = local.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.station.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.station.id
}
