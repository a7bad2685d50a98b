"""The camera of the drawn boards: pose, optics, light, noise, and the file it writes."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.shapes import Box

Picture = NDArray[np.uint8]  # height x width x 3, RGB

OVERSAMPLING: Final = 2  # how much larger a board is drawn than photographed


def pose_of(size: int, shift_x: float, shift_y: float, degrees: float, scale: float) -> NDArray[np.float64]:
    """2 x 3: from oversampled board to picture."""
    centre = size * OVERSAMPLING / 2
    pose = cv2.getRotationMatrix2D((centre, centre), degrees, scale / OVERSAMPLING)
    pose[:, 2] = pose[:, 2] + np.array([size / 2 - centre + shift_x, size / 2 - centre + shift_y])
    return np.asarray(pose, np.float64)


def any_pose(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """As things come to lie on a conveyor: shifted by up to 6 px, turned by 0.8°, larger or smaller by 0.5 %."""
    return pose_of(size, rng.uniform(-6, 6), rng.uniform(-6, 6), rng.uniform(-0.8, 0.8), rng.uniform(0.995, 1.005))


def photograph(surface: Picture, pose: NDArray[np.float64], around: Sequence[int]) -> Picture:
    """size x size x 3, from a surface OVERSAMPLING times as large; `around` is the colour of what it lies on."""
    soft = cv2.blur(surface, (OVERSAMPLING + 1, OVERSAMPLING + 1))
    return np.asarray(
        cv2.warpAffine(soft, pose, (len(surface) // OVERSAMPLING,) * 2, borderValue=tuple(around)), np.uint8
    )


def expose(picture: Picture, rng: np.random.Generator) -> Picture:
    """Uneven light, gain and sensor noise."""
    size = len(picture)
    corners = rng.uniform(0.88, 1.08, (2, 2)).astype(np.float32)
    light = cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR)
    noise = rng.standard_normal((size, size, 1), np.float32) * 2.5 + rng.standard_normal((size, size, 3), np.float32)
    return np.clip(picture * light[:, :, None] + noise, 0, 255).astype(np.uint8)


def seen(corners: NDArray[np.float64], pose: NDArray[np.float64]) -> Box:
    """The upright box around points of the board, as the picture shows them."""
    points = corners @ pose[:, :2].T + pose[:, 2]
    low, high = points.min(0), points.max(0)
    return Box(*(float(value) for value in (*((low + high) / 2), *(high - low))))


def jpeg(picture: Picture, quality: int = 92) -> bytes:
    """The picture as a JPEG file without chroma subsampling; by OpenCV, which takes 2 ms for 640 x 640 and Pillow 5."""
    parameters = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), parameters)[1].tobytes()
