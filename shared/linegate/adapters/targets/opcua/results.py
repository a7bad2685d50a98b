"""Results as OPC 40100-1 tells of them: their ids, states and contents."""

import json
from collections import OrderedDict
from datetime import datetime
from threading import Lock
from typing import Any, Final

from asyncua import ua

from linegate.inspection import Verdict
from linegate.line.handshake import Code, LineResult

KEPT: Final = 256  # of each: contents that wait for their result, results that may be asked for again
# After OPC 40100-1, 12.19
COMPLETED, ABORTED, FAILED = 1, 3, 4
NONE: Final = "NONE"  # in the place of a verdict


class Contents:
    """What notifications said, by inspection, until their results are told. Not kept over a restart: the verdict is."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def remember(self, body: str) -> None:
        """The body of a notification."""
        event = json.loads(body)
        picture = event.get("data", {}).get("inspection_id")
        if event.get("type") != "inspection.decided" or not picture:
            return
        with self._lock:
            self._texts[picture] = json.dumps(event["data"], ensure_ascii=False, separators=(",", ":"))
            while len(self._texts) > KEPT:
                self._texts.popitem(last=False)

    def of(self, picture: str) -> str:
        """Empty where it is not known (any more)."""
        with self._lock:
            return self._texts.get(picture, "")


def job_id(line: str, job: int, counter: int) -> str:
    """Of a triggered job its number; on a line without triggers each result is its own job."""
    return f"{line}/{job}" if job else f"{line}/result-{counter}"


def told(line: str, result: LineResult, content: str, meas_id: str, at: datetime) -> dict[str, Any]:
    """The fields of ResultDataType that the gate has something to say to, by name.

    `content` is the notification's `data`, as JSON. The verdict, its code and its counter stand before it: who needs no findings
    reads no JSON.
    """
    verdict = result.verdict.value if result.verdict else NONE
    return {
        "ResultId": ua.ResultIdDataType(Id=f"{line}/result-{result.counter}"),
        "IsPartial": False,
        "IsSimulated": False,
        "ResultState": _state(result),
        "MeasId": ua.MeasIdDataType(Id=meas_id),
        "PartId": ua.PartIdDataType(Id=result.part),
        "JobId": ua.JobIdDataType(Id=job_id(line, result.job, result.counter)),
        "InternalRecipeId": ua.RecipeIdInternalDataType(Id=_recipe(content)),
        "InternalConfigurationId": ua.ConfigurationIdDataType(Id=""),
        "CreationTime": at,
        "ResultContent": [
            ua.Variant(verdict, ua.VariantType.String),
            ua.Variant(int(result.code), ua.VariantType.Int32),
            ua.Variant(result.counter, ua.VariantType.Int32),
            ua.Variant(content, ua.VariantType.String),
        ],
    }


def _state(result: LineResult) -> int:
    if result.code is Code.TIME_LIMIT:
        return ABORTED
    return FAILED if result.verdict in (None, Verdict.ERROR) else COMPLETED


def _recipe(content: str) -> str:
    return str(json.loads(content)["recipe"] or "") if content else ""
