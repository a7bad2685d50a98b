"""`linegate qualify`: a study of drawn boards through the whole gate, its page, the plan, and a line's history."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
import structlog

from linegate.adapters.local.queries import SqliteQueries
from linegate.adapters.local.store import SqliteInspections
from linegate.commands.main import main
from linegate.config import load
from linegate.deciders import Decider
from linegate.edge.runtime import open_database
from linegate.inspection import Revision
from linegate.samples import golden_board, jpeg, sample

BOARD = golden_board(11)
FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def pair(folder: Path, name: str, *, labelled: bool, defects: tuple[str, ...] = (), seed: int = 0) -> None:
    """A drawn board in DeepPCB's layout; labelled without a defect it is what an escape looks like."""
    drawn = sample(BOARD, np.random.default_rng(seed), defects)
    (folder / f"{name}_test.jpg").write_bytes(jpeg(drawn.picture))
    (folder / f"{name}_temp.jpg").write_bytes(jpeg(BOARD.picture, 97))
    (folder / f"{name}.txt").write_text("300 300 330 330 2\n" if labelled else "")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "boards"
    folder.mkdir()
    pair(folder, "bad", labelled=True, defects=("short",), seed=1)
    pair(folder, "escape", labelled=True, seed=2)
    pair(folder, "good", labelled=False, seed=3)
    pair(folder, "again", labelled=False, seed=3)  # the same picture as "good"
    return folder


def test_a_study_counts_boards_by_all_their_looks_and_prints_a_page_to_sign(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, page = tmp_path / "study.json", tmp_path / "study.html"
    arguments = ["qualify", str(dataset), "--format", "deeppcb", "--looks", "2", "--seed", "7", "--escape-rate", "0.01"]
    assert main([*arguments, "--json", str(figures), "--page", str(page)]) == 0
    told = capsys.readouterr().out
    report = json.loads(figures.read_text())
    study = report["study"]
    assert (study["bad"], study["good"], study["looks"]) == (2, 1, 2), "one picture is one board"
    assert study["missed"] == ["escape"]
    assert study["table"]["bad"] == {"PASS": 2, "FAIL": 2, "REVIEW": 0, "ERROR": 0}
    assert study["effectiveness"]["right"] == 2
    assert study["kappa_within"] == 1
    assert study["band"] == "unacceptable"
    assert "1 of 2 bad boards passed at any of 2 looks" in told
    assert "An escape rate of 1 % or less with 95 % certainty is not shown" in told
    sheet = page.read_text()
    for text in (*report["statement"], report["dataset"]["sha256"], "seed 7", "signature", "linegate "):
        assert escape(text) in sheet
    assert "size: A4" in sheet
    assert not re.search(r'(src|href)="(?!data:)|<script|url\(', sheet), "it needs nothing but itself"


def test_how_many_boards_a_bound_needs_is_told_before_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qualify", "--plan", "--escape-rate", "0.008", "--certainty", "0.95", "--misses", "1"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^\s*0\s+373\s", told, re.MULTILINE)
    assert re.search(r"^\s*1\s+592\s", told, re.MULTILINE)
    assert "Looks at one picture are no boards" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one of DATASET, --history and --plan"),
        (["boards", "--plan"], "one of DATASET, --history and --plan"),
        (["boards"], "a DATASET needs --format"),
        (["--plan"], "--plan needs --escape-rate"),
        (["--plan", "--escape-rate", "0"], "no number of boards shows an escape rate of 0"),
        (["--history", "--page", "page.html"], "--page is of a DATASET"),
        (["boards", "--format", "yolo", "--looks", "1"], "must be a whole number from 2 to 50"),
    ],
)
def test_what_can_not_be_qualified_is_said_at_once(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["qualify", *arguments])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    assert code == 64
    assert words in capsys.readouterr().err


def test_a_lines_history_tells_what_persons_said_of_boards_that_passed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(FIXTURES / "release-0.1.0", tmp_path / "data")
    file = tmp_path / "linegate.yaml"
    text = "edge: {data: data}\nrecipes: {pcb: {golden: golden.png}}\nlines: {smt-1: {recipe: pcb}}\n"
    file.write_text(text)
    arguments = ["qualify", "--history", "--config", str(file), "--escape-rate", "0.01"]
    with closing(open_database(load(file))) as database:
        assert main(arguments) == 0
        told = capsys.readouterr().out
        assert "No person has decided on any of these boards" in told
        assert "persons' decisions on 299 boards that passed, drawn at random" in told

        store = SqliteInspections(database)
        (good,) = SqliteQueries(database).find("GOOD", 2)
        assert good.revision
        person = Revision(good.revision.number + 1, Decider.person("Ada"), good.deadline, good.revision.decision)
        assert store.commit(replace(good, revision=person), person, [])
        assert main(arguments) == 0
    assert (
        "of 1 boards that passed, persons called 0 bad: at most 95 % of what passes is bad" in capsys.readouterr().out
    )
