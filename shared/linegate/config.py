"""One YAML file ▶ validated settings. This module is the only reader of the environment.

Every fault in the file is reported at once, in words of the file, with what is allowed there.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError

from linegate.errors import ConfigError
from linegate.inspection import Verdict

CONFIG_VARIABLE: Final = "LINEGATE_CONFIG"
LOG_LEVEL_VARIABLE: Final = "LINEGATE_LOG_LEVEL"

Seconds = Annotated[float, Field(gt=0, le=30 * 86_400)]
Ratio = Annotated[float, Field(ge=0, le=1)]
# Line, recipe and target names end in object names, document ids and log fields: keep them plain.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassPolicy(_Settings):
    """What is done with detections of one class."""

    minimum_confidence: Ratio | None = None
    verify: Literal["always", "never"] = "always"
    auto_fail_above: Ratio | None = None


class Recipe(_Settings):
    """What a line inspects for."""

    detector: Literal["golden"] = "golden"
    verifier: Literal["golden", "none"] = "golden"
    golden: str | None = None
    confidence: Ratio = 0.3
    deadline_s: Seconds = 60.0
    crop_padding: Annotated[float, Field(ge=0, le=2)] = 0.25
    classes: dict[str, ClassPolicy] = {}


class Line(_Settings):
    recipe: str


def _webhook_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    return url


def _webhook_secret(secret: str) -> str:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("must be whsec_ and base64 (openssl rand -base64 32 makes one)") from error
    if not 24 <= len(key) <= 64:
        raise ValueError(f"must hold 24 to 64 bytes, this one holds {len(key)} (openssl rand -base64 32 makes one)")
    return secret


class Target(_Settings):
    """Somebody to notify. Without `lines` of every line, unknown ones included."""

    type: Literal["webhook"] = "webhook"
    url: Annotated[str, AfterValidator(_webhook_url)]
    secrets: Annotated[list[Annotated[str, AfterValidator(_webhook_secret)]], Field(min_length=1, max_length=4)]
    verdicts: Annotated[list[Verdict], Field(min_length=1)] = list(Verdict)
    lines: list[str] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 15.0
    give_up_after_s: Seconds = 86_400.0


class Images(_Settings):
    """What is let through the image guard."""

    max_bytes: Annotated[int, Field(gt=0, le=500_000_000)] = 20_000_000
    max_pixels: Annotated[int, Field(gt=0, le=1_000_000_000)] = 100_000_000


class Storage(_Settings):
    """Names of the buckets; on one machine both are folders below `edge.data`."""

    uploads_bucket: str = "uploads"
    results_bucket: str = "results"


class Retry(_Settings):
    """How a message that failed is tried again, before it goes to the dead letter of its stage."""

    minimum_s: Seconds = 1.0
    maximum_s: Seconds = 60.0
    attempts: Annotated[int, Field(ge=5, le=100)] = 20


class Concurrency(_Settings):
    """How many messages of each stage are in work at the same time."""

    detect: Annotated[int, Field(ge=1, le=64)] = Field(default_factory=lambda: max(1, os.cpu_count() or 1))
    verify: Annotated[int, Field(ge=1, le=512)] = 64
    aggregate: Annotated[int, Field(ge=1, le=64)] = 8
    notify: Annotated[int, Field(ge=1, le=256)] = 32
    notify_per_target: Annotated[int, Field(ge=1, le=64)] = 4


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

    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]
    lines: Annotated[dict[Name, Line], Field(min_length=1)]
    targets: dict[Name, Target] = {}
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
            if isinstance(error["input"], str | int | float | bool | None):
                what += f", not {error['input']!r}"
    return f"{path}: {what}"


def _siblings(location: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed where `location` ends."""
    model: Any = Settings
    for part in location[:-1]:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[part].annotation
        else:  # dict[Name, Model]
            model = model.__args__[1]
    return list(model.model_fields)


def _references(raw: Mapping[str, Any]) -> list[str]:
    """Faults between sections, found even when a section has faults of its own."""

    def section(name: str) -> dict[str, dict[str, Any]]:
        value = raw.get(name)
        return {k: v for k, v in value.items() if isinstance(v, dict)} if isinstance(value, dict) else {}

    recipes, lines = section("recipes"), section("lines")
    faults = []
    for name, line in lines.items():
        recipe = line.get("recipe")
        if isinstance(recipe, str) and recipe not in recipes:
            faults.append(f"lines.{name}.recipe: no recipe named {recipe!r}; there is {_listed(recipes)}")
    for name, recipe in recipes.items():
        users = [key for key in ("detector", "verifier") if recipe.get(key, "golden") == "golden"]
        if users and not recipe.get("golden"):
            faults.append(
                f"recipes.{name}.golden: is required by {' and '.join(users)} 'golden': the picture of a good board"
            )
    for name, target in section("targets").items():
        for line in target.get("lines") or []:
            if line not in lines:
                faults.append(f"targets.{name}.lines: no line named {line!r}; there is {_listed(lines)}")
    return faults


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
