"""The port Detector: zone after zone of the golden picture is looked for in the picture."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from PIL import Image

from linegate.adapters.assembly.judging import Judged, judge
from linegate.adapters.assembly.sections import AssemblyZone
from linegate.adapters.assembly.views import Sheet
from linegate.errors import PermanentError
from linegate.inspection import Check, Detection
from linegate.ports import Found, Reference

MODEL: Final = "assembly"
VERSION: Final = "1"


class AssemblyDetector:
    """Finds zones that do not hold what they hold in the golden picture."""

    def __init__(self, zones: Sequence[AssemblyZone], within: float | None, mm_per_px: float | None) -> None:
        self._zones, self._within, self._mm_per_px = zones, within, mm_per_px

    def detect(self, picture: Image.Image, file: bytes, golden: Reference | None) -> Found:
        """What is clear is settled, since a verifier that lays each finding over its reference again would clear what is
        shifted; what is not is settled as UNSURE. A zone about which nothing can be said is a doubt.
        """
        if golden is None:
            raise PermanentError("zones belong to a golden picture; name one in the recipe (recipes.NAME.golden)")
        detections, doubts = [], []
        try:
            sheet = sheet_of(picture, golden)
            for zone in self._zones:
                found, blind = judge(sheet, zone, self._within, self._mm_per_px)
                if blind:
                    doubts.append(f"Zone {zone.name} {blind}.")
                if found:
                    detections.append(_detection(sheet, zone, found))
        except (MemoryError, cv2.error) as error:
            raise PermanentError(f"looking at the zones needs more memory than there is ({error})") from error
        return Found(tuple(detections), MODEL, VERSION, tuple(doubts))


def sheet_of(picture: Image.Image, golden: Reference) -> Sheet:
    lies = None if golden.lies is None else np.array(golden.lies, np.float64).reshape(2, 3)
    varied = None if golden.variation is None else np.asarray(golden.variation)
    return Sheet.of(np.asarray(picture), np.asarray(golden.picture), varied, lies)


def _detection(sheet: Sheet, zone: AssemblyZone, found: Judged) -> Detection:
    return Detection(
        class_name=found.class_name,
        confidence=1.0,
        box=sheet.box(zone),
        note=zone.name,
        settled=Check(0, found.result, f"{zone.name}: {found.reason}", model=MODEL, model_version=VERSION),
        outline=tuple((float(x), float(y)) for x, y in sheet.corners(zone)),
        measure=found.measure,
    )
