"""`linegate workflow show`: definitions of Roboflow workflows, to be imported in the workflow editor's JSON view."""

import argparse
import json
import re
from importlib.resources import files
from typing import Final

from linegate.adapters import roboflow
from linegate.errors import UsageError

# Name ▶ what it answers with
NAMES: Final = {
    "detect": "boxes",
    "complete": "boxes, each judged by Gemini in the workflow itself",
    "segment": "boxes with masks",
    "keypoints": "boxes with keypoints",
    "classify": "the class of the whole picture",
    "labels": "several classes of the whole picture",
    "prompt": "masks of what SAM 3 finds by its name, without any model of yours",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print the definition of a workflow as JSON")
    told = "; ".join(f"{name}: {what}" for name, what in NAMES.items())
    show.add_argument("name", choices=tuple(NAMES), nargs="?", default="detect", help=f"{told} (detect)")
    show.add_argument("--model-id", metavar="PROJECT/VERSION", help="of the trained model; for all but prompt")
    show.add_argument("--classes", metavar="NAME,NAME", help="for prompt: what to look for, e.g. scratch,dent")


def run(options: argparse.Namespace) -> int:
    """Print one of the workflows. Returns 0. Raises UsageError for what is no model id, or no list of classes."""
    definition = json.loads((files(roboflow) / "workflows" / f"{options.name}.json").read_text("utf-8"))
    key, value = ("class_names", _classes(options)) if options.name == "prompt" else ("model_id", _model_id(options))
    for step in definition["steps"]:
        if key in step:
            step[key] = value
    print(json.dumps(definition, indent=2))
    return 0


def _model_id(options: argparse.Namespace) -> str:
    if not re.fullmatch(r"[^/\s]+(/[^/\s]+)?/\d+", options.model_id or ""):
        raise UsageError(f"--model-id {options.model_id or ''!r} must be PROJECT/VERSION, e.g. pcb-defects/3")
    return str(options.model_id)


def _classes(options: argparse.Namespace) -> list[str]:
    names = [name.strip() for name in (options.classes or "").split(",")]
    if not all(names):
        raise UsageError("--classes must name what to look for, e.g. --classes scratch,dent")
    return names
