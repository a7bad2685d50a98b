"""What the file may say of OPC UA targets, and the page of all nodes."""

import re
from pathlib import Path

import pytest

import linegate
from linegate.adapters.targets.opcua.kind import OpcUaClient, Writes
from linegate.adapters.targets.opcua.tags import GATE, LINE
from linegate.config import parse
from linegate.errors import ConfigError

PAGE = (Path(linegate.__file__).parents[1] / "docs" / "opcua.md").read_text()
FILE = """
recipes: {{pcb: {{golden: golden.png}}}}
lines: {{smt-1: {{recipe: pcb}}}}
network: {{private_addresses: [192.168.0.0/24]}}
targets: {{plc: {{{target}}}}}
"""
NODES = """reads: {acknowledged: ns=2;s=A, job: ns=2;s=J, part: ns=2;s=P}, writes: {heartbeat: ns=2;s=H, available: ns=2;s=V,
  counter: ns=2;s=C, result_part: ns=2;s=RP, result_job: ns=2;s=RJ, verdict: ns=2;s=R, result_code: ns=2;s=RC}"""


def faults(target: str) -> list[str]:
    try:
        parse(FILE.format(target=target), Path(), {})
    except ConfigError as error:
        return error.faults
    return []


@pytest.mark.parametrize(
    "target",
    [
        "type: opcua",
        "type: opcua, security: none, address: 192.168.0.2",
        "type: opcua, user: plc, password: pw-of-the-plc, port: 4841",
        f'type: opcua_client, url: "opc.tcp://192.168.0.10:4840", security: none, {NODES}',
        f'type: opcua_client, url: "opc.tcp://192.168.0.10:4840", {NODES}',
        f'type: opcua_client, url: "opc.tcp://plc.example:4840", {NODES}',
    ],
)
def test_sound_targets(target: str) -> None:
    assert faults(target) == []


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("type: opcua, security: none", "address: what is not encrypted is for private networks only"),
        ("type: opcua, security: sign, address: 10.0.0.1", "address: what is not encrypted"),
        ("type: opcua, address: plc.example", "address: must be an IP address"),
        ("type: opcua, user: plc", "password: user and password belong together"),
        (f'type: opcua_client, url: "http://192.168.0.10", {NODES}', "url: must be an opc.tcp:// address"),
        (f'type: opcua_client, url: "opc.tcp://10.0.0.1", {NODES}', "url: 10.0.0.1 is a private address"),
        (f'type: opcua_client, url: "opc.tcp://9.9.9.9", security: none, {NODES}', "url: 9.9.9.9 is a public address"),
        (f'type: opcua_client, url: "opc.tcp://plc", lines: [smt-1, smt-2], {NODES}', "lines: must be one line"),
        (
            f'type: opcua_client, url: "opc.tcp://plc", {NODES.replace(", job: ns=2;s=J", "")}',
            "reads.job: is required where the line triggers",
        ),
        (
            f'type: opcua_client, url: "opc.tcp://plc", {NODES.replace("ns=2;s=H", "Heartbeat")}',
            "must be the id of a node",
        ),
    ],
)
def test_what_is_not_sound_is_said(target: str, fault: str) -> None:
    assert any(fault in each for each in faults(target)), faults(target)


def test_a_password_in_the_file_is_a_secret() -> None:
    settings = parse(FILE.format(target="type: opcua, user: plc, password: pw-of-the-plc"), Path(), {})
    assert "pw-of-the-plc" in settings.confidential
    assert "pw-of-the-plc" not in repr(settings)


def test_the_client_can_write_all_that_the_server_shows() -> None:
    words = {re.sub(r"(?<!^)(?=[A-Z])", "_", tag.name).lower() for tag in GATE}
    assert set(Writes.model_fields) == words
    assert OpcUaClient.model_fields["poll_s"].default < 0.1


def test_the_page_names_each_variable_with_its_type() -> None:
    table = dict(re.findall(r"^\| `((?:Gate|Line)\.\w+)` \| (\w+) \|", PAGE, re.MULTILINE))
    wanted = {f"Gate.{tag.name}": tag.kind for tag in GATE} | {f"Line.{name}": kind for name, (kind, _) in LINE.items()}
    assert table == wanted | {"Gate.Json": "String"}
