"""The sections of the file that belong to no kind of detector, verifier or target; `settings` puts the file together."""

import re
from ipaddress import ip_network
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from linegate.addresses import METADATA, is_among, is_public, meant

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
PART: Final = r"^[^/\s]+$"
PROJECT: Final = r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$"
REGION: Final = r"^[a-z]+-[a-z]+[0-9]+$"
PREFIX: Final = r"^[a-z]([a-z0-9-]{0,12}[a-z0-9])?$"
UMASK: Final = r"^0?[0-7]{3}$"
WALL: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
SPAN: Final = r"^[1-9][0-9]{0,3}[mhd]$"
# What each of them means, for a person
IN_WORDS: Final = {
    UMASK: 'must be octal digits in quotes, e.g. "0077"',
    WALL: 'must be a time of day in quotes, e.g. "06:00"',
    SPAN: "must be a span of time: a whole number with its unit, e.g. 30m, 8h or 2d",
    NAME: "may hold letters, digits, '.', '_' and '-' only (63 at most, starting with a letter or digit)",
    PART: "must be one part of an address, without '/' and spaces",
    PROJECT: "must be a project's id: 6 to 30 lower-case letters, digits and '-'",
    REGION: "must be a region of Google Cloud, e.g. europe-west1",
    PREFIX: "may hold lower-case letters, digits and '-' only (14 at most, starting with a letter)",
}

Seconds = Annotated[float, Field(gt=0, le=30 * 86_400)]
Timeout = Annotated[float, Field(gt=0, le=600)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]
# Line, recipe and target names end in object names, document ids and log fields: keep them plain.
Name = Annotated[str, StringConstraints(pattern=NAME)]


def _text_of_number(value: object) -> object:
    """A number without its unit is told as what it lacks, not as what YAML took it for."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Span = Annotated[str, StringConstraints(pattern=SPAN), BeforeValidator(_text_of_number)]

PLACEHOLDER: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Section(BaseModel):
    """What all sections have in common."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, str_strip_whitespace=True, str_min_length=1
    )

    @field_validator("*", mode="wrap")
    @classmethod
    def _yes_is_no_number(cls, given: object, read: ValidatorFunctionWrapHandler) -> object:
        value = read(given)
        if isinstance(given, bool) and not isinstance(value, bool):
            raise ValueError("must be a number; YAML takes yes, no, on, off, true and false for something else")
        return value


def http_url(url: str) -> str:
    if PLACEHOLDER.search(url):
        return url
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or any(char.isspace() for char in url):
        raise ValueError("must be an http:// or https:// address")
    return url


def _picture_url(url: str) -> str:
    if "{name}" not in url:
        raise ValueError("must hold {name}, e.g. https://storage.cloud.google.com/{bucket}/{name}")
    return http_url(url)


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError(f"must be an address or a network such as 192.168.10.0/24: {error}") from error
    return text


class ClassPolicy(Section):
    """What is done with detections of one class."""

    minimum_confidence: Ratio | None = None
    """In place of the recipe's `confidence`."""
    verify: Literal["always", "never"] = "always"
    """`never`: a detection counts without a check."""
    auto_fail_above: Ratio | None = None
    """From this confidence on no check is spent: it is a defect."""
    clear_below: Ratio | None = None
    """In place of the recipe's `clear_below`."""
    definition: Annotated[str, Field(max_length=2000)] | None = None
    """What the class means, for the verifier's prompt."""


class Zone(Section):
    """A rectangle in parts of the picture's width and height, from its upper left corner."""

    left: Ratio
    """Part of the picture's width."""
    top: Ratio
    """Part of the picture's height."""
    right: Ratio
    """Part of the picture's width."""
    bottom: Ratio
    """Part of the picture's height."""

    @model_validator(mode="after")
    def _spans(self) -> "Zone":
        if self.left >= self.right or self.top >= self.bottom:
            raise ValueError("left must be smaller than right, and top smaller than bottom")
        return self


class Limits(Section):
    """What a picture must show, or a person looks at the product and no detector is asked; 0 switches a limit off.

    The last five hold for golden pictures too; the others compare with the golden picture.
    """

    resolution: Ratio = 0.7
    """Width and height, in parts of the golden picture's: at least this, and no more than 1 / this."""
    aspect: Ratio = 0.08
    """By which part of it width to height may differ from the golden picture's."""
    contrast: Ratio = 0.7
    """In parts of the golden picture's: at least this, and no more than 1 / this."""
    colour: Ratio = 0.33
    """Contrast in red, green and blue, and the mean colour, each in parts of the golden picture's: at least."""
    brightness: Ratio = 0.25
    """How far the mean may lie off the golden picture's, in parts of its contrast."""
    blur: Annotated[float, Field(ge=0, le=100)] = 2.0
    """How many times as wide as the golden picture's edges may be."""
    noise: Ratio = 0.06
    """How much more of its contrast may be noise than of the golden picture's."""
    hidden: Ratio = 0.02
    """Part of the picture in which nothing may show, or be out of focus, where the golden picture shows something."""
    least_contrast: Annotated[int, Field(ge=8, le=255)] = 48
    """Grey levels between the darkest and the brightest half percent. Can't be switched off: without any, nothing is seen."""
    least_side: Annotated[int, Field(ge=0, le=16_384)] = 160
    """Pixels of the shorter side."""
    black: Ratio = 0.5
    """Part of the pixels that may be black, but for black-and-white scans."""
    white: Ratio = 0.2
    """Part of the pixels that may be white, the same way."""
    softest: Ratio = 0.015
    """Width of edges, in parts of the shorter side."""


class Line(Section):
    recipe: str
    """Name of a recipe."""
    recipes: list[str] = []
    """Names of recipes that a picture's metadata may ask for in its place; none but its own if left out."""
    notifies: bool = True
    """`false`: no target hears of its products. For a line that only tries the gate out, as a deployment's smoke test does."""
    challenge_every: Span | None = None
    """How often the gate must fail known-bad products (`linegate challenge`), e.g. 8h. Overdue, a PASS is REVIEW."""
    challenge_line: Name | None = None
    """Where they go through, by this line's recipe and with no target. This line's name and `-challenge`, if left out."""
    silence_after: Span | None = None
    """When its page says that nothing comes any more, e.g. 5m. If left out: five times the usual interval, a minute at least."""


class Network(Section):
    """Where targets may lie besides the public internet. Only there they may be spoken to without encryption."""

    private_addresses: list[Annotated[str, AfterValidator(_network)]] = []
    """Addresses and networks, such as 192.168.10.0/24."""

    def refusal(self, address: str, encrypted: bool) -> str:
        """Why nothing may be sent to this IP address, encrypted or not; empty if it may. Raises ValueError for a name."""
        ip = meant(address)
        if is_among(ip, self.private_addresses):
            return ""
        if ip in METADATA:
            return f"{ip} is where clouds keep credentials; only by itself it can stand in network.private_addresses"
        if not is_public(ip):
            return f"{ip} is a private address; allow it under network.private_addresses"
        return "" if encrypted else f"{ip} is a public address; nothing is sent there without encryption"


class Images(Section):
    """What is let through the image guard."""

    max_bytes: Annotated[int, Field(gt=0, le=500_000_000)] = 20_000_000
    """Of the file."""
    max_pixels: Annotated[int, Field(gt=0, le=1_000_000_000)] = 100_000_000
    """Width times height."""


class Storage(Section):
    """Names of the buckets; on one machine both are folders below `edge.data`."""

    uploads_bucket: str = "uploads"
    """Where cameras write."""
    results_bucket: str = "results"
    """For annotated pictures and the quarantine."""
    picture_url: Annotated[str, AfterValidator(_picture_url)] | None = None
    """Where a person's browser finds a picture; `{bucket}` and `{name}` stand for its own."""


class Cloud(Section):
    """Where the gate runs on Google Cloud. Without this section it runs on one machine."""

    project: Annotated[str, StringConstraints(pattern=PROJECT)]
    """Id of the project on Google Cloud."""
    region: Annotated[str, StringConstraints(pattern=REGION)] = "europe-west1"
    """Where functions run and buckets lie."""
    database: str = "(default)"
    """Of Firestore."""
    prefix: Annotated[str, StringConstraints(pattern=PREFIX)] = "linegate"
    """Of resources' names; with what follows it, it must fit into the 30 characters of a service account's."""
    golden_bucket: str | None = None
    """Where golden pictures are objects of the recipe's name; needed by recipes with one."""
    retention_days: Annotated[float, Field(gt=0, le=36_500)] = 365.0
    """Of Firestore documents, by TTL."""


def _umask(value: object) -> object:
    """Octal digits in quotes. YAML itself reads 0027 as the number that it is."""
    return f"{value:04o}" if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o777 else value


class Retry(Section):
    """How a message that failed is tried again, before it goes to the dead letter of its stage."""

    minimum_s: Seconds = 1.0
    """Wait before the second attempt; it doubles with each."""
    maximum_s: Seconds = 60.0
    """Longest wait between attempts."""
    attempts: Annotated[int, Field(ge=5, le=100)] = 20
    """After so many a message goes to the dead letter; a notification goes on until its target's `give_up_after_s`."""

    @property
    def patience_s(self) -> float:
        """Seconds after which a notification's message is lost that nobody heard of: whatever backoff it was in is over twice."""
        return max(SHORTEST_PATIENCE_S, 2 * self.maximum_s)


# A runtime that only just stopped will publish what it had committed by itself.
SHORTEST_PATIENCE_S: Final = 120.0
# Of the push subscriptions on Google Cloud, which Terraform reads from here. A message that nobody can serve is kept trying
# for eight hours: over a night in which a key is wrong, say.
CLOUD_RETRY: Final = Retry(minimum_s=10, maximum_s=300, attempts=100)


class Concurrency(Section):
    """How many messages of each stage are in work at the same time."""

    detect: Annotated[int, Field(ge=1, le=64)] | None = None
    """One per worker process if unset; 8 where Roboflow detects."""
    verify: Annotated[int, Field(ge=1, le=512)] | None = None
    """Checks of all products together. Two per core if unset; 64 where Gemini verifies."""
    aggregate: Annotated[int, Field(ge=1, le=64)] = 8
    """Checks that are being recorded."""
    notify_per_target: Annotated[int, Field(ge=1, le=64)] = 4
    """Each target has its own, so none waits for another."""


class Workers(Section):
    """The processes that open, decode and compare pictures, and what each of them may take."""

    processes: Annotated[int, Field(ge=0, le=256)] | None = None
    """How many there are. One per core if unset; with 0 the gate's own process does their work, without limits."""
    time_limit_s: Annotated[float, Field(ge=1, le=3600)] | None = None
    """One that works longer on a message is ended. A minute and what the services may take, if unset."""
    memory_mb: Annotated[int, Field(ge=256, le=1_048_576)] | None = None
    """What one may take beside its code. Enough for a picture of images.max_pixels if unset."""


class Edge(Section):
    """The runtime beside a line."""

    data: str = "linegate-data"
    """Folder for uploads, results, archive and the database, beside the file."""
    settle_ms: Annotated[int, Field(ge=0, le=600_000)] = 500
    """A file that was neither renamed in nor closed counts when it has not changed for this long."""
    share_settle_ms: Annotated[int, Field(ge=0, le=600_000)] = 5000
    """The same where the system can't tell whether somebody still writes: on a network share, say."""
    umask: Annotated[str, BeforeValidator(_umask), StringConstraints(pattern=UMASK)] = "0077"
    """Permissions that files and folders of the gate lack; "0027" lets its group in."""
    scan_ms: Annotated[int, Field(ge=50, le=600_000)] = 1000
    """How often folders are looked through, besides being watched."""
    sweep_s: Seconds = 5.0
    """How often overdue products and lost notifications are looked for."""
    lease_s: Annotated[float, Field(ge=1, le=3600)] = 600.0
    """A message that is in work for longer is given to somebody else."""
    retention_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    """Of decided uploads, verdicts and their pictures."""
    retry: Retry = Retry()
    concurrency: Concurrency = Concurrency()
    workers: Workers = Workers()
