"""What a configuration may hold: the models of its sections, with their bounds and defaults. `config` reads the file."""

import base64
import binascii
import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from linegate.addresses import METADATA, is_among, is_public, meant
from linegate.inspection import Verdict

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
PART: Final = r"^[^/\s]+$"
PROJECT: Final = r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$"
REGION: Final = r"^[a-z]+-[a-z]+[0-9]+$"
PREFIX: Final = r"^[a-z]([a-z0-9-]{0,12}[a-z0-9])?$"
UMASK: Final = r"^0?[0-7]{3}$"
# What each of them means, for a person
IN_WORDS: Final = {
    UMASK: 'must be octal digits in quotes, e.g. "0077"',
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


CORES: Final = max(1, os.cpu_count() or 1)
# What a worker process needs at most: in time beside the services' own budgets, and in memory.
WORKER_TIME_S: Final = 60.0
WORKER_BYTES, WORKER_BYTES_A_PIXEL = 1 << 30, 48

PLACEHOLDER: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


# What the golden detector calls what it finds
GoldenClass = Literal["open_circuit", "short", "mouse_bite", "spur", "spurious_copper", "missing_hole", "pin_hole"]
GOLDEN_CLASSES: Final[tuple[GoldenClass, ...]] = get_args(GoldenClass)


class _Settings(BaseModel):
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


class Roboflow(_Settings):
    """Where workflows run: Roboflow's own servers, or an Inference server of yours."""

    api_url: Annotated[str, AfterValidator(http_url)] = "https://serverless.roboflow.com"
    """Roboflow's servers, or an Inference server of yours."""
    api_key: Secret | None = None
    """An Inference server with local models needs none."""
    workspace: Annotated[str, StringConstraints(pattern=PART)]
    """Whose workflows are run."""
    input_side: Annotated[int, Field(ge=64, le=8192)] = 512
    """Of the model's square input, in pixels."""
    send_side: Annotated[int, Field(ge=64, le=16384)] | None = None
    """Longest side that is sent, in pixels; twice `input_side` if unset."""
    use_cache: bool = True
    """Of workflow definitions: 15 minutes on Roboflow's side."""
    connect_timeout_s: Timeout = 5.0
    """For a connection to be made."""
    read_timeout_s: Timeout = 20.0
    """Of silence."""
    timeout_s: Timeout = 25.0
    """Of one call."""
    budget_s: Timeout = 45.0
    """Of all attempts together; then the message's redelivery takes over."""

    @property
    def longest_side(self) -> int:
        return self.send_side or 2 * self.input_side


class Gemini(_Settings):
    """Who verifies crops: the Gemini API by key, or Vertex AI by project and the identity of the machine."""

    api_key: Secret | None = None
    """Of the Gemini API; either this or `project`."""
    project: str | None = None
    """Vertex AI's, asked with the identity of the machine."""
    location: str = "global"
    """Of Vertex AI."""
    api_url: Annotated[str, AfterValidator(http_url)] | None = None
    """A proxy's, in place of Google's."""
    model: Annotated[str, Field(min_length=1)] = "gemini-3-flash-preview"
    """Names retire: look whether yours is still served."""
    thinking: Literal["minimal", "low", "medium", "high"] = "low"
    """How much the model thinks before it answers."""
    resolution: Literal["low", "medium", "high"] | None = None
    """Of the crops as the model sees them; its own choice if unset."""
    max_output_tokens: Annotated[int, Field(ge=64, le=65_536)] = 2048
    """Thinking included."""
    connect_timeout_s: Timeout = 5.0
    """For a connection to be made."""
    timeout_s: Timeout = 20.0
    """Of one call."""


class ClassPolicy(_Settings):
    """What is done with detections of one class."""

    minimum_confidence: Ratio | None = None
    """In place of the recipe's `confidence`."""
    verify: Literal["always", "never"] = "always"
    """`never`: a detection counts without a check."""
    auto_fail_above: Ratio | None = None
    """From this confidence on no check is spent: it is a defect."""
    definition: Annotated[str, Field(max_length=2000)] | None = None
    """What the class means, for the verifier's prompt."""


class Zone(_Settings):
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


class Workflow(_Settings):
    """A Roboflow workflow, and how its answer is read."""

    id: Annotated[str, StringConstraints(pattern=PART)]
    """As in the workflow's address."""
    version: str | None = None
    """Pins a version of the workflow; the newest if unset."""
    image_input: str = "image"
    """Name of the workflow's input for the picture."""
    parameters: dict[str, Any] = {}
    """Further inputs of the workflow."""
    predictions: str | None = None
    """Name of the output with the predictions; needed where several look like predictions."""
    results: str = "crop_results"
    """Name of the output with the per-crop results of the complete workflow."""
    exclude: list[str] = ["crops", "output_image"]
    """Outputs that need not travel."""


class Limits(_Settings):
    """What a picture must show, or a person looks at the board and no detector is asked; 0 switches a limit off.

    The last five hold for golden pictures too; the others compare with the golden picture.
    """

    resolution: Ratio = 0.7
    """Width and height, in parts of the golden picture's: at least this, and no more than 1 / this."""
    aspect: Ratio = 0.08
    """By which part of it width to height may differ from the golden picture's."""
    contrast: Ratio = 0.7
    """In parts of the golden picture's: at least this, and no more than 1 / this."""
    colour: Ratio = 0.33
    """Contrast in red, green and blue, each in parts of the golden picture's: at least."""
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


class Recipe(_Settings):
    """What a line inspects for."""

    detector: Literal["golden", "roboflow"] = "golden"
    """`golden` compares with the picture of a good board on this machine; `roboflow` asks a workflow."""
    verifier: Literal["golden", "gemini", "workflow", "none"] = "golden"
    """Who looks at each finding again; with `none` every detection counts, `workflow` takes the complete workflow's results."""
    workflow: Workflow | None = None
    """Of the detector `roboflow`."""
    golden: str | None = None
    """The good board's picture, beside the file; `{line}`, `{station}` and `{serial}` may stand in its name."""
    copper: Literal["auto", "bright", "dark"] = "auto"
    """How copper looks to the detector `golden`; `auto`: dark on black-and-white scans, else bright."""
    confidence: Ratio = 0.3
    """Detections below it are dropped."""
    deadline_s: Seconds = 60.0
    """A board without all its answers by then goes to REVIEW."""
    check_budget_s: Seconds = 30.0
    """Of one crop's check, all attempts together."""
    max_checks: Annotated[int, Field(ge=1, le=1000)] = 200
    """A picture with more findings goes to REVIEW unchecked."""
    crop_padding: Annotated[float, Field(ge=0, le=2)] = 0.25
    """Margin around a crop, in parts of its box."""
    prompt: Annotated[str, Field(max_length=8000)] | None = None
    """What Gemini is told, in place of Linegate's own text."""
    max_findings: Annotated[int, Field(ge=1, le=1000)] = 1000
    """The surest that are kept; with more a board goes to REVIEW."""
    classes: dict[str, ClassPolicy] = {}
    """What is done with detections of a class, where it needs its own rule."""
    ignore: list[Zone] = []
    """What lies wholly inside these parts of the picture is ignored (a fiducial, a label)."""
    limits: Limits = Limits()
    """What a picture must show before any detector is asked."""

    @property
    def lowest_confidence(self) -> float:
        """What a detector must be asked for, so that no class's own minimum is cut off before it is looked at."""
        minima = (policy.minimum_confidence for policy in self.classes.values())
        return min(self.confidence, *(minimum for minimum in minima if minimum is not None), 1.0)


class Line(_Settings):
    recipe: str
    """Name of a recipe."""


def webhook_secret(secret: str) -> str:
    """A Standard Webhooks secret as it is. Raises ValueError with what it must be."""
    if PLACEHOLDER.search(secret):
        return secret
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("must be whsec_ and base64 (openssl rand -base64 32 makes one)") from error
    if not 24 <= len(key) <= 64:
        raise ValueError(f"must hold 24 to 64 bytes, this one holds {len(key)} (openssl rand -base64 32 makes one)")
    return secret


class Target(_Settings):
    """Somebody to notify. Without `lines` of every line, unknown ones included."""

    type: Literal["webhook", "slack"] = "webhook"
    """`webhook` is signed after Standard Webhooks; `slack` posts to an incoming webhook."""
    url: Annotated[str, AfterValidator(http_url)]
    """Where it listens."""
    secrets: Annotated[list[Annotated[str, AfterValidator(webhook_secret)]], Field(max_length=4)] = []
    """To sign with; several while they rotate. Required by `webhook`."""
    verdicts: Annotated[list[Verdict], Field(min_length=1)] = list(Verdict)
    """Which it hears of; it also hears the correction of what it heard."""
    lines: list[str] | None = None
    """Whose boards it hears of; all, unknown ones included, if unset."""
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 15.0
    """Of one call."""
    give_up_after_s: Seconds = 86_400.0
    """A notification that was not taken until then is dead."""

    @property
    def longest_wait_s(self) -> float:
        """For how long one answer of the target may keep it from being sent anything."""
        return min(3600.0, self.give_up_after_s / 10)


class Network(_Settings):
    """Where targets may lie besides the public internet. Only there they may be spoken to without encryption."""

    private_addresses: list[Annotated[str, AfterValidator(_network)]] = []
    """Addresses and networks, such as 192.168.10.0/24."""

    def refusal(self, address: str, scheme: str) -> str:
        """Why nothing may be sent to this IP address by http or https; empty if it may. Raises ValueError for a name."""
        ip = meant(address)
        if is_among(ip, self.private_addresses):
            return ""
        if ip in METADATA:
            return f"{ip} is where clouds keep credentials; only by itself it can stand in network.private_addresses"
        if not is_public(ip):
            return f"{ip} is a private address; allow it under network.private_addresses"
        return "" if scheme == "https" else f"{ip} is a public address; use https there"


class Images(_Settings):
    """What is let through the image guard."""

    max_bytes: Annotated[int, Field(gt=0, le=500_000_000)] = 20_000_000
    """Of the file."""
    max_pixels: Annotated[int, Field(gt=0, le=1_000_000_000)] = 100_000_000
    """Width times height."""


class Storage(_Settings):
    """Names of the buckets; on one machine both are folders below `edge.data`."""

    uploads_bucket: str = "uploads"
    """Where cameras write."""
    results_bucket: str = "results"
    """For annotated pictures and the quarantine."""
    picture_url: Annotated[str, AfterValidator(_picture_url)] | None = None
    """Where a person's browser finds a picture; `{bucket}` and `{name}` stand for its own."""


class Cloud(_Settings):
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


class Retry(_Settings):
    """How a message that failed is tried again, before it goes to the dead letter of its stage."""

    minimum_s: Seconds = 1.0
    """Wait before the second attempt; it doubles with each."""
    maximum_s: Seconds = 60.0
    """Longest wait between attempts."""
    attempts: Annotated[int, Field(ge=5, le=100)] = 20
    """After so many a message goes to the dead letter."""


class Concurrency(_Settings):
    """How many messages of each stage are in work at the same time."""

    detect: Annotated[int, Field(ge=1, le=64)] | None = None
    """One per worker process if unset; 8 where Roboflow detects."""
    verify: Annotated[int, Field(ge=1, le=512)] | None = None
    """Checks of all boards together. Two per core if unset; 64 where Gemini verifies."""
    aggregate: Annotated[int, Field(ge=1, le=64)] = 8
    """Checks that are being recorded."""
    notify_per_target: Annotated[int, Field(ge=1, le=64)] = 4
    """Each target has its own, so none waits for another."""


class Workers(_Settings):
    """The processes that open, decode and compare pictures, and what each of them may take."""

    processes: Annotated[int, Field(ge=0, le=256)] | None = None
    """How many there are. One per core if unset; with 0 the gate's own process does their work, without limits."""
    time_limit_s: Annotated[float, Field(ge=1, le=3600)] | None = None
    """One that works longer on a message is ended. A minute and what the services may take, if unset."""
    memory_mb: Annotated[int, Field(ge=256, le=1_048_576)] | None = None
    """What one may take beside its code. Enough for a picture of images.max_pixels if unset."""


class Edge(_Settings):
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
    """How often overdue boards and lost notifications are looked for."""
    lease_s: Annotated[float, Field(ge=1, le=3600)] = 600.0
    """A message that is in work for longer is given to somebody else."""
    retention_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    """Of decided uploads, verdicts and their pictures."""
    retry: Retry = Retry()
    concurrency: Concurrency = Concurrency()
    workers: Workers = Workers()


class Settings(_Settings):
    """The whole file. Relative paths in it start at `folder`, where it lies."""

    roboflow: Roboflow | None = None
    gemini: Gemini | None = None
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]
    """What lines inspect for, by name."""
    lines: Annotated[dict[Name, Line], Field(min_length=1)]
    """The recipe of each line; a picture of a line that is not here is ERROR."""
    targets: dict[Name, Target] = {}
    """Who is notified, by name."""
    network: Network = Network()
    images: Images = Images()
    storage: Storage = Storage()
    cloud: Cloud | None = None
    edge: Edge = Edge()
    _folder: Path = PrivateAttr(default_factory=Path)
    _confidential: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def confidential(self) -> frozenset[str]:
        """What of the file, and of what it took from the environment, must never be shown."""
        return self._confidential

    @property
    def data(self) -> Path:
        """Where the one-machine runtime keeps its folders and its database."""
        return self._folder / self.edge.data

    @property
    def umask(self) -> int:
        """Permissions that files and folders of the gate lack."""
        return int(self.edge.umask, 8)

    @property
    def workers(self) -> int:
        """How many worker processes the one-machine runtime has; 0 if it does without."""
        return CORES if self.edge.workers.processes is None else self.edge.workers.processes

    @property
    def worked_stages(self) -> tuple[str, ...]:
        """The stages that worker processes serve: those that open pictures, and checks that are made on this machine."""
        if not self.workers:
            return ()
        asks = any(recipe.verifier == "gemini" for recipe in self.recipes.values())
        return ("detect", "aggregate", "sweep") if asks else ("detect", "verify", "aggregate", "sweep")

    @property
    def worker_time_limit_s(self) -> float:
        """Seconds after which a worker that has not answered is taken for lost."""
        budgets = [self.roboflow.budget_s] if self.roboflow else []
        budgets += [recipe.check_budget_s for recipe in self.recipes.values()]
        return self.edge.workers.time_limit_s or WORKER_TIME_S + max(budgets)

    @property
    def worker_memory_bytes(self) -> int:
        """What one worker may take: enough for the largest picture that is let through."""
        asked = self.edge.workers.memory_mb
        return asked << 20 if asked else WORKER_BYTES + WORKER_BYTES_A_PIXEL * self.images.max_pixels

    @property
    def in_work(self) -> dict[str, int]:
        """How many messages of each stage the one-machine runtime works on at the same time."""
        limits = self.edge.concurrency
        remote = any(recipe.detector == "roboflow" for recipe in self.recipes.values())
        asks = any(recipe.verifier == "gemini" for recipe in self.recipes.values())
        return {
            "detect": limits.detect or (8 if remote else max(1, self.workers or CORES)),
            "verify": limits.verify or (64 if asks else 2 * CORES),
            "aggregate": limits.aggregate,
            "notify": limits.notify_per_target * max(1, len(self.targets)),
            "sweep": 1,
        }

    def recipe_of(self, line: str) -> tuple[str, Recipe] | None:
        """Name and recipe of a line; None for a line that the file does not know."""
        if line not in self.lines:
            return None
        name = self.lines[line].recipe
        return name, self.recipes[name]

    def subscribed(self, line: str) -> dict[str, list[Verdict]]:
        """The targets that listen to a line, with the verdicts each asked for."""
        return {
            name: target.verdicts
            for name, target in self.targets.items()
            if target.lines is None or line in target.lines
        }
