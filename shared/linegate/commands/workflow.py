"""`linegate workflow show`: definitions of Roboflow workflows, to be imported in the workflow editor's JSON view."""

import argparse
import json
import re
from importlib.resources import files

from linegate.adapters import roboflow
from linegate.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print the definition of a workflow as JSON")
    show.add_argument(
        "name",
        choices=("detect", "complete"),
        nargs="?",
        default="detect",
        help="detection only, or with Gemini (detect)",
    )
    show.add_argument("--model-id", required=True, metavar="PROJECT/VERSION", help="of the trained model")


def run(options: argparse.Namespace) -> int:
    """Print the workflow `detect` or `complete` for a model. Returns 0. Raises UsageError for what is no model id."""
    name, model_id = options.name, options.model_id
    if not re.fullmatch(r"[^/\s]+(/[^/\s]+)?/\d+", model_id):
        raise UsageError(f"--model-id {model_id!r} must be PROJECT/VERSION, e.g. pcb-defects/3")
    definition = json.loads((files(roboflow) / "workflows" / f"{name}.json").read_text("utf-8"))
    for step in definition["steps"]:
        if "model_id" in step:
            step["model_id"] = model_id
    print(json.dumps(definition, indent=2))
    return 0
