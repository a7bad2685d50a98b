variable "project" {
  description = "Id of the project."
  type        = string
}

variable "state_bucket" {
  description = "Bucket of Terraform's state: PROJECT-terraform if unset."
  type        = string
  default     = null
}

variable "vertex" {
  description = "Whether a gate asks Gemini on Vertex AI in this project."
  type        = bool
  default     = true
}

variable "station" {
  description = "Whether people reach a gate's station in this project, by terraform/station."
  type        = bool
  default     = true
}

variable "repository" {
  description = "Repository on GitHub that Cloud Build is connected to; without one there are no triggers."
  type        = object({ owner = string, name = string })
  default     = null
}

variable "environments" {
  description = "Environments (terraform/envs/NAME) that are deployed from a branch, and whether a person approves each deployment."
  type        = map(object({ branch = optional(string, "^main$"), approval = optional(bool, true) }))
  default     = { dev = { approval = false } }

  validation {
    condition     = alltrue([for name, each in var.environments : each.approval if startswith(name, "prod")])
    error_message = "environments: a person approves what goes to prod."
  }
}
