terraform {
  required_version = ">= 1.11"

  # terraform init -backend-config="bucket=…" -backend-config="prefix=linegate/project"
  backend "gcs" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "7.40.0" # exactly: no lock file is committed
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "7.40.0" # exactly: no lock file is committed
    }
  }
}

provider "google" {
  project = var.project
}

# For google_project_service_identity, which the other does not have.
provider "google-beta" {
  project = var.project
}
