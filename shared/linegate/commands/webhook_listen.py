"""`linegate webhook-listen`: a receiver to try webhooks with, and to copy from: verify, answer at once, drop repeats."""

import json
import os
import signal
from collections.abc import Callable
from datetime import datetime

from linegate.commands.listener import Listener, Received
from linegate.errors import UsageError
from linegate.inspection import printable


def run(secrets: list[str], host: str, port: int, *, as_json: bool, wait: Callable[[], None]) -> int:
    """Print each webhook until `wait` returns. 0. Raises UsageError for a port that can't be listened on."""
    seen: set[str] = set()

    def show(received: Received) -> None:
        repeated = received.entry_id in seen
        if not received.doubt:
            seen.add(received.entry_id)
        line = {"id": received.entry_id, "repeat": repeated, "refused": received.doubt, "event": received.event}
        try:
            print(json.dumps(line) if as_json else _line(received, repeated=repeated), flush=True)
        except OSError:  # nobody reads any more: what is heard would be lost
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        listener = Listener(secrets, show, port, host)
    except (OSError, UnicodeError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"can't listen on {host}:{port}: {why}") from error
    with listener:
        if not as_json:
            print(f"listening at {listener.url} (Ctrl-C ends it)", flush=True)
        wait()
    return 0


def _line(received: Received, *, repeated: bool) -> str:
    at = datetime.fromtimestamp(received.at).astimezone().strftime("%H:%M:%S")
    if received.event is None:
        return f"{at}  refused  {received.doubt}"
    data = received.event.get("data")
    data = data if isinstance(data, dict) else {}
    kind = received.event.get("type")
    if kind != "inspection.decided":
        return f"{at}  verified  {printable(str(kind))}"
    board = "/".join(str(data.get(key) or "?") for key in ("line", "station", "serial"))
    again = "  (repeat: drop it)" if repeated else ""
    corrects = "  corrects an earlier verdict" if data.get("corrects") else ""
    said = printable(f"{data.get('verdict')}  {board}  r{data.get('revision')}  {data.get('summary')}", 400)
    return f"{at}  verified  {said}{corrects}{again}"
