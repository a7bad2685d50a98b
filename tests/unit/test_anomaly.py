"""The kind `anomaly`: maps become regions, what can't be judged is a doubt, and a threshold is what good pictures promise."""

import io
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from linegate.adapters.anomaly import file
from linegate.adapters.anomaly.calibrating import calibrate
from linegate.adapters.anomaly.calibration import Threshold, threshold
from linegate.adapters.anomaly.detector import AnomalyDetector
from linegate.adapters.anomaly.features import Picture
from linegate.adapters.anomaly.learned import Still, Surface, learn
from linegate.adapters.anomaly.scores import Scores
from linegate.config import parse
from linegate.errors import ConfigError, ImageRejectedError
from linegate.shapes import area

AT_ONE = Threshold(1.0, 0.5)


class Answering:
    """A model that gives these scores for any picture."""

    def __init__(self, scores: Scores | Exception) -> None:
        self._scores = scores

    def scores(self, picture: Picture) -> Scores:
        if isinstance(self._scores, Exception):
            raise self._scores
        return self._scores


def detector(scores: Scores | Exception, whole: Threshold | None = AT_ONE) -> AnomalyDetector:
    return AnomalyDetector(Answering(scores), AT_ONE, whole, "answering")


PICTURE = Image.new("RGB", (160, 80))


def flat(level: float = 0.5) -> np.ndarray:
    return np.full((20, 40), level, np.float32)


def test_each_region_above_the_threshold_is_a_finding_with_its_outline() -> None:
    places = flat()
    places[2:6, 10:20] = 1.5
    places[12:14, 30:32] = 3.0
    found = detector(Scores(places, 9.0)).detect(PICTURE, b"", None)
    strangest, other = found.detections
    assert [round(value) for value in strangest.box.corners] == [120, 48, 128, 56]
    assert [round(value) for value in other.box.corners] == [40, 8, 80, 24]
    assert area(other.outline) == pytest.approx(40 * 16, rel=0.1)
    assert strangest.confidence > other.confidence
    assert "anomaly score 3, threshold 1" in strangest.note
    assert found.coverage is not None
    assert found.coverage.part == 1.0
    with Image.open(io.BytesIO(found.heatmap)) as shown:
        assert shown.size == PICTURE.size


def test_an_outline_follows_its_region_and_not_its_box() -> None:
    places = flat()
    places[2:10, 4:6] = 2
    places[8:10, 4:12] = 2
    (found,) = detector(Scores(places)).detect(PICTURE, b"", None).detections
    assert area(found.outline) == pytest.approx(28 * 16, rel=0.15)


def test_a_picture_that_is_strange_as_a_whole_is_a_finding_that_says_so() -> None:
    (found,) = detector(Scores(flat(), 1.5)).detect(PICTURE, b"", None).detections
    assert found.box.corners == (0, 0, 160, 80)
    assert "no place" in found.note
    assert not detector(Scores(flat(), 1.0)).detect(PICTURE, b"", None).detections


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        (Scores(np.full((4, 4), np.nan, np.float32)), "no number"),
        (Scores(np.full((4, 4), np.inf, np.float32)), "no number"),
        (Scores(None, math.nan), "no number"),
        (Scores(None), "neither a map nor a score"),
        (Scores(np.zeros((2, 3, 3), np.float32)), "shape"),
        (ImageRejectedError("the picture has another size"), "another size"),
    ],
)
def test_what_is_no_answer_is_a_doubt(scores: Scores | Exception, why: str) -> None:
    found = detector(scores).detect(PICTURE, b"", None)
    assert not found.detections
    (doubt,) = found.doubts
    assert why in doubt
    assert found.coverage is not None
    assert found.coverage.part == 0.0


def test_what_was_not_judged_is_told() -> None:
    found = detector(Scores(flat(), None, (("covered", 0.25),))).detect(PICTURE, b"", None)
    assert str(found.coverage) == "75.0 % (25.0 % covered)"


def test_confidence_begins_at_one_half_and_grows_with_the_score() -> None:
    told = [AT_ONE.confidence(score) for score in (0.2, 1.0, 1.1, 1.5, 3.0, 1e9)]
    assert told[:2] == [0.5, 0.5]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(0.99)


# --- the threshold


def test_a_threshold_lets_as_many_good_pictures_go_as_its_promise_allows() -> None:
    scores = [float(value) for value in range(1000)]
    found, promise = threshold(scores, 0.01, 0.95)
    assert promise.kept
    assert promise.called > 0
    assert promise.rate <= 0.01
    assert sum(found.exceeded(score) for score in scores) == promise.called


def test_too_few_pictures_promise_what_they_can_and_say_how_many_would_do() -> None:
    found, promise = threshold([0.1] * 29 + [0.4], 0.005, 0.95)
    assert (found.value, promise.called) == (0.4, 0)
    assert not promise.kept
    assert promise.needed == 598
    assert promise.rate == pytest.approx(0.095, abs=0.001)


def test_where_places_and_the_whole_can_both_call_the_promise_is_of_both() -> None:
    rng = np.random.default_rng(3)

    def good(count: int) -> list[Scores]:
        return [
            Scores(np.array([[place]], np.float32), float(of_all)) for place, of_all in rng.standard_normal((count, 2))
        ]

    made = calibrate(good(800), 0.02, 0.95)
    assert made.promise.kept
    assert made.place is not None
    assert made.whole is not None
    called = [
        made.place.exceeded(scores.peak or 0.0) or made.whole.exceeded(scores.whole or 0.0) for scores in good(20_000)
    ]
    assert np.mean(called) <= 0.02


# --- learned models


def cloth(seed: int, size: tuple[int, int] = (120, 160), *, spot: bool = False) -> Picture:
    """A coarse random texture, another piece of it each time; with a spot that it does not have."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]] + rng.uniform(0, 50, 2)[:, None, None]
    light = 128 + 30 * np.sin(x / 2.2) * np.sin(y / 2.2) + rng.normal(0, 4, size)
    if spot:
        light[60:72, 80:92] = 128
    return np.repeat(np.clip(light, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def surface() -> Surface:
    learned = learn([cloth(seed) for seed in range(10)], still=False, step=1)
    assert isinstance(learned, Surface)
    return learned


def scene(seed: int, *, missing: bool = False, shift: int = 3) -> Picture:
    """A product that lies still, give or take a few pixels."""
    rng = np.random.default_rng(seed)
    picture = np.full((160, 160, 3), 70, np.float32)
    dx, dy = rng.integers(-shift, shift + 1, 2) if shift else (0, 0)
    for at, (left, top) in enumerate([(30, 30), (90, 24), (40, 100), (110, 104), (72, 64)]):
        if not (missing and at == 4):
            picture[top + dy : top + dy + 22, left + dx : left + dx + 26] = (200, 150, 60)
    return np.clip(picture * rng.uniform(0.9, 1.1) + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def still() -> Still:
    learned = learn([scene(seed) for seed in range(10)], still=True)
    assert isinstance(learned, Still)
    return learned


def test_what_no_good_surface_showed_scores_higher_than_other_good_ones(surface: Surface) -> None:
    good = max(surface.scores(cloth(seed)).peak or 0.0 for seed in range(100, 110))
    scores = surface.scores(cloth(200, spot=True))
    assert scores.map is not None
    assert scores.map.max() > 1.3 * good
    row, column = np.unravel_index(scores.map.argmax(), scores.map.shape)
    assert 15 <= row < 18
    assert 20 <= column < 23


def test_a_surface_of_another_brightness_and_tint_is_strange_as_a_whole(surface: Surface) -> None:
    good = max(surface.scores(cloth(seed)).whole or 0.0 for seed in range(100, 110))
    tinted = (cloth(201) * np.array([0.5, 0.4, 0.3])).astype(np.uint8)
    assert (surface.scores(tinted).whole or 0.0) > 3 * good


def test_a_surface_of_another_size_is_not_judged(surface: Surface) -> None:
    with pytest.raises(ImageRejectedError, match="sides had 120 to 160"):
        surface.scores(cloth(1, (40, 160)))


def test_what_is_missing_at_its_place_is_found_and_light_and_place_are_not(still: Still) -> None:
    good = max(still.scores(scene(seed)).peak or 0.0 for seed in range(100, 110))
    scores = still.scores(scene(200, missing=True))
    assert scores.map is not None
    assert scores.map.max() > 2 * good
    row, column = np.unravel_index(scores.map.argmax(), scores.map.shape)
    assert 60 <= 2 * row <= 92
    assert 68 <= 2 * column <= 102


def test_what_lies_outside_of_the_good_pictures_is_told_as_lost(still: Still) -> None:
    moved = np.roll(scene(1, shift=0), (0, 12), axis=(0, 1))
    scores = still.scores(moved)
    ((why, part),) = scores.lost
    assert "good pictures" in why
    assert 0.04 < part < 0.15


def test_what_the_picture_shows_no_more_of_a_nearer_product_is_told_as_lost(still: Still) -> None:
    nearer = cv2.getRotationMatrix2D((80, 80), 0, 1.06)
    picture = cv2.warpAffine(scene(1, shift=0), nearer, (160, 160), borderMode=cv2.BORDER_REPLICATE)
    scores = still.scores(np.asarray(picture, np.uint8))
    assert 0.08 < sum(part for _, part in scores.lost) < 0.15
    assert any("outside the picture" in why for why, _ in scores.lost)


def test_another_product_or_size_is_a_doubt_where_it_should_lie_still(still: Still) -> None:
    asked = AnomalyDetector(still, AT_ONE, None, "still")
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (160, 160, 3), np.uint8))
    for picture, why in ((noise, "does not match"), (noise.resize((150, 160)), "has 150 by 160 px")):
        found = asked.detect(picture, b"", None)
        assert not found.detections
        assert why in found.doubts[0]


def test_fewer_than_ten_pictures_teach_nothing() -> None:
    with pytest.raises(ValueError, match="10 or more are needed"):
        learn([cloth(seed) for seed in range(9)], still=False)


# --- the file


def test_a_model_is_read_as_it_was_written(surface: Surface, still: Still) -> None:
    for learned, picture in ((surface, cloth(300)), (still, scene(300))):
        made = file.Model(learned, file.digests([picture]), AT_ONE, AT_ONE, "promised")
        again = file.read(file.write(made))
        assert str(again.learned.scores(picture)) == str(learned.scores(picture))
        assert (again.place, again.whole, again.promise) == (AT_ONE, AT_ONE, "promised")
        assert again.pictures.tobytes() == file.digest(picture)


def test_whatever_else_is_in_a_file_is_refused(still: Still, tmp_path: Path) -> None:
    sound = file.write(file.Model(still, file.digests([scene(1)])))
    arrays = dict(np.load(io.BytesIO(sound)))

    def with_(**changed: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **{**arrays, **changed})
        return buffer.getvalue()

    def header(old: bytes, new: bytes) -> np.ndarray:
        return np.frombuffer(arrays["header"].tobytes().replace(old, new), np.uint8)

    assert len(file.read(with_()).pictures) == 1
    for data, why in (
        (b"", "can't be read"),
        (b"no model at all", "can't be read"),
        (sound[: len(sound) // 2], "can't be read"),
        (with_(mean=np.full_like(arrays["mean"], np.nan)), "no number"),
        (with_(spread=np.zeros_like(arrays["spread"])), "above 0"),
        (with_(mean=arrays["mean"].astype(np.float64)), "float64"),
        (with_(spread=arrays["spread"][:-1]), "spread"),
        (with_(mean=arrays["mean"][:-1], spread=arrays["spread"][:-1]), "mean"),
        (with_(other=np.zeros(3)), "holds what no model has"),
        (with_(pictures=np.array([{"code": 1}], dtype=object)), "can't be read"),
        (with_(header=header(b'"version":1', b'"version":2')), "learn it anew"),
        (with_(header=header(b'"step":1', b'"step":0')), "header"),
    ):
        with pytest.raises(file.ModelFileError, match=why):
            file.read(data)


# --- the configuration


def test_a_confidence_that_would_drop_what_was_calibrated_is_refused() -> None:
    text = "recipes: {cloth: {detector: anomaly, model: m.npz, verifier: none, confidence: %s}}\nlines: {l: {recipe: cloth}}"
    assert parse(text % 0.5, Path(), {}).recipes["cloth"].detectors[0].type == "anomaly"
    with pytest.raises(ConfigError, match="raise the threshold instead"):
        parse(text % 0.6, Path(), {})


def test_a_recipe_without_its_model_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="linegate anomaly learn"):
        parse("recipes: {c: {detector: anomaly, verifier: none}}\nlines: {l: {recipe: c}}", Path(), {})
