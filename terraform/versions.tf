terraform {
  required_version = ">= 1.9"

  # terraform init -backend-config="bucket=…" -backend-config="prefix=linegate/dev"
  backend "gcs" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

provider "google" {
  project = local.project_id
  region  = local.region
}
