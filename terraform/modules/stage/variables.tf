variable "name" {
  description = "The stage: detect, verify, aggregate, notify or sweep. It is the name of the function's entry point."
  type        = string
}

variable "prefix" {
  description = "What the names of all resources begin with."
  type        = string
}

variable "project" {
  description = "Project of all resources."
  type        = object({ id = string, number = string })
}

variable "region" {
  description = "Region of the function."
  type        = string
}

variable "topic" {
  description = "Name of the topic that feeds the stage, without prefix."
  type        = string
}

variable "source_object" {
  description = "The function's zip: bucket and object, whose name changes with its content."
  type        = object({ bucket = string, object = string })
}

variable "build_service_account" {
  description = "Identity (projects/…/serviceAccounts/…) that builds the function's image."
  type        = string
}

variable "sizing" {
  description = "What an instance is, how many there may be, and how many messages one of them serves at a time."
  type = object({
    memory        = string
    cpu           = string
    concurrency   = number
    min_instances = number
    max_instances = number
    timeout_s     = number
  })

  validation {
    condition     = var.sizing.timeout_s <= 600
    error_message = "timeout_s: a push subscription waits 600 s for an answer at most."
  }
}

variable "config_secret" {
  description = "The secret that holds linegate.yaml, and the version to mount."
  type        = object({ id = string, version = string })
}

variable "secrets" {
  description = "Environment variable ▶ secret and its pinned version: those of this stage alone."
  type        = map(object({ id = string, version = string }))
}

variable "secrets_elsewhere" {
  description = "Names in linegate.yaml whose secrets belong to other stages."
  type        = list(string)
}

variable "retry" {
  description = "How a message that failed comes again: backoff in seconds, and deliveries until the dead letter."
  type = object({
    minimum_s = number
    maximum_s = number
    attempts  = number
  })
  default = { minimum_s = 10, maximum_s = 300, attempts = 30 }

  validation {
    # Cloud Run answers 429 while it has no instance, which counts as a delivery although no code has run.
    condition     = var.retry.attempts >= 20 && var.retry.attempts <= 100
    error_message = "retry.attempts must lie between 20 and 100."
  }
}

variable "notification_channels" {
  description = "Who is paged by the stage's alerts."
  type        = list(string)
}

variable "labels" {
  description = "Labels of all resources."
  type        = map(string)
}
