"""One YAML file ▶ validated settings. This module is the only reader of the environment.

Every fault in the file is reported at once, in words of the file, with what is allowed there.
"""

import os
import re
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml
from pydantic import ValidationError
from yaml.error import MarkedYAMLError

from linegate import blind_spots
from linegate.errors import ConfigError
from linegate.faults import value_fault, yaml_fault
from linegate.kind import Kind, Need, VerifierKind
from linegate.kinds import TARGETS
from linegate.redaction import Redactor, know
from linegate.sections import PLACEHOLDER
from linegate.settings import CHALLENGE_SUFFIX, ROLES, Settings, kind_of, type_of

CONFIG_VARIABLE: Final = "LINEGATE_CONFIG"
ELSEWHERE_VARIABLE: Final = "LINEGATE_SECRETS_ELSEWHERE"
LOG_LEVEL_VARIABLE: Final = "LINEGATE_LOG_LEVEL"
PUSH_SECRET_VARIABLE: Final = "LINEGATE_PUSH_SECRET"
PUSH_AUDIENCE_VARIABLE: Final = "LINEGATE_PUSH_AUDIENCE"
PUSH_ACCOUNT_VARIABLE: Final = "LINEGATE_PUSH_SERVICE_ACCOUNT"
MOST_BYTES: Final = 1_000_000


def from_environment() -> Settings:
    """The settings of the file that LINEGATE_CONFIG names. Raises ConfigError."""
    path = os.environ.get(CONFIG_VARIABLE)
    if not path:
        raise ConfigError([f"{CONFIG_VARIABLE} is not set; it must name the YAML file of this environment"])
    return load(Path(path), elsewhere=os.environ.get(ELSEWHERE_VARIABLE, "").split(","))


def emulator(name: str) -> str | None:
    """Host and port of an emulator, from the variable that Google's own tools use for it (PUBSUB_EMULATOR_HOST)."""
    return os.environ.get(f"{name}_EMULATOR_HOST")


def command() -> str:
    """How the command was typed, for hints that can be typed again: uv puts its mark on what it runs."""
    return "uv run linegate" if "UV_RUN_RECURSION_DEPTH" in os.environ else "linegate"


@dataclass(frozen=True, slots=True)
class PushTrust:
    """Whose pushes a function takes; see `admission`. What is empty was not set."""

    secret: str = ""
    audience: str = ""
    service_account: str = ""
    on_cloud_run: bool = False


def on_cloud_run() -> bool:
    """Whether this is an instance of a function on the platform, which sets that variable."""
    return "K_SERVICE" in os.environ


def push_trust() -> PushTrust:
    secret = os.environ.get(PUSH_SECRET_VARIABLE, "").strip()
    know([secret] if secret else [])
    return PushTrust(
        secret=secret,
        audience=os.environ.get(PUSH_AUDIENCE_VARIABLE, "").strip(),
        service_account=os.environ.get(PUSH_ACCOUNT_VARIABLE, "").strip(),
        on_cloud_run=on_cloud_run(),
    )


def log_level() -> str:
    return os.environ.get(LOG_LEVEL_VARIABLE, "INFO").upper()


def load(
    path: Path,
    environment: Mapping[str, str] | None = None,
    elsewhere: Collection[str] = (),
    changes: Collection[str] = (),
) -> Settings:
    """Read and validate a file; `${NAME}` in a text takes a value from the environment.

    Names in `elsewhere` belong to other functions and may be missing here: each function holds its own secrets only.
    `changes` (`gemini.service_tier=flex`) hold in place of what the file says. Raises ConfigError with every fault.
    """
    text = _text(path)
    return parse(text, path.parent, os.environ if environment is None else environment, str(path), elsewhere, changes)


def _text(path: Path) -> str:
    """What the file says, as far as a configuration goes. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError([f"there is no such file; `{command()} init` writes one to start from"], str(path)) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError([f"can't be read: {why}"], str(path)) from error
    if len(content) > MOST_BYTES:
        raise ConfigError([f"holds more than {MOST_BYTES:,} bytes, which no configuration does"], str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(["is no text in UTF-8; save it as UTF-8, if it is a text at all"], str(path)) from error


def without_secrets(path: Path) -> Settings:
    """The settings of a file for whoever needs none of its secrets. Raises ConfigError with every other fault."""
    try:
        names = PLACEHOLDER.findall(_text(path))
    except ConfigError:
        names = []  # `load` says what is wrong
    return load(path, elsewhere=names)


def parse(
    text: str,
    folder: Path,
    environment: Mapping[str, str],
    source: str = "configuration",
    elsewhere: Collection[str] = (),
    changes: Collection[str] = (),
) -> Settings:
    """Validate the text of a configuration file; see `load`."""
    found: list[str] = []
    # A name that is held elsewhere stays a placeholder, which no check of a value minds and nobody here uses.
    values = {name: f"${{{name}}}" for name in elsewhere} | dict(environment)
    try:
        raw = yaml.load(text, _loader(found))
        if not isinstance(raw, dict):
            raise ConfigError(["must hold a mapping with the keys recipes, lines and targets"], source)
        for change in changes:
            _change(raw, change, found)
        confidential = secrets_of(raw, environment)
        know(confidential)
        filled = _fill(raw, "", values, found)
    except yaml.YAMLError as error:
        raise ConfigError([f"is not YAML: {yaml_fault(error)}"], source) from error
    except RecursionError as error:
        raise ConfigError(["is nested without end"], source) from error
    settings = None
    try:
        settings = Settings.model_validate(filled)
        found += blind_spots.faults(settings)
    except ValidationError as error:
        found += [value_fault(entry, filled) for entry in error.errors()]
    found += _references(filled)
    if found or settings is None:
        # What comes from the environment is nobody's to read, wherever in the file it was put.
        quiet = Redactor(values[name] for name in PLACEHOLDER.findall(text) if name in environment)
        raise ConfigError([quiet.redact(fault) for fault in found], source)
    settings._folder = folder
    settings._confidential = confidential
    return settings


def _change(raw: dict[str, Any], change: str, faults: list[str]) -> None:
    """Set `key.of.the.file=value`, its value read as the file would be."""
    path, _, value = change.partition("=")
    *names, key = path.split(".")
    section = raw
    for name in names:
        if section.get(name) is None:
            section[name] = {}
        section = section[name]
        if not isinstance(section, dict):
            faults.append(f"{path}: {name} holds no keys of its own")
            return
    section[key] = yaml.load(value, _loader(faults))


def _loader(faults: list[str]) -> type[yaml.SafeLoader]:
    """A SafeLoader that notes keys given twice instead of keeping the last one in silence, and takes no number without end.

    Keys are texts as they stand there: a line may be called `no`, `on` or `1`, which YAML takes for something else.
    """

    class Loader(yaml.SafeLoader):
        def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
            if not isinstance(node, yaml.ScalarNode):
                return super().construct_object(node, deep)
            try:
                value = super().construct_object(node, deep)
            except (ValueError, AttributeError) as error:  # 2026-99-99, or more digits than Python reads
                raise MarkedYAMLError(
                    problem="no such date or number; put quotes around a text", problem_mark=node.start_mark
                ) from error
            if isinstance(value, int) and abs(value) >= 1 << 63:
                raise MarkedYAMLError(problem="a number of more than 64 bits", problem_mark=node.start_mark)
            return value

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen and isinstance(key.value, str):
                    faults.append(f"{key.value}: given twice (line {key.start_mark.line + 1})")
                seen.add(str(key.value))
            return super().construct_mapping(node, deep)

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            super().flatten_mapping(node)
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    key.tag = self.DEFAULT_SCALAR_TAG

    return Loader


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

    return PLACEHOLDER.sub(variable, value)


# What a kind may need of its recipe: the key, and what it holds
_NEEDED: Final = {
    Need.GOLDEN: ("golden", "the picture of a good board"),
    Need.SCALE: ("mm_per_px", "millimetres of the product for each pixel, such as 0.05"),
}

# What holds nothing secret, even where a value of it comes from the environment (a folder, say)
_OPEN: Final = {"recipes", "lines", "network", "images", "storage", "cloud", "edge"}
_OPEN_KEYS: Final = {"type", "lines", "verdicts", "listen", "address", "hosts", "time_zone"}
# A shorter value in an address is a setting, not a key
_KEY_LENGTH: Final = 8
# A part of an address's path that is no word: long, with digits in it
_PATH_KEY: Final = re.compile(r"(?=.*[0-9]).{16,}")


def secrets_of(raw: Mapping[str, Any], environment: Mapping[str, str]) -> frozenset[str]:
    """What nobody may be shown, whatever shape it has in the file: keys, secrets to sign with, addresses that are a key.

    Also all that `${NAME}` brings to a service or a target, and the passwords of proxies.
    """
    found: list[str] = []
    for name, section in raw.items():
        if name in _OPEN:
            continue
        parts = section.values() if name == "targets" and isinstance(section, dict) else [section]
        for part in parts:
            found += _secrets(part, environment)
    for proxy in urllib.request.getproxies().values():
        found += _keys_in(proxy)
    # A name that is held elsewhere stands for nothing here.
    return frozenset(text for text in found if text and not PLACEHOLDER.search(text))


def _secrets(part: Any, environment: Mapping[str, str]) -> Iterator[str]:
    """Those of one service or target."""
    part = {key: value for key, value in part.items() if key not in _OPEN_KEYS} if isinstance(part, dict) else part
    for text in _texts(part):
        yield from (environment.get(name, "") for name in PLACEHOLDER.findall(text))
    filled = _fill(part, "", environment, [])
    if isinstance(filled, dict):
        for key in ("api_key", "audit_key", "password"):
            yield from _texts(filled.get(key))
        for secret in _texts(filled.get("secrets")):
            yield from (secret, secret.removeprefix("whsec_"))
        tokens = filled.get("tokens")
        for token in tokens.values() if isinstance(tokens, dict) else ():
            yield from _texts(token.get("token") if isinstance(token, dict) else None)
        for key in ("url", "api_url"):
            for url in _texts(filled.get(key)):
                yield from _keys_in(url)


def _texts(value: object) -> Iterator[str]:
    """Every text and number of a value as text, keys included."""
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        with suppress(ValueError):  # a number of more digits than Python prints
            yield str(value)


def _keys_in(url: str) -> Iterator[str]:
    """What of an address is a key: its password, what its query gives, what of its path is no word; of Slack's the whole."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    password = parts.password or parts.username or ""
    yield from (password, unquote(password))
    yield from (value for _, value in parse_qsl(parts.query) if len(value) >= _KEY_LENGTH)
    segments = (unquote(segment) for segment in parts.path.split("/"))
    yield from (segment for segment in segments if _PATH_KEY.fullmatch(segment))
    if (parts.hostname or "").endswith("slack.com") or parts.path.startswith("/services/"):
        yield from (url, parts.path, parts.path.strip("/"), parts.path.rpartition("/")[2])


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
        allowed = line.get("recipes")
        for named in allowed if isinstance(allowed, list) else []:
            if isinstance(named, str) and named not in recipes:
                faults.append(f"lines.{name}.recipes: no recipe named {named!r}; there is {_listed(recipes)}")
        faults += [f"lines.{name}.{fault}" for fault in _challenged(name, line, lines)]
    for name, recipe in recipes.items():
        faults += [f"recipes.{name}.{fault}" for fault in _needs(recipe, raw)]
    for name, target in targets.items():
        named = target.get("lines")
        for line in named if isinstance(named, list) else []:
            if isinstance(line, str) and line not in lines:
                faults.append(f"targets.{name}.lines: no line named {line!r}; there is {_listed(lines)}")
        kind = kind_of(TARGETS, target.get("type", type_of(TARGETS[0])))
        faults += [f"targets.{name}.{fault}" for fault in kind.lacks(target, raw)] if kind else []
    faults += _token_lines(raw, lines)
    cloud = raw.get("cloud")
    if isinstance(cloud, dict) and not cloud.get("golden_bucket"):
        faults += [
            f"recipes.{name}.golden: needs cloud.golden_bucket, where the picture is kept on Google Cloud"
            for name, recipe in recipes.items()
            if recipe.get("golden")
        ]
    station = raw.get("station")
    if not (isinstance(station, dict) and station.get("audit_key")):
        faults += [
            f"recipes.{name}.audit_share: needs station.audit_key, a secret by which products are drawn"
            for name, recipe in recipes.items()
            if recipe.get("audit_share")
        ]
    gemini = raw.get("gemini")
    if isinstance(gemini, dict) and bool(gemini.get("api_key")) == bool(gemini.get("project")):
        faults.append("gemini: needs either api_key (Gemini API) or project (Vertex AI)")
    return faults


def _token_lines(raw: Mapping[str, Any], lines: Mapping[str, Any]) -> Iterator[str]:
    """The lines of tokens that are none."""
    for name, token in _below(raw, "station", "tokens").items():
        named = token.get("lines") if isinstance(token, dict) else None
        for line in named if isinstance(named, list) else []:
            if isinstance(line, str) and line not in lines:
                yield f"station.tokens.{name}.lines: no line named {line!r}; there is {_listed(lines)}"


def _below(raw: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The mapping that stands there; an empty one where something else does."""
    found: Any = raw
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _challenged(name: str, line: Mapping[str, Any], lines: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What stands in the way of a line's challenges: its own line, and one recipe that each of them proves."""

    def through(name: str, line: Mapping[str, Any]) -> object:
        return line.get("challenge_line") or (f"{name}{CHALLENGE_SUFFIX}" if line.get("challenge_every") else None)

    mine = through(name, line)
    if mine is None:
        return
    if mine in lines:
        yield f"challenge_line: {mine!r} is a line of its own already; challenge boards must not lie among a product's"
    elif any(through(other, parts) == mine for other, parts in lines.items() if other != name):
        yield f"challenge_line: {mine!r} is that of another line too"
    others = [one for one in line.get("recipes") or () if one != line.get("recipe")]
    if line.get("challenge_every") and others:
        yield f"recipes: a line with challenge_every has one recipe, which its challenges prove; not also {_or(others)}"


def _or(names: list[Any]) -> str:
    return " or ".join(repr(name) for name in names)


def _needs(recipe: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterator[str]:
    """What a recipe asks for and lacks, each with its key."""
    chosen: list[tuple[str, type[Kind]]] = []
    for role, key, written in _kinds_written(recipe):
        # In the long form a kind's keys stand in a section of their own.
        section = written if isinstance(written, Mapping) else recipe
        kind = kind_of(ROLES[role], written.get("type") if isinstance(written, Mapping) else written)
        if kind is None:  # a fault of its own
            continue
        chosen.append((role, kind))
        if kind.service and not raw.get(kind.service):
            yield f"{key}: {type_of(kind)!r} needs the section {kind.service}, with {kind.service_keys}"
        if Need.MODEL_FILE in kind.needs and raw.get("cloud"):
            yield f"{key}: {type_of(kind)!r} reads a model's file, which functions on Google Cloud do not hold"
        yield from (fault if section is recipe else f"{key}.{fault}" for fault in kind.lacks(section, raw))
    for need, (key, what) in _NEEDED.items():
        if recipe.get(key) is None and (by := [(role, kind) for role, kind in chosen if need in kind.needs]):
            who = " and ".join(dict.fromkeys(f"{role} {type_of(kind)!r}" for role, kind in by))
            yield f"{key}: is required by {who}: {what}"
    verifier = next((kind for role, kind in chosen if role == "verifier"), None)
    whose = verifier.of_detector if verifier and issubclass(verifier, VerifierKind) else ""
    detectors = [type_of(kind) for role, kind in chosen if role == "detector"]
    if verifier and detectors and whose and whose not in detectors:
        yield f"verifier: {type_of(verifier)!r} reads the answer of detector {whose!r}"
    budget, deadline = recipe.get("check_budget_s", 30.0), recipe.get("deadline_s", 60.0)
    numbers = isinstance(budget, int | float) and isinstance(deadline, int | float)
    if verifier and verifier.asks and numbers and budget >= deadline:
        yield f"check_budget_s: must be shorter than deadline_s ({deadline:g}), not {budget:g}"


def _kinds_written(recipe: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Role, key and what stands there, of each kind in a recipe as it was written, or by default."""
    several = recipe.get("detectors")
    if isinstance(several, list):
        yield from (("detector", f"detectors.{index}", written) for index, written in enumerate(several))
    roles = [role for role in ROLES if role != "detector" or several is None]
    yield from ((role, role, recipe.get(role, type_of(ROLES[role][0]))) for role in roles)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
