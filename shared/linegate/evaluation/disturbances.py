"""One picture as a camera would take it again: other light, another pose, other noise, drawn from a seed."""

import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from linegate import imaging
from linegate.errors import ImageRejectedError


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How far looks at one board differ. Light, shift and turn are drawn evenly within plus and minus what stands here."""

    light: float = 0.08  # part by which the whole is brighter or darker; half of that again from corner to corner
    shift: float = 4.0  # pixels, across and along
    turn: float = 0.5  # degrees
    noise: float = 2.0  # standard deviation in grey levels

    def __str__(self) -> str:
        return f"light ±{100 * self.light:g} %, shift ±{self.shift:g} px, turn ±{self.turn:g}°, noise {self.noise:g} grey levels"


def generator(seed: int, name: str, look: int) -> np.random.Generator:
    """The same for a picture's name and the number of a look, in whatever order boards are inspected."""
    return np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogatepass")), look])


def seen_again(picture: Path, how: Disturbance, rng: np.random.Generator, max_pixels: int) -> bytes:
    """The picture disturbed, as a PNG; what is no picture comes back as it is, for the gate to refuse."""
    file = picture.read_bytes()
    try:
        upright = np.asarray(imaging.decode(file, max_pixels))
    except ImageRejectedError:
        return file
    height, width = upright.shape[:2]
    pose = np.asarray(
        cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-how.turn, how.turn)), 1.0), np.float64
    )
    pose[:, 2] += rng.uniform(-how.shift, how.shift, 2)
    # What comes in at the edge repeats what lies there: a black margin would be a finding of its own.
    moved = cv2.warpAffine(upright, pose, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    corners = 1 + rng.uniform(-how.light, how.light) + rng.uniform(-how.light / 2, how.light / 2, (2, 2))
    light = cv2.resize(corners.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    noise = rng.standard_normal((height, width, 1), np.float32) * np.float32(how.noise)
    disturbed = np.clip(moved * light[:, :, None] + noise + np.float32(0.5), 0, 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(disturbed).save(content, "PNG", compress_level=1)
    return content.getvalue()
