"""The section `station` of the file: how people reach the pages, who may use them, and the clocks of the plant."""

import re
from datetime import time
from enum import StrEnum
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from linegate.answers import MACHINE
from linegate.sections import IN_WORDS, PLACEHOLDER, WALL, Name, Secret, Section, http_url
from linegate.texts import visible

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def _listen(text: str) -> str:
    try:
        parts = urlsplit(f"//{text}")
        sound = bool(parts.hostname) and parts.port is not None and not parts.path
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("must be an address with its port, e.g. 127.0.0.1:8080")
    return text


def _wall(value: object) -> object:
    """YAML reads 14:00 without quotes as a number, 840; what 1400 would be nobody knows."""
    if not isinstance(value, str):
        raise ValueError(IN_WORDS[WALL])
    return value


WallTime = Annotated[str, BeforeValidator(_wall), StringConstraints(pattern=WALL)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError("must be the name of a time zone, e.g. Europe/Berlin") from error
    return name


ARGON: Final = r"^\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$"


def _hash(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not re.fullmatch(ARGON, text) and not PLACEHOLDER.search(text):
        raise ValueError("must be what `linegate person` prints, never the PIN or password itself")
    return secret


class Member(Section):
    """Somebody who may use the station. Behind Google's Identity-Aware Proxy the name is their e-mail address."""

    role: Literal["look", "review", "configure"] = "look"
    """`look`: pages and pictures; `review`: decide about products as well; `configure`: all of it."""
    pin: Annotated[Secret, AfterValidator(_hash)] | None = None
    """A hash of their PIN, as `linegate person` prints it. On one machine they enter with it."""
    password: Annotated[Secret, AfterValidator(_hash)] | None = None
    """A hash of their password, in the place of a PIN."""

    @model_validator(mode="after")
    def _one_way_in(self) -> "Member":
        if self.pin and self.password:
            raise ValueError("has both a pin and a password; give one of the two")
        return self


class May(StrEnum):
    """What a token's bearer may do."""

    LOOK = "look"
    REVIEW = "review"
    UPLOAD = "upload"


# A token that can be guessed opens the gate to everybody.
SHORTEST_TOKEN: Final = 24


def _token(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if PLACEHOLDER.search(text):
        return secret
    if len(text) < SHORTEST_TOKEN or not text.isascii() or any(char.isspace() for char in text):
        raise ValueError(
            f"must be at least {SHORTEST_TOKEN} letters, digits or signs without spaces (openssl rand -hex 32 makes one)"
        )
    return secret


class Token(Section):
    """A machine that asks the station."""

    token: Annotated[SecretStr, AfterValidator(_token)]
    """It sends this as `Authorization: Bearer TOKEN`."""
    may: Annotated[list[May], Field(min_length=1)]
    """`look`: see everything. `review`: also decide, under the token's name. `upload`: send pictures."""
    lines: list[str] | None = None
    """Names of the lines that it may do that for; all of them if left out."""


class Station(Section):
    """The pages for people at the line."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8080"
    """Where `linegate edge` serves them: address and port."""
    address: Annotated[str, AfterValidator(http_url)] | None = None
    """How people reach them, e.g. https://gate.example.com: links in notifications begin with it, its name is let in, and https
    keeps sessions to https."""
    hosts: list[str] = []
    """Other names that people call the station by; a request by any further name is refused."""
    people: dict[str, Member] = {}
    """Who may use the station, by name. Without any it only shows, and only on this machine."""
    anybody: Literal["nobody", "look"] = "nobody"
    """What somebody may who has not said who they are: `look` for a display on the wall."""
    iap_audience: str | None = None
    """On Google Cloud: what the Identity-Aware Proxy before the station signs its word for."""
    session_h: Annotated[float, Field(gt=0, le=24 * 31)] = 12.0
    """Hours after which a person must enter again, if they did nothing meanwhile."""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Of the clocks on the wall, e.g. Europe/Berlin."""
    audit_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    """A secret of 16 letters or more by which `audit_share` of a recipe is drawn, so that nobody can guess which products."""
    shifts: dict[Name, WallTime] = {}
    """When each shift begins, e.g. {early: "06:00", late: "14:00", night: "22:00"}; it ends where the next one begins."""
    tokens: dict[Name, Token] = {}
    """Machines that ask without a person: an MES, a camera. By name, which stands with what they decide."""

    @field_validator("shifts")
    @classmethod
    def _apart(cls, shifts: dict[str, str]) -> dict[str, str]:
        for at in shifts.values():
            together = [name for name, begins in shifts.items() if begins == at]
            if len(together) > 1:
                raise ValueError(f"{together[0]} and {together[1]} begin at the same time, {at}")
        return shifts

    @property
    def starts(self) -> dict[str, time]:
        """The shifts, each with the time at which it begins."""
        return {name: time.fromisoformat(at) for name, at in self.shifts.items()}

    @property
    def zone(self) -> ZoneInfo:
        """Of the clocks on the wall."""
        return ZoneInfo(self.time_zone)

    @field_validator("people")
    @classmethod
    def _names(cls, people: dict[str, Member]) -> dict[str, Member]:
        for name in people:
            if not name.strip() or len(name) > 200 or visible(name) != name or name.strip().casefold() == MACHINE:
                raise ValueError(f"{visible(name[:200])!r} can't be the name of a person")
        return people

    @model_validator(mode="after")
    def _nobody_from_outside(self) -> "Station":
        host = self.listen_at[0]
        if not self.people and not self.tokens and self.anybody == "nobody" and host not in LOOPBACK:
            raise ValueError(
                f"listens at {host} and knows nobody: name people or tokens, or say `anybody: look` if everybody may look"
            )
        return self

    @property
    def listen_at(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(f"//{self.listen}")
        return parts.hostname or "", parts.port or 0
