"""`linegate measure`: what a person sees who sets gauges up, and how well they repeat."""

import json
import shutil
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
from PIL import Image

from linegate.commands.main import main
from linegate.samples import jpeg
from linegate.samples.bottle import PRODUCT, draw
from tests.drawn_edges import bar, drawn

PART = """
recipes:
  bare: {golden: golden.png}
  part:
    verifier: none
    mm_per_px: 0.1
    detector: measure
    gauges:
      - {tool: edge, name: side, zone: {left: 0.1, top: 0.2, right: 0.5, bottom: 0.8}, polarity: to_bright}
      - {tool: caliper, name: width, zone: {left: 0.1, top: 0.2, right: 0.9, bottom: 0.8}, nominal: 3, tolerance: 0.2,
         moves_with: [side]}
lines: {cell: {recipe: bare}, other: {recipe: part}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "linegate.yaml"
    path.write_text(PART)
    return path


def same_part(folder: Path, count: int, noise: float = 2.0) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(count):
        picture = drawn(bar(50 + rng.uniform(-1, 1), 30, 0, 1), noise, rng)
        Image.fromarray(picture).resize((400, 320), Image.Resampling.NEAREST).resize(
            (100, 80), Image.Resampling.BOX
        ).save(folder / f"{number:02}.png")
    return folder


def test_trying_a_recipe_prints_each_value_and_draws_where_it_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, picture, out = (tmp_path / name for name in ("linegate.yaml", "bottle.jpg", "out.jpg"))
    config.write_text(f"recipes:\n  bottle:\n{indent(PRODUCT.recipe, '    ')}lines: {{filler: {{recipe: bottle}}}}\n")
    picture.write_bytes(jpeg(draw(np.random.default_rng(8), ["underfilled"]).picture))
    assert main(["measure", "try", str(picture), "--config", str(config), "--annotated", str(out)]) == 0
    said = capsys.readouterr().out
    assert "recipe bottle: FAIL" in said
    for words in ("ring", "cap_gap", "fill_level", "below what is allowed", " mm", "°"):
        assert words in said
    with Image.open(out) as drawn_on:
        assert drawn_on.height > 720
    assert main(["measure", "try", str(picture), "--config", str(config), "--json"]) == 0
    told = {row["gauge"]: row for row in json.loads(capsys.readouterr().out)["gauges"]}
    assert told["fill_level"]["result"] == "FAIL"
    assert told["fill_level"]["unit"] == "mm"


def test_a_gauge_that_reads_nothing_is_named(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (400, 320), (128, 128, 128)).save(tmp_path / "blank.png")
    assert main(["measure", "try", str(tmp_path / "blank.png"), "--config", str(config)]) == 2
    assert "recipe part: REVIEW" in (said := capsys.readouterr().out)
    assert "can't be measured" in said


def test_repeating_tells_spread_bias_and_capability(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = same_part(tmp_path / "same", 12)
    command = ["measure", "repeat", str(folder), "--config", str(config), "--reference", "width=3.0"]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    width = next(row for row in told["gauges"] if row["gauge"] == "width")
    known = width["capability"]
    assert told["pictures"] == known["count"] == 12
    assert known["mean"] == pytest.approx(3.0, abs=0.005)
    assert known["cg"] == pytest.approx(0.2 * 0.4 / (6 * known["s"]))
    assert known["cgk"] < known["cg"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "Cg = 0.2 T / (6 s)" in said
    assert "12 are few" in said
    assert "width: repeatability: 0.00" in said


def test_what_does_not_repeat_well_enough_is_told_by_the_exit_code(config: Path, tmp_path: Path) -> None:
    config.write_text(PART.replace("tolerance: 0.2", "tolerance: 0.005, guard: 0"))
    assert main(["measure", "repeat", str(same_part(tmp_path / "same", 10, noise=8)), "--config", str(config)]) == 1


def test_one_picture_again_and_again_tells_nothing_of_the_spread(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = same_part(tmp_path / "same", 2)
    shutil.copy(folder / "00.png", folder / "02.png")
    assert main(["measure", "repeat", str(folder), "--config", str(config)]) == 64
    assert "the same picture is there twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "fault"),
    [
        (["--recipe", "bare"], 78, "recipes.bare: has no detector that measures"),
        (["--recipe", "nope"], 78, "no recipe named 'nope'; there is bare, part"),
        (["--reference", "depth=1"], 64, "there is no gauge 'depth'"),
        (["--reference", "width=wide"], 64, "'wide' is no number"),
    ],
)
def test_slips_of_the_pen_are_told(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, fault: str
) -> None:
    folder = same_part(tmp_path / "same", 2)
    assert main(["measure", "repeat", str(folder), "--config", str(config), *arguments]) == code
    assert fault in capsys.readouterr().err
