"""Labels that tell what a defect covers: polygons, runs and mask pictures, and what is said of those that can't be used."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from linegate.evaluation.datasets import read
from linegate.evaluation.labels import Dataset, Kind, Truth

WIDTH, HEIGHT = 40, 30


def picture(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 60).save(path)
    return path


def coco(folder: Path, segmentation: Any, bbox: tuple[float, ...] = (10, 5, 10, 10)) -> Dataset:
    picture(folder / "a.png")
    picture(folder / "b.png")
    label = {"image_id": 1, "category_id": 1, "bbox": bbox, "segmentation": segmentation}
    whole = {"image_id": 1, "category_id": 1, "bbox": [30, 20, 5, 5]}
    listed = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 1, "name": "Scratch"}],
        "annotations": [label, whole],
    }
    (folder / "_annotations.coco.json").write_text(json.dumps(listed))
    return read(folder, "coco")


def first(dataset: Dataset) -> Truth:
    assert not dataset.faults
    return dataset.samples[0].truths[0]


def rle(*runs: int) -> dict[str, Any]:
    return {"size": [HEIGHT, WIDTH], "counts": [*runs, WIDTH * HEIGHT - sum(runs)]}


# Down the columns 10 … 12, the rows 5 … 14
RUNS = (10 * HEIGHT + 5, 10, HEIGHT - 10, 10, HEIGHT - 10, 10)


def test_polygons_of_coco_cover_what_lies_inside_them(tmp_path: Path) -> None:
    truth = first(coco(tmp_path, [[10, 5, 20, 5, 20, 15], [10, 6, 19, 15, 10, 15]]))
    assert truth.mask is not None
    assert truth.box.corners == (10, 5, 20, 15)
    assert 85 <= truth.mask.area < 100, "two triangles beside each other"


@pytest.mark.parametrize("as_text", [False, True])
def test_runs_of_coco_are_read_as_numbers_and_as_text(tmp_path: Path, as_text: bool) -> None:
    told = rle(*RUNS)
    if as_text:
        told["counts"] = compressed(told["counts"])
    truth = first(coco(tmp_path, told))
    assert truth.mask is not None
    assert (truth.mask.box.corners, truth.mask.area) == ((10, 5, 13, 15), 30)


def compressed(runs: list[int]) -> str:
    """COCO's text: from the third run on by how it differs from the last but one, five bits a character, the sixth for more."""
    text = ""
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        while True:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr(48 + (bits | 0x20 * more))
            if not more:
                break
    return text


@pytest.mark.parametrize("segmentation", [[], None])
def test_labels_without_masks_are_boxes_as_ever(tmp_path: Path, segmentation: Any) -> None:
    assert first(coco(tmp_path, segmentation)).mask is None


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([[1, 2, 3, 4]], "three or more"),
        ([[10, 5, 20, 5, 20]], "three or more"),
        ([[10, 5, 20, 5, 20, "15"]], "three or more"),
        ([[10, 5, 20, 5, 20, True]], "three or more"),
        ([[10, 5, 20, 5, 20, 10**400]], "not finite"),
        ([{"x": 1}], "three or more"),
        ([[30, 5, 39, 5, 39, 15]], "elsewhere than its box"),
        ("ed9", "no size"),
        ({"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT]}, "another picture"),
        ({"size": [HEIGHT, WIDTH], "counts": [5, 5]}, "do not fill"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, WIDTH * HEIGHT + 5]}, "no numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": [WIDTH * HEIGHT]}, "empty"),
        ({"size": [HEIGHT, WIDTH], "counts": "\x01"}, "can't be read"),
    ],
)
def test_a_mask_that_can_not_be_used_costs_its_label_and_is_told(tmp_path: Path, segmentation: Any, words: str) -> None:
    dataset = coco(tmp_path, segmentation)
    (fault,) = dataset.faults
    assert (Path(fault.file).name, fault.line, fault.kind) == ("_annotations.coco.json", 1, Kind.BAD_LABEL)
    assert fault.reason.startswith("annotations[0]: ") and words in fault.reason
    assert len(dataset.samples[0].truths) == 1


def test_polygons_of_yolo_are_masks_and_boxes_are_none(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [scratch]\n")
    picture(tmp_path / "images/a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text(
        f"0 0.25 {5 / 30} 0.5 {5 / 30} 0.5 0.5\n0 0.5 0.5 0.1 0.1\n0 0.1 0.1 0.9 0.1 0.5 0.1001\n"
    )
    dataset = read(tmp_path, "yolo")
    assert not dataset.faults
    polygon, box, sliver = dataset.samples[0].truths
    assert polygon.mask is not None
    assert polygon.mask.area == pytest.approx(50, abs=5)
    assert box.mask is None
    assert sliver.mask is None, "no pixel's middle lies in it; its box says where it is"


# Mask pictures


def masked(
    path: Path, *boxes: tuple[int, int, int, int], level: int = 255, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> None:
    levels = np.zeros((size[1], size[0]), np.uint8)
    for left, top, right, bottom in boxes:
        levels[top:bottom, left:right] = level
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)


def tiles(folder: Path) -> None:
    picture(folder / "good/one.jpg")
    picture(folder / "crack/two.jpg")
    masked(folder / "crack/two_mask.png", (3, 4, 9, 6), (20, 10, 30, 20))


def test_each_white_region_is_a_defect_of_its_folders_class(tmp_path: Path) -> None:
    tiles(tmp_path)
    picture(tmp_path / "crack/three.jpg")
    masked(tmp_path / "crack/three_mask.png")
    dataset = read(tmp_path, "masks")
    assert not dataset.faults
    three, two, one = dataset.samples
    assert [sample.name for sample in (three, two, one)] == ["crack/three", "crack/two", "good/one"]
    assert {(truth.class_name, truth.box.corners): truth.mask and truth.mask.area for truth in two.truths} == {
        ("crack", (3, 4, 9, 6)): 12,
        ("crack", (20, 10, 30, 20)): 100,
    }
    assert not three.bad, "its mask is black"
    assert not one.bad


def test_a_lost_mask_makes_no_good_product(tmp_path: Path) -> None:
    tiles(tmp_path)
    (tmp_path / "crack/two_mask.png").unlink()
    dataset = read(tmp_path, "masks")
    assert [sample.name for sample in dataset.samples] == ["good/one"]
    assert dataset.counts() == {Kind.NO_LABELS: 1}
    trusted = read(tmp_path, "masks", missing_are_good=True)
    assert len(trusted.samples) == 2
    assert trusted.counts() == {Kind.TAKEN_AS_GOOD: 1}


def test_masks_that_can_not_be_used_leave_their_picture_out_and_are_told(tmp_path: Path) -> None:
    tiles(tmp_path)
    for name in ("other", "numbers", "clear", "broken", "twice"):
        picture(tmp_path / f"crack/{name}.jpg")
    masked(tmp_path / "crack/other_mask.png", (1, 1, 5, 5), size=(HEIGHT, WIDTH))
    masked(tmp_path / "crack/numbers_mask.png", (1, 1, 5, 5), level=3)
    Image.new("RGBA", (WIDTH, HEIGHT), "white").save(tmp_path / "crack/clear_mask.png")
    (tmp_path / "crack/broken_mask.png").write_bytes((tmp_path / "crack/two_mask.png").read_bytes()[:60])
    masked(tmp_path / "crack/twice_mask.png", (1, 1, 5, 5))
    masked(tmp_path / "crack/twice_mask.bmp", (1, 1, 6, 6))
    masked(tmp_path / "crack/lost_mask.png", (1, 1, 5, 5))
    masked(tmp_path / "good/one_mask.png", (1, 1, 5, 5))
    dataset = read(tmp_path, "masks")
    assert [sample.name for sample in dataset.samples] == ["crack/two"]
    assert dataset.counts() == {Kind.BAD_LABEL: 4, Kind.LEFT_OUT: 6, Kind.NO_PICTURE: 1}
    said = {Path(fault.file).name: fault.reason for fault in dataset.faults}
    assert "30 x 40" in said["other_mask.png"]
    assert "brightest pixel is 3" in said["numbers_mask.png"]
    assert "RGBA" in said["clear_mask.png"]
    assert "no picture" in said["broken_mask.png"]
    assert "2 masks" in said["twice.jpg"]
    assert "shows a defect" in said["one.jpg"]
    assert said["lost_mask.png"] == "there is no picture lost"
