"""An instance on Google Cloud has the memory that its pictures take: the figures are measured, what is made of them is sums."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from linegate.adapters.golden.kind import GoldenDetection
from linegate.adapters.measure.kind import MeasureDetection
from linegate.config import parse, without_secrets
from linegate.kind import DetectorKind
from linegate.settings import Settings
from linegate.stages import MEMORY_A_CORE_MIB, MOST_MEMORY_MIB, STAGES

ROOT: Final = Path(__file__).parents[2]
MIB: Final = 1 << 20
SIDES: Final = (1000, 2400)
NOISE: Final = 32 * MIB


def settings(max_pixels: int, detector: str = "golden") -> Settings:
    asked = "detector: roboflow, workflow: {id: pcb}, golden: g" if detector == "roboflow" else "golden: g"
    text = f"recipes: {{pcb: {{{asked}}}}}\nlines: {{smt-1: {{recipe: pcb}}}}\nroboflow: {{workspace: w, api_key: k}}\n"
    return parse(f"{text}images: {{max_pixels: {max_pixels}}}", Path(), {})


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
@pytest.mark.parametrize(
    ("work", "stage", "bytes_a_pixel"),
    [
        ("golden", "detect", GoldenDetection.bytes_a_pixel),
        ("measured", "detect", MeasureDetection.bytes_a_pixel),
        ("asked", "detect", DetectorKind.bytes_a_pixel),
        ("drawn", "aggregate", STAGES["aggregate"].instance.bytes_a_pixel),
    ],
)
def test_a_picture_takes_no_more_than_is_reckoned_for_it(work: str, stage: str, bytes_a_pixel: int) -> None:
    command = [sys.executable, "-m", "tests.memory", work, *map(str, SIDES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    small, large = json.loads(done.stdout.splitlines()[-1])
    pixels_small, pixels_large = (side * side for side in SIDES)
    assert (large - small) * MIB <= bytes_a_pixel * (pixels_large - pixels_small) + NOISE, "each pixel more"
    assert large <= STAGES[stage].instance.memory_mib + bytes_a_pixel * pixels_large / MIB, "in all"


@pytest.mark.parametrize("detector", ["golden", "roboflow"])
@pytest.mark.parametrize("megapixels", [1, 5, 12, 25, 50, 100, 250])
def test_all_pictures_that_are_worked_on_at_a_time_have_room(megapixels: int, detector: str) -> None:
    gate = settings(megapixels * 1_000_000, detector)
    takes = {"detect": GoldenDetection.bytes_a_pixel if detector == "golden" else DetectorKind.bytes_a_pixel}
    for stage in ("detect", "aggregate", "review", "sweep"):
        table, made = STAGES[stage].instance, gate.instance(stage)
        picture = takes.get(stage, table.bytes_a_pixel) * gate.images.max_pixels / MIB
        kept = table.kept_bytes_a_pixel * gate.images.max_pixels / MIB
        assert made.memory_mib >= table.memory_mib + kept + made.concurrency * picture
        assert 1 <= made.concurrency <= table.concurrency
        assert made.memory_mib <= made.cores * MEMORY_A_CORE_MIB <= MOST_MEMORY_MIB
        assert made.cores == 1 or made.concurrency == 1, "cores are not bought to work on more at a time"


def test_stages_without_pictures_are_what_the_table_says() -> None:
    for stage in ("verify", "notify"):
        assert settings(100_000_000).instance(stage) == STAGES[stage].instance


def test_terraform_reckons_as_the_package_does() -> None:
    """Its own test holds these figures of the example environment against what it makes of defaults.json."""
    test = (ROOT / "terraform" / "tests" / "gate.tftest.hcl").read_text()
    gate = without_secrets(ROOT / "terraform" / "envs" / "dev.yaml")
    for stage in STAGES:
        made = gate.instance(stage)
        size = f'{stage} = "{made.memory_mib}Mi {made.cores} {made.concurrency}"'
        assert size in " ".join(test.split()), size
