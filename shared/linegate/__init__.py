"""Linegate: a quality gate for production lines."""
