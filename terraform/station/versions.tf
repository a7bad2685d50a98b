terraform {
  required_version = ">= 1.11"

  # terraform init -backend-config="bucket=…" -backend-config="prefix=linegate/dev/station"
  backend "gcs" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "7.40.0" # exactly: no lock file is committed
    }
  }
}

provider "google" {
  project = local.project_id
  region  = local.region
}
