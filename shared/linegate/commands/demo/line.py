"""The demo's line: two cameras, what they have uploaded, and the HMI that hears of it."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from linegate.commands.listener import Received
from linegate.samples.uploads import Upload

CAMERAS: Final = (("smt-1", "aoi-1"), ("smt-2", "aoi-1"))
DEADLINE_S: Final = 30.0


@dataclass(slots=True)
class Outcome:
    """What became of one upload."""

    upload: Upload
    line: str
    station: str
    uploaded_at: float = 0.0
    alerted_at: float = 0.0
    data: dict[str, Any] = field(default_factory=dict)
    detector_ms: float = 0.0
    slowest_check_ms: float = 0.0

    @property
    def verdict(self) -> str | None:
        return self.data.get("verdict")

    @property
    def upload_to_alert_ms(self) -> float:
        return 1000 * (self.alerted_at - self.uploaded_at)

    @property
    def overhead_ms(self) -> float:
        """Renamed into place, an upload need not settle: nothing else is to be subtracted."""
        return self.upload_to_alert_ms - self.detector_ms - self.slowest_check_ms


class Demo:
    """The cameras, what they have uploaded, and what the HMI has heard; `show` is called with each outcome."""

    def __init__(self, folder: Path, uploads: Sequence[Upload], show: Callable[[Outcome], None], pace_s: float) -> None:
        self._folder = folder
        self._show = show
        self._pace_s = pace_s
        self._lock = threading.Lock()
        self._answered = {f"{line}/{station}": threading.Semaphore(0) for line, station in CAMERAS}
        self.bad_signatures = 0
        self.received: set[str] = set()
        self.outcomes: dict[str, Outcome] = {}
        for number, upload in enumerate(uploads):
            line, station = CAMERAS[number % len(CAMERAS)]
            self.outcomes[f"uploads/{line}/{station}/{upload.name}"] = Outcome(upload, line, station)

    def run_cameras(self) -> None:
        cameras = [threading.Thread(target=self._camera, args=camera, daemon=True) for camera in CAMERAS]
        for camera in cameras:
            camera.start()
            time.sleep(self._pace_s / len(cameras))  # two lines do not move in step
        for camera in cameras:
            camera.join()

    def receive(self, webhook: Received) -> None:
        """The HMI's side."""
        with self._lock:
            if webhook.event is None:
                self.bad_signatures += 1
                return
            data = webhook.event["data"]
            outcome = self.outcomes.get(data["image"]["name"])
            repeated = webhook.entry_id in self.received
            self.received.add(webhook.entry_id)
            if outcome is None or repeated:
                return
            first = not outcome.data
            outcome.data = data
            outcome.alerted_at = outcome.alerted_at or webhook.at
        self._show(outcome)
        if first:
            self._answered[f"{outcome.line}/{outcome.station}"].release()

    def _camera(self, line: str, station: str) -> None:
        """Upload board by board; the next one comes when the line has heard of the last."""
        folder = self._folder / "uploads" / line / station
        for outcome in self.outcomes.values():
            if (outcome.line, outcome.station) != (line, station):
                continue
            started = time.monotonic()
            # Written beside and renamed into place: the gate never sees half a picture.
            part = folder / f"{outcome.upload.name}.part"
            shutil.copyfile(outcome.upload.source, part)
            outcome.uploaded_at = time.time()
            os.rename(part, folder / outcome.upload.name)
            self._answered[f"{line}/{station}"].acquire(timeout=DEADLINE_S + 15)
            time.sleep(max(0.0, self._pace_s - (time.monotonic() - started)))
