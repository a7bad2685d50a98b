"""Pictures and their labels to a Roboflow project, through Roboflow's SDK.

Wire format, as roboflow 1.7 sends it: POST {api_url}/dataset/{project}/upload with the picture as multipart, answered by its id,
with `duplicate` where the project has this very picture already; then POST {api_url}/dataset/{project}/annotate/{id} with the
labels as the text of a COCO file of one picture. The key travels in the query, so no address stands in any error.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import requests
from roboflow.adapters import rfapi

from linegate.adapters.exchange import RETRYABLE, Answer, Http, ServiceError, named, persist, retry_after
from linegate.errors import PermanentError
from linegate.texts import brief

ATTEMPT_S: Final = 60.0
BUDGET_S: Final = 180.0
LONGEST_ANSWER: Final = 1 << 20
# In which words the service refuses labels for a picture that has some.
ANNOTATED: Final = "already annotated"
# What the service's refusals mean; they hold for every picture.
_MENDS: Final = {
    401: "it refused the key; check roboflow.api_key",
    403: "the key may not write to the project; check roboflow.api_key and --project",
    404: "it knows no such project; check --project and roboflow.api_key",
}


class PictureRefusedError(PermanentError):
    """The service takes this picture, or its labels, at no time; others it may take."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """`duplicate` where the project had this picture before."""

    image_id: str
    duplicate: bool


class RoboflowProject:
    """A project that pictures are sent to. Raises ServiceError where the service is away or refuses everything."""

    def __init__(
        self,
        api_url: str,
        key: str,
        workspace: str,
        project: str,
        proxy_for: Callable[[str], str | None] = lambda _: None,
        *,
        attempt_s: float = ATTEMPT_S,
        budget_s: float = BUDGET_S,
    ) -> None:
        self._key, self._project = key, project
        self.name = f"{workspace}/{project}"  # the key alone says to Roboflow whose project it is
        self._http = Http(proxy_for=proxy_for)
        self._attempt_s, self._budget_s = attempt_s, budget_s
        self._seconds = attempt_s
        # The SDK settles its address when it is imported, from the environment and a file of its own.
        rfapi.API_URL = api_url.rstrip("/")

    def upload(self, picture: Path, batch: str, split: str) -> Uploaded:
        """Send a picture. Raises PictureRefusedError."""
        answer = self._persist(
            lambda: rfapi.upload_image(self._key, self._project, str(picture), split=split, batch_name=batch)
        )
        image_id = answer.get("id")
        if not isinstance(image_id, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", image_id):
            raise ServiceError(f"Roboflow project {self.name}: it told no id of the picture", again=False)
        return Uploaded(image_id, bool(answer.get("duplicate")))

    def annotate(self, image_id: str, name: str, coco: str, batch: str, *, overwrite: bool) -> bool:
        """Send a picture's labels; False where it has some, and they are not to be overwritten. Raises PictureRefusedError."""
        try:
            self._persist(
                lambda: rfapi.save_annotation(
                    self._key, self._project, name, coco, image_id, job_name=quote(batch), overwrite=overwrite
                )
            )
        except PictureRefusedError as error:
            if ANNOTATED in str(error) and not overwrite:
                return False
            raise
        return True

    def _persist(self, call: Callable[[], Any]) -> dict[str, Any]:
        with named(f"Roboflow project {self.name}"):
            return persist(lambda seconds: self._once(call, seconds), self._budget_s, attempt_s=self._attempt_s)

    def _once(self, call: Callable[[], Any], seconds: float) -> dict[str, Any]:
        self._seconds = seconds
        try:
            with self._bounded():
                answer = call()
        except (ServiceError, PictureRefusedError):
            raise
        except Exception as error:  # a 200 that says no success, or has any other shape
            said = brief(str(error))
            raise ServiceError(f"its answer can't be read ({type(error).__name__}: {said})", again=False) from error
        if not isinstance(answer, dict):
            raise ServiceError("its answer is no object", again=False)
        return answer

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Inside, the SDK's calls go by `send` below: it waits five minutes for each byte otherwise."""
        before = rfapi._upload_session
        session = requests.Session()
        session.trust_env = False  # proxies are ours to choose, and no password of a ~/.netrc goes along
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Transport(self._exchange))
        rfapi._upload_session = lambda: session
        try:
            yield
        finally:
            rfapi._upload_session = before
            session.close()

    def _exchange(self, request: requests.PreparedRequest) -> requests.Response:
        given: Any = request.body  # bytes, text, or for a picture what encodes it piece by piece
        body = given.read() if hasattr(given, "read") else given
        answer = self._http.exchange(
            request.method or "POST",
            request.url or "",
            headers={key: str(value) for key, value in request.headers.items()},
            body=body.encode() if isinstance(body, str) else bytes(body or b""),
            total_s=self._seconds,
            max_answer=LONGEST_ANSWER,
        )
        if answer.status != 200:
            raise _refused(answer, of_picture="/annotate/" in (request.url or ""))
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.raw = io.BytesIO(answer.body)
        response.encoding = "utf-8"
        return response


class _Transport(requests.adapters.BaseAdapter):
    def __init__(self, exchange: Callable[[requests.PreparedRequest], requests.Response]) -> None:
        super().__init__()
        self._exchange = exchange

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        return self._exchange(request)

    def close(self) -> None:
        """Connections are kept by `Http`."""


def _refused(answer: Answer, *, of_picture: bool) -> ServiceError | PictureRefusedError:
    """What a status other than 200 means. A 404 to labels is of their picture, which somebody removed from the project."""
    status, mend = answer.status, _MENDS.get(answer.status, "")
    if status in RETRYABLE or 300 <= status < 400 or (mend and not (status == 404 and of_picture)):
        moved = "a redirection; check --api-url" if 300 <= status < 400 else ""
        return ServiceError(
            ": ".join(filter(None, (f"it answered {status}", mend or moved))),
            status=status,
            retry_after_s=retry_after(answer.headers),
            again=status in RETRYABLE,
        )
    return PictureRefusedError(
        f"Roboflow refused it ({status}): {brief(answer.body[:4000].decode('utf-8', 'replace'))}"
    )
