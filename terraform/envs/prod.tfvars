environment = "prod"
config_file = "envs/prod.yaml"

# Of each ${NAME} in prod.yaml. Change one to roll a new value out.
secret_versions = {
  ROBOFLOW_API_KEY  = "1"
  HMI_SECRET        = "1"
  SLACK_WEBHOOK_URL = "1"
}

# A cold start takes seconds that a line does not have.
sizing = {
  detect    = { min_instances = 1 }
  verify    = { min_instances = 1 }
  aggregate = { min_instances = 1 }
  notify    = { min_instances = 1 }
}

pager_emails         = ["quality@my-plant.example"]
silent_after_minutes = 30
