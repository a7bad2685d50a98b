"""One recipe that compares, measures and asks a service that is down: what one of them can't say is told."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from linegate.config import load
from linegate.samples import jpeg
from linegate.samples.bottle import PRODUCT, draw
from tests.e2e.line import SECRET, Hmi, Line, running
from tests.standins import roboflow
from tests.standins.service import Service, always, status


@pytest.fixture
def line(tmp_path: Path, hmi: Hmi) -> Iterator[Line]:
    gauges = yaml.safe_load(PRODUCT.recipe)
    measure = {"type": "measure", "gauges": gauges.pop("gauges")}
    del gauges["detector"]
    golden = draw(np.random.default_rng(2), ()).picture
    Image.fromarray(golden).save(tmp_path / "golden.png")
    with Service(roboflow.Workflows(find=roboflow.find_cells), faults=always(status(503))) as away:
        content = {
            "roboflow": {
                "api_url": away.url,
                "api_key": roboflow.KEY,
                "workspace": "plant",
                "timeout_s": 1,
                "budget_s": 1,
            },
            "recipes": {
                "bottle": gauges
                | {
                    "golden": "golden.png",
                    "detectors": [
                        {"type": "golden"},
                        measure,
                        {"type": "roboflow", "name": "trained", "workflow": {"id": "bottles"}},
                    ],
                }
            },
            "lines": {"filler": {"recipe": "bottle"}},
            "targets": {"hmi": {"url": hmi.url, "secrets": [SECRET]}},
            "network": {"private_addresses": ["127.0.0.0/8"]},
            "edge": {"data": "data", "settle_ms": 50, "scan_ms": 100, "workers": {"processes": 1}},
        }
        path = tmp_path / "linegate.yaml"
        path.write_text(yaml.safe_dump(content))
        yield Line(tmp_path, load(path))


def test_what_works_is_judged_and_what_is_down_is_named(line: Line, hmi: Hmi) -> None:
    good, full = (draw(np.random.default_rng(2), faults).picture for faults in ((), ("overfilled",)))
    with running(line):
        held = hmi.wait_for(line.upload("filler/end/good.jpg", jpeg(good, 97)))
        failed = hmi.wait_for(line.upload("filler/end/full.jpg", jpeg(full, 97)))
    assert (held["verdict"], held["fail_count"]) == ("REVIEW", 0)
    (reason,) = held["reasons"]
    assert reason.startswith("Detector trained: it could not answer:")
    assert "503" in reason
    assert {answer["name"] for answer in held["detectors"]} == {"golden", "measure"}
    assert {each["class"] for each in held["defects"]} == {"caps", "cap_gap", "cap_angle", "fill_level"}
    assert failed["verdict"] == "FAIL"
    told = {(each["class"], each["result"]): each for each in failed["defects"]}
    level = told["fill_level", "FAIL"]
    assert level["found_by"] == ["measure"]
    assert level["measure"]["value"] > level["measure"]["high"]
    assert any(reason.startswith("Detector trained") for reason in failed["reasons"])
    with Image.open(io.BytesIO((line.data / failed["annotated_image"]["name"]).read_bytes())) as annotated:
        assert annotated.format == "JPEG"
