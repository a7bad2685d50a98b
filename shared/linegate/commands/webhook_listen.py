"""`linegate webhook-listen`: a receiver to try webhooks with, and to copy from: verify, answer at once, drop repeats."""

import argparse
import json
import os
import signal
from datetime import datetime

from linegate.adapters.targets.webhook import webhook_secret
from linegate.commands.arguments import whole
from linegate.commands.interrupt import clean_up_first
from linegate.commands.listener import Listener, Received
from linegate.errors import UsageError
from linegate.texts import printable


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--secret", action="append", required=True, help="whsec_…; several while they rotate")
    parser.add_argument("--port", type=whole(0, 65_535), default=8099, help="(8099)")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 to hear other machines (127.0.0.1)")
    parser.add_argument("--json", action="store_true", help="one JSON object a webhook")


def run(options: argparse.Namespace) -> int:
    """Print each webhook until a signal comes. Returns 0. Raises UsageError for a port that can't be listened on."""
    for secret in options.secret:
        try:
            webhook_secret(secret)
        except ValueError as error:
            raise UsageError(f"--secret {error}") from error
    clean_up_first()
    seen: set[str] = set()

    def show(received: Received) -> None:
        repeated = received.entry_id in seen
        if not received.refusal:
            seen.add(received.entry_id)
        line = {"id": received.entry_id, "repeat": repeated, "refused": received.refusal, "event": received.event}
        try:
            print(json.dumps(line) if options.json else _line(received, repeated=repeated), flush=True)
        except OSError:  # nobody reads any more: what is heard would be lost
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        listener = Listener(options.secret, show, options.port, options.host)
    except (OSError, UnicodeError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"can't listen on {options.host}:{options.port}: {why}") from error
    with listener:
        if not options.json:
            print(f"listening at {listener.url} (Ctrl-C ends it)", flush=True)
        signal.pause()
    return 0


def _line(received: Received, *, repeated: bool) -> str:
    at = datetime.fromtimestamp(received.at).astimezone().strftime("%H:%M:%S")
    if received.event is None:
        return f"{at}  refused  {received.refusal}"
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
