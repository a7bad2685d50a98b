variable "environment" {
  description = "Name of the environment: a label of all resources."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.environment))
    error_message = "environment: lower-case letters, digits and '-', 20 at most."
  }
}

variable "config_file" {
  description = "The environment's linegate.yaml, relative to this folder: the single source of what runs where. Secrets stand in it as $${NAME}."
  type        = string

  validation {
    condition     = fileexists(var.config_file)
    error_message = "config_file: there is no such file."
  }
}

variable "packages" {
  description = "Folder with the functions' zips, made by `linegate package`."
  type        = string
  default     = "../build"
}

variable "secret_versions" {
  description = "Pinned version of each secret that linegate.yaml names as $${NAME}. Values are added with gcloud and never pass through Terraform."
  type        = map(string)
  default     = {}
}

variable "location" {
  description = "Location of Firestore, which can't be changed later: the multi-region around cloud.region if unset, where there is one."
  type        = string
  default     = null

  validation {
    condition     = var.location == null || can(regex("^[a-z]+([0-9]|-[a-z]+[0-9]+)$", var.location))
    error_message = "location: a region (europe-west1) or a multi-region (eur3, nam5)."
  }
}

variable "protect_data" {
  description = "Whether buckets with objects and the database survive a `terraform destroy`."
  type        = bool
  default     = true
}

variable "uploads_days" {
  description = "After how many days an upload is deleted."
  type        = number
  default     = 90

  validation {
    condition     = var.uploads_days >= 1
    error_message = "uploads_days: at least 1."
  }
}

variable "results_days" {
  description = "After how many days annotated pictures and quarantined uploads are deleted."
  type        = number
  default     = 365

  validation {
    condition     = var.results_days >= 1
    error_message = "results_days: at least 1."
  }
}

variable "sizing" {
  description = "Changes to the sizing of stages, by stage; see `stages` in defaults.json for what there is, and the package's stages.py for why."
  type        = map(map(string))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.sizing), concat(["station"], keys(jsondecode(file("${path.module}/defaults.json")).stages)))) == 0
    error_message = "sizing: there is no such stage; defaults.json lists them, and there is `station`."
  }
}

variable "pager_emails" {
  description = "Addresses that alerts are sent to."
  type        = list(string)
  default     = []
}

variable "silent_after_minutes" {
  description = "A line without a verdict for this long pages somebody; 0 turns it off, for lines that stand still at night."
  type        = number
  default     = 0
}

variable "review_factor" {
  description = "By how much the share of REVIEW in an hour must exceed that of the week before somebody is paged."
  type        = number
  default     = 3

  validation {
    condition     = var.review_factor > 1
    error_message = "review_factor: above 1."
  }
}

variable "review_floor" {
  description = "Share of REVIEW in an hour below which nobody is paged, whatever the week's was."
  type        = number
  default     = 0.1

  validation {
    condition     = var.review_floor > 0 && var.review_floor <= 1
    error_message = "review_floor: above 0, at most 1."
  }
}

variable "latency_s" {
  description = "95th percentile of the time from upload to verdict that pages somebody, in seconds."
  type        = number
  default     = 20
}

variable "settle_s" {
  description = "Seconds that a new grant is given to hold before a function is built."
  type        = number
  default     = 90
}

variable "backup_days" {
  description = "How long a daily backup of the database is kept; 0 for none. The point-in-time recovery of protected data reaches seven days back."
  type        = number
  default     = 0

  validation {
    condition     = var.backup_days >= 0 && var.backup_days <= 98
    error_message = "backup_days: 98 at most (14 weeks)."
  }
}

variable "kms_key" {
  description = "Key of Cloud KMS (projects/…/cryptoKeys/…) in cloud.region that encrypts buckets and messages, in place of Google's own."
  type        = string
  default     = null
}

variable "database_kms_key" {
  description = "Key of Cloud KMS in the database's location that encrypts it. It can't be set later."
  type        = string
  default     = null
}

variable "vpc_connector" {
  description = "Serverless VPC connector (projects/…/connectors/…) by which `notify` reaches targets: a fixed address behind Cloud NAT, HMIs in a private network."
  type        = string
  default     = null
}

variable "camera_signers" {
  description = "Who may sign upload addresses in the name of the cameras (serviceAccount:…, group:…, principal:// of a workload identity pool)."
  type        = list(string)
  default     = []
}
