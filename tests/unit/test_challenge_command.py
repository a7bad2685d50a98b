"""What `linegate challenge` plants, puts through a gate on Google Cloud, and puts down."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linegate import bootstrap
from linegate.challenges import Challenge
from linegate.commands.challenge import Bad, _InCloud, _records, _through
from linegate.config import parse
from linegate.events import to_message
from linegate.inspection import ObjectRef, Verdict
from linegate.messages import ImageUploaded
from linegate.samples import golden_board
from linegate.samples.planted import planted
from linegate.stages import UPLOADS
from tests.fakes import START, MemoryImages
from tests.harness import CONFIG, Gate, picture

TEXT = CONFIG.replace("smt-2: {recipe: trusting}", "smt-2: {recipe: trusting, challenge_every: 8h}")


@dataclass
class Bucket(MemoryImages):
    """Tells the gate of what is uploaded, as Cloud Storage does."""

    gate: Gate | None = field(default=None, repr=False)
    finds: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def write(self, bucket: str, name: str, data: bytes, content_type: str) -> int:
        generation = super().write(bucket, name, data, content_type)
        if bucket == "uploads" and self.gate:
            self.gate.finds(*self.finds.get(name.rpartition("/")[2], ()))
            event = ImageUploaded(ObjectRef(bucket, name, generation), len(data), self.gate.clock.now(), {})
            self.gate.bus.publish(UPLOADS, [to_message(event)])
            self.gate.run()
        return generation


@contextmanager
def cloud(**finds: tuple[str, ...]) -> Iterator[tuple[Gate, _InCloud]]:
    bucket = Bucket(finds={f"{name}.png": classes for name, classes in finds.items()})
    gate = Gate(settings=parse(TEXT, Path(), {}), images=bucket)
    bucket.gate = gate
    app = bootstrap.App(gate.settings, gate.context, lambda _: b"")
    way = _InCloud(app, "smt-2-challenge", "challenge")
    way.patience_s = 0.3
    yield gate, way


def boards(*names: str) -> list[Bad]:
    return [Bad(f"{name}.png", picture()) for name in names]


def test_on_google_cloud_what_was_failed_is_put_down_by_the_gates_own_clock() -> None:
    with cloud(a=("short",), b=("spur",)) as (gate, way):
        came = _through(way, boards("a", "b"))
        (record,) = _records("smt-2", came)
        (setup,) = {one.manifest.setup for one in came.values() if one and one.manifest}
        assert record == Challenge("smt-2", "trusting", setup, START, boards=2)
        assert gate.told("hmi") == []


def test_a_board_that_passed_is_put_down_and_one_that_nobody_knows_of_changes_nothing() -> None:
    with cloud(a=("short",)) as (_, way):
        (record,) = _records("smt-2", _through(way, boards("a", "b")))
        assert (record.boards, record.passed) == (2, 1)
        came = _through(way, boards("a"))
        assert _records("smt-2", {**came, Bad("late.png", b""): None}) == []
        broken = _through(way, [Bad("a.png", b"no picture")])
        assert [one.revision.decision.verdict for one in broken.values() if one and one.revision] == [Verdict.ERROR]
        assert _records("smt-2", broken) == []


def test_a_gate_that_does_not_answer_is_waited_for_no_longer_than_its_deadline() -> None:
    with cloud() as (gate, way):
        assert isinstance(gate.images, Bucket)
        gate.images.gate = None
        assert list(_through(way, boards("a")).values()) == [None]


def test_each_planted_picture_differs_at_one_place_and_no_two_alike() -> None:
    golden = golden_board(3).picture
    made = planted(golden, 4, seed=1)
    for one in made:
        assert one.shape == golden.shape
        differs = np.abs(one.astype(int) - golden).max(2) > 25
        rows, columns = np.nonzero(differs)
        assert 20 < len(rows) < 0.01 * differs.size
        assert np.ptp(rows) < 50
        assert np.ptp(columns) < 50
    assert len({one.tobytes() for one in made}) == 4
    assert np.array_equal(made[0], planted(golden, 4, seed=1)[0])


@pytest.mark.parametrize("size", [(640, 480), (20, 20)])
def test_nothing_is_planted_where_nothing_shows(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="shows nothing"):
        planted(np.asarray(Image.new("RGB", size, "green")), 1, seed=1)
