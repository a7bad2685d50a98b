terraform {
  required_version = ">= 1.11"

  # terraform init -backend-config="bucket=…" -backend-config="prefix=linegate/dev"
  backend "gcs" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.40"
    }
  }
}

provider "google" {
  project = local.project_id
  region  = local.region
}
