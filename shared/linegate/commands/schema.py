"""`linegate schema`: the JSON Schema of the configuration, for editors."""

import argparse
import json

from linegate.reference import schema


def arguments(parser: argparse.ArgumentParser) -> None:
    """Takes none."""


def run(_: argparse.Namespace) -> int:
    """Print it. Returns 0."""
    print(json.dumps(schema(), indent=2))
    return 0
