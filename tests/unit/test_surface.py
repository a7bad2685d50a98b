"""The drawn surface: its truth is where it was changed, and its model tells each fault from a good stretch."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linegate.adapters.anomaly.models import Wanted, detector
from linegate.samples.surface import MODEL, PRODUCT
from linegate.settings import Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("surface")
    PRODUCT.prepare(folder)
    return folder


@pytest.mark.slow
def test_good_stretches_are_cleared_and_each_fault_is_found_where_it_is(folder: Path) -> None:
    asked = detector(Wanted(folder / MODEL))
    rng = np.random.default_rng(77)
    for _ in range(4):
        good = asked.detect(Image.fromarray(PRODUCT.draw(rng, ()).picture), b"", None)
        assert not good.detections
        assert not good.doubts
    for fault in PRODUCT.faults:
        for _ in range(2):
            drawn = PRODUCT.draw(rng, (fault,))
            ((name, box),) = drawn.truth
            found = asked.detect(Image.fromarray(drawn.picture), b"", None).detections
            assert name == fault
            assert any(
                abs(one.box.x - box.x) < (one.box.width + box.width) / 2
                and abs(one.box.y - box.y) < (one.box.height + box.height) / 2
                for one in found
            ), fault


def test_faults_are_drawn_apart_and_unknown_ones_refused() -> None:
    drawn = PRODUCT.draw(np.random.default_rng(1), PRODUCT.faults)
    assert [name for name, _ in drawn.truth] == list(PRODUCT.faults)
    with pytest.raises(ValueError, match="there is no fault 'dent'"):
        PRODUCT.draw(np.random.default_rng(1), ("dent",))


def test_its_recipe_is_a_recipe() -> None:
    import yaml

    assert [detector.type for detector in Recipe.model_validate(yaml.safe_load(PRODUCT.recipe)).detectors] == [
        "anomaly"
    ]
