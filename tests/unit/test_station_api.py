"""The API: who may ask what, what is answered, and how what is wrong is told."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest

from linegate.answers import Disposition, Ruling
from linegate.bootstrap import App
from linegate.config import parse
from linegate.errors import ConfigError, TransientError
from linegate.inspection import Result
from linegate.stages import UPLOADS
from linegate.station.api.routes import document
from tests.asking import Answered, ask
from tests.fakes import MemoryInspections
from tests.harness import CONFIG, Gate
from tests.stations import station

MES, CAMERA, LOOKER, ONE = (f"{name}-{'x' * 24}" for name in ("mes", "camera", "looker", "one"))
TOKENS = f"""
station:
  address: https://gate.example
  tokens:
    mes: {{token: {MES}, may: [look, review]}}
    camera: {{token: {CAMERA}, may: [upload], lines: [smt-1]}}
    looker: {{token: {LOOKER}, may: [look]}}
    one: {{token: {ONE}, may: [look, upload, review], lines: [smt-2]}}
"""
API = "/api/v1"


@dataclass
class Asked:
    """A gate, and its API as a machine asks it. Each answer is held to the OpenAPI file."""

    gate: Gate
    url: str
    token: str = MES
    asked: set[tuple[str, int]] = field(default_factory=set)

    def inspected(self, name: str = "uploads/smt-1/aoi/A1.png", data: bytes | None = None) -> str:
        event = self.gate.upload(name, data)
        self.gate.run()
        return event.image.inspection_id

    def get(self, path: str, token: str | None = None) -> Answered:
        return self._held("get", path, ask(f"{self.url}{path}", token=self.token if token is None else token))

    def post(self, path: str, body: dict[str, Any], token: str | None = None) -> Answered:
        answer = ask(f"{self.url}{path}", "POST", body, token=self.token if token is None else token)
        return self._held("post", path, answer)

    def _held(self, method: str, path: str, answer: Answered) -> Answered:
        """The answer, which the OpenAPI file describes."""
        described = document()
        bare = path.partition("?")[0].split("/")
        (operation,) = [
            operations[method]
            for template, operations in described["paths"].items()
            if method in operations
            and len(bare) == len(template.split("/"))
            and all(said.startswith("{") or said == part for said, part in zip(template.split("/"), bare, strict=True))
        ]
        told = operation["responses"].get(str(answer.status))
        assert told, f"{method} {path} answered {answer.status}, which nobody described: {answer.body[:300]!r}"
        kind = answer.headers["content-type"]
        schema = {"$ref": "#/s", "s": told["content"][kind]["schema"], "components": described["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json)
        return answer


@pytest.fixture
def api() -> Iterator[Asked]:
    gate = Gate(parse(CONFIG + TOKENS, Path(), {}))
    gate.finds("short", "spur")
    gate.verifier.answers = {"short": Result.FAIL, "spur": Result.UNSURE}
    with station(App(gate.settings, gate.context, lambda _: b"")) as url:
        yield Asked(gate, url)


def test_all_that_is_known_of_an_inspection_is_told(api: Asked) -> None:
    identity = api.inspected()
    told = api.get(f"{API}/inspections/{identity}").json
    assert (told["verdict"], told["serial"], told["decided_by"]) == ("FAIL", "A1", "machine")
    assert [finding["class"] for finding in told["findings"]] == ["short", "spur"]
    assert told["findings"][0]["model"] == "static"
    assert [each["target"] for each in told["notifications"]] == ["alarm", "hmi"]
    assert told["page"] == f"https://gate.example/boards/{identity}"
    assert told["pictures"]["upload"] == f"https://gate.example/pictures/{identity}/upload"


def test_inspections_are_found_and_paged(api: Asked) -> None:
    ids = [api.inspected(f"uploads/smt-1/aoi/A{number}.png") for number in range(5)]
    api.inspected("uploads/smt-2/aoi/B.png")
    found, cursor = [], ""
    while True:
        page = api.get(f"{API}/inspections?line=smt-1&verdict=FAIL&class=short&limit=2&cursor={cursor}").json
        found += [each["inspection_id"] for each in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert sorted(found) == sorted(ids)
    assert api.get(f"{API}/inspections?serial=A3").json["items"][0]["inspection_id"] == ids[3]


def test_what_waits_is_told_with_its_number(api: Asked) -> None:
    api.inspected()
    told = api.get(f"{API}/waiting?line=smt-1").json
    assert (told["count"], told["items"][0]["serial"]) == (1, "A1")


def test_counts_are_told_by_hour_and_day(api: Asked) -> None:
    api.inspected()
    now = api.gate.clock.now()
    span = f"since={now - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}&until={now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    (slot,) = api.get(f"{API}/counts?{span}&by=day&zone=Europe/Berlin").json["slots"]
    assert (slot["products"], slot["first"], slot["findings"]["short"]) == (1, {"FAIL": 1}, {"FAIL": 1})
    far = span.replace(f"since={now - timedelta(hours=2):%Y}", "since=2001")
    assert api.get(f"{API}/counts?{far}").json["detail"] == "More than 31 days are asked for."


def test_lines_and_targets_tell_their_state(api: Asked) -> None:
    api.inspected()
    api.gate.outbox.disable_target("hmi", "answered 410", api.gate.clock.now())
    lines = {line["name"]: line for line in api.get(f"{API}/lines").json["lines"]}
    assert (lines["smt-1"]["last"]["verdict"], lines["smt-1"]["waiting"]) == ("FAIL", 1)
    assert lines["smt-3"]["last"] is None
    targets = {target["name"]: target for target in api.get(f"{API}/targets").json["targets"]}
    assert targets["hmi"]["disabled"] == "answered 410"
    assert targets["alarm"]["disabled"] is None


def test_an_mes_is_handed_what_was_decided_page_by_page(api: Asked) -> None:
    ids = []
    for number in range(3):
        ids.append(api.inspected(f"uploads/smt-1/aoi/A{number}.png"))
        api.gate.clock.advance(1)
    api.gate.upload("uploads/smt-1/aoi/young.png")
    api.gate.run(UPLOADS)
    address, rows, undecided = f"{API}/exports/inspections.csv?line=smt-1&limit=2", [], 0
    while address:
        answer = ask(f"{api.url}{address}", token=MES)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
        rows += [*csv.DictReader(io.StringIO(answer.body.decode()))]
        undecided += int(answer.headers["linegate-undecided"])
        address = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert [row["inspection_id"] for row in rows] == [each for each in ids for _ in range(2)]
    assert [row["class"] for row in rows[:2]] == ["short", "spur"]
    assert undecided == 1
    messages = api.get(f"{API}/exports/units-inspected.json?line=smt-1&limit=200").json
    assert [UUID(each["MessageBody"]["TransactionId"]).hex for each in messages] == ids
    (defect, *_) = messages[0]["MessageBody"]["InspectedUnits"][0]["Inspections"][0]["DefectsFound"]
    assert defect["DefectImages"][0]["ImageURL"] == f"https://gate.example/pictures/{ids[0]}/annotated?revision=1"
    assert ask(f"{api.url}{API}/exports/inspections.csv?line=smt-1", token=ONE).status == 403
    assert ask(f"{api.url}{API}/exports/inspections.csv?cursor=abc", token=MES).json["type"].endswith("bad-cursor")


def test_a_review_counts_once_however_often_it_is_said(api: Asked) -> None:
    identity = api.inspected()
    said = {"seen": 1, "rulings": [{"index": index, "disposition": "false_call"} for index in (0, 1)]}
    first = api.post(f"{API}/inspections/{identity}/reviews", said)
    assert first.status == 202
    assert api.get(first.headers["location"]).status == 404, "the gate has not come to it yet"
    api.gate.run()
    state = api.get(first.headers["location"]).json
    assert (state["state"], state["revision"], state["verdict"]) == ("counts", 2, "PASS")
    again = api.post(f"{API}/inspections/{identity}/reviews", said)
    assert (again.status, again.json) == (200, state)
    api.gate.run()
    told = api.get(f"{API}/inspections/{identity}").json
    assert (told["revision"], told["decided_by"]) == (2, "mes")
    assert told["revisions"][1]["review"]["origin"] == "api 127.0.0.1"


def test_a_machine_may_speak_for_a_person_and_both_are_named(api: Asked) -> None:
    identity = api.inspected()
    said = {"seen": 1, "rulings": [{"index": 0, "disposition": "true_defect"}], "author": "Ada"}
    api.post(f"{API}/inspections/{identity}/reviews", said)
    api.gate.run()
    assert api.get(f"{API}/inspections/{identity}").json["decided_by"] == "Ada (mes)"


def test_who_comes_second_is_told_who_was_first_and_their_word_is_kept(api: Asked) -> None:
    identity = api.inspected()
    api.gate.answer(identity, "Ada", rulings=(Ruling(0, Disposition.TRUE_DEFECT),))
    api.gate.run()
    said = {"seen": 1, "rulings": [{"index": index, "disposition": "false_call"} for index in (0, 1)]}
    answer = api.post(f"{API}/inspections/{identity}/reviews", said)
    assert (answer.status, answer.json["first"]) == (409, "person:Ada")
    assert answer.json["detail"] == "Ada was first: revision 2 is FAIL. Look again."
    api.gate.run()
    (refusal,) = api.get(f"{API}/inspections/{identity}").json["refusals"]
    assert refusal["reason"] == answer.json["detail"], "the gate says the same as was foretold"
    assert api.get(answer.json["look"]).json["state"] == "refused"
    assert api.post(f"{API}/inspections/{identity}/reviews", said).status == 409


def test_what_was_left_out_is_named_at_once(api: Asked) -> None:
    identity = api.inspected()
    answer = api.post(
        f"{API}/inspections/{identity}/reviews", {"seen": 1, "rulings": [{"index": 0, "disposition": "false_call"}]}
    )
    assert (answer.status, answer.json["detail"]) == (409, "Nothing is said of finding 1.")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("inspections?verdikt=FAIL", "bad-parameter"),
        ("inspections?verdict=GOOD", "bad-parameter"),
        ("inspections?verdict=FAIL&verdict=PASS", "bad-parameter"),
        ("inspections?since=1772366400", "bad-parameter"),
        ("inspections?since=2026-03-01T12:00:00", "bad-parameter"),
        ("inspections?limit=201", "bad-parameter"),
        ("inspections?cursor=abc", "bad-cursor"),
        ("counts", "bad-parameter"),
        ("counts?since=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z", "bad-parameter"),
        ("lines?line=smt-1", "bad-parameter"),
        ("inspections/abc", "no-inspection"),
        ("inspections/" + "0" * 32, "no-inspection"),
    ],
)
def test_what_is_wrong_is_named_with_what_mends_it(api: Asked, path: str, kind: str) -> None:
    answer = api.get(f"{API}/{path}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == f"urn:linegate:problem:{kind}"
    assert answer.json["mend"]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"seen": 0},
        {"seen": "1"},
        {"seen": 1, "verdict": "PASS"},
        {"seen": 1, "rulings": [{"index": 0, "disposition": "fine"}]},
        {"seen": 1, "rulings": [{"index": 0, "disposition": "accepted"}] * 2},
        {"seen": 1, "missed": [{"class": "sh\u202eort"}]},
        {"seen": 1, "missed": [{"class": "short", "box": {"x": 1, "y": 1, "width": 0, "height": 1}}]},
        {"seen": 1, "comment": "x" * 1001},
        {"seen": 1, "author": "Machine\n"},
    ],
)
def test_a_review_that_can_not_be_understood_is_refused_and_not_kept(api: Asked, said: dict[str, Any]) -> None:
    identity = api.inspected()
    answer = api.post(f"{API}/inspections/{identity}/reviews", said)
    assert answer.status == 422
    api.gate.run()
    assert not api.get(f"{API}/inspections/{identity}").json["refusals"]


def test_without_a_token_anybody_may_look_where_nobody_is_kept_out_but_not_decide(api: Asked) -> None:
    identity = api.inspected()
    assert api.get(f"{API}/inspections", token="").status == 200
    answer = api.post(f"{API}/inspections/{identity}/reviews", {"seen": 1}, token="")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="linegate"')


def test_a_token_does_what_it_may_and_no_more(api: Asked) -> None:
    identity = api.inspected()
    assert api.get(f"{API}/inspections", token=MES[:-1]).status == 401
    assert api.get(f"{API}/inspections", token=CAMERA).status == 403, "who uploads does not look for that"
    assert api.post(f"{API}/inspections/{identity}/reviews", {"seen": 1}, token=LOOKER).status == 403
    assert ask(f"{api.url}/", token=MES).status == 403, "pages are for people"


def test_a_token_of_one_line_knows_of_no_other(api: Asked) -> None:
    hidden, shown = api.inspected(), api.inspected("uploads/smt-2/aoi/B.png")
    assert [each["inspection_id"] for each in api.get(f"{API}/inspections", ONE).json["items"]] == [shown]
    assert api.get(f"{API}/inspections?line=smt-1", ONE).status == 403
    assert api.get(f"{API}/inspections/{hidden}", ONE).status == 404
    assert api.get(f"{API}/inspections/{shown}", ONE).status == 200
    assert [line["name"] for line in api.get(f"{API}/lines", ONE).json["lines"]] == ["smt-2"]
    assert api.get(f"{API}/waiting?line=smt-1", ONE).status == 403
    assert api.get(f"{API}/targets", ONE).status == 403
    for which in ("upload", "annotated", "whole/crop", "findings/0/crop", "heatmap/0"):
        assert ask(f"{api.url}/pictures/{hidden}/{which}", token=ONE).status == 404
        assert ask(f"{api.url}/pictures/{hidden}/{which}", token=CAMERA).status == 403, "who uploads does not look"


def test_health_is_told_to_anybody_by_any_name_and_tells_nothing(api: Asked) -> None:
    answer = ask(f"{api.url}/healthz", headers={"Host": "10.0.0.7"})
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert ask(f"{api.url}/healthz", token=MES).status == 200


def test_a_store_that_does_not_answer_is_no_answer(api: Asked) -> None:
    def gone(self: MemoryInspections, inspection_id: str) -> None:
        raise TransientError("the disk is gone")

    broken = type("Broken", (MemoryInspections,), {"get": gone})()
    gate = Gate(api.gate.settings, inspections=broken)
    with station(App(gate.settings, gate.context, lambda _: b"")) as url:
        answer = ask(f"{url}{API}/inspections/{'0' * 32}", token=MES)
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert "the disk is gone" in answer.json["detail"]


def test_what_the_server_refuses_is_a_problem_as_well(api: Asked) -> None:
    nowhere = ask(f"{api.url}{API}/nowhere")
    assert (nowhere.status, nowhere.json["type"]) == (404, "urn:linegate:problem:nothing-here")
    method = ask(f"{api.url}{API}/inspections", "DELETE")
    assert method.status == 405
    assert set(method.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_the_file_that_describes_it_is_served_and_kept() -> None:
    kept = json.loads((Path(__file__).parents[2] / "shared/docs/openapi.json").read_text())
    assert kept == json.loads(json.dumps(document())), "run .ci/reference"


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        ("{token: short, may: [look]}", "at least 24"),
        ("{token: " + "x" * 30 + ", may: []}", "may"),
        ("{token: " + "x" * 30 + ", may: [look], lines: [smt-9]}", "no line named 'smt-9'"),
        ("{token: " + "x" * 30 + ", may: [everything]}", "look"),
    ],
)
def test_a_token_that_would_not_do_is_refused_with_the_file(token: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault) as refused:
        parse(f"{CONFIG}station: {{tokens: {{mes: {token}}}}}", Path(), {})
    assert "x" * 30 not in str(refused.value)


def test_a_token_is_a_secret_wherever_it_stands() -> None:
    settings = parse(CONFIG + TOKENS, Path(), {})
    assert {MES, CAMERA} <= settings.confidential
    assert MES not in repr(settings)
    assert "https://gate.example" not in settings.confidential
