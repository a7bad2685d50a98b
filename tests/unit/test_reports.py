"""Shift reports to targets: each shift once, late where the gate was off, whatever dies in between."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.adapters.targets import slack
from linegate.adapters.targets.controller import HandshakeTarget
from linegate.config import parse
from linegate.errors import ConfigError, TransientError
from linegate.inspection import OutboxState
from linegate.notification import MAX_BYTES
from linegate.numbers import Defects
from linegate.ports import Message
from linegate.shift_report import body, last_ended, report
from tests.fakes import START, Crash, MemoryBus
from tests.harness import CONFIG, SECRET, Gate

STATION = """
station: {time_zone: Europe/Berlin, shifts: {early: "06:00", late: "14:00", night: "22:00"}, address: "https://gate.example"}
"""
TAKES = CONFIG.replace(f"secrets: [{SECRET}]", f"secrets: [{SECRET}], reports: true", 1) + STATION
HOUR = 3600
SCHEMA = json.loads((Path(__file__).parents[2] / "shared/docs/report.schema.json").read_text())


@pytest.fixture
def gate(gate: Gate) -> Gate:
    """At 13:00 in Berlin, an hour before the early shift ends; the target `hmi` takes reports."""
    gate.settings = parse(TAKES, Path(), {})
    gate.sweep()
    return gate


def shifts_told(gate: Gate, target: str = "hmi") -> list[str]:
    return [f"{data['day']} {data['shift']}" for data in reports(gate, target)]


def reports(gate: Gate, target: str = "hmi") -> list[dict[str, Any]]:
    gate.run()
    events = [json.loads(text) for _, text in gate.targets[target].sent]
    return [event["data"] for event in events if event["type"] == "shift.ended"]


def minutes(gate: Gate, count: int) -> None:
    """The clock goes on, and strikes each minute."""
    for _ in range(count):
        gate.clock.advance(60)
        gate.sweep()


def test_across_two_ends_of_shift_each_is_told_once_with_its_own_products(gate: Gate) -> None:
    gate.upload("uploads/smt-2/aoi/A1.png")
    gate.run()
    minutes(gate, 60)
    assert shifts_told(gate) == [], "the last products of the shift may still be without a verdict"
    minutes(gate, 10)
    gate.upload("uploads/smt-2/aoi/A2.png")
    gate.upload("uploads/smt-2/aoi/A3.png")
    gate.run()
    minutes(gate, 9 * 60)
    early, late = reports(gate)
    assert (early["day"], early["shift"], early["products"]) == ("2026-03-01", "early", 1)
    assert (late["day"], late["shift"], late["products"]) == ("2026-03-01", "late", 2)
    assert (late["start"], late["end"]) == ("2026-03-01T13:00:00+00:00", "2026-03-01T21:00:00+00:00")
    assert late["page"] == "https://gate.example/report?day=2026-03-01&shift=late"
    assert reports(gate, "alarm") == [], "it did not ask for reports"


def test_what_ended_before_a_target_took_reports_is_not_told(gate: Gate) -> None:
    minutes(gate, 1)
    assert shifts_told(gate) == []


def test_a_gate_that_was_off_tells_late_the_earliest_first_and_not_of_old_days(gate: Gate) -> None:
    gate.clock.advance(20 * HOUR)
    gate.sweep()
    assert shifts_told(gate) == ["2026-03-01 early", "2026-03-01 late", "2026-03-01 night"]
    gate.clock.advance(30 * 24 * HOUR)
    gate.sweep()
    assert len(shifts_told(gate)) == 3 + 9, "of the last three days, all shifts"


@dataclass
class Dying(MemoryBus):
    """Dies while it publishes, before or after it did."""

    before: bool = True

    def publish(self, topic: str, messages: Any) -> None:
        if not self.before:
            super().publish(topic, messages)
        raise Crash


@pytest.mark.parametrize("before", [True, False])
def test_who_dies_while_publishing_has_told_it_once_in_effect(gate: Gate, before: bool) -> None:
    gate.clock.advance(2 * HOUR)
    alive, gate.bus = gate.bus, Dying(before=before)
    with pytest.raises(Crash):
        gate.sweep()
    alive.messages += gate.bus.messages
    gate.bus = alive
    minutes(gate, 1)
    published: list[tuple[str, Message]] = gate.bus.messages
    assert len(published) == (0 if before else 1)
    gate.clock.advance(gate.settings.retry.patience_s)
    gate.sweep()
    assert shifts_told(gate) == ["2026-03-01 early"]
    assert len({text for _, text in gate.targets["hmi"].sent}) == 1


def test_two_sweeps_at_once_make_one_report(gate: Gate) -> None:
    gate.clock.advance(2 * HOUR)
    noted = gate.outbox.reported["hmi"]
    gate.sweep()
    gate.outbox.reported["hmi"] = noted  # the second read it before the first wrote it
    gate.clock.advance(1)
    gate.sweep()
    assert shifts_told(gate) == ["2026-03-01 early"]


def test_a_target_that_is_down_hears_it_when_it_is_up_and_one_that_is_gone_when_it_is_enabled(gate: Gate) -> None:
    hmi = gate.targets["hmi"]
    hmi.gone = True
    gate.clock.advance(2 * HOUR)
    gate.sweep()
    gate.run()
    hmi.gone = False
    (held,) = gate.outbox.held.values()
    assert held.state is OutboxState.HELD
    gate.outbox.enable_target("hmi")
    hmi.down = True
    gate.clock.advance(HOUR)
    gate.sweep()
    with pytest.raises(TransientError):
        gate.run()
    hmi.down = False
    gate.clock.advance(HOUR)
    gate.sweep()
    assert shifts_told(gate) == ["2026-03-01 early"]


def test_a_clock_that_was_set_back_ends_no_reports(gate: Gate) -> None:
    gate.clock.advance(40 * 24 * HOUR)
    gate.sweep()
    before = len(shifts_told(gate))
    gate.clock.time = START + timedelta(hours=2)
    gate.sweep()
    gate.clock.advance(8 * HOUR)
    gate.sweep()
    assert shifts_told(gate)[before:] == ["2026-03-01 late"]


def test_a_target_with_lines_hears_of_each_by_itself(gate: Gate) -> None:
    gate.settings = parse(TAKES.replace("reports: true", "reports: true, lines: [smt-1, smt-2]"), Path(), {})
    gate.upload("uploads/smt-2/aoi/A1.png")
    gate.run()
    gate.clock.advance(2 * HOUR)
    gate.sweep()
    assert [(data["line"], data["products"]) for data in reports(gate)] == [("smt-1", 0), ("smt-2", 1)]


def test_a_target_of_no_line_hears_of_none(gate: Gate) -> None:
    gate.settings = parse(TAKES.replace("reports: true", "reports: true, lines: []"), Path(), {})
    gate.clock.advance(2 * HOUR)
    gate.sweep()
    assert reports(gate) == []


def test_who_can_be_told_of_products_only_may_not_ask_for_reports() -> None:
    with pytest.raises(ValueError, match="products only"):
        HandshakeTarget.model_validate({"type": "x", "reports": True})


def test_one_target_whose_note_can_not_be_read_keeps_no_other_from_its_report(gate: Gate) -> None:
    gate.settings = parse(TAKES.replace("verdicts: [FAIL, ERROR]", "verdicts: [], reports: true"), Path(), {})
    gate.sweep()
    gate.outbox.reported["hmi"] = "broken"  # type: ignore[assignment]
    gate.clock.advance(2 * HOUR)
    gate.sweep()
    assert shifts_told(gate, "alarm") == ["2026-03-01 early"]


def test_a_target_may_hear_of_reports_alone_and_not_of_nothing() -> None:
    settings = parse(TAKES.replace("verdicts: [FAIL, ERROR]", "verdicts: [], reports: true"), Path(), {})
    assert settings.subscribed("smt-1")["alarm"] == []
    with pytest.raises(ConfigError) as caught:
        parse(TAKES.replace("verdicts: [FAIL, ERROR]", "verdicts: []"), Path(), {})
    assert any("targets.alarm" in fault and "hears of nothing" in fault for fault in caught.value.faults)


def test_the_published_schema_describes_a_report_and_slack_shows_it(gate: Gate) -> None:
    for number in range(3):
        gate.upload(f"uploads/smt-2/aoi/A{number}.png")
    gate.finds("<!channel> *short*")
    gate.upload("uploads/smt-2/aoi/B.png")
    gate.run()
    gate.clock.advance(2 * HOUR)
    gate.sweep()
    gate.run()
    event = json.loads(gate.targets["hmi"].sent[-1][1])
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(event)
    shown = slack.message(event)
    assert "<!channel>" not in shown["text"]
    assert shown["blocks"][0]["text"]["type"] == "plain_text"
    assert "4 products" in shown["blocks"][0]["text"]["text"]
    assert "https://gate.example/report?day=2026-03-01&amp;shift=early" in shown["blocks"][1]["elements"][0]["text"]


def names() -> Iterator[str]:
    yield from (f"{number:03}{'😀' * 197}" for number in range(10))


@given(st.integers(0, 300))
def test_it_is_always_below_the_limit_and_counts_what_is_missing(lines: int) -> None:
    gate = Gate(settings=parse(TAKES, Path(), {}))
    shift = last_ended(gate.settings.station, START)
    told = report(gate.context.queries, gate.settings, shift)
    rows = tuple(replace(told.whole, name=f"{number:03}{'ü' * 197}") for number in range(lines))
    defects = tuple(Defects(name, 1, 1, 0, 0, 0) for name in names())
    text = body(replace(told, tables={**told.tables, "line": rows}, defects=defects), gate.settings, START)
    data = json.loads(text)["data"]
    assert len(text.encode()) < MAX_BYTES
    assert data["omitted"]["lines"] + len(data["lines"]) == lines
    assert data["omitted"]["classes"] + len(data["classes"]) == 10
