"""The kind `assembly`: each fault is told by its class and its zone, good products pass, the blind is never silent."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from linegate import imaging
from linegate.adapters.assembly.detector import AssemblyDetector
from linegate.adapters.assembly.kind import AssemblyDetection
from linegate.adapters.assembly.sections import AssemblyZone
from linegate.adapters.golden.adapters import GoldenRegistrar
from linegate.config import parse
from linegate.errors import ConfigError, PermanentError
from linegate.inspection import Result
from linegate.kind import Surroundings
from linegate.ports import Found, Reference
from linegate.samples import assembled
from linegate.samples.assembled import PARTS, PRODUCT, Part
from linegate.samples.camera import expose, jpeg, photograph, pose_of
from linegate.sections import Network
from linegate.settings import Recipe

RECIPE = yaml.safe_load(PRODUCT.recipe)


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("golden")
    PRODUCT.prepare(folder)
    return (folder / "golden.png").read_bytes()


def zones(*names: str) -> list[AssemblyZone]:
    return [AssemblyZone(**zone) for zone in RECIPE["zones"] if zone["name"] in names]


def board(faults: dict[str, str], seed: int = 1) -> Image.Image:
    """Of these parts with these faults, a little off and turned, in uneven light."""
    rng = np.random.default_rng(seed)
    surface, _ = assembled.surface(rng, faults)
    picture = expose(photograph(surface, pose_of(assembled.SIZE, 4, -3, 0.6, 1.004), assembled.CONVEYOR), rng)
    return imaging.decode(jpeg(picture))


def look(picture: Image.Image, golden: bytes, within: float | None, *asked: AssemblyZone) -> Found:
    reference = GoldenRegistrar(lambda _: golden).register(picture, "golden.png")
    return AssemblyDetector(asked, within, 0.1).detect(picture, b"", reference)


def part(name: str) -> Part:
    return next(part for part in PARTS if part.name == name)


CASES = [("U1", "absent"), ("U2", "turned"), ("C2", "shifted"), ("label", "shifted"), ("D1", "wrong"), ("C1", "wrong")]


@pytest.mark.parametrize(("name", "fault"), CASES, ids=" ".join)
def test_a_fault_is_told_by_its_class_with_the_zone_and_a_number(name: str, fault: str, golden: bytes) -> None:
    picture = board({name: fault})
    found = look(picture, golden, 0.4, *zones(name))
    (one,) = found.detections
    assert one.settled is not None and one.measure is not None
    assert (one.class_name, one.note, one.settled.result) == (fault, name, Result.FAIL)
    assert one.settled.reason.startswith(f"{name}: ")
    assert one.box.x == pytest.approx(part(name).x + 4, abs=8), "where the zone lies on this picture"
    assert len(one.outline) == 4
    assert found.doubts == ()


def test_a_good_board_has_no_findings(golden: bytes) -> None:
    found = look(board({}, seed=4), golden, 0.4, *zones("U1", "U2", "E1", "D1", "C1", "J1", "label", "screw 1"))
    assert (found.detections, found.doubts) == ((), ())


def test_how_far_it_lies_off_is_told_in_millimetres(golden: bytes) -> None:
    picture = board({"C1": "shifted"}, seed=9)
    (one,) = look(picture, golden, 0.4, *zones("C1")).detections
    assert one.measure is not None
    assert (one.measure.name, one.measure.unit, one.measure.high) == ("shift", "mm", 0.4)
    assert 0.5 < one.measure.value < 1.3, "7 to 11 pixels of 0.1 mm, and its slack"


def test_close_to_a_limit_a_person_decides(golden: bytes) -> None:
    picture = board({"C1": "shifted"}, seed=9)
    (far,) = look(picture, golden, 0.4, *zones("C1")).detections
    assert far.measure is not None
    (near,) = look(picture, golden, far.measure.value, *zones("C1")).detections
    assert near.settled is not None
    assert (near.class_name, near.settled.result) == ("shifted", Result.UNSURE)


def test_a_zone_in_which_the_golden_picture_shows_nothing_is_a_doubt(golden: bytes) -> None:
    empty = AssemblyZone(name="nothing", left=0.85, top=0.6, right=0.93, bottom=0.7)
    stripes = AssemblyZone(name="tracks", left=0.55, top=0.79, right=0.65, bottom=0.87)
    found = look(board({}), golden, 0.4, empty, stripes)
    assert found.detections == ()
    assert [doubt.split(" ")[1] for doubt in found.doubts] == ["nothing", "tracks"]
    assert all("shows too little in the golden picture" in doubt for doubt in found.doubts)


def test_that_a_turn_can_not_be_told_is_a_doubt_and_not_silence(golden: bytes) -> None:
    (zone,) = zones("C1")
    strict = zone.model_copy(update={"may_turn": "never"})
    found = look(board({}), golden, 0.4, strict)
    assert "which way round it lies can't be told" in found.doubts[0]
    assert look(board({}), golden, 0.4, zone).doubts == ()


def test_a_zone_beyond_the_picture_is_a_doubt(golden: bytes) -> None:
    picture = board({})
    reference = GoldenRegistrar(lambda _: golden).register(picture, "golden.png")
    (zone,) = zones("screw 1")
    cut = replace(reference, lies=(640.0, 0.0, -60.0, 0.0, 640.0, -60.0))
    assert "lies outside the picture" in AssemblyDetector([zone], 0.4, 0.1).detect(picture, b"", cut).doubts[0]


def test_without_a_golden_picture_nothing_is_said(golden: bytes) -> None:
    with pytest.raises(PermanentError, match="name one in the recipe"):
        AssemblyDetector(zones("U1"), None, None).detect(board({}), b"", None)


def test_doctor_names_the_zones_that_can_not_be_judged(golden: bytes) -> None:
    picture = imaging.decode(golden)
    around = Surroundings(Path(), None, Network(), lambda _: None, lambda _, build: build(), lambda _: None)
    recipe = Recipe.model_validate(RECIPE)
    kind = AssemblyDetection(zones=zones("U1", "C1"))
    assert kind.try_out(recipe, around, picture) == "2 zones can be judged"
    blind = AssemblyDetection(zones=[zones("C1")[0].model_copy(update={"may_turn": "never"})])
    with pytest.raises(PermanentError, match="zone C1 looks the same turned"):
        blind.try_out(recipe, around, picture)


ZONE = "{name: U1, left: 0.1, top: 0.1, right: 0.3, bottom: 0.3}"


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        (f"zones: [{ZONE}, {ZONE}]", "recipes.a.zones.1.name: 'U1' is another zone's name"),
        (f"within: 0.05, mm_per_px: 0.1, zones: [{ZONE}]", "recipes.a.within: 0.05 are 0.5 pixels"),
        ("zones: []", "recipes.a.zones: must not be empty"),
        ("zones: [{name: U1, left: 0.3, top: 0.1, right: 0.1, bottom: 0.3}]", "left must be smaller than right"),
    ],
)
def test_what_could_not_be_judged_is_refused(keys: str, fault: str) -> None:
    text = f"recipes: {{a: {{detector: assembly, golden: g.png, {keys}}}}}\nlines: {{l: {{recipe: a}}}}"
    with pytest.raises(ConfigError) as error:
        parse(text, Path(), {})
    assert any(fault in one for one in error.value.faults), error.value.faults


def test_light_noise_and_blur_are_no_faults(golden: bytes) -> None:
    picture = np.asarray(board({}, seed=12)).astype(np.float32)
    picture *= np.linspace(0.65, 1.0, picture.shape[1])[None, :, None]
    picture += np.random.default_rng(1).normal(0, 6, picture.shape)
    worse = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    worse.save(buffer, "JPEG", quality=50)
    found = look(imaging.decode(buffer.getvalue()), golden, 0.4, *zones("U2", "C1", "J1", "D1", "screw 2"))
    assert (found.detections, found.doubts) == ((), ())


def test_the_golden_picture_may_be_its_own_reference(golden: bytes) -> None:
    picture = imaging.decode(golden)
    found = AssemblyDetector(zones("U1", "label"), 0.4, 0.1).detect(picture, b"", Reference(picture))
    assert (found.detections, found.doubts) == ((), ())
