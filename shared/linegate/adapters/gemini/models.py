"""What each family of Gemini models takes, and which model follows one that goes. Nothing else knows a model's name.

As of autumn 2026, from Google's pages (https://ai.google.dev/gemini-api/docs/deprecations, …/thinking, …/media-resolution) and
from what the API refuses: a family without a thinking level answers 400 to it. No temperature is sent to any model: since
gemini-3.6-flash none takes another than its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Generally available since July 2026, and Google's named migration of gemini-3-flash-preview:
# https://ai.google.dev/gemini-api/docs/deprecations
DEFAULT: Final = "gemini-3.6-flash"
# The cheaper class, for the same prompts; `linegate evaluate` says what it costs in escapes.
LITE: Final = "gemini-3.5-flash-lite"

_THREE: Final = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Family:
    """`successor` is the model that Google names in its place, where it is a preview, going, or gone."""

    thinking: tuple[str, ...] = ("minimal", *_THREE)
    resolutions: tuple[str, ...] = (*_THREE, "ultra_high")
    successor: str = ""


# By how the names of their models begin; the longest that fits counts.
FAMILIES: Final[Mapping[str, Family]] = {
    "gemini-3.8-flash": Family(thinking=_THREE),
    "gemini-3.7-flash": Family(thinking=_THREE),
    "gemini-3.6-flash": Family(),
    "gemini-3.5-flash": Family(),
    "gemini-3.1-flash-lite": Family(),
    "gemini-3.1-pro": Family(thinking=_THREE),
    "gemini-3-flash": Family(successor=DEFAULT),
    "gemini-3-pro": Family(thinking=("low", "high"), successor="gemini-3.1-pro-preview"),
    "gemini-2.5-flash-lite": Family(thinking=(), resolutions=_THREE),
    "gemini-2.5-flash": Family(thinking=(), resolutions=_THREE, successor=LITE),
    "gemini-2.5-pro": Family(thinking=(), resolutions=_THREE, successor="gemini-3.8-flash"),
    "gemini-2.0": Family(thinking=(), resolutions=_THREE, successor=DEFAULT),
    "gemini-1.5": Family(thinking=(), resolutions=_THREE, successor=DEFAULT),
}


def family_of(model: str) -> Family | None:
    """None for what is not known here: it may be newer than this table."""
    name = model.rpartition("/")[2]
    fitting = [start for start in FAMILIES if name.startswith(start)]
    return FAMILIES[max(fitting, key=len)] if fitting else None
