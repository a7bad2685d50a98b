"""The port Detector over a Roboflow workflow, hosted or on an Inference server, through inference-sdk.

Wire format, as inference-sdk 1.8 sends it: POST {api_url}/{workspace}/workflows/{id} with the picture as base64 among the
`inputs`; the answer is {"outputs": [{…}]}, one object per picture. Predictions are {"image": {"width", "height"},
"predictions": [{"x", "y", "width", "height", "confidence", "class", …}]}, in pixels of the picture that was sent, `x` and
`y` the centre; without any prediction, width and height are null.
"""

import base64
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import requests
from inference_sdk import InferenceConfiguration, InferenceHTTPClient, VisualisationResponseFormat
from inference_sdk.http.utils import executors

from linegate import imaging
from linegate.adapters import strict
from linegate.adapters.exchange import RETRYABLE, Answer, Http, ServiceError, named, persist, retry_after
from linegate.adapters.roboflow.service import Roboflow, Workflow
from linegate.inspection import Box, Check, Detection, Result
from linegate.kind import RecipeBase
from linegate.logs import log
from linegate.ports import Found, Reference
from linegate.texts import brief, printable

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST: Final = 2.0  # pixels of the picture; what is narrower is made as wide
# Under which names a service speaks of errors: these, and whatever contains one of them. A list under a longer name goes by crop.
ERRORS: Final = frozenset({"error", "errors", "error_message", "exception"})
FAILED: Final = frozenset({"error", "failed", "failure"})  # as a status
# By which names a prediction is known: one of the first, and one of the second or third.
_SURENESS: Final = frozenset({"confidence", "score"})
_CLASS: Final = frozenset({"class", "class_name", "label"})
_PLACE: Final = frozenset({"x", "box", "bbox"})
DEEPEST: Final = 8  # how deep its outputs may be nested
# How many times larger or smaller than the picture that was sent the one may be that the answer speaks of
LARGEST_STEP: Final = 8
# How far the sides of the picture that the answer speaks of may differ in proportion from the one that was sent
PROPORTION: Final = 0.02
# What the service's refusals mean, and who can mend it. They stay retryable: the upload must be inspected once it is mended.
_MENDS: Final = {
    401: "it refused the key; check roboflow.api_key",
    403: "the key may not run this workflow; check roboflow.api_key and roboflow.workspace",
    404: "it knows no such workflow; check roboflow.workspace and the recipe's workflow.id",
    413: "the picture is too large for it; lower roboflow.send_side",
    429: "it is asked too often",
}

# --- the SDK's HTTP calls: it has no timeout and opens a connection for each


# How the calls of the current thread are made; none of ours, none but the SDK's own
_post: ContextVar[Callable[..., requests.Response] | None] = ContextVar("linegate_roboflow_post", default=None)


def _bounded(url: str, json: Any, headers: Mapping[str, str]) -> requests.Response:
    post = _post.get()
    return requests.post(url, json=json, headers=headers) if post is None else post(url, json, headers)


# The SDK calls `requests.post` and nothing else of it on this path; see shared/docs/services.md.
executors.requests = SimpleNamespace(post=_bounded, Session=requests.Session, exceptions=requests.exceptions)


class RoboflowDetector:
    """Asks one workflow, which has `judged` the crops where it is the complete one. Safe to share between threads."""

    def __init__(
        self,
        settings: Roboflow,
        recipe: RecipeBase,
        workflow: Workflow,
        proxy_for: Callable[[str], str | None],
        *,
        judged: bool = False,
    ) -> None:
        self._settings = settings
        self._recipe = recipe
        self._workflow = workflow
        self._parameters = {"confidence": recipe.lowest_confidence, **workflow.parameters}
        self._judged = judged
        self._http = Http(connect_s=settings.connect_timeout_s, read_s=settings.read_timeout_s, proxy_for=proxy_for)
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self._client = InferenceHTTPClient(settings.api_url.rstrip("/"), key)
        self._client.configure(
            InferenceConfiguration(
                workflow_run_retries_enabled=False,
                # With a key it travels in a header, where no log of bodies will find it.
                api_key_transport="header" if key else "legacy",
                # Pictures in the answer stay as they are: none of them is used.
                output_visualisation_format=VisualisationResponseFormat.BASE64,
            )
        )

    def detect(self, picture: "Image", file: bytes, golden: Reference | None) -> Found:
        sent = imaging.payload(picture, file, self._settings.longest_side)
        encoded = base64.b64encode(sent.data).decode("ascii")
        with named(f"Roboflow workflow {self._settings.workspace}/{self._workflow.id}"):
            found = persist(
                lambda seconds: self._once(encoded, sent, picture.size, seconds),
                self._settings.budget_s,
                attempt_s=self._settings.timeout_s,
            )
        log.info("roboflow.answered", sent_bytes=len(sent.data), sent_pixels=list(sent.size))
        return found

    def _once(self, encoded: str, sent: imaging.Payload, size: tuple[int, int], seconds: float) -> Found:
        outputs = self._run(encoded, seconds)
        name, predictions = _predictions(outputs, self._workflow.predictions)
        read = _read(predictions, name, sent.size, size, self._recipe)
        doubts = read.doubts
        detections = read.detections
        if self._judged:
            results = outputs.get(self._workflow.results)
            detections = _judged(detections, len(predictions["predictions"]), results)
            if results and not predictions["predictions"]:
                doubts += ("The workflow judged crops although it predicted none.",)
        model = f"roboflow:{self._settings.workspace}/{self._workflow.id}"
        version = outputs.get("model_id")
        kept = tuple(detection for _, detection in detections)
        return Found(kept, model, printable(version) if isinstance(version, str) else "", doubts)

    def _run(self, encoded: str, seconds: float) -> Mapping[str, Any]:
        """The outputs of the workflow for one picture. Raises ServiceError for whatever is none."""
        workflow = self._workflow
        token = _post.set(lambda url, payload, headers: self._exchange(url, payload, headers, seconds))
        try:
            outputs = self._client.run_workflow(
                workspace_name=self._settings.workspace,
                workflow_id=workflow.id,
                workflow_version_id=workflow.version,
                images={workflow.image_input: encoded},
                parameters=self._parameters,
                excluded_fields=workflow.exclude or None,
                use_cache=self._settings.use_cache,
            )
        except ServiceError:
            raise
        except Exception as error:  # a 200 of any other shape surfaces as KeyError, AttributeError, JSONDecodeError …
            raise ServiceError(f"its answer can't be read ({type(error).__name__}: {brief(str(error))})") from error
        finally:
            _post.reset(token)
        if not isinstance(outputs, list) or len(outputs) != 1 or not isinstance(outputs[0], dict):
            raise ServiceError("its answer does not hold the outputs of one picture")
        return outputs[0]

    def _exchange(self, url: str, payload: Any, headers: Mapping[str, str], seconds: float) -> requests.Response:
        """`requests.post` as the SDK knows it, over kept connections and bounded."""
        headers = {**headers, "content-type": "application/json"}
        answer = self._http.exchange("POST", url, headers=headers, body=json.dumps(payload).encode(), total_s=seconds)
        if answer.status != 200:
            raise _refused(answer)
        try:
            content = strict.loads(answer.body)
        except ValueError as error:
            raise ServiceError(f"its answer can't be read ({brief(str(error))})") from error
        if said := _error_in(content):
            raise ServiceError(f"it answered 200 and an error: {said}")
        if isinstance(content, dict) and _speaks_of_predictions(_without(content, "outputs")):
            raise ServiceError("it speaks of predictions beside its outputs", again=False)
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.url = url
        response.raw = io.BytesIO(answer.body)
        response.encoding = "utf-8"
        return response


def _refused(answer: Answer) -> ServiceError:
    """What a status other than 200 means, with the words of the service where it has any."""
    if 300 <= answer.status < 400:
        to = brief(answer.headers.get("location", "nowhere"))
        return ServiceError(
            f"it redirects ({answer.status}) to {to}; check roboflow.api_url", status=answer.status, again=False
        )
    mend = f": {_MENDS[answer.status]}" if answer.status in _MENDS else ""
    said = _said(answer.body)
    return ServiceError(
        f"it answered {answer.status}{mend}{f' ({said})' if said else ''}",
        status=answer.status,
        retry_after_s=retry_after(answer.headers),
        again=answer.status in RETRYABLE,
    )


def _said(body: bytes) -> str:
    text = body[:4000].decode("utf-8", "replace")
    try:
        content = json.loads(text)
    except ValueError:
        return brief(text)
    return brief(str(content.get("message") or content.get("detail") or "")) if isinstance(content, dict) else ""


# --- reading the answer


@dataclass(frozen=True, slots=True)
class _Reading:
    """`detections` with the index of the prediction each was read from."""

    detections: list[tuple[int, Detection]]
    doubts: tuple[str, ...]


def _predictions(outputs: Mapping[str, Any], wanted: str | None) -> tuple[str, Mapping[str, Any]]:
    """Name and content of the output that holds the predictions, whatever it is called.

    Raises ServiceError, also where another output holds predictions that are not the same: nobody has said which count.
    """
    alike = {name: value for name, value in outputs.items() if _holds_predictions(value)}
    name = wanted or ("predictions" if "predictions" in alike else next(iter(alike), ""))
    if name not in alike:
        what = f"no output named {wanted!r} holds predictions" if wanted else "no output holds predictions"
        raise ServiceError(f"{what}; its outputs are: {_listed(outputs)}", again=False)
    if _speaks_of_predictions(_without(alike[name], "predictions")):
        raise ServiceError(f"output {name!r} speaks of predictions in two places", again=False)
    others = [
        other
        for other, value in outputs.items()
        if other != name and value != alike[name] and _speaks_of_predictions(value)
    ]
    if others and not wanted:
        raise ServiceError(
            f"several outputs hold predictions ({_listed([name, *others])}); name one in the recipe's workflow.predictions",
            again=False,
        )
    return name, alike[name]


def _holds_predictions(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("predictions"), list)
        and isinstance(value.get("image"), Mapping)
    )


def _speaks_of_predictions(value: object, depth: int = 0) -> bool:
    """Whether something like a prediction is anywhere in an output."""
    if depth > DEEPEST:
        return True
    if isinstance(value, Mapping):
        names = {str(name).lower() for name in value}
        if sum(not names.isdisjoint(known) for known in (_SURENESS, _CLASS, _PLACE)) > 1:
            return True
        return any(_speaks_of_predictions(part, depth + 1) for part in value.values())
    return isinstance(value, list) and any(_speaks_of_predictions(part, depth + 1) for part in value)


def _without(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != key}


def _error_in(content: object, depth: int = 0) -> str:
    """What an answer says under a name for errors, at its top or in an output; empty if nothing."""
    if not isinstance(content, Mapping) or depth > DEEPEST:
        return ""
    for key, value in content.items():
        if value and _names_error(key.lower(), value):
            return brief(f"{key}: {value}" if value is True else str(value)) or "unnamed"
    inner = content.get("outputs") if depth == 0 else content.values()
    parts = inner if isinstance(inner, list) else list(inner or ())
    return next((found for part in parts if (found := _error_in(part, depth + 1))), "")


def _names_error(key: str, value: object) -> bool:
    if key == "status":
        return isinstance(value, str) and value.lower() in FAILED
    return key in ERRORS or (not isinstance(value, list) and any(name in key for name in ERRORS))


def _listed(outputs: Iterable[str]) -> str:
    return brief(", ".join(repr(name) for name in outputs)) or "none"


def _read(
    predictions: Mapping[str, Any], name: str, sent: tuple[int, int], size: tuple[int, int], recipe: RecipeBase
) -> _Reading:
    """Predictions on a picture of `sent` pixels as detections on one of `size`, clipped to it.

    What can't be read or used is a doubt, never left out in silence; but for what lies below the recipe's confidence.
    """
    across, down = _scale(predictions, sent, size)
    detections: list[tuple[int, Detection]] = []
    unread = 0
    unusable: list[str] = []
    for index, entry in enumerate(predictions["predictions"]):
        detection = _detection(entry, across, down)
        if detection is None:
            unread += 1
            continue
        box = _usable(detection.box, *size)
        if box is not None:
            detections.append((index, replace(detection, box=box)))
        elif detection.confidence >= recipe.minimum_confidence(detection.class_name):
            unusable.append(f"{detection.class_name} {detection.confidence:.2f}")
    doubts: tuple[str, ...] = (f"{unread} of the predictions in output {name!r} can't be read",) if unread else ()
    if unusable:
        told = ", ".join(unusable[:3]) + (f" and {len(unusable) - 3} more" if len(unusable) > 3 else "")
        doubts += (f"Predictions that lie nowhere on the picture: {told}",)
    return _Reading(detections, doubts)


def _scale(predictions: Mapping[str, Any], sent: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    """Factors from pixels of the predictions to pixels of the picture, across and down. Raises ServiceError."""
    image = predictions["image"]
    told = (image.get("width"), image.get("height"))
    if told == (None, None) and not predictions["predictions"]:  # as it is where nothing was found
        return size[0] / sent[0], size[1] / sent[1]
    width, height = (float(side) if strict.number(side) else 0.0 for side in told)
    if min(width, height) <= 0 or not 1 / LARGEST_STEP <= width / sent[0] <= LARGEST_STEP:
        raise ServiceError(f"its predictions do not say on a picture of which size: {brief(str(told))}")
    if abs((width / height) / (sent[0] / sent[1]) - 1) > PROPORTION:
        raise ServiceError(
            f"its predictions are about a picture of {width:g} by {height:g} pixels; {sent[0]} by {sent[1]} were sent"
        )
    return size[0] / width, size[1] / height


def _detection(entry: object, across: float, down: float) -> Detection | None:
    """None for what is no prediction: all numbers must be numbers, and the class a name."""
    if not isinstance(entry, Mapping):
        return None
    numbers = [entry.get(key) for key in ("x", "y", "width", "height", "confidence")]
    name = entry.get("class")
    if not isinstance(name, str) or not printable(name, 100).strip() or not all(map(strict.number, numbers)):
        return None
    x, y, width, height, confidence = (float(number) for number in numbers)  # type: ignore[arg-type]
    if not 0 <= confidence <= 1 or width < 0 or height < 0:
        return None
    return Detection(printable(name, 100), confidence, Box(x * across, y * down, width * across, height * down))


def _usable(box: Box, width: int, height: int) -> Box | None:
    """The box inside the picture, at least SMALLEST pixels each way; None for one that lies nowhere on it."""
    left, top, right, bottom = box.corners
    if not all(map(math.isfinite, box.corners)) or right < 0 or bottom < 0 or left > width or top > height:
        return None
    left, right = _grown(max(0.0, left), min(float(width), right), width)
    top, bottom = _grown(max(0.0, top), min(float(height), bottom), height)
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _grown(start: float, end: float, side: int) -> tuple[float, float]:
    """A stretch of at least SMALLEST pixels around this one, within 0 … side."""
    if end - start >= SMALLEST:
        return start, end
    start = min(max(0.0, (start + end - SMALLEST) / 2), side - SMALLEST)
    return start, start + SMALLEST


# --- verifier `workflow`: what the complete workflow said of each crop


_REASONS: Final = {
    Result.PASS: "The workflow's own check of the crop answered PASS.",
    Result.FAIL: "The workflow's own check of the crop answered FAIL.",
}


def _judged(
    detections: Sequence[tuple[int, Detection]], predicted: int, results: object
) -> list[tuple[int, Detection]]:
    """The detections with the workflow's answer for their crops as their checks.

    Answers are matched by position, so a number that differs from that of the predictions makes all of them UNSURE.
    """
    answers: Sequence[object] = results if isinstance(results, list) else ()
    matched = isinstance(results, list) and len(results) == predicted

    def check(index: int) -> Check:
        if not matched:
            said = f"{len(answers)} answers for {predicted} crops" if isinstance(results, list) else "no answers"
            return Check(0, Result.UNSURE, f"The workflow gave {said}.", "workflow")
        result = strict.word(answers[index]) or Result.UNSURE
        said = "nothing" if answers[index] is None else brief(f"neither PASS nor FAIL: {str(answers[index])[:80]!r}")
        return Check(0, result, _REASONS.get(result, f"The workflow's check answered {said}."), "workflow")

    return [
        (index, Detection(detection.class_name, detection.confidence, detection.box, settled=check(index)))
        for index, detection in detections
    ]
