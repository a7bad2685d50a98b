"""A picture and the golden one laid over it, as all who compare them need them: each is made once."""

from dataclasses import dataclass

import numpy as np

from linegate.adapters.golden.glare import drowned, glare
from linegate.adapters.golden.materials import Grey, Mask, Picture, Shown, coloured, step_of, two_levels


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and the golden one laid over it, both reduced by a whole number, and the glare that is on the picture."""

    step: int
    picture: Picture
    golden: Picture
    glare: (
        Grey | None
    )  # grey levels, on at least GLARE_SIDE pixels across; None where there is none or it can't be told
    lost: Mask  # 255 where the picture is too bright to show anything, as `drowned` tells it; nowhere on a scan
    light: Grey  # the lightness of the picture
    coloured: bool  # whether the golden picture has a colour that bare metal can be told from
    scan: bool  # whether the golden picture is a black-and-white scan, as `two_levels` tells it

    @classmethod
    def of(cls, picture: Picture | Shown, golden: Picture | Shown) -> "Pair":
        seen, good = Shown.of(picture), Shown.of(golden)
        step, scan = step_of(good.pixels), two_levels(good.pixels)
        have, want, light = seen.by(step), good.by(step), seen.light(step)
        if scan:
            shining, lost = None, np.zeros(light.shape, np.uint8)
        else:
            shining, lost = glare(have, want), drowned(seen.dark(step), good.dark(step))
        return cls(step, have, want, shining, lost, light, coloured(good.pixels), scan)
