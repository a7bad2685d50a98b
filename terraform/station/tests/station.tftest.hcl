# The door of a station: nobody comes past the proxy, and it says for whom it signs.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789" }
  }
  mock_resource "google_compute_backend_service" {
    defaults = { generated_id = 42 }
  }
}

variables {
  config_file = "envs/dev.yaml"
  members     = ["group:line@my-plant.example"]
}

run "door" {
  command = apply

  assert {
    condition     = google_compute_backend_service.station.iap[0].enabled
    error_message = "the proxy stands before the station"
  }
  assert {
    condition     = google_compute_url_map.station.default_service == google_compute_backend_service.station.id
    error_message = "there is no way beside the proxy"
  }
  assert {
    condition     = google_compute_region_network_endpoint_group.station.cloud_run[0].service == "linegate-station" && google_compute_region_network_endpoint_group.station.region == "europe-west1"
    error_message = "it leads to the function of the gate"
  }
  assert {
    condition     = [for grant in google_iap_web_backend_service_iam_member.people : "${grant.member} ${grant.role}"] == ["group:line@my-plant.example roles/iap.httpsResourceAccessor"]
    error_message = "who is named gets in, and nobody else"
  }
  assert {
    condition     = tolist(google_compute_managed_ssl_certificate.station.managed[0].domains) == tolist(["gate.dev.my-plant.example"])
    error_message = "the certificate is of the name by which people reach it"
  }
  assert {
    condition     = output.audience == "/projects/123456789/global/backendServices/42"
    error_message = "the audience is what the station wants to be signed for"
  }
}

run "everybody_is_refused" {
  command = plan

  variables {
    members = ["allUsers"]
  }

  expect_failures = [var.members]
}

run "a_gate_without_an_address_is_refused" {
  command = plan

  variables {
    config_file = "envs/plants/north.yaml"
  }

  expect_failures = [google_compute_global_address.station]
}
