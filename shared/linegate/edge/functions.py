"""The functions' own functions-framework apps, called in this process with the bodies that Pub/Sub would push."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import functions_framework
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

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


@cache
def function_app(stage: str) -> Flask:
    """The WSGI app that functions-framework makes of `functions/{stage}/main.py`, as the platform would."""
    source = functions_folder() / stage / "main.py"
    app: Flask = functions_framework.create_app(stage, str(source), "cloudevent")  # type: ignore[no-untyped-call]
    # The function has logged its own failure, with its ids; Flask would add a bare traceback.
    app.logger.disabled = True
    return app


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
        environ = EnvironBuilder(method="POST", data=json.dumps(body), content_type="application/json").get_environ()
        with bootstrap.use(app):
            chunks, status, headers = run_wsgi_app(function_app(stage).wsgi_app, environ)
        code = int(status.split(" ", 1)[0])
        if code < 400:
            return Response(code)
        return Response(code, b"".join(chunks).decode("utf-8", "replace"), float(headers.get("retry-after", 0)))

    return deliver


def load_all(stages: Collection[str] = tuple(STAGES)) -> None:
    """Import the functions of these stages and build every codec now, so that the first product does not wait for it."""
    for stage in stages:
        function_app(stage)
    for cls in (*BY_MESSAGE, Inspection, Check, Revision, OutboxEntry):
        codec(cls)
