"""The commands around the services: `workflow`, `doctor`, `webhook-listen`, `enable`, and `inspect` with Roboflow."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from linegate.adapters.exchange import Http
from linegate.adapters.local.database import Database
from linegate.adapters.local.store import SqliteOutbox
from linegate.adapters.targets.endpoint import Endpoint
from linegate.adapters.targets.webhook import WebhookTarget
from linegate.commands.cost import prices_of
from linegate.commands.main import main
from linegate.errors import TransientError
from tests.boards import clean_board, marked_board
from tests.e2e.line import SECRET
from tests.standins import gemini, roboflow
from tests.standins.service import Reply, Service, always, body, status

OTHER = "whsec_" + "B" * 43 + "="


@pytest.fixture
def services() -> Iterator[dict[str, Service]]:
    detector, verifier = Service(roboflow.Workflows(find=roboflow.find_cells)), Service(gemini.Model())
    hmi = Service(lambda _: Reply(204, b""))
    with detector, verifier, hmi:
        yield {"detector": detector, "verifier": verifier, "hmi": hmi}


@pytest.fixture
def configure(tmp_path: Path, services: dict[str, Service]) -> Callable[..., Path]:
    def write(**changes: Any) -> Path:
        (tmp_path / "golden.png").write_bytes(clean_board())
        where = {"api_url": services["detector"].url, "workspace": "plant", "timeout_s": 2, "budget_s": 2.5}
        recipe = {"detector": "roboflow", "verifier": "gemini", "workflow": {"id": "pcb"}, "check_budget_s": 2.5}
        content = {
            "roboflow": where | {"api_key": "${ROBOFLOW_API_KEY}"},
            "gemini": {
                "api_url": services["verifier"].url,
                "api_key": gemini.KEY,
                "model": gemini.MODEL,
                "timeout_s": 2,
            },
            "recipes": {"pcb": recipe | {"golden": "golden.png"}},
            "lines": {"smt-1": {"recipe": "pcb"}},
            "targets": {
                "hmi": {"url": services["hmi"].url, "secrets": [SECRET]},
                "slack": {"type": "slack", "url": services["hmi"].url},
            },
            "network": {"private_addresses": ["127.0.0.1"]},
        }
        for key, value in changes.items():
            content[key] = content.get(key, {}) | value
        path = tmp_path / "linegate.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ROBOFLOW_API_KEY", roboflow.KEY)
    yield
    structlog.reset_defaults()  # the commands set up the logs of their own process, which is this one here


# --- workflow


@pytest.mark.parametrize(("name", "steps"), [("detect", 1), ("complete", 9)])
def test_workflow_show_prints_a_definition_for_the_users_model(
    capsys: pytest.CaptureFixture[str], name: str, steps: int
) -> None:
    assert main(["workflow", "show", name, "--model-id", "my-pcb/3"]) == 0
    definition = json.loads(capsys.readouterr().out)
    assert len(definition["steps"]) == steps
    models = [step["model_id"] for step in definition["steps"] if "model_id" in step]
    assert models == ["my-pcb/3"]
    assert "predictions" in {output["name"] for output in definition["outputs"]}


def test_workflow_show_refuses_what_is_no_model_id(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflow", "show", "--model-id", "my-pcb"]) == 64
    assert "PROJECT/VERSION" in capsys.readouterr().err


# --- inspect


def test_inspect_tries_the_workflow_on_one_picture(
    configure: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], services: dict[str, Service]
) -> None:
    (tmp_path / "board.jpg").write_bytes(marked_board(2))
    config = configure(recipes={"pcb": {"detector": "roboflow", "verifier": "none", "workflow": {"id": "pcb"}}})
    assert main(["inspect", str(tmp_path / "board.jpg"), "--config", str(config), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["verdict"], report["detector"], report["fail_count"]) == ("FAIL", "roboflow:plant/pcb", 2)
    assert services["hmi"].requests == [], "trying notifies nobody"


# --- doctor


def findings(capsys: pytest.CaptureFixture[str], config: Path, *more: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--config", str(config), "--json", *more])
    return code, {finding["part"]: finding for finding in json.loads(capsys.readouterr().out)}


def test_doctor_finds_a_sound_configuration_sound(
    configure: Callable[..., Path], capsys: pytest.CaptureFixture[str], services: dict[str, Service]
) -> None:
    code, found = findings(capsys, configure())
    assert code == 0, found
    assert set(found) == {
        "configuration", "edge.data", "clock", "recipes.pcb.golden", "recipes.pcb.detector", "recipes.pcb.verifier",
        "targets.hmi", "targets.slack",
    }  # fmt: skip
    assert all(finding["sound"] and not finding["mend"] for finding in found.values())
    assert "answered" in found["recipes.pcb.detector"]["said"]
    assert "stand-in-flash-001" in found["recipes.pcb.verifier"]["said"]
    assert {request.method for request in services["hmi"].requests} == {"HEAD"}, "nobody is sent an event unasked"


@pytest.mark.parametrize(
    ("name", "listed", "said"),
    [
        ("gemini-3-flash-preview", ("gemini-3.6-flash",), "does not have it: take gemini-3.6-flash, which it has"),
        (
            "gemini-3-flash-preview",
            ("gemini-3.5-flash-lite",),
            "does not have it: take gemini-3.5-flash-lite, which it has",
        ),
        ("gemini-3-flash-preview", (), "does not have it: take gemini-3.6-flash"),
        ("gemini-2.5-flash", ("gemini-2.5-flash",), "Google lists it, but names gemini-3.5-flash-lite in its place"),
    ],
)
def test_doctor_asks_the_list_of_models_and_says_which_to_take(
    configure: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    services: dict[str, Service],
    name: str,
    listed: tuple[str, ...],
    said: str,
) -> None:
    model = services["verifier"].answer
    assert isinstance(model, gemini.Model)
    model.listed = listed
    code, found = findings(capsys, configure(gemini={"model": name}))
    assert code == 1
    assert said in found["recipes.pcb.verifier"]["said"]


def test_doctor_says_of_each_fault_what_to_do(
    configure: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    services: dict[str, Service],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROBOFLOW_API_KEY", "wrong")
    config = configure(
        gemini={"model": "retired"},
        targets={
            "hmi": {"url": "http://127.0.0.1:1/", "secrets": [SECRET]},
            "mes": {"url": "https://no.invalid/", "secrets": [SECRET]},
        },
    )
    (config.parent / "golden.png").unlink()
    code, found = findings(capsys, config)
    assert code == 1
    faulty = {part: finding for part, finding in found.items() if not finding["sound"]}
    assert set(faulty) == {
        "recipes.pcb.golden",
        "recipes.pcb.detector",
        "recipes.pcb.verifier",
        "targets.hmi",
        "targets.mes",
    }
    assert "No such file" in faulty["recipes.pcb.golden"]["said"]
    assert "check roboflow.api_key" in faulty["recipes.pcb.detector"]["said"]
    assert "set gemini.model to" in faulty["recipes.pcb.verifier"]["said"]
    assert "Connection refused" in faulty["targets.hmi"]["said"]
    assert "host name" in faulty["targets.mes"]["said"]
    assert all(finding["mend"] for finding in faulty.values())


def test_doctor_tells_a_model_whose_answers_can_not_be_used(
    configure: Callable[..., Path], capsys: pytest.CaptureFixture[str], services: dict[str, Service]
) -> None:
    services["verifier"].answer = gemini.Model(lambda _: gemini.answer("Looks fine!"))
    services["detector"].faults = always(body(b'{"outputs": [{"boxes": []}]}'))
    code, found = findings(capsys, configure())
    assert code == 1
    assert "not JSON" in found["recipes.pcb.verifier"]["said"]
    assert "its outputs are: 'boxes'" in found["recipes.pcb.detector"]["said"]


def test_doctor_knows_a_clock_that_is_wrong(
    configure: Callable[..., Path], capsys: pytest.CaptureFixture[str], services: dict[str, Service]
) -> None:
    services["detector"].faults = always(status(200, date="Sun, 01 Mar 2026 12:00:00 GMT"))
    _, found = findings(capsys, configure())
    assert not found["clock"]["sound"]
    assert "ahead of that of http://127.0.0.1" in found["clock"]["said"]
    assert "NTP" in found["clock"]["mend"]


def test_doctor_sends_a_test_message_when_asked(
    configure: Callable[..., Path], capsys: pytest.CaptureFixture[str], services: dict[str, Service]
) -> None:
    code, _ = findings(capsys, configure(), "--send")
    assert code == 0
    webhook, slack = (request for request in services["hmi"].requests if request.method == "POST")
    assert webhook.json()["type"] == "linegate.test"
    assert "webhook-signature" in webhook.headers
    assert slack.json()["text"] == "This is a test of Linegate."


def test_doctor_speaks_to_people_and_reports_a_disabled_target(
    configure: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure()
    with closing(Database(config.parent / "linegate-data" / "linegate.db")) as database:
        SqliteOutbox(database).disable_target("hmi", "it answered 410", datetime.now(UTC))
    assert main(["doctor", "--config", str(config)]) == 1
    said = capsys.readouterr().out
    assert "FAULT  targets.hmi: it is disabled: it answered 410" in said
    assert "linegate enable hmi" in said
    assert main(["enable", "hmi", "--config", str(config)]) == 0
    assert main(["doctor", "--config", str(config)]) == 0
    assert main(["enable", "nobody", "--config", str(config)]) == 64
    assert "there is hmi, slack" in capsys.readouterr().err


# --- webhook-listen


@pytest.fixture
def listening() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def listen(*arguments: str) -> subprocess.Popen[str]:
        code = "from linegate.commands.main import main; raise SystemExit(main())"
        command = [sys.executable, "-c", code, "webhook-listen", "--port", "0", *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield listen
    for process in started:
        process.kill()
        process.communicate()


def test_webhook_listen_verifies_and_prints(listening: Callable[..., subprocess.Popen[str]]) -> None:
    process = listening("--secret", SECRET)
    assert process.stdout is not None
    url = process.stdout.readline().split()[2]
    event = {
        "type": "inspection.decided",
        "data": {
            "line": "smt-1",
            "station": "aoi",
            "serial": "A1",
            "verdict": "FAIL",
            "revision": 1,
            "summary": "1 defect.",
        },
    }
    good, forged = (WebhookTarget(Endpoint(url, Http(), 5), [secret]) for secret in (SECRET, OTHER))
    for _ in range(2):
        good.send("id-1", json.dumps(event), datetime.now(UTC))
    with pytest.raises(TransientError, match="401"):
        forged.send("id-2", json.dumps(event), datetime.now(UTC))
    lines = [process.stdout.readline() for _ in range(3)]
    assert "verified  FAIL  smt-1/aoi/A1  r1  1 defect." in lines[0]
    assert "repeat" in lines[1]
    assert "refused  no signature fits; check the secret" in lines[2]
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(10) == 130


def test_webhook_listen_refuses_a_bad_secret_and_a_taken_port(capsys: pytest.CaptureFixture[str]) -> None:
    with Service(lambda _: Reply(204)) as taken:
        port = taken.url.rsplit(":", 1)[1]
        assert main(["webhook-listen", "--secret", SECRET, "--port", port]) == 64
    assert "can't listen on 127.0.0.1" in capsys.readouterr().err
    assert main(["webhook-listen", "--secret", "short"]) == 64
    assert "--secret must" in capsys.readouterr().err


# --- cost


def test_cost_counts_what_a_thousand_boards_use(
    configure: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def costs(*arguments: str) -> dict[str, float]:
        assert main(["cost", "--config", str(configure()), "--json", *arguments]) == 0
        figures: dict[str, float] = json.loads(capsys.readouterr().out)["per_thousand_boards"]
        return figures

    usual, twice = costs("--crops", "3"), costs("--crops", "6")
    services = {"Roboflow", "Gemini", "Pub/Sub", "Cloud Storage", "Firestore", "Cloud Run", "Egress", "Logging"}
    assert services < set(usual)
    assert usual["Cloud Storage, pictures kept"] == max(
        cost for who, cost in usual.items() if who not in ("Roboflow", "Gemini")
    )
    for argument in ("--uploads-days", "--results-days", "--picture-mb"):
        assert costs(argument, "1")["Cloud Storage, pictures kept"] < usual["Cloud Storage, pictures kept"]
    # 3000 crops of 220 + 2 x 1120 tokens at $1.50, and 150 at $7.50, per million
    assert usual["Gemini"] == pytest.approx(3000 * (2460 * 1.5 + 150 * 7.5) / 1e6)
    assert twice["Gemini"] == pytest.approx(2 * usual["Gemini"])
    assert twice["Roboflow"] == usual["Roboflow"]
    assert main(["cost", "--config", str(configure()), "--warm", "1"]) == 0
    out = capsys.readouterr().out
    assert "in all" in out
    assert "warm instances, a month" in out
    assert "list price as of 2026-11: storage, egress" in out
    for prices in ("gemini: {}", "gemini: " + "9" * 5000, "gemini: " + "9" * 400):
        (tmp_path / "prices.yaml").write_text(prices)
        assert main(["cost", "--config", str(configure()), "--prices", str(tmp_path / "prices.yaml")]) == 64
    assert "can't be used" in capsys.readouterr().err


def test_every_price_says_where_it_stands_and_as_of_when() -> None:
    listed = prices_of(None)
    assert listed["sources"].keys() == listed.keys() - {"sources"}
    assert all(source["page"].startswith("https://") and source["as_of"] for source in listed["sources"].values())


def test_the_table_of_costs_in_the_docs_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[2]
    page = (root / "shared" / "docs" / "cloud.md").read_text()
    typed = next(line for line in page.splitlines() if line.startswith("    uv run linegate cost"))
    arguments = typed.split()[3:]
    arguments[arguments.index("--config") + 1] = str(root / "terraform" / "envs" / "prod.yaml")
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {**told["per_thousand_boards"], "**in all**": sum(told["per_thousand_boards"].values())}
    rows["warm instances, a month"] = told["warm_instances_a_month"]
    for who, dollars in rows.items():
        assert f"| {who} | {dollars:.2f} |" in page, "type the command and take its figures"
