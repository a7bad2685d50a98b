"""Audits: products that pass are drawn as nobody can guess, wait for a person, and need a look at the whole of them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from linegate.answers import Missed
from linegate.audits import drawn
from linegate.config import parse
from linegate.errors import ConfigError
from linegate.inspection import Inspection, Laid, Manifest
from linegate.ports import Reference, Registrar
from linegate.stored import dump, load, load_json
from tests.boards import draw
from tests.harness import CONFIG, Gate, SameBoard

KEY = "a key of sixteen letters"
IDS = [f"{number:032x}" for number in range(4000)]


def audited_gate(share: float = 1, registrar: Registrar | None = None) -> Gate:
    text = f"station: {{audit_key: {KEY}}}\n{CONFIG}".replace("pcb: {", f"pcb: {{audit_share: {share}, ")
    gate = Gate(settings=parse(text.replace("smt-2: {", "smt-2: {notifies: false, "), Path(), {}))
    gate.registrar = registrar or gate.registrar
    return gate


def test_the_share_is_kept_the_same_for_ever_and_another_with_another_key() -> None:
    first = {identity for identity in IDS if drawn(identity, 0.05, KEY)}
    assert 140 < len(first) < 260
    assert first == {identity for identity in IDS if drawn(identity, 0.05, KEY)}
    assert first < {identity for identity in IDS if drawn(identity, 0.1, KEY)}
    other = {identity for identity in IDS if drawn(identity, 0.05, KEY.upper())}
    assert len(first & other) < 30
    assert (drawn(IDS[0], 0, KEY), all(drawn(identity, 1, KEY) for identity in IDS)) == (False, True)


def test_a_product_that_was_drawn_passes_and_waits_and_nobody_is_told_that_it_was() -> None:
    gate = audited_gate()
    event = gate.upload()
    gate.run()
    assert gate.verdict(event) == "PASS"
    (waiting,) = gate.context.queries.waiting().items
    assert waiting.inspection_id == event.image.inspection_id
    (told,) = gate.told("hmi")
    assert told["verdict"] == "PASS"
    assert "audit" not in json.dumps(told)


def test_what_did_not_pass_or_only_tries_the_gate_out_is_no_audit() -> None:
    gate = audited_gate(share=0)
    gate.run()
    gate.upload()
    gate.run()
    assert gate.context.queries.waiting().items == ()
    gate = audited_gate()
    gate.upload("uploads/smt-2/aoi/A1.png")
    gate.run()
    assert gate.context.queries.waiting().items == ()


def test_an_audit_needs_a_look_at_the_whole_product_and_a_defect_is_told_to_everybody() -> None:
    gate = audited_gate()
    event = gate.upload()
    gate.run()
    gate.answer(event.image.inspection_id)
    gate.run()
    (refusal,) = gate.context.queries.refusals(event.image.inspection_id)
    assert "Somebody must look at the whole product" in refusal.reason
    gate.answer(event.image.inspection_id, missed=(Missed("scratch"),))
    gate.run()
    assert gate.verdict(event) == "FAIL"
    assert [told["verdict"] for told in gate.told("hmi")] == ["PASS", "FAIL"]
    assert gate.context.queries.waiting().items == ()


def test_the_mark_stays_whatever_becomes_of_the_key() -> None:
    gate = audited_gate()
    event = gate.upload()
    gate.run()
    stored = gate.board(event)
    assert stored.manifest is not None
    assert load(Inspection, dump(stored)).manifest == stored.manifest
    plain = replace(stored.manifest, audit=False)
    assert "audit" not in dump(plain), "what few have takes no room in the others"


def test_a_share_without_a_key_is_refused_and_the_key_is_secret() -> None:
    with pytest.raises(ConfigError, match=r"recipes\.pcb\.audit_share: needs station\.audit_key"):
        parse(CONFIG.replace("pcb: {", "pcb: {audit_share: 0.1, "), Path(), {})
    with pytest.raises(ConfigError, match=r"station\.audit_key") as refused:
        parse(f"station: {{audit_key: short}}\n{CONFIG}", Path(), {})
    assert "short'" not in str(refused.value)
    assert KEY in parse(f"station: {{audit_key: {KEY}}}\n{CONFIG}", Path(), {}).confidential


class Lying(SameBoard):
    def register(self, picture: object, golden: str) -> Reference:
        return Reference(draw(), lies=(192, 0, 3, 0, 192, -2), digest="ab" * 32)


def test_where_the_golden_picture_lay_is_kept_with_the_product() -> None:
    gate = audited_gate(0, Lying())
    event = gate.upload()
    gate.run()
    manifest = gate.board(event).manifest
    assert manifest is not None
    assert manifest.laid == Laid("golden.png", "ab" * 32, (192, 0, 3, 0, 192, -2))
    assert load_json(Manifest, json.dumps(dump(manifest))) == manifest
    gate.registrar = SameBoard()  # it was not moved
    event = gate.upload("uploads/smt-1/aoi/A2.png")
    gate.run()
    assert gate.board(event).manifest is not None
    assert "laid" not in dump(gate.board(event).manifest)
