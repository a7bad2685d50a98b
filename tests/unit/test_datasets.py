"""Labelled pictures in the formats they come in: what is read, and what is said of labels that can't be."""

import json
import os
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from linegate.errors import UsageError
from linegate.evaluation.datasets import read
from linegate.evaluation.labels import Dataset, Kind, warnings


def picture(path: Path, size: tuple[int, int] = (200, 100), orientation: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, f"#{zlib.crc32(str(path).encode()) & 0xFFFFFF:06x}")
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
    write(folder / "train/labels/b.txt", "")


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


# What a lost label file looks like, and what must never make a good board


@pytest.mark.parametrize(
    ("layout", "make", "lost"), [("yolo", yolo, "train/labels/a.txt"), ("voc", voc, "Annotations/a.xml")]
)
def test_a_lost_label_file_makes_no_good_board(
    tmp_path: Path, layout: str, make: Callable[[Path], None], lost: str
) -> None:
    make(tmp_path)
    (tmp_path / lost).unlink()
    dataset = read(tmp_path, layout)
    assert [Path(sample.name).name for sample in dataset.samples] == ["b"]
    assert dataset.counts() == {Kind.NO_LABELS: 1}
    (warning,) = warnings(dataset.faults)
    assert "1 picture" in warning and "a.jpg" in warning and "--missing-labels-are-good" in warning
    trusted = read(tmp_path, layout, missing_are_good=True)
    assert [(Path(sample.name).name, sample.bad) for sample in trusted.samples] == [("a", False), ("b", False)]
    assert trusted.counts() == {Kind.TAKEN_AS_GOOD: 1}, "also then it is counted and told"


def test_a_coco_file_says_itself_which_boards_are_good_but_not_what_it_does_not_list(tmp_path: Path) -> None:
    coco(tmp_path)
    picture(tmp_path / "valid/c.jpg")
    dataset = read(tmp_path, "coco")
    assert [sample.name for sample in dataset.samples] == ["valid/a", "valid/b"]
    assert [Path(fault.file).name for fault in dataset.faults if fault.kind is Kind.LEFT_OUT] == ["c.jpg"]


def test_a_coordinate_of_hundreds_of_digits_is_a_bad_label(tmp_path: Path) -> None:
    coco(tmp_path)
    for file in tmp_path.rglob("*.json"):
        listed = json.loads(file.read_text())
        for annotation in listed["annotations"]:
            annotation["bbox"] = [1, 1, 10**400, 5]
        file.write_text(json.dumps(listed))
    dataset = read(tmp_path, "coco")
    assert not any(sample.truths for sample in dataset.samples)
    assert "a coordinate is not finite" in {fault.reason.partition(": ")[2] for fault in dataset.faults}


@pytest.mark.parametrize(
    "labels",
    ["0 0.5 0.5 0.1\n", "\0" * 40, "0 nan 0.5 0.1 0.1\n", "0 inf 0.5 0.1 0.1\n", f"{'9' * 5000} 0.5 0.5 0.1 0.1\n"],
    ids=["short", "zeros", "nan", "inf", "endless"],
)
def test_a_board_whose_labels_are_all_bad_is_no_good_board(tmp_path: Path, labels: str) -> None:
    yolo(tmp_path)
    write(tmp_path / "train/labels/a.txt", labels)
    dataset = read(tmp_path, "yolo")
    assert [sample.name for sample in dataset.samples] == ["train/images/b"]
    assert dataset.counts() == {Kind.BAD_LABEL: 1, Kind.LEFT_OUT: 1}


def test_labels_as_windows_editors_save_them_are_read(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "train/labels/a.txt").write_bytes(b"\xef\xbb\xbf0 0.15 0.4 0.1 0.2\r\n")
    (tmp_path / "data.yaml").write_bytes(b"\xef\xbb\xbfnames: {'0': Open}\r\n")
    first, _ = read(tmp_path, "yolo").samples
    assert [truth.class_name for truth in first.truths] == ["open_circuit"]


def test_labels_without_pictures_and_empty_splits_are_told(tmp_path: Path) -> None:
    yolo(tmp_path / "yolo")
    write(tmp_path / "yolo/train/labels/lost.txt", "0 0.5 0.5 0.1 0.1\n")
    write(tmp_path / "yolo/data.yaml", "names: [Open, mouse-bite]\ntrain: ../train/images\ntest: ../test/images\n")
    deeppcb(tmp_path / "deeppcb")
    write(tmp_path / "deeppcb/lost.txt", "20 30 40 50 1\n")
    write(tmp_path / "deeppcb/readme.txt", "Six types of defects.\n")
    voc(tmp_path / "voc")
    write(tmp_path / "voc/Annotations/lost.xml", "<annotation><filename>lost.jpg</filename></annotation>")
    coco(tmp_path / "coco")
    write(tmp_path / "coco/test/_annotations.coco.json", '{"images": [], "categories": [], "annotations": []}')

    def told(layout: str, kind: Kind) -> list[str]:
        return [fault.file for fault in read(tmp_path / layout, layout).faults if fault.kind is kind]

    for layout in ("yolo", "deeppcb", "voc"):
        assert [Path(file).stem for file in told(layout, Kind.NO_PICTURE)] == ["lost"], layout
    assert [Path(file).name for file in told("yolo", Kind.EMPTY_SPLIT)] == ["data.yaml"]
    assert [Path(file).parent.name for file in told("coco", Kind.EMPTY_SPLIT)] == ["test"]


def test_a_picture_that_is_there_twice_is_told_and_so_is_what_contradicts_it(tmp_path: Path) -> None:
    yolo(tmp_path)
    shutil.copyfile(tmp_path / "train/images/a.jpg", tmp_path / "train/images/again.jpg")
    write(tmp_path / "train/labels/again.txt", "")
    dataset = read(tmp_path, "yolo")
    (fault,) = [fault for fault in dataset.faults if fault.kind is Kind.TWICE]
    assert Path(fault.file).name == "again.jpg"
    assert "with other labels" in fault.reason
    assert len(dataset.samples) == 3, "it is told, not left out"


def test_files_that_are_no_pictures_do_not_stop_the_reading(tmp_path: Path) -> None:
    yolo(tmp_path)
    os.mkfifo(tmp_path / "train/images/pipe.jpg")
    (tmp_path / "train/images/folder.png").mkdir()
    write(tmp_path / "train/images/._a.jpg", "what macOS leaves")
    write(tmp_path / "train/images/text.jpg", "no picture")
    (tmp_path / "train/labels/b.txt").unlink()
    (tmp_path / "train/labels/b.txt").mkdir()
    dataset = read(tmp_path, "yolo")
    assert [sample.name for sample in dataset.samples] == ["train/images/a"]
    assert [Path(fault.file).name for fault in dataset.faults if fault.kind is Kind.LEFT_OUT] == ["text.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        '{"images": 5}',
        '{"images": [{"id": [1], "file_name": "a"}], "categories": [], "annotations": []}',
        '{"images": [{"id": 1, "file_name": "a"}], "categories": [], "annotations": null}',
        '{"info": {"annotations": [1]}}',
    ],
)
def test_json_that_is_no_coco_file_is_a_fault_of_that_file(tmp_path: Path, text: str) -> None:
    coco(tmp_path)
    write(tmp_path / "other/_annotations.coco.json", text)
    dataset = read(tmp_path, "coco")
    assert len(dataset.samples) == 2
    assert any("no COCO file" in fault.reason for fault in dataset.faults)


def test_names_that_are_no_text_can_be_told(tmp_path: Path) -> None:
    yolo(tmp_path)
    odd = os.fsdecode(b"b\xff\x1b[31m.jpg")
    picture(tmp_path / "train/images/a.jpg").rename(tmp_path / "train/images" / odd)
    dataset = read(tmp_path, "yolo", missing_are_good=True)
    for text in [sample.name for sample in dataset.samples] + warnings(dataset.faults):
        assert text.isprintable()
        text.encode()
