"""A receiver of webhooks that verifies what it gets: plays the line's HMI."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from linegate.adapters.targets.webhook import verification_error

MAX_BODY = 1 << 20
MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook. `event` is None if it was refused, for the reason in `refusal`."""

    entry_id: str
    event: dict[str, Any] | None
    at: float  # seconds since 1970
    refusal: str = ""


class Listener:
    """Listens at `host`; `on_webhook` is called with each webhook, in the thread that received it."""

    def __init__(
        self, secrets: Sequence[str], on_webhook: Callable[[Received], None], port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Header and body leave as one packet; otherwise Nagle's algorithm delays the answer by 40 ms.
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                at = time.time()
                length = self.headers.get("content-length") or "0"
                sound = length.isascii() and length.isdigit() and len(length) <= MAX_DIGITS and int(length) <= MAX_BODY
                body = self.rfile.read(int(length)) if sound else b""
                headers = {name.lower(): value for name, value in self.headers.items()}
                why = verification_error(secrets, headers, body, at)
                event = None if why else _json(body)
                why = why or ("" if event is not None else "its body is no JSON object")
                on_webhook(Received(headers.get("webhook-id", ""), event, at, why))
                self.send_response(401 if why else 204)
                self.send_header("content-length", "0")
                if not sound:  # what was left unread would be taken for the next request
                    self.send_header("connection", "close")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """The caller reports, not the server."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="linegate-listener", daemon=True)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/"

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
