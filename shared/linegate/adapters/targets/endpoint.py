"""An address that notifications are POSTed to: what its answers mean, and when it wants to be left alone."""

import threading
from collections.abc import Mapping
from time import monotonic
from typing import Final

from linegate.adapters.exchange import LONGEST_WAIT_S, Answer, Http, retry_after
from linegate.errors import DeferredError, TargetGoneError, TransientError
from linegate.texts import brief

MAX_ANSWER: Final = 65_536  # nothing of it is needed but a few words for a person
# Where the answer asks for less often and does not say how long to wait
THROTTLED: Final = frozenset({429, 502, 503, 504})
UNTOLD_WAIT_S: Final = 5.0


class Endpoint:
    """Safe to share between threads. After an answer that asks to wait, nothing goes out until then, `longest_wait_s` at most."""

    def __init__(self, url: str, http: Http, timeout_s: float, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._longest_wait_s = longest_wait_s
        self._url = url
        self._http = http
        self._timeout_s = timeout_s
        self._quiet_until = 0.0
        self._lock = threading.Lock()

    def post(self, content: bytes, headers: Mapping[str, str]) -> None:
        """2xx counts as delivered, nothing else. Raises TargetGoneError for 410 and TransientError for all else."""
        with self._lock:
            left = self._quiet_until - monotonic()
        if left > 0:
            raise DeferredError(f"it asked to be left alone for {left:.0f} s more", retry_after_s=left)
        answer = self._exchange(content, headers)
        if 200 <= answer.status < 300:
            return
        said = brief(answer.body[:2000].decode("utf-8", "replace"))
        text = f"it answered {answer.status}" + (f" ({said})" if said else "")
        if answer.status == 410:
            raise TargetGoneError(text)
        wait = retry_after(answer.headers)
        if wait is not None or answer.status in THROTTLED:
            wait = min(UNTOLD_WAIT_S if wait is None else wait, self._longest_wait_s)
            with self._lock:
                self._quiet_until = max(self._quiet_until, monotonic() + wait)
        raise TransientError(text, retry_after_s=wait)

    def _exchange(self, content: bytes, headers: Mapping[str, str]) -> Answer:
        return self._http.exchange(
            "POST",
            self._url,
            headers={"content-type": "application/json", "user-agent": "linegate", **headers},
            body=content,
            total_s=self._timeout_s,
            max_answer=MAX_ANSWER,
            whole=False,
        )
