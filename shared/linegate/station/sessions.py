"""Sessions: a signed text in a cookie says who entered, and when. Nothing of them is kept, so that a restart ends none."""

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from linegate.station_section import Member

COOKIE: Final = "linegate-session"
LONGEST: Final = 2000


class Sessions:
    """Makes and reads them. A person's session ends with their hash: who gets a new PIN enters anew everywhere."""

    def __init__(self, key: bytes, people: Mapping[str, Member], lasts: timedelta) -> None:
        self._key = key
        self._people = people
        self._lasts = lasts

    def begin(self, name: str, now: datetime) -> str:
        """The text for a cookie."""
        payload = base64.urlsafe_b64encode(json.dumps([name, int(now.timestamp())]).encode()).decode().rstrip("=")
        return f"{payload}.{self._seal(name, payload)}"

    def read(self, text: str, now: datetime) -> tuple[str, bool] | None:
        """Whose session it is, and whether it is to be renewed, for half of it is over; None if it is none, or is over."""
        payload, _, seal = text[:LONGEST].partition(".")
        try:
            name, began = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            age = now.timestamp() - int(began)
        except (ValueError, TypeError):
            return None
        known = isinstance(name, str) and name in self._people
        if not known or not hmac.compare_digest(seal.encode(), self._seal(name, payload).encode()):
            return None
        lasts = self._lasts.total_seconds()
        return (name, age > lasts / 2) if -60 <= age < lasts else None

    def _seal(self, name: str, payload: str) -> str:
        return hmac.digest(self._key, f"{payload}|{hash_of(self._people[name])}".encode(), "sha256").hex()


def hash_of(person: Member) -> str:
    """Of their PIN or password; empty where they have none."""
    held = person.pin or person.password
    return held.get_secret_value() if held else ""
