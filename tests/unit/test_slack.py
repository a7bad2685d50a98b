"""What a channel reads: at a glance, by Slack's rules, and nothing of it is markup that somebody smuggled in."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.adapters.exchange import Http
from linegate.adapters.targets.endpoint import Endpoint
from linegate.adapters.targets.slack import SlackTarget, message
from linegate.deciders import DETECT
from linegate.errors import TransientError
from linegate.inspection import (
    Answer,
    Check,
    Coverage,
    Detection,
    Inspection,
    Loss,
    Manifest,
    Measure,
    ObjectRef,
    Place,
    Result,
    Revision,
)
from linegate.notification import notification_body
from linegate.sections import Storage
from linegate.verdict import decide
from tests.fakes import START, detection
from tests.standins.service import Reply, Service, first, status

NOW = datetime.now(UTC)
LINK = Storage(picture_url="https://plant.example/{bucket}/{name}")


def event(
    results: tuple[Result, ...] = (Result.FAIL, Result.UNSURE, Result.PASS),
    reason: str = "the track is cut",
    serial: str = "PCB-0042",
    storage: Storage = LINK,
    number: int = 1,
    like: Detection | None = None,
    coverage: Coverage | None = None,
    station: str | None = None,
) -> Any:
    found = [like or replace(detection(), confidence=0.91) for _ in results]
    checks = {index: Check(index, result, reason) for index, result in enumerate(results)}
    manifest = Manifest.of(found, width=64, height=64, answers=(Answer("d", "d", coverage=coverage),))
    image = ObjectRef("uploads", "uploads/smt-1/aoi/x.jpg", 7)
    place = Place("smt-1", "aoi-3", serial)
    board = Inspection(image.inspection_id, image, place, "pcb", START, START, START, manifest=manifest)
    revisions = [
        Revision(n, DETECT, START, decide(manifest, checks), f"results/x/r{n}.jpg") for n in range(1, number + 1)
    ]
    earlier = replace(revisions[0], decision=decide(manifest, {})) if number > 1 else None
    return json.loads(notification_body(board, revisions[-1], storage, earlier, station))


def shown(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False)


def test_a_glance_tells_board_line_verdict_defects_reasons_time_and_picture() -> None:
    content = message(event())
    header, *_ = content["blocks"]
    assert header["text"]["text"] == "FAIL  PCB-0042  (line smt-1)"
    assert content["text"].startswith("FAIL  PCB-0042  (line smt-1): 1 defect confirmed")
    said = shown(content)
    assert "🔴 FAIL   1 defect confirmed" in said
    assert "Line / station\\nsmt-1 / aoi-3" in said
    assert "❌ short (91 %, defect): the track is cut" in said
    assert "(91 %, not judged)" in said
    assert f"<!date^{int(START.timestamp())}^" in said
    assert "<https://plant.example/results/results/x/r1.jpg|Annotated picture>" in said
    assert "orrect" not in said


def test_a_correction_says_so_in_its_first_words_and_what_it_corrects() -> None:
    content = message(event(number=2))
    assert content["blocks"][0]["text"]["text"].startswith("Correction: FAIL")
    assert content["text"].startswith("Correction: ")
    assert "This corrects revision 1, which said REVIEW." in shown(content)


def test_without_a_link_the_pictures_place_is_named() -> None:
    assert "Annotated picture: `results/results/x/r1.jpg`" in shown(message(event(storage=Storage())))


def test_with_a_station_the_message_links_the_page_of_the_product_and_its_picture() -> None:
    told = event(storage=Storage(), station="https://gate.example")
    said, identity = shown(message(told)), told["data"]["inspection_id"]
    assert f"<https://gate.example/boards/{identity}|Everything about it>" in said
    assert f"<https://gate.example/pictures/{identity}/annotated?revision=1|Annotated picture>" in said


def test_what_does_not_fit_is_counted() -> None:
    content = message(event((Result.FAIL,) * 300, reason="because " * 30))
    assert "more" in shown(content)
    (findings,) = [block["text"]["text"] for block in content["blocks"] if "❌" in shown(block)]
    listed = findings.count("❌")
    assert f"and {300 - listed} more" in findings


def measured(measure: Measure, result: Result = Result.FAIL) -> dict[str, Any]:
    gauge = replace(detection(), class_name="gap", confidence=1.0, measure=measure)
    return message(event((result,), reason="it is too wide", like=gauge))


def test_a_measure_is_told_with_its_limits_in_the_place_of_a_confidence() -> None:
    gap = Measure("gap", 0.31, "mm", 0.2, 0.3)
    assert "❌ gap 0.31 mm (0.2 … 0.3), defect: it is too wide" in shown(measured(gap))
    assert "❔ gap 0.31 mm (0.2 … 0.3), not judged: " in shown(measured(gap, Result.UNSURE))
    assert "✔ gap 0.31 mm (0.2 … 0.3): " in shown(measured(gap, Result.PASS)), (
        "nobody suspected it, so it is not cleared"
    )
    assert "❌ gap, offset 3.00 (at most 2), defect: " in shown(
        measured(replace(gap, name="offset", value=3, unit="", low=None, high=2))
    )


def test_coverage_is_told_where_it_is_less_than_everything() -> None:
    lost = Coverage(0.931, (Loss("outside the golden picture", 0.05), Loss("glare", 0.019)))
    said = shown(message(event(coverage=lost)))
    assert "Coverage\\n93.1 % (5.0 % outside the golden picture, 1.9 % glare)" in said
    for full in (None, Coverage()):
        assert "overage" not in shown(message(event(coverage=full)))
    old = event()
    del old["data"]["coverage"]
    assert "overage" not in shown(message(old)), "what an earlier release wrote is still sent"


SMUGGLED = "<!channel> & *<https://evil.example|click>* `x` :bomb: evil.example a@evil.example ~no~ _so_ <@U1>"


def test_names_and_reasons_stand_where_slack_formats_nothing() -> None:
    gauge = replace(detection(), measure=Measure(SMUGGLED, 1, SMUGGLED))
    lost = Coverage(0.5, (Loss(SMUGGLED, 0.5),))
    content = message(event(reason=SMUGGLED, serial=SMUGGLED, like=gauge, coverage=lost))
    texts = list(objects(content["blocks"]))
    assert sum(SMUGGLED in text["text"] for text in texts if text["type"] == "plain_text") > 3
    (formatted,) = (text for text in texts if text["type"] == "mrkdwn")
    assert formatted["verbatim"] is True
    assert "evil" not in formatted["text"]
    assert not any(text.get("emoji") for text in texts)
    assert not set("<>*~`@") & set(content["text"])
    assert ":b" not in content["text"]
    assert "_so_" not in content["text"]
    assert content["parse"] == "none"


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every text object of a message."""
    if isinstance(value, dict) and value.get("type") in ("plain_text", "mrkdwn"):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from objects(item)


def test_no_name_turns_the_direction_of_writing_or_hides() -> None:
    said = shown(message(event(reason="PASS\u202eLIAF", serial="A\u200b1\x1b[2J")))
    assert not any(char in said for char in "\u202e\u200b\x1b")
    assert "PASS?LIAF" in said


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400), st.integers(0, 60), st.text(max_size=200))
def test_every_message_keeps_slacks_limits(reason: str, number: int, serial: str) -> None:
    serial = serial.encode("utf-8", "replace").decode()
    content = message(event((Result.FAIL,) * number, reason, serial))
    assert len(content["blocks"]) <= 50
    for block in content["blocks"]:
        text = block.get("text", {})
        limit = 150 if block["type"] == "header" else 3000
        assert 0 < len(text.get("text", "x")) <= limit
        assert all(0 < len(part["text"]) <= 2000 for part in block.get("fields", []))


def test_messages_are_paced_to_one_in_the_interval() -> None:
    with Service(lambda _: Reply(200, b"ok")) as service:
        target = SlackTarget(Endpoint(service.url, Http(), 5), interval_s=0.3)
        for number in range(3):
            target.send(f"id-{number}", json.dumps(event()), NOW)
        at = [request.at for request in service.requests]
    assert min(later - earlier for earlier, later in pairwise(at)) > 0.28


def test_a_throttled_channel_is_left_alone_as_long_as_it_asks() -> None:
    with Service(lambda _: Reply(200, b"ok"), faults=first(1, status(429, retry_after="1"))) as service:
        target = SlackTarget(Endpoint(service.url, Http(), 5), interval_s=0.01)
        with pytest.raises(TransientError) as caught:
            target.send("id", json.dumps(event()), NOW)
        assert 0.5 < (caught.value.retry_after_s or 0) <= 1
        with pytest.raises(TransientError, match="left alone"):
            target.send("id", json.dumps(event()), NOW)
        assert len(service.requests) == 1
        time.sleep(1.05)
        target.send("id", json.dumps(event()), NOW)
        assert len(service.requests) == 2


def test_a_long_queue_sends_its_end_away_instead_of_holding_workers() -> None:
    target = SlackTarget(Endpoint("http://127.0.0.1:1", Http(), 5), interval_s=100)
    with pytest.raises(TransientError):
        target.send("one", json.dumps(event()), NOW)  # nobody is there
    with pytest.raises(TransientError, match="too many") as caught:
        target.send("two", json.dumps(event()), NOW)
    assert (caught.value.retry_after_s or 0) > 90
