"""The port Verifier: what every adapter must do."""

from contextlib import suppress

import pytest

from linegate import imaging
from linegate.adapters.golden.verifier import GoldenVerifier
from linegate.errors import LinegateError
from linegate.inspection import Detection, Result
from linegate.ports import Verifier
from linegate.shapes import Box
from tests.boards import draw

DEFECT = Detection("open_circuit", 0.9, Box(56, 92, 20, 24))


@pytest.fixture(params=["golden"])
def verifier(request: pytest.FixtureRequest) -> Verifier:
    return GoldenVerifier()


def crop(*, defective: bool) -> bytes:
    return imaging.cut(draw(defective=defective, noise=1), DEFECT.box)


@pytest.mark.parametrize(("defective", "result"), [(True, Result.FAIL), (False, Result.PASS)])
def test_a_judgement_has_a_result_a_reason_for_a_report_and_its_author(
    verifier: Verifier, defective: bool, result: Result
) -> None:
    judgement = verifier.verify(crop(defective=defective), crop(defective=False), DEFECT)
    assert judgement.result is result
    assert judgement.reason
    assert "\n" not in judgement.reason
    assert judgement.model
    assert verifier.verify(crop(defective=defective), crop(defective=False), DEFECT) == judgement


@pytest.mark.parametrize("spoilt", [b"", b"no picture", b"\xff\xd8\xff\xe0" + bytes(50)])
def test_a_crop_that_is_no_picture_never_passes(verifier: Verifier, spoilt: bytes) -> None:
    for arguments in ((spoilt, crop(defective=False)), (crop(defective=False), spoilt)):
        with suppress(LinegateError):  # the handler makes UNSURE of it
            assert verifier.verify(*arguments, DEFECT).result is Result.UNSURE


def test_without_a_reference_nothing_passes_by_default(verifier: Verifier) -> None:
    assert verifier.verify(crop(defective=True), None, DEFECT).result is not Result.PASS
