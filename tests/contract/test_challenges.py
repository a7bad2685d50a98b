"""The contract of the port Challenges."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from linegate.adapters.gcp.firestore import FirestoreChallenges
from linegate.adapters.local.database import Database
from linegate.adapters.local.store import SqliteChallenges
from linegate.challenges import Challenge
from linegate.ports import Challenges
from tests.fakes import START, MemoryChallenges

FIRST = Challenge("smt-1", "pcb", "0123456789abcdef", START, boards=5)


@pytest.fixture(params=["sqlite", "memory", "firestore"])
def challenges(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Challenges]:
    if request.param == "memory":
        yield MemoryChallenges()
    elif request.param == "firestore":
        yield FirestoreChallenges(request.getfixturevalue("firestore"))
    else:
        with closing(Database(tmp_path / "linegate.db")) as database:
            yield SqliteChallenges(database)


def test_a_line_without_any_has_none(challenges: Challenges) -> None:
    assert challenges.of("smt-1") == []
    challenges.record(FIRST)
    assert challenges.of("smt-2") == []


def test_what_was_recorded_is_there_at_once_for_who_recorded_it(challenges: Challenges) -> None:
    assert challenges.of("smt-1") == []
    challenges.record(FIRST)
    assert challenges.of("smt-1") == challenges.of("smt-1", fresh=True) == [FIRST]


def test_the_last_one_of_a_line_recipe_and_setup_counts_whatever_its_time(challenges: Challenges) -> None:
    """Else one that a wrong clock put into the future would stand for good."""
    challenges.record(FIRST)
    second = replace(FIRST, at=START - timedelta(days=1), passed=2)
    challenges.record(second)
    assert challenges.of("smt-1") == [second]


def test_others_stand_beside_it(challenges: Challenges) -> None:
    others = [FIRST, replace(FIRST, recipe="other"), replace(FIRST, setup="f" * 16), replace(FIRST, line="smt-2")]
    for one in others:
        challenges.record(one)
    assert set(challenges.of("smt-1")) == set(others[:3])
    assert challenges.of("smt-2") == others[3:]


def test_sqlite_keeps_it_over_a_restart(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "linegate.db")) as database:
        SqliteChallenges(database).record(FIRST)
    with closing(Database(tmp_path / "linegate.db")) as database:
        assert SqliteChallenges(database).of("smt-1") == [FIRST]
