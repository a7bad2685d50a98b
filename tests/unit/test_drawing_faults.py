"""No verdict fails for its picture: it is drawn again once, and where that is no use the revision says why there is none."""

from dataclasses import dataclass, field

import pytest

from linegate.errors import TransientError
from linegate.inspection import Inspection, Revision
from linegate.messages import ImageUploaded
from linegate.stages import NOTIFICATIONS, UPLOADS
from tests.fakes import Crash, MemoryImages
from tests.harness import Gate


@dataclass
class Faulty(MemoryImages):
    """Each of the faults is raised by one attempt to store a new annotated picture, then by one to write over one."""

    faults: list[BaseException] = field(default_factory=list)
    over: list[BaseException] = field(default_factory=list)
    creations: int = 0

    def create(self, bucket: str, name: str, data: bytes, content_type: str) -> bool:
        self.creations += 1
        if self.faults:
            raise self.faults.pop()
        return super().create(bucket, name, data, content_type)

    def write(self, bucket: str, name: str, data: bytes, content_type: str) -> int:
        if bucket == "results" and self.over:
            raise self.over.pop()
        return super().write(bucket, name, data, content_type)


def decided(*faults: BaseException) -> tuple[Gate, Faulty, Revision, Inspection]:
    images = Faulty(faults=list(faults))
    gate = Gate(images=images)
    upload = gate.upload()
    gate.run()
    board = gate.board(upload)
    assert board.revision is not None and board.revision.decision.verdict.value == "PASS"
    return gate, images, board.revision, board


@pytest.mark.parametrize("fault", [TransientError("the bucket is away"), OSError("the disk is busy")])
def test_what_passes_by_itself_costs_no_picture(fault: Exception) -> None:
    _, images, revision, board = decided(fault)
    assert images.names("results") == {revision.annotated} == {f"results/{board.inspection_id}/r1.jpg"}
    assert revision.annotated_why == ""


def test_what_lasts_is_said_in_place_of_the_picture() -> None:
    gate, images, revision, _ = decided(TransientError("the bucket is away"), TransientError("the bucket is away"))
    assert (revision.annotated, revision.annotated_why) == ("", "the bucket is away")
    assert images.names("results") == set()
    assert [told["verdict"] for told in gate.told("hmi")] == ["PASS"]


@pytest.mark.parametrize(("fault", "why"), [(ValueError("no such font"), "no such font"), (MemoryError(), "memory")])
def test_what_no_second_attempt_mends_has_none(fault: Exception, why: str) -> None:
    _, images, revision, _ = decided(fault)
    assert images.creations == 1
    assert revision.annotated == "" and why in revision.annotated_why


def died(gate: Gate, upload: ImageUploaded) -> str:
    """Somebody who lost had drawn first; the winner dies before the picture is theirs. Returns its name."""
    name = f"results/{upload.image.inspection_id}/r1.jpg"
    gate.images.create("results", name, b"of fewer checks", "")
    assert isinstance(gate.images, Faulty)
    gate.images.over = [Crash()]
    (event,) = gate.bus.take(UPLOADS)
    with pytest.raises(Crash):
        gate.handle(UPLOADS, event)
    gate.bus.publish(UPLOADS, [event])
    return name


def test_who_comes_again_after_dying_beside_another_ones_picture_puts_theirs_there() -> None:
    gate = Gate(images=Faulty())
    upload = gate.upload()
    name = died(gate, upload)
    gate.run(UPLOADS)
    assert gate.images.objects["results", name][1][:3] == b"\xff\xd8\xff"
    gate.run(NOTIFICATIONS)
    assert [told["verdict"] for told in gate.told("hmi")] == ["PASS"]


def test_where_that_can_not_be_drawn_any_more_the_notification_goes_out_all_the_same() -> None:
    gate = Gate(images=Faulty())
    upload = gate.upload()
    died(gate, upload)
    del gate.images.objects["uploads", upload.image.name]
    gate.run()
    assert [told["verdict"] for told in gate.told("hmi")] == ["PASS"]
