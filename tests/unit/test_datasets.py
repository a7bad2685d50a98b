"""Labelled pictures in the formats they come in: what is read, and what is said of labels that can't be."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from linegate.edge.evaluation.datasets import Dataset, read
from linegate.errors import UsageError


def picture(path: Path, size: tuple[int, int] = (200, 100), orientation: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size)
    exif = image.getexif()
    if orientation:
        exif[0x0112] = orientation
    image.save(path, exif=exif)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def deeppcb(folder: Path) -> None:
    for name in ("a", "b"):
        picture(folder / f"{name}_test.jpg")
        picture(folder / f"{name}_temp.jpg")
    write(folder / "a.txt", "20 30 40 50 1\n\n20,30,40,50,7\nx 1 2 3 4\n300 30 340 50 2\n10 10 30 30 3\n")
    write(folder / "b.txt", "")


def yolo(folder: Path) -> None:
    write(folder / "data.yaml", "names: [Open, mouse-bite]\n")
    picture(folder / "train/images/a.jpg")
    picture(folder / "train/images/b.jpg")
    write(
        folder / "train/labels/a.txt",
        "0 0.15 0.4 0.1 0.2\n7 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1\n0 50 50 10 10\n1 0.05 0.1 0.15 0.1 0.15 0.3 0.05 0.3\n",
    )


def voc(folder: Path) -> None:
    picture(folder / "JPEGImages/a.jpg")
    picture(folder / "JPEGImages/b.jpg")

    def box(name: str, *corners: object) -> str:
        keys = ("xmin", "ymin", "xmax", "ymax")
        sides = "".join(f"<{key}>{corner}</{key}>" for key, corner in zip(keys, corners, strict=False))
        return f"<object><name>{name}</name>\n<bndbox>{sides}</bndbox></object>\n"

    boxes = (
        box("Open circuit", 20, 30, 40, 50)
        + box("Short", 5, 5, 5, 9)
        + box("Short", 5, "wide", 9, 9)
        + box("spur", 1, 2)
    )
    write(
        folder / "Annotations/a.xml",
        f"<annotation><filename>a.jpg</filename>\n{boxes}{box('Mouse_bite', 10, 10, 30, 30)}</annotation>",
    )
    write(folder / "Annotations/b.xml", "<annotation><filename>b.jpg</filename></annotation>")


def coco(folder: Path) -> None:
    for name in ("a", "b"):
        picture(folder / "valid" / f"{name}.jpg")
    annotations = [
        {"image_id": 1, "category_id": 1, "bbox": [20, 30, 20, 20]},
        {"image_id": 9, "category_id": 1, "bbox": [20, 30, 20, 20]},
        {"image_id": 1, "category_id": 8, "bbox": [20, 30, 20, 20]},
        {"image_id": 1, "category_id": 1, "bbox": [20, 30, 0, 20]},
        {"image_id": 1, "category_id": 2, "bbox": [10, 10, 20, 20]},
    ]
    listed = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "categories": [{"id": 1, "name": "open"}, {"id": 2, "name": "Mouse bite"}],
        "annotations": annotations,
    }
    text = json.dumps(listed).replace('{"image_id"', '\n{"image_id"')
    write(folder / "valid/_annotations.coco.json", text)


@pytest.mark.parametrize(
    ("layout", "make", "bad"),
    [
        (
            "deeppcb",
            deeppcb,
            [("a.txt", 3, "type '7'"), ("a.txt", 4, "could not convert"), ("a.txt", 5, "no area inside")],
        ),
        ("yolo", yolo, [("a.txt", 2, "class 7"), ("a.txt", 3, "3 numbers"), ("a.txt", 4, "0 … 1")]),
        ("voc", voc, [("a.xml", 4, "no area"), ("a.xml", 6, "wide"), ("a.xml", 8, "no xmax")]),
        (
            "coco",
            coco,
            [
                ("_annotations.coco.json", 3, r"annotations\[1\] belongs to no picture"),
                ("_annotations.coco.json", 4, r"annotations\[2\] lacks 8"),
                ("_annotations.coco.json", 5, r"annotations\[3\]: .*no area"),
            ],
        ),
    ],
)
def test_good_labels_are_read_and_bad_ones_are_told_with_file_and_line(
    tmp_path: Path, layout: str, make: Callable[[Path], None], bad: list[tuple[str, int, str]]
) -> None:
    make(tmp_path)
    dataset = read(tmp_path, layout)
    first, second = dataset.samples
    assert {truth.class_name: truth.box.corners for truth in first.truths} == {
        "open_circuit": pytest.approx((20, 30, 40, 50)),
        "mouse_bite": pytest.approx((10, 10, 30, 30)),
    }
    assert second.truths == (), "a picture without labels is a good board"
    told = sorted(dataset.faults, key=lambda fault: fault.line)
    assert [(Path(fault.file).name, fault.line) for fault in told] == [(file, line) for file, line, _ in bad]
    for fault, (_, _, words) in zip(told, bad, strict=True):
        assert re.search(words, fault.reason), fault.reason


def test_the_original_layout_of_deeppcb_is_read_too(tmp_path: Path) -> None:
    for which in ("test", "temp"):
        picture(tmp_path / "group1" / "001" / f"001_{which}.jpg")
    write(tmp_path / "group1" / "001_not" / "001.txt", "20 30 40 50 6\n")
    (sample,) = read(tmp_path, "deeppcb").samples
    assert [truth.class_name for truth in sample.truths] == ["pin_hole"]
    assert sample.golden == tmp_path / "group1/001/001_temp.jpg"


def test_a_pair_that_lacks_a_part_is_left_out_and_told(tmp_path: Path) -> None:
    deeppcb(tmp_path)
    (tmp_path / "b.txt").unlink()
    picture(tmp_path / "c_test.jpg")
    write(tmp_path / "c.txt", "")
    dataset = read(tmp_path, "deeppcb")
    assert [sample.name for sample in dataset.samples] == ["a"]
    assert {fault.reason.split(",")[0] for fault in dataset.faults if "left out" in fault.reason} == {
        "left out: there is no b.txt",
        "left out: there is no c_temp.jpg",
    }


def test_labels_count_on_the_upright_picture(tmp_path: Path) -> None:
    write(tmp_path / "data.yaml", "names: {3: short}\n")
    picture(tmp_path / "images/a.jpg", (200, 100), orientation=6)
    write(tmp_path / "labels/a.txt", "3 0.5 0.5 0.2 0.2\n")
    (sample,) = read(tmp_path, "yolo").samples
    assert sample.truths[0].box.corners == pytest.approx((40, 80, 60, 120))


def test_a_limit_is_spread_over_the_dataset(tmp_path: Path) -> None:
    for number in range(10):
        picture(tmp_path / f"{number}_test.png")
        picture(tmp_path / f"{number}_temp.png")
        write(tmp_path / f"{number}.txt", "")
    assert [sample.name for sample in read(tmp_path, "deeppcb", 3).samples] == ["0", "3", "6"]


@pytest.mark.parametrize(
    ("layout", "words"), [("deeppcb", "NAME_temp.jpg"), ("yolo", "data.yaml"), ("voc", "NAME.xml")]
)
def test_a_folder_without_labelled_pictures_says_what_the_format_looks_like(
    tmp_path: Path, layout: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        read(tmp_path, layout)
    with pytest.raises(UsageError, match="there is no dataset"):
        read(tmp_path / "nowhere", layout)


def test_a_file_that_is_no_label_file_at_all_costs_only_its_own_pictures(tmp_path: Path) -> None:
    voc(tmp_path)
    write(tmp_path / "Annotations/b.xml", "<annotation>\n<filename>b.jpg\n")
    coco(tmp_path / "coco")
    write(tmp_path / "coco/train/_annotations.coco.json", '{"images": [\n}')
    dataset: Dataset = read(tmp_path, "voc")
    assert [sample.name for sample in dataset.samples] == ["JPEGImages/a"]
    assert any(fault.line == 3 and "no XML" in fault.reason for fault in dataset.faults)
    listed = read(tmp_path / "coco", "coco")
    assert len(listed.samples) == 2
    assert any(fault.line == 2 and "no JSON" in fault.reason for fault in listed.faults)
