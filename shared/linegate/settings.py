"""What a configuration may hold: the models of its sections, with their bounds and defaults. `config` reads the file."""

import base64
import binascii
import os
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    model_validator,
)

from linegate.inspection import Verdict

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
PART: Final = r"^[^/\s]+$"
PROJECT: Final = r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$"
REGION: Final = r"^[a-z]+-[a-z]+[0-9]+$"
PREFIX: Final = r"^[a-z]([a-z0-9-]{0,12}[a-z0-9])?$"
# What each of them means, for a person
IN_WORDS: Final = {
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


PLACEHOLDER: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _http_url(url: str) -> str:
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
    return _http_url(url)


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError(f"must be an address or a network such as 192.168.10.0/24: {error}") from error
    return text


class Roboflow(_Settings):
    """Where workflows run: Roboflow's own servers, or an Inference server of yours."""

    api_url: Annotated[str, AfterValidator(_http_url)] = "https://serverless.roboflow.com"
    api_key: Secret | None = None  # an Inference server with local models needs none
    workspace: Annotated[str, StringConstraints(pattern=PART)]
    input_side: Annotated[int, Field(ge=64, le=8192)] = 512  # of the model's square input, pixels
    send_side: Annotated[int, Field(ge=64, le=16384)] | None = (
        None  # longest side that is sent; twice input_side if unset
    )
    use_cache: bool = True  # of workflow definitions, 15 minutes on Roboflow's side
    connect_timeout_s: Timeout = 5.0
    read_timeout_s: Timeout = 20.0  # of silence
    timeout_s: Timeout = 25.0  # of one call
    budget_s: Timeout = 45.0  # of all attempts together, then the message's redelivery takes over

    @property
    def longest_side(self) -> int:
        return self.send_side or 2 * self.input_side


class Gemini(_Settings):
    """Who verifies crops: the Gemini API by key, or Vertex AI by project and the identity of the machine."""

    api_key: Secret | None = None
    project: str | None = None
    location: str = "global"
    api_url: Annotated[str, AfterValidator(_http_url)] | None = None  # a proxy's, in place of Google's
    model: Annotated[str, Field(min_length=1)] = "gemini-3-flash-preview"
    thinking: Literal["minimal", "low", "medium", "high"] = "low"
    resolution: Literal["low", "medium", "high"] | None = (
        None  # of the crops as the model sees them; its own choice if unset
    )
    max_output_tokens: Annotated[int, Field(ge=64, le=65_536)] = 2048  # thinking included
    connect_timeout_s: Timeout = 5.0
    timeout_s: Timeout = 20.0  # of one call


class ClassPolicy(_Settings):
    """What is done with detections of one class."""

    minimum_confidence: Ratio | None = None
    verify: Literal["always", "never"] = "always"
    auto_fail_above: Ratio | None = None
    definition: Annotated[str, Field(max_length=2000)] | None = None  # for the verifier's prompt


class Zone(_Settings):
    """A rectangle in parts of the picture's width and height, from its upper left corner."""

    left: Ratio
    top: Ratio
    right: Ratio
    bottom: Ratio

    @model_validator(mode="after")
    def _spans(self) -> "Zone":
        if self.left >= self.right or self.top >= self.bottom:
            raise ValueError("left must be smaller than right, and top smaller than bottom")
        return self


class Workflow(_Settings):
    """A Roboflow workflow, and how its answer is read."""

    id: Annotated[str, StringConstraints(pattern=PART)]
    version: str | None = None
    image_input: str = "image"
    parameters: dict[str, Any] = {}
    predictions: str | None = None  # name of the output; needed where several look like predictions
    results: str = "crop_results"  # output with the per-crop results of the complete workflow
    exclude: list[str] = ["crops", "output_image"]  # outputs that need not travel


class Recipe(_Settings):
    """What a line inspects for."""

    detector: Literal["golden", "roboflow"] = "golden"
    verifier: Literal["golden", "gemini", "workflow", "none"] = "golden"
    workflow: Workflow | None = None
    golden: str | None = None
    copper: Literal["auto", "bright", "dark"] = "auto"  # on pictures for the golden detector; auto: dark on scans
    confidence: Ratio = 0.3
    deadline_s: Seconds = 60.0
    check_budget_s: Seconds = 30.0  # of one crop's check, all attempts together
    max_checks: Annotated[int, Field(ge=1, le=1000)] = 200  # a picture with more findings goes to REVIEW unchecked
    crop_padding: Annotated[float, Field(ge=0, le=2)] = 0.25
    prompt: Annotated[str, Field(max_length=8000)] | None = None
    classes: dict[str, ClassPolicy] = {}
    ignore: list[Zone] = []

    @property
    def lowest_confidence(self) -> float:
        """What a detector must be asked for, so that no class's own minimum is cut off before it is looked at."""
        minima = (policy.minimum_confidence for policy in self.classes.values())
        return min(self.confidence, *(minimum for minimum in minima if minimum is not None), 1.0)


class Line(_Settings):
    recipe: str


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
    url: Annotated[str, AfterValidator(_http_url)]
    secrets: Annotated[list[Annotated[str, AfterValidator(webhook_secret)]], Field(max_length=4)] = []
    verdicts: Annotated[list[Verdict], Field(min_length=1)] = list(Verdict)
    lines: list[str] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 15.0
    give_up_after_s: Seconds = 86_400.0


class Network(_Settings):
    """Where targets may lie besides the public internet. Only there they may be spoken to without encryption."""

    private_addresses: list[Annotated[str, AfterValidator(_network)]] = []

    def refusal(self, address: str, scheme: str) -> str:
        """Why nothing may be sent to this IP address by http or https; empty if it may."""
        ip = ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if any(ip in ip_network(network) for network in self.private_addresses):
            return ""
        if not ip.is_global:
            return f"{ip} is a private address; allow it under network.private_addresses"
        return "" if scheme == "https" else f"{ip} is a public address; use https there"


class Images(_Settings):
    """What is let through the image guard."""

    max_bytes: Annotated[int, Field(gt=0, le=500_000_000)] = 20_000_000
    max_pixels: Annotated[int, Field(gt=0, le=1_000_000_000)] = 100_000_000


class Storage(_Settings):
    """Names of the buckets; on one machine both are folders below `edge.data`."""

    uploads_bucket: str = "uploads"
    results_bucket: str = "results"
    # Where a person's browser finds a picture; {bucket} and {name} stand for its own.
    picture_url: Annotated[str, AfterValidator(_picture_url)] | None = None


class Cloud(_Settings):
    """Where the gate runs on Google Cloud. Without this section it runs on one machine."""

    project: Annotated[str, StringConstraints(pattern=PROJECT)]
    region: Annotated[str, StringConstraints(pattern=REGION)] = "europe-west1"
    database: str = "(default)"
    # Of resources' names; with what follows it, it must fit into the 30 characters of a service account's.
    prefix: Annotated[str, StringConstraints(pattern=PREFIX)] = "linegate"
    golden_bucket: str | None = (
        None  # where golden pictures are objects of the recipe's name; needed by recipes with one
    )
    retention_days: Annotated[float, Field(gt=0, le=36_500)] = 365.0  # of Firestore documents, by TTL


class Retry(_Settings):
    """How a message that failed is tried again, before it goes to the dead letter of its stage."""

    minimum_s: Seconds = 1.0
    maximum_s: Seconds = 60.0
    attempts: Annotated[int, Field(ge=5, le=100)] = 20


class Concurrency(_Settings):
    """How many messages of each stage are in work at the same time."""

    detect: Annotated[int, Field(ge=1, le=64)] | None = None  # one per core; 8 where Roboflow detects
    verify: Annotated[int, Field(ge=1, le=512)] = 64
    aggregate: Annotated[int, Field(ge=1, le=64)] = 8
    notify_per_target: Annotated[int, Field(ge=1, le=64)] = 4  # each target has its own, so none waits for another


class Edge(_Settings):
    """The runtime beside a line."""

    data: str = "linegate-data"
    settle_ms: Annotated[int, Field(ge=0, le=600_000)] = 500
    scan_ms: Annotated[int, Field(ge=50, le=600_000)] = 1000
    sweep_s: Seconds = 5.0
    lease_s: Annotated[float, Field(ge=1, le=3600)] = 600.0
    retention_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    retry: Retry = Retry()
    concurrency: Concurrency = Concurrency()


class Settings(_Settings):
    """The whole file. Relative paths in it start at `folder`, where it lies."""

    roboflow: Roboflow | None = None
    gemini: Gemini | None = None
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]
    lines: Annotated[dict[Name, Line], Field(min_length=1)]
    targets: dict[Name, Target] = {}
    network: Network = Network()
    images: Images = Images()
    storage: Storage = Storage()
    cloud: Cloud | None = None
    edge: Edge = Edge()
    _folder: Path = PrivateAttr(default_factory=Path)

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def data(self) -> Path:
        """Where the one-machine runtime keeps its folders and its database."""
        return self._folder / self.edge.data

    @property
    def in_work(self) -> dict[str, int]:
        """How many messages of each stage the one-machine runtime works on at the same time."""
        limits = self.edge.concurrency
        remote = any(recipe.detector == "roboflow" for recipe in self.recipes.values())
        return {
            "detect": limits.detect or (8 if remote else max(1, os.cpu_count() or 1)),
            "verify": limits.verify,
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
