"""A zone as the picture and the golden picture show it, upright and of one size."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.assembly.matching import Grey, Picture, Pose, View
from linegate.adapters.golden.light import in_the_light_of
from linegate.sections import Zone
from linegate.shapes import Box

Affine = NDArray[np.float64]  # 2 x 3


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture and the golden one laid over it; `lies` leads from parts of the golden picture to pixels of the picture."""

    have: Picture
    want: Picture
    light: Picture  # the golden one in the light of the picture
    varied: NDArray[np.uint8]
    lies: Affine

    @classmethod
    def of(cls, have: Picture, want: Picture, varied: NDArray[np.uint8] | None, lies: Affine | None) -> "Sheet":
        """`lies` is None where both pictures have one frame."""
        height, width = have.shape[:2]
        if lies is None:
            lies = np.array([[width, 0, 0], [0, height, 0]], np.float64)
        if varied is None:
            varied = np.zeros((height, width), np.uint8)
        light = want if have is want else in_the_light_of(have, want)[0]
        return cls(have, want, light, varied, lies)

    def corners(self, zone: Zone) -> NDArray[np.float64]:
        """Of the zone in the picture, 4 x 2 in pixels, from the upper left one clockwise."""
        left, top, right, bottom = zone.left, zone.top, zone.right, zone.bottom
        parts = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        return np.asarray(parts @ self.lies[:, :2].T + self.lies[:, 2], np.float64)

    def box(self, zone: Zone) -> Box:
        """The upright box around the zone, inside the picture."""
        corners = self.corners(zone)
        height, width = self.have.shape[:2]
        left, top = np.clip(corners.min(0), 0, (width - 2, height - 2))
        right, bottom = np.clip(corners.max(0), (left + 1, top + 1), (width, height))
        return Box(*(float(value) for value in ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)))

    def outside(self, zone: Zone) -> bool:
        """Whether part of the zone lies outside of the picture."""
        corners = self.corners(zone)
        height, width = self.have.shape[:2]
        return bool((corners < -0.5).any() or (corners > (width + 0.5, height + 0.5)).any())

    def view(self, zone: Zone, margin: int, *, round_: bool) -> View:
        """The zone with `margin` pixels around it; only the circle in it counts where it is `round_`."""
        corners = self.corners(zone)
        across, down = corners[1] - corners[0], corners[3] - corners[0]
        width, height = (max(4, round(float(np.linalg.norm(side)))) for side in (across, down))
        # From pixels of the view to pixels of the picture, both counted from the middle of the first
        frame = np.stack([across / width, down / height], axis=1)
        start = corners[0] + frame @ np.array([0.5 - margin, 0.5 - margin]) - 0.5
        pose = np.column_stack([frame, start])
        size = (width + 2 * margin, height + 2 * margin)
        counts: Grey = np.ones((height, width), np.float32)
        if round_:
            y, x = np.mgrid[:height, :width]
            counts = np.asarray(np.hypot((2 * x + 1) / width - 1, (2 * y + 1) / height - 1) <= 1, np.float32)
        have, want, light, varied = (_cut(one, pose, size) for one in (self.have, self.want, self.light, self.varied))
        return View(have, want, light, varied.astype(np.float32), margin, counts)


def moved(view: View, pose: Pose) -> Picture:
    """What the picture shows of the zone, without margin, moved from where it lies to where it should."""
    height, width = view.have.shape[:2]
    middle = (width - 1) / 2, (height - 1) / 2
    back = np.asarray(cv2.getRotationMatrix2D(middle, pose.turn + pose.degrees, 1.0), np.float64)
    back[:, 2] += (pose.x, pose.y)
    return _cut(view.have, back, (width, height))[view.inside]


def _cut(picture: NDArray[np.uint8], pose: Affine, size: tuple[int, int]) -> NDArray[np.uint8]:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, pose, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)
