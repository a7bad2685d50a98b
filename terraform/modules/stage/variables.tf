variable "gate" {
  description = "What all stages share: names begin with `prefix`; `build_service_account` (projects/…/serviceAccounts/…) builds images; `config_secret` holds linegate.yaml, in the version to mount; `kms_key` encrypts messages where it is not null."
  type = object({
    prefix                = string
    project               = object({ id = string, number = string })
    region                = string
    build_service_account = string
    config_secret         = object({ id = string, version = string })
    notification_channels = list(string)
    labels                = map(string)
    kms_key               = string
  })
}

variable "stage" {
  description = "One stage: `name` is its function's entry point, `topic` feeds it (without prefix), `source` is its zip. `secrets` are its own by environment variable, each in a pinned version; `secrets_elsewhere` are names in linegate.yaml that belong to others. `filters`: for each push subscription the end of its name and what of the topic it takes (null: all)."
  type = object({
    name   = string
    topic  = string
    source = object({ bucket = string, object = string })
    sizing = object({
      memory        = string
      cpu           = string
      concurrency   = number
      min_instances = number
      max_instances = number
      timeout_s     = number
    })
    secrets           = map(object({ id = string, version = string }))
    secrets_elsewhere = list(string)
    filters           = map(string)
    vpc_connector     = string
  })

  validation {
    condition     = var.stage.sizing.timeout_s <= 600
    error_message = "timeout_s: a push subscription waits 600 s for an answer at most."
  }
  validation {
    condition     = alltrue([for filter in values(var.stage.filters) : filter == null || length(coalesce(filter, "-")) <= 256])
    error_message = "filters: of 256 bytes at most."
  }
}

variable "retry" {
  description = "How a message that failed comes again: backoff in seconds, and deliveries until the dead letter."
  type = object({
    minimum_s = number
    maximum_s = number
    attempts  = number
  })

  validation {
    # Cloud Run answers 429 while it has no instance, which counts as a delivery although no code has run.
    condition     = var.retry.attempts >= 20 && var.retry.attempts <= 100
    error_message = "retry.attempts must lie between 20 and 100."
  }
}
