"""Targets that are brokers of MQTT."""
