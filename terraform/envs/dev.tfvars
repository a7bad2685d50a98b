environment = "dev"
config_file = "envs/dev.yaml"

# Of each ${NAME} in dev.yaml. Change one to roll a new value out.
secret_versions = {
  ROBOFLOW_API_KEY  = "1"
  HMI_SECRET        = "1"
  SLACK_WEBHOOK_URL = "1"
}

# What dev holds may go with it.
protect_data = false
uploads_days = 7
results_days = 30
