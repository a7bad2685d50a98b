"""A stand-in for the endpoint that runs Roboflow workflows. Its "model" finds rectangles of one colour; it is no RF-DETR."""

import base64
import binascii
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from tests.standins.service import Reply, Request

KEY = "rf-stand-in"
WORKSPACE = "plant"
WORKFLOW = "pcb"
MAX_BYTES = 20_000_000

Prediction = dict[str, Any]
# Picture ▶ predictions, in its pixels
Find = Callable[[Image.Image], Sequence[Prediction]]


def prediction(
    x: float, y: float, width: float, height: float, name: str = "short", confidence: float = 0.9
) -> Prediction:
    return {
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "confidence": confidence,
        "class": name,
        "class_id": 0,
        "detection_id": "0000",
        "parent_id": "image",
    }


# What is painted on a test picture to be found: colour ▶ class
MARKS: Mapping[str, tuple[int, int, int]] = {
    "short": (255, 0, 255),
    "open_circuit": (0, 255, 255),
    "spur": (255, 255, 0),
}


def find_marks(picture: Image.Image) -> list[Prediction]:
    """One prediction for each colour of MARKS: the bounding box of its pixels, give or take the JPEG's losses."""
    found = []
    for name, colour in MARKS.items():
        bands = picture.split()
        mask = Image.new("L", picture.size, 255)
        for band, level in zip(bands, colour, strict=True):
            near = band.point(lambda value, level=level: 255 if abs(value - level) < 60 else 0)
            mask = Image.composite(mask, Image.new("L", picture.size, 0), near)
        box = mask.getbbox()
        if box:
            left, top, right, bottom = box
            found.append(prediction((left + right) / 2, (top + bottom) / 2, right - left, bottom - top, name))
    return found


def find_cells(picture: Image.Image) -> list[Prediction]:
    """One prediction for each cell of a grid of 32 pixels that is painted magenta: any number of them, quickly."""
    cells = np.asarray(picture.resize((picture.width // 32, picture.height // 32), Image.Resampling.BOX), int)
    magenta = (np.abs(cells - (255, 0, 255)) < 60).all(axis=2)
    return [prediction(32 * column + 16, 32 * row + 16, 24, 24) for row, column in np.argwhere(magenta).tolist()]


def fixed(*predictions: Prediction) -> Find:
    return lambda _: predictions


@dataclass
class Workflows:
    """Answers POST /{workspace}/workflows/{workflow} as the service does."""

    find: Find = find_marks
    # Beside the predictions; of the picture and what was found on it
    outputs: Callable[[Sequence[Prediction]], Mapping[str, Any]] = field(default=lambda _: {"model_id": "stand-in/1"})
    name: str = "predictions"
    key: str | None = KEY  # None: a server of one's own, which asks for none
    seen: list[Image.Image] = field(default_factory=list)
    keep: bool = True

    def __call__(self, request: Request) -> Reply:
        place = re.fullmatch(r"/([^/]+)/workflows/([^/?]+)", request.path)
        if request.method != "POST" or place is None:
            return Reply(404, {"detail": "Not Found"})
        content = request.json()
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return Reply(401, {"message": "Unauthorized access to roboflow API - check API key."})
        if place.groups() != (WORKSPACE, WORKFLOW):
            return Reply(
                404,
                {"message": "Requested Roboflow resource not found."},
            )
        if len(request.body) > MAX_BYTES:
            return Reply(413, {"message": "Request entity too large"})
        picture = _picture(content.get("inputs", {}).get("image"))
        if picture is None:
            return Reply(400, {"message": "Could not decode image"})
        if self.keep:
            self.seen.append(picture)
        least = content["inputs"].get("confidence", 0.4)
        found = [entry for entry in self.find(picture) if _sure(entry) >= least]
        size = {"width": picture.width, "height": picture.height} if found else {"width": None, "height": None}
        outputs = {self.name: {"image": size, "predictions": found}, **self.outputs(found)}
        kept = {key: value for key, value in outputs.items() if key not in content.get("excluded_fields", [])}
        return Reply(200, {"outputs": [kept], "profiler_trace": []})


def _sure(entry: Any) -> float:
    """Spoilt predictions, which tests make up, pass every threshold."""
    confidence = entry.get("confidence") if isinstance(entry, dict) else None
    return confidence if isinstance(confidence, float) else 1.0


def _picture(image: Any) -> Image.Image | None:
    if not isinstance(image, dict) or image.get("type") != "base64":
        return None
    try:
        opened = Image.open(io.BytesIO(base64.b64decode(image["value"], validate=True)))
        return opened.convert("RGB")
    except (binascii.Error, OSError, KeyError, TypeError):
        return None
