"""`linegate assembly propose`: each component of a golden picture gets a zone that the detector can judge."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from linegate.adapters.assembly.kind import AssemblyDetection
from linegate.commands.main import main
from linegate.samples import assembled, blister
from linegate.samples.camera import jpeg


def proposed(text: str) -> AssemblyDetection:
    return AssemblyDetection.model_validate(yaml.safe_load(text))


@pytest.mark.slow
def test_what_stands_out_gets_a_zone_and_a_drawing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assembled.prepare(tmp_path)
    assert main(["assembly", "propose", str(tmp_path / "golden.png")]) == 0
    zones = proposed(capsys.readouterr().out).zones
    for part in assembled.PARTS:
        x, y = part.x / assembled.SIZE, part.y / assembled.SIZE
        (zone,) = [zone for zone in zones if zone.left < x < zone.right and zone.top < y < zone.bottom]
        assert part.may_turn != "never" or zone.may_turn == "never", f"{part.name} has a way round"
    with Image.open(tmp_path / "golden-zones.png") as drawing:
        assert drawing.size == (640, 640)
    assert main(["assembly", "propose", str(tmp_path / "golden.png")]) == 64, "what is there is left as it is"


def test_the_ground_may_be_smaller_than_what_it_lies_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blister.prepare(tmp_path)
    assert main(["assembly", "propose", str(tmp_path / "golden.png"), "-o", str(tmp_path / "drawn.png")]) == 0
    assert len(proposed(capsys.readouterr().out).zones) == len(blister.POCKETS)


def test_where_nothing_stands_out_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plain.jpg").write_bytes(jpeg(np.full((200, 200, 3), 120, np.uint8)))
    assert main(["assembly", "propose", str(tmp_path / "plain.jpg")]) == 1
    assert "draw the zones by hand" in capsys.readouterr().err
