"""One YAML file ▶ validated settings. This module is the only reader of the environment.

Every fault in the file is reported at once, in words of the file, with what is allowed there.
"""

import base64
import binascii
import os
import re
import urllib.request
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from linegate.errors import ConfigError
from linegate.inspection import Verdict

CONFIG_VARIABLE: Final = "LINEGATE_CONFIG"
LOG_LEVEL_VARIABLE: Final = "LINEGATE_LOG_LEVEL"

Seconds = Annotated[float, Field(gt=0, le=30 * 86_400)]
Timeout = Annotated[float, Field(gt=0, le=600)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]
# Line, recipe and target names end in object names, document ids and log fields: keep them plain.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _http_url(url: str) -> str:
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
    workspace: Annotated[str, StringConstraints(pattern=r"^[^/\s]+$")]
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

    id: Annotated[str, StringConstraints(pattern=r"^[^/\s]+$")]
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
    confidence: Ratio = 0.3
    deadline_s: Seconds = 60.0
    check_budget_s: Seconds = 30.0  # of one crop's check, all attempts together
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


def from_environment() -> Settings:
    """The settings of the file that LINEGATE_CONFIG names. Raises ConfigError."""
    path = os.environ.get(CONFIG_VARIABLE)
    if not path:
        raise ConfigError([f"{CONFIG_VARIABLE} is not set; it must name the YAML file of this environment"])
    return load(Path(path))


def log_level() -> str:
    return os.environ.get(LOG_LEVEL_VARIABLE, "INFO").upper()


def load(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read and validate a file; `${NAME}` in a text takes a value from the environment.

    Raises ConfigError with every fault.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigError(["there is no such file; `linegate init` writes one to start from"], str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"can't be read: {error}"], str(path)) from error
    return parse(text, path.parent, os.environ if environment is None else environment, str(path))


def parse(text: str, folder: Path, environment: Mapping[str, str], source: str = "configuration") -> Settings:
    """Validate the text of a configuration file; see `load`."""
    faults: list[str] = []
    try:
        raw = yaml.load(text, _loader(faults))
    except yaml.YAMLError as error:
        raise ConfigError([f"is not YAML: {' '.join(str(error).split())}"], source) from error
    if not isinstance(raw, dict):
        raise ConfigError(["must hold a mapping with the keys recipes, lines and targets"], source)
    filled = _fill(raw, "", environment, faults)
    settings = None
    try:
        settings = Settings.model_validate(filled)
    except ValidationError as error:
        faults += [_fault(entry) for entry in error.errors()]
    faults += _references(filled)
    if faults or settings is None:
        raise ConfigError(faults, source)
    settings._folder = folder
    return settings


def _loader(faults: list[str]) -> type[yaml.SafeLoader]:
    """A SafeLoader that notes keys given twice instead of keeping the last one in silence."""

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen and isinstance(key.value, str):
                    faults.append(f"{key.value}: given twice (line {key.start_mark.line + 1})")
                seen.add(str(key.value))
            return super().construct_mapping(node, deep)

    return Loader


_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _fill(value: Any, path: str, environment: Mapping[str, str], faults: list[str]) -> Any:
    """`value` with every ${NAME} replaced; names that are not set become faults."""
    if isinstance(value, dict):
        return {key: _fill(item, f"{path}.{key}".lstrip("."), environment, faults) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, f"{path}.{index}", environment, faults) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environment:
            faults.append(f"{path}: the environment variable {name} is not set")
        return environment.get(name, match[0])

    return _VARIABLE.sub(variable, value)


# Keys whose values must not be repeated in a fault
_SECRET: Final = {"api_key", "secrets", "url"}


def _fault(error: Any) -> str:
    """One pydantic error in words of the file."""
    path = ".".join(str(part) for part in error["loc"] if part != "[key]") or "the file"
    context = error.get("ctx") or {}
    match error["type"]:
        case "missing":
            what = "is required and missing"
        case "extra_forbidden":
            what = f"is not known here; allowed: {', '.join(_siblings(error['loc']))}"
        case "literal_error" | "enum":
            what = f"is {error['input']!r}; allowed: {str(context['expected']).replace(chr(39), '')}"
        case "string_pattern_mismatch":
            what = "may hold letters, digits, '.', '_' and '-' only (63 at most, starting with a letter or digit)"
        case "value_error":
            what = str(context["error"])
        case _:
            what = f"{error['msg'][0].lower()}{error['msg'][1:]}"
            if isinstance(error["input"], str | int | float | bool | None) and not _SECRET & {*error["loc"]}:
                what += f", not {error['input']!r}"
    return f"{path}: {what}"


def _siblings(location: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed where `location` ends."""
    model: Any = Settings
    for part in location[:-1]:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[part].annotation
        else:  # dict[Name, Model] or list[Model]
            model = model.__args__[-1]
        if isinstance(model, UnionType):  # Model | None
            model = model.__args__[0]
    return list(model.model_fields)


def _references(raw: Mapping[str, Any]) -> list[str]:
    """Faults between sections, found even when a section has faults of its own."""

    def section(name: str) -> dict[str, dict[str, Any]]:
        value = raw.get(name)
        return {k: v for k, v in value.items() if isinstance(v, dict)} if isinstance(value, dict) else {}

    recipes, lines, targets = section("recipes"), section("lines"), section("targets")
    faults = []
    for name, line in lines.items():
        recipe = line.get("recipe")
        if isinstance(recipe, str) and recipe not in recipes:
            faults.append(f"lines.{name}.recipe: no recipe named {recipe!r}; there is {_listed(recipes)}")
    for name, recipe in recipes.items():
        faults += [f"recipes.{name}.{fault}" for fault in _needs(recipe, raw)]
    for name, target in targets.items():
        for line in target.get("lines") or []:
            if line not in lines:
                faults.append(f"targets.{name}.lines: no line named {line!r}; there is {_listed(lines)}")
        if target.get("type", "webhook") == "webhook" and not target.get("secrets"):
            faults.append(f"targets.{name}.secrets: is required, to sign with (openssl rand -base64 32 makes one)")
        faults += [f"targets.{name}.url: {fault}" for fault in _refused(target, raw)]
    gemini = raw.get("gemini")
    if isinstance(gemini, dict) and bool(gemini.get("api_key")) == bool(gemini.get("project")):
        faults.append("gemini: needs either api_key (Gemini API) or project (Vertex AI)")
    return faults


def _needs(recipe: Mapping[str, Any], raw: Mapping[str, Any]) -> list[str]:
    """What a recipe asks for and lacks."""
    detector, verifier = recipe.get("detector", "golden"), recipe.get("verifier", "golden")
    golden = [key for key, value in (("detector", detector), ("verifier", verifier)) if value == "golden"]
    needs = []
    if golden and not recipe.get("golden"):
        needs.append(f"golden: is required by {' and '.join(golden)} 'golden': the picture of a good board")
    if detector == "roboflow" and not raw.get("roboflow"):
        needs.append("detector: 'roboflow' needs the section roboflow, with workspace and api_key")
    if detector == "roboflow" and not recipe.get("workflow"):
        needs.append("workflow: is required by detector 'roboflow', e.g. {id: pcb-inspection}")
    if verifier == "gemini" and not raw.get("gemini"):
        needs.append("verifier: 'gemini' needs the section gemini, with api_key or project")
    if verifier == "workflow" and detector != "roboflow":
        needs.append("verifier: 'workflow' reads the answer of detector 'roboflow'")
    budget, deadline = recipe.get("check_budget_s", 30.0), recipe.get("deadline_s", 60.0)
    if (
        verifier == "gemini"
        and isinstance(budget, int | float)
        and isinstance(deadline, int | float)
        and budget >= deadline
    ):
        needs.append(f"check_budget_s: must be shorter than deadline_s ({deadline:g}), not {budget:g}")
    return needs


def _refused(target: Mapping[str, Any], raw: Mapping[str, Any]) -> list[str]:
    """Why a target whose host is an address may not be spoken to. Host names are looked at when they are resolved."""
    try:
        parts = urlsplit(str(target.get("url")))
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
        refusal = Network.model_validate(raw.get("network") or {}).refusal(host, parts.scheme)
    except ValueError:  # a name, or a fault of its own
        return []
    return [refusal] if refusal else []


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in names) or "none"


def proxy_for(url: str) -> str | None:
    """The proxy that the environment (HTTPS_PROXY, NO_PROXY …) names for an address; None for none."""
    parts = urlsplit(url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)
