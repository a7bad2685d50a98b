"""Verdicts in a Slack channel, through an incoming webhook: a Block Kit message that can be read at a glance."""

import json
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from linegate.adapters.endpoint import Endpoint
from linegate.adapters.exchange import Http
from linegate.errors import TransientError

# An incoming webhook takes one message a second.
INTERVAL_S: Final = 1.0
# Whoever would wait longer for its turn comes again later instead of holding a worker.
LONGEST_QUEUE_S: Final = 10.0
# Block Kit allows 3000 characters in a section's text, and 150 in a header's.
SECTION, HEADER = 2900, 150
SHOWN: Final = 8
_SIGNS: Final = {
    "PASS": ":large_green_circle:",
    "FAIL": ":red_circle:",
    "REVIEW": ":large_orange_circle:",
    "ERROR": ":black_circle:",
}
_RESULTS: Final = {"FAIL": ":x:", "UNSURE": ":grey_question:", "PASS": ":heavy_check_mark:"}
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "*": "\u2217", "`": "'"})
_WORDS: Final = {"FAIL": "defect", "UNSURE": "not judged", "PASS": "cleared"}


class SlackTarget:
    """The port Target: one channel, at most one message a second."""

    def __init__(self, url: str, http: Http, timeout_s: float, interval_s: float = INTERVAL_S) -> None:
        self._endpoint = Endpoint(url, http, timeout_s)
        self._interval_s = interval_s
        self._next = 0.0
        self._lock = threading.Lock()

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        self._wait_for_turn()
        self._endpoint.post(json.dumps(message(json.loads(body))).encode(), {})

    def _wait_for_turn(self) -> None:
        with self._lock:
            wait = self._next - time.monotonic()
            if wait > LONGEST_QUEUE_S:
                raise TransientError("too many messages wait for this channel", retry_after_s=wait)
            self._next = max(self._next, time.monotonic()) + self._interval_s
        if wait > 0:
            time.sleep(wait)


def message(event: Mapping[str, Any]) -> dict[str, Any]:
    """The Slack message for an event. Source: Slack's Block Kit reference, incoming webhooks."""
    data = event["data"]
    if event["type"] != "inspection.decided":
        return {"text": _escaped(str(data.get("message", event["type"])))[:SECTION]}
    verdict, board = data["verdict"], data["serial"] or "a board without a serial"
    where = f"line {data['line']}" if data["line"] else "unknown line"
    title = f"{verdict}  {board}  ({where})"
    corrects = data.get("corrects")
    blocks: list[dict[str, Any]] = [_header(f"Correction: {title}" if corrects else title)]
    if corrects:
        was = f"This corrects revision {corrects['revision']}, which said *{corrects['verdict']}*."
        blocks.append(_section(f":leftwards_arrow_with_hook: {was}"))
    blocks.append(_section(f"{_SIGNS.get(verdict, '')} *{verdict}*   {_escaped(data['summary'])}"))
    blocks.append(
        {
            "type": "section",
            "fields": [
                _text(f"*{key}*\n{_escaped(str(value) or 'unknown')[:1900]}")
                for key, value in (
                    ("Board", data["serial"]),
                    ("Line / station", " / ".join(filter(None, (data["line"], data["station"])))),
                    ("Defects", data["fail_count"]),
                    ("Revision", data["revision"]),
                )
            ],
        }
    )
    defects = _defects(data)
    if defects:
        blocks.append(_section(defects))
    blocks.append({"type": "context", "elements": [_text(_context(data))]})
    said = f"Correction: {title}" if corrects else title
    return {"text": _escaped(f"{said}: {data['summary']}")[:SECTION], "blocks": blocks}


def _defects(data: Mapping[str, Any]) -> str:
    """One line for each finding, those that count first, as many as fit; how many more there are."""
    lines: list[str] = []
    findings = data["defects"]
    for finding in findings[:SHOWN]:
        name = _escaped(finding["class"].replace("_", " "))
        reason = _escaped(finding["reason"])
        note = f" _({_escaped(finding['note'])})_" if finding.get("note") else ""
        sure = f"{100 * finding['confidence']:.0f} %"
        line = f"{_RESULTS[finding['result']]} *{name}* ({sure}, {_WORDS[finding['result']]}): {reason}{note}"
        if sum(map(len, lines)) + len(line) > SECTION - 100:
            break
        lines.append(line)
    more = len(findings) - len(lines) + data["omitted"]["defects"]
    if more:
        lines.append(f"… and {more} more")
    return "\n".join(lines)


def _context(data: Mapping[str, Any]) -> str:
    decided = datetime.fromisoformat(data["decided_at"])
    # Slack shows the time in the reader's own time zone; the text after the bar is for clients that can't.
    said = [f"<!date^{int(decided.timestamp())}^{{date_short_pretty}} {{time_secs}}|{decided:%Y-%m-%d %H:%M:%S} UTC>"]
    annotated = data["annotated_image"]
    if annotated and annotated.get("url"):
        said.append(f"<{_url(annotated['url'])}|Annotated picture>")
    elif annotated:
        said.append(f"Annotated picture: `{_escaped(annotated['bucket'])}/{_escaped(annotated['name'])}`")
    if not data["complete"]:
        said.append("decided at the deadline, not all answers were there")
    said.append(f"inspection `{data['inspection_id']}`")
    return "  |  ".join(said)


def _header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": text[:HEADER], "emoji": False}}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text)}


def _text(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text[:SECTION]}


def _escaped(text: str) -> str:
    """What a service or a file name says is no markup: Slack's control characters, and those that would format it."""
    return text.translate(_ESCAPES)


def _url(url: str) -> str:
    return url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
