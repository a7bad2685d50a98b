"""The ports Registrar and Detector: what every adapter must do."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageChops

from linegate.adapters.golden.adapters import GoldenDetector, GoldenRegistrar
from linegate.adapters.golden.picture import Golden, encode
from linegate.errors import LinegateError, RegistrationError, TransientError
from linegate.ports import Detector, Found, Registrar
from tests.boards import clean_board, draw
from tests.fakes import StaticDetector, detection


@pytest.fixture(params=["golden", "static"])
def detector(request: pytest.FixtureRequest) -> Detector:
    return GoldenDetector() if request.param == "golden" else StaticDetector(Found((detection(),), "static"))


@pytest.fixture
def registrar() -> Registrar:
    return GoldenRegistrar({"golden.png": clean_board()}.__getitem__)


def test_findings_lie_on_the_picture_with_a_class_and_a_confidence(detector: Detector, registrar: Registrar) -> None:
    picture = draw(defective=True, noise=2)
    found = detector.detect(picture, b"", registrar.register(picture, "golden.png"))
    assert found.model
    assert len(found.detections) == 1
    for seen in found.detections:
        assert seen.class_name
        assert 0 <= seen.confidence <= 1
        left, top, right, bottom = seen.box.corners
        assert 0 <= left < right <= picture.width
        assert 0 <= top < bottom <= picture.height
        assert seen.settled is None, "policy settles, not the detector"


def test_the_same_picture_gets_the_same_answer_on_any_thread(detector: Detector, registrar: Registrar) -> None:
    picture = draw(defective=True, noise=2)
    barrier = threading.Barrier(4)

    def detect(_: int) -> Found:
        barrier.wait()
        return detector.detect(picture, b"", registrar.register(picture, "golden.png"))

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(detect, range(4)))
    assert answers == [answers[0]] * 4


def test_the_picture_is_left_as_it_was(detector: Detector, registrar: Registrar) -> None:
    picture = draw(defective=True, noise=2)
    before = picture.tobytes()
    detector.detect(picture, b"", registrar.register(picture, "golden.png"))
    assert picture.tobytes() == before


def test_a_picture_of_something_else_is_not_laid_over(registrar: Registrar) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (192, 192, 3), np.uint8)
    with pytest.raises(RegistrationError, match="does not match the golden picture"):
        registrar.register(Image.fromarray(noise), "golden.png")


def test_the_golden_picture_comes_in_the_size_of_the_picture(registrar: Registrar) -> None:
    picture = draw(noise=1).resize((230, 210))
    laid = registrar.register(picture, "golden.png")
    assert (laid.picture.size, laid.picture.mode) == (picture.size, "RGB")


def test_what_good_boards_taught_comes_along_in_the_pose_of_the_picture() -> None:
    board = np.asarray(draw())
    learned = np.zeros(board.shape[:2], np.uint8)
    learned[80:120, 60:100] = 90
    golden = encode(Golden(board, learned))
    picture = ImageChops.offset(draw(), 6, -4)
    laid = GoldenRegistrar({"golden.png": golden}.__getitem__).register(picture, "golden.png")
    assert laid.variation is not None
    assert (laid.variation.size, laid.variation.mode) == (picture.size, "L")
    left, top, right, bottom = laid.variation.point(lambda level: 255 if level > 45 else 0).getbbox() or (0, 0, 0, 0)
    assert (left, top, right, bottom) == pytest.approx((66, 76, 106, 116), abs=1)


def test_a_golden_picture_that_is_not_there_is_said_as_an_error_of_ours() -> None:
    def missing(_: str) -> bytes:
        raise TransientError("the golden picture can't be read")

    with pytest.raises(LinegateError):
        GoldenRegistrar(missing).register(draw(), "golden.png")
