"""One golden picture out of several boards: what one of them has alone is gone from it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from linegate.adapters.golden.comparison import compare
from linegate.adapters.golden.registration import register
from linegate.edge.cli import main
from linegate.edge.golden_build import build
from linegate.edge.samples import golden_board, jpeg, sample

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
    assert built.picture.shape == pictures[0].shape
    rng = np.random.default_rng(6)
    clean, bad = sample(DESIGN, rng).picture, sample(DESIGN, rng, ("short", "open_circuit")).picture
    assert compare(clean, register(clean, built.picture)) == []
    assert len(compare(bad, register(bad, built.picture))) == 2
    found = compare(pictures[0], register(pictures[0], built.picture))
    assert sorted(detection.class_name for detection in found) == ["open_circuit", "short"], "it shows on its own board"
    assert max(built.deviant) == built.deviant[0]


def test_noise_averages_out() -> None:
    pictures = boards(7)
    built = build(pictures, [""] * 7)

    def noise(picture: np.ndarray) -> float:
        """Spread of grey levels where the board is flat: in the calmest tenth of its blocks of 16 x 16."""
        blocks = picture[..., 1].astype(float).reshape(40, 16, 40, 16).std(axis=(1, 3))
        return float(np.percentile(blocks, 10))

    assert noise(built.picture) < 0.6 * noise(pictures[0])


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
    assert cv2.imread(str(target)).shape == (640, 640, 3)
    assert main(["golden", "build", *map(str, files), "-o", str(target)]) == 64
    assert "is left as it is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: None, "2 pictures; a median needs 3"),
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
