"""Linegate: a quality gate for production lines."""

__version__ = "0.1.0"
