"""`linegate workflow show`: definitions of Roboflow workflows, to be imported in the workflow editor's JSON view."""

import json
import re
from importlib.resources import files

from linegate.adapters import roboflow
from linegate.errors import UsageError


def show(name: str, model_id: str) -> int:
    """Print the workflow `detect` or `complete` for a model. 0. Raises UsageError for what is no model id."""
    if not re.fullmatch(r"[^/\s]+(/[^/\s]+)?/\d+", model_id):
        raise UsageError(f"--model-id {model_id!r} must be PROJECT/VERSION, e.g. pcb-defects/3")
    definition = json.loads((files(roboflow) / "workflows" / f"{name}.json").read_text("utf-8"))
    for step in definition["steps"]:
        if "model_id" in step:
            step["model_id"] = model_id
    print(json.dumps(definition, indent=2))
    return 0
