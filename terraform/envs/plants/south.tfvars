environment = "south"
config_file = "envs/plants/south.yaml"

secret_versions = { HMI_SECRET = "1" }
