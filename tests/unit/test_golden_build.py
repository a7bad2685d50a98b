"""One golden picture out of several boards: what one of them has alone is gone from it."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from linegate.adapters.golden.adapters import GoldenDetector, GoldenRegistrar
from linegate.adapters.golden.comparison import compare
from linegate.adapters.golden.picture import Golden, decode, encode
from linegate.adapters.golden.registration import register
from linegate.commands.golden.median import build
from linegate.commands.main import main
from linegate.errors import ImageRejectedError
from linegate.evaluation.appearance import touch
from linegate.samples import LOST_PRINT, Spread, golden_board, jpeg, sample
from linegate.settings import Recipe

pytestmark = pytest.mark.slow

DESIGN = golden_board(21)


def boards(number: int, defective: int = 0) -> list[np.ndarray]:
    """Photographs of good boards, each in its own pose, light and noise; the first `defective` of them have a defect."""
    rng = np.random.default_rng(5)
    return [
        sample(DESIGN, rng, ("short", "open_circuit") if index < defective else ()).picture for index in range(number)
    ]


def test_a_defect_of_one_board_is_no_part_of_the_golden_picture() -> None:
    pictures = boards(5, defective=1)
    built = build(pictures, [str(index) for index in range(5)])
    assert built.golden.picture.shape == pictures[0].shape
    rng = np.random.default_rng(6)
    clean, bad = sample(DESIGN, rng).picture, sample(DESIGN, rng, ("short", "open_circuit")).picture
    assert compare(clean, register(clean, built.golden.picture)) == []
    assert len(compare(bad, register(bad, built.golden.picture))) == 2
    found = compare(pictures[0], register(pictures[0], built.golden.picture))
    assert sorted(detection.class_name for detection in found) == ["open_circuit", "short"], "it shows on its own board"
    assert max(built.deviant) == built.deviant[0]


def glinting(picture: np.ndarray, seed: int) -> np.ndarray:
    """With foil on a bare stretch of the board that glints differently on every picture."""
    shown = picture.copy()
    patch = np.kron(np.random.default_rng(seed).choice([60, 240], (6, 6)), np.ones((5, 5)))
    shown[300:330, 300:330] = patch[..., None]
    return shown


def test_where_good_boards_differ_a_difference_is_no_defect_and_elsewhere_it_is() -> None:
    flat = np.full((640, 640, 3), (16, 88, 46), np.uint8)
    for top in range(40, 600, 60):
        flat[top : top + 24, 40:600] = (52, 148, 84)
    flat[290:340, 290:340] = (16, 88, 46)
    built = build([glinting(flat, seed) for seed in range(20)], [""] * 20)
    registrar = GoldenRegistrar({"golden": encode(built.golden)}.__getitem__)

    def found(picture: np.ndarray) -> list[str]:
        image = Image.fromarray(picture)
        answer = GoldenDetector().detect(image, b"", registrar.register(image, "golden"))
        return [detection.class_name for detection in answer.detections]

    tested = glinting(flat, 99)
    assert compare(tested, register(tested, built.golden.picture)) != [], "without what was learned"
    assert found(tested) == []
    tested[100:124, 200:210] = (16, 88, 46)
    assert found(tested) == ["open_circuit"]


def test_a_defect_on_one_of_the_good_boards_does_not_hide_the_next_one_there() -> None:
    pictures = [DESIGN.picture.copy() for _ in range(4)]
    pictures[1][315:325, 100:540] = 250
    built = build(pictures, [""] * 4)
    assert built.golden.variation is not None
    assert built.golden.variation.max() < 10


def test_a_golden_picture_is_read_back_as_it_was_written_and_damage_is_told() -> None:
    learned = np.random.default_rng(1).integers(0, 255, (640, 640), np.uint8)
    golden = Golden(DESIGN.picture, learned, learned[::-1])
    back = decode(encode(golden))
    assert back.broad is not None
    assert np.array_equal(back.broad, learned[::-1])
    assert np.array_equal(back.picture, golden.picture)
    assert back.variation is not None
    assert np.array_equal(back.variation, learned)
    assert decode(jpeg(DESIGN.picture)).variation is None
    with pytest.raises(ImageRejectedError, match="another size: build it anew"):
        decode(encode(Golden(DESIGN.picture, learned[:100])))


@pytest.mark.slow
def test_print_that_lies_differently_on_good_boards_is_missed_where_it_is_gone() -> None:
    design = golden_board(61, mask="red", finish="tin")
    good = [sample(design, np.random.default_rng(seed), (), Spread()).picture for seed in range(5)]
    file = encode(build(good, [""] * 5).golden)
    registrar = GoldenRegistrar(lambda _: file)

    def touched(*defects: str) -> list[bool]:
        shown = sample(design, np.random.default_rng(77), defects, Spread())
        image = Image.fromarray(shown.picture)
        found = GoldenDetector().detect(image, b"", registrar.register(image, "golden")).detections
        sure = [one.box for one in found if one.confidence >= Recipe().confidence]
        return [any(touch(one, box) for _, box in shown.truth) for one in sure]

    assert touched() == []
    assert True in touched(LOST_PRINT)


def test_noise_averages_out() -> None:
    pictures = boards(7)
    built = build(pictures, [""] * 7)

    def noise(picture: np.ndarray) -> float:
        """Spread of grey levels where the board is flat: in the calmest tenth of its blocks of 16 x 16."""
        blocks = picture[..., 1].astype(float).reshape(40, 16, 40, 16).std(axis=(1, 3))
        return float(np.percentile(blocks, 10))

    assert noise(built.golden.picture) < 0.6 * noise(pictures[0])


def test_the_command_writes_a_picture_and_names_what_stands_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for index, picture in enumerate(boards(4)):
        if index == 2:
            cv2.rectangle(picture, (100, 200), (160, 225), (255, 255, 255), -1)  # a label stuck on the board
        files.append(tmp_path / f"good-{index}.jpg")
        files[-1].write_bytes(jpeg(picture))
    target = tmp_path / "golden.png"
    assert main(["golden", "build", *map(str, files), "-o", str(target)]) == 0
    said = capsys.readouterr().out
    assert "the median of 4 boards" in said.replace("\\n", " ")
    assert "good-2.jpg stand out" in said.replace("\\n", "")
    assert "good-1.jpg stand out" not in said
    assert "tried in short" in said
    assert "cut from" in said.replace("\n", " ")
    built = cv2.imread(str(target))
    assert built is not None
    assert built.shape == (640, 640, 3)
    assert main(["golden", "build", *map(str, files), "-o", str(target)]) == 64
    assert "is left as it is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: None, "2 pictures; a median needs 3"),
        (lambda folder: shutil.copy(folder / "a.jpg", folder / "c.jpg"), "the same picture is there twice"),
        (lambda folder: (folder / "c.jpg").write_bytes(b"no picture"), "c.jpg: the file is no picture"),
        (
            lambda folder: (folder / "c.jpg").write_bytes(jpeg(golden_board(99).picture[::-1].copy())),
            "can't be laid over",
        ),
    ],
)
def test_what_can_not_be_used_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: object, said: str
) -> None:
    for name, picture in zip(("a.jpg", "b.jpg"), boards(2), strict=True):
        (tmp_path / name).write_bytes(jpeg(picture))
    spoil(tmp_path)  # type: ignore[operator]
    files = sorted(map(str, tmp_path.glob("*.jpg")))
    assert main(["golden", "build", *files, "-o", str(tmp_path / "golden.png")]) == 64
    assert said in capsys.readouterr().err
    assert not (tmp_path / "golden.png").exists()


def test_uneven_light_on_good_boards_is_not_taken_for_what_boards_differ_by() -> None:
    design = golden_board(22, mask="white", finish="tin")
    pictures = [sample(design, np.random.default_rng(seed)).picture for seed in range(5)]
    variation = build(pictures, [str(seed) for seed in range(5)]).golden.variation
    assert variation is not None
    assert np.percentile(variation[60:-60, 60:-60], 75) <= 5  # the light on them differs by up to 40 grey levels
