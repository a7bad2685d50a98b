environment = "north"
config_file = "envs/plants/north.yaml"

secret_versions = { HMI_SECRET = "1" }
