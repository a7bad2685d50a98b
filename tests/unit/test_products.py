"""The drawn products: what the demo and `init` make of each, by its name alone."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from linegate.commands.doctor import examine
from linegate.commands.main import main
from linegate.config import load
from linegate.samples.product import Product
from linegate.samples.products import PRODUCTS
from linegate.samples.uploads import of_product

EVERY = pytest.mark.parametrize("product", PRODUCTS.values(), ids=lambda product: product.name)


@EVERY
def test_a_picture_shows_the_faults_that_were_asked_for_and_where(product: Product) -> None:
    for fault in product.faults:
        drawn = product.draw(np.random.default_rng(2), (fault,))
        ((name, box),) = drawn.truth
        height, width = drawn.picture.shape[:2]
        left, top, right, bottom = box.corners
        assert name == fault
        assert -1 <= left < right <= width + 1
        assert -1 <= top < bottom <= height + 1
        good = product.draw(np.random.default_rng(2), ())
        assert good.truth == ()
        assert drawn.picture.dtype == np.uint8 and drawn.picture.shape == good.picture.shape


@EVERY
def test_the_same_numbers_draw_the_same_picture(product: Product) -> None:
    first, second = (product.draw(np.random.default_rng(3), product.faults[:1]) for _ in range(2))
    assert np.array_equal(first.picture, second.picture)


@EVERY
def test_the_cameras_bring_good_ones_every_fault_and_what_is_no_picture(product: Product, tmp_path: Path) -> None:
    uploads = of_product(product, 3 * len(product.faults), tmp_path)
    assert {fault for upload in uploads for fault in upload.defects} == set(product.faults)
    assert {upload.truth for upload in uploads} == {"PASS", "FAIL", "ERROR"}
    assert all(upload.source.is_file() for upload in uploads)


@pytest.mark.slow
@EVERY
def test_init_writes_all_that_doctor_asks_for(
    product: Product, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "linegate.yaml"
    assert main(["init", str(path), "--product", product.name]) == 0
    told = capsys.readouterr().out
    assert f"doctor --config {path}" in told
    assert f"inspect {tmp_path / 'samples'}" in told
    settings = load(path)
    assert settings.lines["smt-1"].recipe == product.name
    findings = list(examine(settings, path))
    assert [finding.said for finding in findings if not finding.sound] == []
    assert {file.stem for file in (tmp_path / "samples").iterdir()} == {"good", *product.faults}
    assert yaml.safe_load(path.read_text())["targets"] == {}


def test_what_is_there_already_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "golden.png").write_bytes(b"mine")
    assert main(["init", str(tmp_path / "linegate.yaml"), "--product", "blister"]) == 64
    assert "golden.png exists and is left as it is" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["golden.png"]
    assert (tmp_path / "golden.png").read_bytes() == b"mine"


@pytest.mark.parametrize("command", ["init", "demo"])
def test_a_product_that_there_is_not_lists_those_that_there_are(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, "--product", "bicycle"]) == 64
    said = capsys.readouterr().err
    assert "there is no product 'bicycle'" in said
    assert all(product.title in said for product in PRODUCTS.values())
    assert list(tmp_path.iterdir()) == []


def test_the_demo_does_not_draw_a_product_and_read_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--product", "blister", "--images", str(tmp_path)]) == 64
    assert "give one of the two" in capsys.readouterr().err
