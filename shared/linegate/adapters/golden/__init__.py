"""Comparison with a golden board: no model, no account, no network."""
