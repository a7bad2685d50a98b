"""The port Detector over a Roboflow workflow, hosted or on an Inference server, through inference-sdk.

Wire format, as inference-sdk 1.8 sends it: POST {api_url}/{workspace}/workflows/{id} with the picture as base64 among the
`inputs`; the answer is {"outputs": [{…}]}, one object per picture. What stands in it is read by `answers`.
"""

import base64
import io
import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import requests
from inference_sdk import InferenceConfiguration, InferenceHTTPClient, VisualisationResponseFormat
from inference_sdk.http.utils import executors

from linegate import imaging
from linegate.adapters import strict
from linegate.adapters.exchange import RETRYABLE, Answer, Http, ServiceError, named, persist, retry_after
from linegate.adapters.roboflow import answers
from linegate.adapters.roboflow.service import Roboflow, Workflow
from linegate.kind import RecipeBase
from linegate.logs import log
from linegate.ports import Found, Reference
from linegate.texts import brief, printable

if TYPE_CHECKING:
    from PIL.Image import Image

# Under which names a service speaks of errors: these, and whatever contains one of them. A list under a longer name goes by crop.
ERRORS: Final = frozenset({"error", "errors", "error_message", "exception"})
FAILED: Final = frozenset({"error", "failed", "failure"})  # as a status
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
        reading = answers.read(outputs, self._workflow, sent.size, size, self._recipe, judged=self._judged)
        model = f"roboflow:{self._settings.workspace}/{self._workflow.id}"
        version = outputs.get("model_id")
        return Found(reading.detections, model, printable(version) if isinstance(version, str) else "", reading.doubts)

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
        if isinstance(content, dict) and answers.speaks_of_predictions(answers.without(content, "outputs")):
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


def _error_in(content: object, depth: int = 0) -> str:
    """What an answer says under a name for errors, at its top or in an output; empty if nothing."""
    if not isinstance(content, Mapping) or depth > answers.DEEPEST:
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
