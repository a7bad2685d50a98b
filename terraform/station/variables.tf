variable "config_file" {
  description = "The gate's linegate.yaml, relative to terraform/, as in its tfvars."
  type        = string

  validation {
    condition     = fileexists("${path.module}/../${var.config_file}")
    error_message = "config_file: there is no such file below terraform/."
  }
}

variable "members" {
  description = "Who gets in at all (user:…, group:…, domain:…). What each may there is station.people of linegate.yaml."
  type        = list(string)

  validation {
    condition     = length(setintersection(var.members, ["allUsers", "allAuthenticatedUsers"])) == 0
    error_message = "members: name people and groups; a station is not for everybody."
  }
}
