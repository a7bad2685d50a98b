"""Pictures that were opened for a cut, kept for the next ones: an inspector looks at one product for a minute."""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Final

from PIL import Image

# Of all that are kept, but for the latest, which always is: 150 MB.
MOST_PIXELS: Final = 50_000_000


class Opened:
    """The decoded pictures that were asked for last. Of several that ask for the same at once, one opens it."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Image.Image] = {}  # what was asked for last stands last
        self._lock = Lock()

    def get(self, key: Hashable, open_: Callable[[], Image.Image]) -> Image.Image:
        """The picture of this key, which always has the same pixels; nobody changes it. Raises what `open_` raises."""
        with self._lock:
            picture = self._kept.pop(key, None) or open_()
            self._kept[key] = picture
            while len(self._kept) > 1 and sum(one.width * one.height for one in self._kept.values()) > MOST_PIXELS:
                del self._kept[next(iter(self._kept))]
            return picture
