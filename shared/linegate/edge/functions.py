"""The functions, called in this process with the CloudEvents that functions-framework would make of Pub/Sub's pushes.

No wire lies between, so nothing is written as HTTP and read again; what a function answers counts by the same rules.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final

from cloudevents.http import CloudEvent
from werkzeug.exceptions import HTTPException

from linegate import bootstrap
from linegate.codec import codec
from linegate.inspection import Check, Inspection, OutboxEntry, Revision
from linegate.stages import BY_MESSAGE, STAGES


@dataclass(frozen=True, slots=True)
class Response:
    """What a function answered: the HTTP status and, for a failure, what it said and when to come again.

    `killed` where there was no answer: the process that worked on it died over it.
    """

    status: int
    said: str = ""
    retry_after_s: float = 0.0
    killed: bool = False


Deliver = Callable[[str, dict[str, Any]], Response]  # of (stage, push body)


Function = Callable[[CloudEvent], None]
# As functions-framework has it of a push
_EVENT: Final = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub.googleapis.com/edge"}
CRASHED: Final = 500


@cache
def function(stage: str) -> Function:
    """What `functions/{stage}/main.py` serves, as functions-framework would load it."""
    spec = spec_from_file_location(f"linegate_function_{stage}", functions_folder() / stage / "main.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"functions/{stage}/main.py can't be loaded")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    served: Function = getattr(module, stage)
    return served


def functions_folder() -> Path:
    """Where the functions lie: in the repository, or inside the installed package."""
    here = Path(__file__).resolve()
    for folder in (here.parents[3] / "functions", here.parents[1] / "functions"):
        if (folder / "detect" / "main.py").is_file():
            return folder
    raise FileNotFoundError("the folder functions/ is missing from this installation")


def in_process(app: bootstrap.App) -> Deliver:
    """Deliver to the functions in this process, with `app` as theirs."""

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        event = CloudEvent({"id": body["message"]["messageId"], **_EVENT}, body)
        try:
            with bootstrap.use(app):
                function(stage)(event)
        except HTTPException as refusal:
            wait = getattr(refusal, "retry_after", None) or 0.0
            return Response(refusal.code or CRASHED, refusal.description or "", float(wait))
        except Exception as error:  # logged by the function, with its ids
            return Response(CRASHED, f"it crashed: {type(error).__name__}")
        return Response(200)

    return deliver


def load_all(stages: Collection[str] = tuple(STAGES)) -> None:
    """Import the functions of these stages and build every codec now, so that the first product does not wait for it."""
    for stage in stages:
        function(stage)
    for cls in (*BY_MESSAGE, Inspection, Check, Revision, OutboxEntry):
        codec(cls)
