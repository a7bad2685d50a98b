"""The kind `mqtt` without a broker: what the file may say, and topics and payloads made of a notification."""

import json
import re
from pathlib import Path

import pytest

from linegate.adapters.targets.mqtt import signals, template
from linegate.adapters.targets.mqtt.handshake import MqttHandshake
from linegate.adapters.targets.mqtt.kind import Mqtt
from linegate.adapters.targets.mqtt.payload import Kind
from linegate.adapters.targets.mqtt.sparkplug import METRICS
from linegate.config import parse
from linegate.errors import ConfigError
from linegate.line.handshake import Acknowledge

DATA = {
    "line": "smt-1",
    "serial": 'A/+"ü"',
    "verdict": "PASS",
    "revision": 2,
    "summary": "fine",
    "decided_by": None,
}


def settings(target: str, more: str = "network: {private_addresses: [127.0.0.1]}") -> str:
    return f"""
recipes: {{pcb: {{golden: golden.png}}}}
lines: {{smt-1: {{recipe: pcb}}}}
targets: {{plc: {{type: mqtt, {target}}}}}
{more}
"""


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("url: 'mqtt://broker'", "targets.plc.url: mqtt:// is for private networks only"),
        ("url: 'mqtts://ada:secret@broker'", "username and password are keys of their own"),
        ("url: 'http://broker/'", "must be mqtt://HOST:PORT"),
        ("url: 'mqtt://127.0.0.1', tls: {ca: ca.pem}", "targets.plc.tls: is for mqtts://"),
        ("url: 'mqtts://broker', tls: {key: gate.key}", "targets.plc.tls.key: needs its certificate"),
        ("url: 'mqtts://broker', password: secret", "targets.plc.password: needs a username"),
        ("url: 'mqtts://broker', topic: 'a/#'", "must be a topic to publish to"),
        ("url: 'mqtts://broker', topic: 'a/{colour}'", "has no {colour}"),
        ("url: 'mqtts://broker', status_topic: 'a/{serial}'", "has no {serial}; there is {line}"),
        ("url: 'mqtts://broker', payload: '{colour}'", "has no {colour}"),
    ],
)
def test_what_the_file_may_not_say_is_told_at_its_place(target: str, fault: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse(settings(target, ""), Path(), {})
    assert fault in str(told.value)


def test_functions_keep_no_connection_open() -> None:
    cloud = "cloud: {project: plant-1234, region: europe-west1}"
    with pytest.raises(ConfigError, match="needs a gate beside the line"):
        parse(settings("url: 'mqtts://broker'", cloud), Path(), {})


def test_a_version_is_the_same_with_quotes_and_without() -> None:
    parse(settings("url: 'mqtts://broker', version: 5"), Path(), {})
    parse(settings("url: 'mqtts://broker', version: '3.1.1'"), Path(), {})


def test_a_password_is_a_secret() -> None:
    given = parse(settings("url: 'mqtts://broker', username: gate, password: '${PW}'"), Path(), {"PW": "hush-hush"})
    assert "hush-hush" in given.confidential


def test_the_page_shows_what_is_said_and_every_field() -> None:
    page = (Path(__file__).parents[2] / "shared" / "docs" / "mqtt.md").read_text()
    gate, line = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert json.loads(signals.shown(signals.read(gate))) == json.loads(gate)
    assert signals.heard(line) == [Acknowledge(42)]
    assert re.findall(r"^\| `(linegate/\S+)` \|", page, re.MULTILINE) == [
        *(Mqtt.model_fields[key].default for key in ("topic", "last_topic", "status_topic")),
        *(MqttHandshake.model_fields[key].default for key in ("signals_topic", "line_topic", "status_topic")),
    ]
    said = {Kind.STRING: "String", Kind.BOOLEAN: "Boolean", Kind.UINT32: "UInt32", Kind.DATE_TIME: "DateTime"}
    for name, kind, key in METRICS:
        assert f"| `{name}` | {said[kind]} | `{key}` |" in page
    missing = {name for name in template.FIELDS if f"`{{{name}}}`" not in page}
    assert missing == set()


def test_what_comes_from_a_camera_neither_parts_a_topic_nor_leaves_a_level_empty() -> None:
    assert template.topic("lines/{line}/{serial}/{decided_by}", DATA) == 'lines/smt-1/A__"ü"/_'
    assert template.topic("{serial}", {"serial": "$SYS"}) == "_SYS"


def test_a_payload_is_filled_in_as_json_has_it() -> None:
    filled = template.payload('{"part": "{serial}", "ok": {accept}, "n": {revision}, "who": "{decided_by}"}', DATA)
    assert json.loads(filled) == {"part": 'A/+"ü"', "ok": True, "n": 2, "who": ""}


@pytest.mark.parametrize("verdict", ["FAIL", "REVIEW", "ERROR", "", None, "pass"])
def test_nothing_but_pass_is_accepted(verdict: str | None) -> None:
    assert template.payload("{accept}", {"verdict": verdict}) == "false"
