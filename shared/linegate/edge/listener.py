"""A receiver of webhooks that verifies what it gets: plays the line's HMI."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from linegate.adapters.webhook import verified

MAX_BODY = 1 << 20


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook. `event` is None if its signature was bad or its body is not JSON."""

    entry_id: str
    event: dict[str, Any] | None
    at: float  # seconds since 1970


class Listener:
    """Listens on 127.0.0.1; `on_webhook` is called with each webhook, in the thread that received it."""

    def __init__(self, secrets: Sequence[str], on_webhook: Callable[[Received], None], port: int = 0) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Header and body leave as one packet; otherwise Nagle's algorithm delays the answer by 40 ms.
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                at = time.time()
                body = self.rfile.read(min(MAX_BODY, int(self.headers.get("content-length") or 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                genuine = verified(secrets, headers, body, at)
                on_webhook(Received(headers.get("webhook-id", ""), _json(body) if genuine else None, at))
                self.send_response(204 if genuine else 401)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """The caller reports, not the server."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="linegate-listener", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(body)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
