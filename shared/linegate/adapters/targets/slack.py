"""The kind `slack`: an incoming webhook of a channel, which gets Block Kit messages that can be read at a glance."""

import json
import re
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from linegate.adapters.targets.http import HttpTarget
from linegate.answers import Disposition
from linegate.errors import DeferredError
from linegate.inspection import Coverage, Loss, Measure
from linegate.kind import Surroundings
from linegate.ports import Target
from linegate.texts import visible

if TYPE_CHECKING:
    from linegate.adapters.targets.endpoint import Endpoint

# An incoming webhook takes one message a second.
INTERVAL_S: Final = 1.0
# Whoever would wait longer for its turn comes again later instead of holding a worker.
LONGEST_QUEUE_S: Final = 10.0
# Block Kit allows 3000 characters in a section's text, 2000 in a field's, and 150 in a header's.
SECTION, FIELD, HEADER = 2900, 1900, 150
SHOWN: Final = 8
_SIGNS: Final = {"PASS": "\U0001f7e2", "FAIL": "\U0001f534", "REVIEW": "\U0001f7e0", "ERROR": "\u26ab"}  # circles
_CROSS, _CHECK = "\u274c", "\u2714"
# By a person's word on a finding where there is one, else by the machine's
_RESULTS: Final = {"FAIL": _CROSS, "UNSURE": "\u2754", "PASS": _CHECK} | {
    disposition.value: _CROSS if disposition.fails else _CHECK for disposition in Disposition
}
_WORDS: Final = {"FAIL": "defect", "UNSURE": "not judged", "PASS": "cleared"} | {
    disposition.value: disposition.words for disposition in Disposition
}
# Slack's control characters, and look-alikes for those that format a text or mention somebody
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "*": "\u2217", "~": "\u223c", "`": "'", "@": "\uff20"}
)
# A colon that may begin an emoji or follow a link's scheme, and an underscore that may begin or end what is slanted
_EMOJI: Final = re.compile(r":(?=\S)")
_SLANTED: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")


class Slack(HttpTarget):
    """Posts to a Slack channel; `url` is that of an incoming webhook."""

    type: Literal["slack"] = "slack"

    def build(self, around: Surroundings) -> Target:
        return SlackTarget(self.endpoint(around))


class SlackTarget:
    """The port Target: one channel, at most one message a second."""

    def __init__(self, endpoint: "Endpoint", interval_s: float = INTERVAL_S) -> None:
        self._endpoint = endpoint
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
                raise DeferredError("too many messages wait for this channel", retry_after_s=wait)
            self._next = max(self._next, time.monotonic()) + self._interval_s
        if wait > 0:
            time.sleep(wait)


def message(event: Mapping[str, Any]) -> dict[str, Any]:
    """The Slack message for an event. Source: Slack's Block Kit reference, incoming webhooks.

    What comes from outside (names, reasons) stands in plain_text objects, which Slack shows as they are.
    """
    data = event["data"]
    if event["type"] != "inspection.decided":
        said = visible(str(data.get("message", event["type"])), keep="\n")[:SECTION]
        page = f"<{_url(data['page'])}|The report as a page>" if data.get("page") else ""
        return {**_notice(said), "blocks": [_section(said), *([_formatted(page)] if page else [])]}
    verdict, board = data["verdict"], data["serial"] or "a board without a serial"
    where = f"line {data['line']}" if data["line"] else "unknown line"
    corrects = data.get("corrects")
    title = f"{'Correction: ' if corrects else ''}{verdict}  {board}  ({where})"
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(title, HEADER)}]
    if corrects:
        blocks.append(
            _section(f"\u21a9 This corrects revision {corrects['revision']}, which said {corrects['verdict']}.")
        )
    blocks.append(_section(f"{_SIGNS.get(verdict, '')} {verdict}   {data['summary']}"))
    facts = (
        ("Board", data["serial"]),
        ("Line / station", " / ".join(filter(None, (data["line"], data["station"])))),
        ("Defects", data["fail_count"]),
        ("Revision", data["revision"]),
        *_coverage(data.get("coverage")),
    )
    fields = [_plain(f"{key}\n{str(value) or 'unknown'}", FIELD) for key, value in facts]
    blocks.append({"type": "section", "fields": fields})
    defects = _defects(data)
    if defects:
        blocks.append(_section(defects))
    blocks.append(_formatted(_context(data)[:SECTION]))
    return {**_notice(f"{title}: {data['summary']}"), "blocks": blocks}


def _defects(data: Mapping[str, Any]) -> str:
    """One line for each finding, those that count first, as many as fit; how many more there are."""
    lines: list[str] = []
    findings = data["defects"]
    for finding in findings[:SHOWN]:
        note = f" ({finding['note']})" if finding.get("note") else ""
        line = visible(f"{_RESULTS[_said(finding)]} {_found(finding)}: {finding['reason']}{note}")
        if sum(map(len, lines)) + len(line) > SECTION - 100:
            break
        lines.append(line)
    more = len(findings) - len(lines) + data["omitted"]["defects"]
    if more:
        lines.append(f"\u2026 and {more} more")
    return "\n".join(lines)


def _said(finding: Mapping[str, Any]) -> str:
    """A person's word on it, else the machine's."""
    return str(finding.get("disposition", finding["result"]))


def _found(finding: Mapping[str, Any]) -> str:
    """What was found, and what was said of it; a number that was measured stands in the place of a confidence."""
    name, measured = finding["class"].replace("_", " "), finding.get("measure")
    word = _WORDS[_said(finding)]
    if not measured:
        return f"{name} ({100 * finding['confidence']:.0f} %, {word})"
    measure = Measure(*(measured.get(key) for key in ("name", "value", "unit", "low", "high")))
    what = str(measure) if measure.name in (name, finding["class"]) else f"{name}, {measure}"
    return what if word == _WORDS["PASS"] else f"{what}, {word}"


def _coverage(told: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """The fact for a person, where a part of the picture could not be judged."""
    if told is None or told["part"] >= 1:
        return []
    lost = tuple(Loss(loss["why"], loss["part"]) for loss in told["lost"])
    return [("Coverage", str(Coverage(told["part"], lost)))]


def _context(data: Mapping[str, Any]) -> str:
    decided = datetime.fromisoformat(data["decided_at"])
    # Slack shows the time in the reader's own time zone; the text after the bar is for clients that can't.
    said = [f"<!date^{int(decided.timestamp())}^{{date_short_pretty}} {{time_secs}}|{decided:%Y-%m-%d %H:%M:%S} UTC>"]
    annotated = data["annotated_image"]
    if annotated and annotated.get("url"):
        said.append(f"<{_url(annotated['url'])}|Annotated picture>")
    elif annotated:
        said.append(f"Annotated picture: `{_escaped(annotated['bucket'])}/{_escaped(annotated['name'])}`")
    if data.get("review"):
        said.append(f"decided by {_escaped(data['decided_by'])}")
    if not data["complete"]:
        said.append("decided at the deadline, not all answers were there")
    if data.get("page"):
        said.append(f"<{_url(data['page'])}|Everything about it>")
    said.append(f"inspection `{data['inspection_id']}`")
    return "  |  ".join(said)


def _formatted(text: str) -> dict[str, Any]:
    """The one text that Slack formats: for its date and its link. `verbatim`: no links where none are marked."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain(text, SECTION)}


def _plain(text: str, limit: int) -> dict[str, Any]:
    """A text that is shown as it is: no markup, no links, nobody is mentioned, `:x:` stays what it is."""
    return {"type": "plain_text", "text": visible(text, keep="\n")[:limit], "emoji": False}


def _notice(text: str) -> dict[str, Any]:
    """What a telephone shows of the message, where there are no blocks."""
    return {
        "text": _escaped(text)[:SECTION],
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
    }


def _escaped(text: str) -> str:
    """For texts that Slack would format."""
    text = _SLANTED.sub("\u02cd", _EMOJI.sub("\u2236", visible(text, keep="\n")))
    return text.translate(_ESCAPES)


def _url(url: str) -> str:
    return url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
