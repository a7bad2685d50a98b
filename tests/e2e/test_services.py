"""The gate with Roboflow and Gemini behind it, whole: the vendors' SDKs for real, the services by stand-ins.

The first half is the table in shared/docs/services.md: what the tutorial's own workflow does when something goes wrong, and what
happens here.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from linegate.commands.enable import enable
from linegate.commands.status import collect
from linegate.config import load
from tests.boards import marked_board
from tests.e2e.line import SECRET, Hmi, Line, running
from tests.standins import gemini, roboflow
from tests.standins.roboflow import find_cells
from tests.standins.service import (
    Reply,
    Request,
    Service,
    all_faults,
    always,
    at_random,
    every,
    first,
    hang,
    never,
    status,
)

# The SDK warns of finish reasons that are newer than itself.
pytestmark = pytest.mark.filterwarnings("ignore:.*is not a valid:UserWarning")


@pytest.fixture
def detector() -> Iterator[Service]:
    with Service(roboflow.Workflows(find=find_cells)) as service:
        yield service


@pytest.fixture
def verifier() -> Iterator[Service]:
    with Service(gemini.Model(lambda _: gemini.judged("FAIL"))) as service:
        yield service


Make = Callable[..., Line]


@pytest.fixture
def make(tmp_path: Path, hmi: Hmi, detector: Service, verifier: Service) -> Make:
    """A line that asks both services; `recipe`, `targets` and `sections` change the configuration."""

    def line(
        recipe: dict[str, Any] | None = None,
        targets: dict[str, Any] | None = None,
        edge: dict[str, Any] | None = None,
        **sections: Any,
    ) -> Line:
        pcb = {
            "detector": "roboflow",
            "verifier": "gemini",
            "workflow": {"id": "pcb"},
            "deadline_s": 30,
            "check_budget_s": 10,
        }
        quick = {"data": "data", "settle_ms": 50, "scan_ms": 100, "sweep_s": 0.3}
        quick |= {"retry": {"minimum_s": 0.1, "maximum_s": 0.5}, "workers": {"processes": 1}}
        content = {
            "roboflow": {
                "api_url": detector.url,
                "api_key": roboflow.KEY,
                "workspace": "plant",
                "timeout_s": 2,
                "budget_s": 4,
            },
            "gemini": {"api_url": verifier.url, "api_key": gemini.KEY, "model": gemini.MODEL, "timeout_s": 2},
            "recipes": {"pcb": pcb | (recipe or {})},
            "lines": {"smt-1": {"recipe": "pcb"}},
            "targets": {"hmi": {"url": hmi.url, "secrets": [SECRET]}} | (targets or {}),
            "network": {"private_addresses": ["127.0.0.0/8"]},
            "edge": quick | (edge or {}),
        } | sections
        path = tmp_path / "linegate.yaml"
        path.write_text(yaml.safe_dump(content))
        return Line(tmp_path, load(path))

    return line


def inspect(line: Line, hmi: Hmi, findings: int, serial: str = "A") -> dict[str, Any]:
    with running(line):
        return hmi.wait_for(line.upload(f"smt-1/aoi/{serial}.jpg", marked_board(findings)))


def judge(verifier: Service, *answers: Any) -> None:
    """Give these answers to the crops, in the order in which they ask; then FAIL."""
    left = list(answers)
    verifier.answer = gemini.Model(lambda _: left.pop(0) if left else gemini.judged("FAIL"))


PASS, FAIL = gemini.judged("PASS", "Only dust."), gemini.judged("FAIL", "The track is cut.")


# --- the table


def test_a_board_without_findings_gets_a_verdict_and_a_picture(make: Make, hmi: Hmi) -> None:
    line = make()
    data = inspect(line, hmi, 0)
    assert (data["verdict"], data["inspection_result"], data["fail_count"]) == ("PASS", "PASS", 0)
    with Image.open(line.data / data["annotated_image"]["name"]) as annotated:
        assert annotated.width >= 640


@pytest.mark.parametrize(
    ("said", "verdict"),
    [("Fail", "FAIL"), (" FAIL\n", "FAIL"), (["FAIL"], "REVIEW"), ("FAILED", "REVIEW"), (None, "REVIEW")],
)
def test_a_fail_in_any_spelling_never_passes(make: Make, hmi: Hmi, verifier: Service, said: Any, verdict: str) -> None:
    judge(verifier, gemini.answer(json.dumps({"result": said, "reason": "The track is cut."})))
    assert inspect(make(), hmi, 1)["verdict"] == verdict


@pytest.mark.parametrize("name", sorted(gemini.NO_VERDICTS))
def test_an_answer_that_is_no_verdict_sends_the_board_to_a_person_and_keeps_the_finding(
    make: Make, hmi: Hmi, verifier: Service, name: str
) -> None:
    judge(verifier, PASS, gemini.NO_VERDICTS[name], PASS)
    data = inspect(make(), hmi, 3)
    assert data["verdict"] == "REVIEW"
    assert sorted(defect["result"] for defect in data["defects"]) == ["PASS", "PASS", "UNSURE"]
    assert "A person must look" in data["summary"]


@pytest.mark.parametrize("code", [429, 500, 503])
def test_one_refused_crop_costs_a_moment_not_the_board(make: Make, hmi: Hmi, verifier: Service, code: int) -> None:
    verifier.faults = first(1, status(code))
    data = inspect(make(), hmi, 3)
    assert (data["verdict"], data["fail_count"]) == ("FAIL", 3)


def test_one_crop_refused_for_good_costs_its_own_check_only(make: Make, hmi: Hmi, verifier: Service) -> None:
    verifier.faults = first(1, status(400))
    data = inspect(make(), hmi, 3)
    assert (data["verdict"], data["fail_count"]) == ("FAIL", 2)
    assert [defect["result"] for defect in data["defects"]] == ["FAIL", "FAIL", "UNSURE"]


def test_all_crops_of_a_board_are_asked_about_at_the_same_time(make: Make, hmi: Hmi, verifier: Service) -> None:
    verifier.delay_s = lambda: 1.5
    data = inspect(make(), hmi, 76)
    assert data["fail_count"] == 76
    assert verifier.most_in_flight == 64, "as many as edge.concurrency.verify allows"


def test_the_complete_workflows_results_are_the_checks(
    make: Make, hmi: Hmi, detector: Service, verifier: Service
) -> None:
    results: list[Any] = ["PASS", "Fail", None]
    workflow = roboflow.Workflows(
        find=find_cells, outputs=lambda _: {"crop_results": results, "inspection_result": "PASS"}
    )
    detector.answer = workflow
    data = inspect(make({"verifier": "workflow"}), hmi, 3)
    assert (data["verdict"], [defect["result"] for defect in data["defects"]]) == ("FAIL", ["FAIL", "UNSURE", "PASS"])
    results[1:] = ["PASS", None]
    hmi.received.clear()
    assert inspect(make({"verifier": "workflow"}), hmi, 3, "B")["verdict"] == "REVIEW"
    results[2] = "PASS"
    assert inspect(make({"verifier": "workflow"}), hmi, 3, "C")["verdict"] == "PASS"
    assert verifier.requests == []


# --- faults of all kinds


def test_with_every_tenth_answer_a_503_all_boards_still_get_the_right_verdict(
    make: Make, hmi: Hmi, verifier: Service
) -> None:
    verifier.faults = every(10, status(503))
    line = make()
    with running(line):
        names = {line.upload(f"smt-1/aoi/{number}.jpg", marked_board(number % 5)): number % 5 for number in range(15)}
        for name, findings in names.items():
            data = hmi.wait_for(name)
            assert (data["verdict"], data["fail_count"], data["complete"]) == (
                "FAIL" if findings else "PASS",
                findings,
                True,
            )


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_both_services_do_no_bad_board_passes_and_none_is_lost(
    make: Make, hmi: Hmi, detector: Service, verifier: Service, seed: int
) -> None:
    detector.faults = at_random(0.35, all_faults(), seed)
    verifier.faults = at_random(0.35, all_faults(), seed + 100)
    short = {"timeout_s": 0.4, "budget_s": 1.5}
    line = make(
        {"deadline_s": 6, "check_budget_s": 2},
        roboflow={"api_url": detector.url, "api_key": roboflow.KEY, "workspace": "plant"} | short,
        gemini={"api_url": verifier.url, "api_key": gemini.KEY, "model": gemini.MODEL, "timeout_s": 0.4},
    )
    with running(line):
        names = {line.upload(f"smt-1/aoi/{number}.jpg", marked_board(number % 3)): number % 3 for number in range(18)}
        verdicts = {name: hmi.wait_for(name, 60)["verdict"] for name in names}
    for name, findings in names.items():
        assert verdicts[name] in (("FAIL", "REVIEW") if findings else ("PASS", "REVIEW"))
    assert "FAIL" in verdicts.values()


def test_a_board_whose_detector_hangs_holds_up_no_other(make: Make, hmi: Hmi, detector: Service) -> None:
    detector.faults = first(1, hang)
    line = make()
    with running(line):
        slow = line.upload("smt-1/aoi/SLOW.jpg", marked_board(0))
        end = time.monotonic() + 10
        while not detector.requests:
            assert time.monotonic() < end
            time.sleep(0.01)
        others = [line.upload(f"smt-1/aoi/{number}.jpg", marked_board(0)) for number in range(5)]
        for name in others:
            hmi.wait_for(name)
        heard = [data["image"]["name"] for data in hmi.data()]
        assert slow not in heard
        assert hmi.wait_for(slow)["verdict"] == "PASS"


def test_a_board_whose_checks_hang_holds_up_no_other(make: Make, hmi: Hmi, verifier: Service) -> None:
    verifier.faults = first(8, hang)
    line = make()
    with running(line):
        slow = line.upload("smt-1/aoi/SLOW.jpg", marked_board(8))
        end = time.monotonic() + 10
        while len(verifier.requests) < 8:
            assert time.monotonic() < end
            time.sleep(0.01)
        other = line.upload("smt-1/aoi/B.jpg", marked_board(2))
        assert hmi.wait_for(other)["verdict"] == "FAIL"
        assert slow not in [data["image"]["name"] for data in hmi.data()]
        assert hmi.wait_for(slow)["fail_count"] == 8


def test_a_service_that_only_ever_says_wait_ends_in_review_at_the_deadline(
    make: Make, hmi: Hmi, verifier: Service
) -> None:
    verifier.faults = always(status(429, retry_after="1"))
    data = inspect(make({"check_budget_s": 1, "deadline_s": 5}), hmi, 2)
    assert data["verdict"] == "REVIEW"
    assert "quota" in data["defects"][0]["reason"]
    assert 2 < len(verifier.requests) <= 2 * 6, "it was asked as seldom as it wished"


def test_a_quota_that_comes_back_before_the_deadline_costs_time_and_no_verdict(
    make: Make, hmi: Hmi, verifier: Service
) -> None:
    """Longer than one check may take, and more often than a message may fail."""
    verifier.faults = first(16, status(429, retry_after="0"))
    line = make({"check_budget_s": 0.2, "deadline_s": 30}, edge={"retry": {"minimum_s": 0.1, "attempts": 5}})
    data = inspect(line, hmi, 2)
    assert (data["verdict"], data["complete"], data["fail_count"], data["revision"]) == ("FAIL", True, 2, 1)
    assert len(verifier.requests) > 16


def test_a_wrong_key_is_review_at_the_deadline_and_corrected_once_it_is_mended(
    make: Make, hmi: Hmi, detector: Service
) -> None:
    right = {"api_url": detector.url, "api_key": roboflow.KEY, "workspace": "plant", "timeout_s": 1, "budget_s": 1}
    line = make({"deadline_s": 1.5, "check_budget_s": 1}, roboflow=right | {"api_key": "another-key"})
    with running(line):
        name = line.upload("smt-1/aoi/A.jpg", marked_board(2))
        data = hmi.wait_for(name)
    assert (data["verdict"], data["complete"], data["corrects"]) == ("REVIEW", False, None)
    assert "check roboflow.api_key" in data["reasons"][0]
    hmi.received.clear()
    with running(make({"deadline_s": 1.5, "check_budget_s": 1}, roboflow=right)):
        corrected = hmi.wait_for(name)
    assert (corrected["verdict"], corrected["revision"], corrected["complete"]) == ("FAIL", 2, True)
    assert corrected["corrects"] == {"revision": 1, "verdict": "REVIEW"}


# --- policies


def test_policies_of_the_recipe_spare_checks_and_ignore_zones(
    make: Make, hmi: Hmi, detector: Service, verifier: Service
) -> None:
    found = [
        roboflow.prediction(20, 20, 10, 10, "short", 0.5),  # in the ignored corner
        roboflow.prediction(300, 300, 10, 10, "short", 0.99),  # sure enough
        roboflow.prediction(400, 300, 10, 10, "spur", 0.35),  # below its class's minimum
        roboflow.prediction(500, 300, 10, 10, "missing_hole", 0.6),  # needs no check
        roboflow.prediction(600, 300, 10, 10, "scratch", 0.6),  # nobody has heard of
    ]
    detector.answer = roboflow.Workflows(find=roboflow.fixed(*found))
    classes = {
        "short": {"auto_fail_above": 0.95},
        "spur": {"minimum_confidence": 0.4},
        "missing_hole": {"verify": "never"},
    }
    data = inspect(make({"classes": classes, "ignore": [{"left": 0, "top": 0, "right": 0.1, "bottom": 0.1}]}), hmi, 0)
    assert sorted(defect["class"] for defect in data["defects"]) == ["missing_hole", "scratch", "short"]
    assert len(verifier.requests) == 1
    flagged = [defect for defect in data["defects"] if "note" in defect]
    assert [(defect["class"], defect["note"]) for defect in flagged] == [("scratch", "this class is not in the recipe")]


# --- targets


def test_targets_that_hang_hold_up_neither_the_board_nor_each_other(make: Make, hmi: Hmi) -> None:
    with Service(lambda _: Reply(204, b""), faults=always(hang)) as dead:
        names = [f"dead-{number}" for number in range(12)]
        line = make(targets={name: {"url": dead.url, "secrets": [SECRET], "timeout_s": 4} for name in names})
        with running(line):
            uploads = [line.upload(f"smt-1/aoi/{number}.jpg", marked_board(0)) for number in range(6)]
            for name in uploads:
                hmi.wait_for(name, 3)
            assert len(dead.requests) >= 12
            dead.faults = never


def test_a_target_that_is_gone_is_disabled_and_what_was_held_is_sent_once_it_is_enabled(
    make: Make, hmi: Hmi, capsys: pytest.CaptureFixture[str]
) -> None:
    with Service(lambda _: Reply(204, b"")) as other:
        other.faults = always(status(410))
        line = make(targets={"mes": {"url": other.url, "secrets": [SECRET]}})
        with running(line) as runtime:
            for number in range(3):
                hmi.wait_for(line.upload(f"smt-1/aoi/{number}.jpg", marked_board(0)))
            end = time.monotonic() + 10
            while (
                not (state := collect(runtime.database))["undelivered"] or state["undelivered"][0]["notifications"] < 3
            ):
                assert time.monotonic() < end, state
                time.sleep(0.05)
            assert state["undelivered"][0]["state"] == "HELD"
            assert [target["target"] for target in state["disabled_targets"]] == ["mes"]
            assert "410" in state["disabled_targets"][0]["reason"]
            asked = len(other.requests)
            assert asked <= 3
            other.faults = never
            assert enable(runtime.app.context, "mes") == 0
            while len({request.headers["webhook-id"] for request in other.requests[asked:]}) < 3:
                assert time.monotonic() < end + 10
                time.sleep(0.05)
            while collect(runtime.database)["undelivered"]:
                assert time.monotonic() < end + 10
                time.sleep(0.05)
        assert "3 held notifications" in capsys.readouterr().out


def test_slack_hears_of_the_board_and_of_the_correction(
    make: Make, hmi: Hmi, detector: Service, verifier: Service
) -> None:
    said: list[Any] = []

    def slack(request: Request) -> Reply:
        said.append(request.json())
        return Reply(200, b"ok")

    with Service(slack) as channel:
        # One verifier at work, so that the last check comes after the deadline.
        recipe, targets = {"deadline_s": 2, "check_budget_s": 1.9}, {"slack": {"type": "slack", "url": channel.url}}
        service = {
            "api_url": detector.url,
            "api_key": roboflow.KEY,
            "workspace": "plant",
            "timeout_s": 1,
            "budget_s": 1.5,
        }
        line = make(recipe, targets, {"concurrency": {"verify": 1}}, roboflow=service)
        verifier.delay_s = lambda: 0.8
        judge(verifier, PASS, PASS, PASS, FAIL)
        with running(line):
            line.upload("smt-1/aoi/A.jpg", marked_board(4))
            end = time.monotonic() + 20
            while len(said) < 2:
                assert time.monotonic() < end, said
                time.sleep(0.05)
    one, two = said
    assert one["text"].startswith("REVIEW  A  (line smt-1)")
    assert two["text"].startswith("Correction: FAIL  A  (line smt-1)")
    assert "This corrects revision 1, which said REVIEW." in json.dumps(two["blocks"])
