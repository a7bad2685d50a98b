"""The configuration as a reference: a JSON Schema for editors, and the page `configuration.md`, both made of the models.

Also what Terraform takes from the package, `terraform/defaults.json`. `.ci/reference` writes all of it; a test keeps it in step.
"""

import ast
import inspect
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, get_args

from linegate.kind import DetectorKind, RecipeBase
from linegate.kinds import DETECTORS, VERIFIERS
from linegate.sections import CLOUD_RETRY, IN_WORDS, Cloud, Images, Section
from linegate.settings import ROLES, Settings, keys_of, kind_of, type_of
from linegate.stages import (
    BY_TOPIC,
    MARGIN_S,
    MEMORY_A_CORE_MIB,
    MEMORY_STEP_MIB,
    MOST_MEMORY_MIB,
    REVIEWS,
    STAGES,
    STATION_INSTANCE,
    Instance,
    Stage,
)

INTRODUCTION: Final = """\
# Configuration

[Configuring](configuring.md) tells how the file works and what to begin with. Here is every key, with its default and its
bounds, made by `.ci/reference` from the models that read the file. `linegate init` writes a file to start from;
`linegate schema` prints a JSON Schema for editors. `${NAME}` in a text takes a value from the environment. Names of lines,
recipes, targets and classes are yours to choose (NAME below).
"""


def schema() -> dict[str, Any]:
    """The JSON Schema of the file, each key with what it means."""
    made = Settings.model_json_schema()
    texts = _docstrings()
    for name, model in [("Settings", made), *made["$defs"].items()]:
        model.pop("title", None)
        for key, field in model.get("properties", {}).items():
            field.pop("title", None)
            if texts.get((name, key)):
                field["description"] = texts[name, key]
    recipe = made["$defs"]["Recipe"]["properties"]
    for role, kinds in ROLES.items():
        each = "; ".join(f"`{type_of(kind)}`: {_uncapped(kind.__doc__)}" for kind in kinds)
        said = texts.get(("Recipe", role), "Short for `detectors` with this one alone.")
        recipe[role]["description"] = f"{said} {each}."
        for kind in kinds:
            for key in keys_of(kind):
                recipe[key]["description"] = f"Of {role} `{type_of(kind)}`: {_uncapped(texts[kind.__name__, key])}."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "linegate.yaml"}


def _uncapped(text: str | None) -> str:
    """A sentence as it stands behind a colon."""
    words = " ".join((text or "").split()).removesuffix(".")
    return words[:1].lower() + words[1:]


def provisioning() -> dict[str, Any]:
    """What Terraform must know of the package: its stages, how their messages come again, and what holds where the file's
    section `cloud` says nothing.
    """
    defaults = {
        key: field.default for key, field in Cloud.model_fields.items() if key in ("region", "database", "prefix")
    }
    return {
        "cloud": defaults,
        "retry": CLOUD_RETRY.model_dump(),
        "images": {"max_pixels": Images().max_pixels},
        "recipe": {
            "detector": type_of(DETECTORS[0]),
            "verifier": type_of(VERIFIERS[0]),
            "check_budget_s": RecipeBase.model_fields["check_budget_s"].default,
        },
        # What of a picture is the detector's, and where the time that it may wait for its service stands
        "detectors": {
            type_of(kind): {
                "bytes_a_pixel": kind.bytes_a_pixel,
                "service": kind.service,
                "budget_s": _budget_s(kind),
            }
            for kind in DETECTORS
        },
        "verifiers": {type_of(kind): {"asks": kind.asks} for kind in VERIFIERS},
        "memory": {"step_mib": MEMORY_STEP_MIB, "a_core_mib": MEMORY_A_CORE_MIB, "most_mib": MOST_MEMORY_MIB},
        "margin_s": MARGIN_S,
        "stages": {name: _provisioned(stage) for name, stage in STAGES.items()},
        "station": {
            "publishes_to": BY_TOPIC[REVIEWS].name,
            "memory_mib": STATION_INSTANCE.memory_mib,
            "bytes_a_pixel": STATION_INSTANCE.bytes_a_pixel,
            "sizing": _sized(STATION_INSTANCE),
        },
    }


def _budget_s(kind: type[DetectorKind]) -> float:
    """The time of its service where the file says nothing; 0 where it asks nobody."""
    section = Settings.model_fields[kind.service].annotation if kind.service else None
    models = [model for model in get_args(section) if "budget_s" in getattr(model, "model_fields", {})]
    return float(models[0].model_fields["budget_s"].default) if models else 0.0


# Whose secrets a stage's function holds, by what its handler needs
_SECTIONS: Final = {
    "detector": {"station", *(kind.service for kind in DETECTORS if kind.service)},  # and draws audits
    "verifier": {kind.service for kind in VERIFIERS if kind.service},
    "target": {"targets"},
}


def _provisioned(stage: Stage) -> dict[str, Any]:
    instance = stage.instance
    return {
        "topic": stage.topic,
        "publishes_to": [BY_TOPIC[topic].name for topic in stage.publishes_to],
        "sections": sorted({section for port in stage.ports for section in _SECTIONS.get(port, ())}),
        "detects": "detector" in stage.ports,
        "verifies": "verifier" in stage.ports,
        "memory_mib": instance.memory_mib,  # beside pictures
        "bytes_a_pixel": instance.bytes_a_pixel,
        "kept_bytes_a_pixel": instance.kept_bytes_a_pixel,
        "sizing": _sized(instance),
    }


def _sized(instance: Instance) -> dict[str, int]:
    return {
        "concurrency": instance.concurrency,
        "min_instances": 0,
        "max_instances": instance.most,
        "timeout_s": instance.timeout_s,
    }


def models() -> list[tuple[str, dict[str, Any]]]:
    """Each section's path in the file (NAME for what a person names, [] for an item of a list) and its schema."""
    made = schema()
    return list(_below("", made, made["$defs"]))


def page() -> str:
    """The page `configuration.md`."""
    known = schema()["$defs"]
    sections = [INTRODUCTION]
    written: list[tuple[str, dict[str, Any]]] = []
    for path, model in models():
        section = path.rpartition(".")[2], model
        if section in written:  # in the short form of a kind, or in another kind's section of the same key
            continue
        written.append(section)
        told = [
            f" of {by} `{model['properties'][by]['const']}`" for by in ("type", "tool") if by in model["properties"]
        ]
        heading = f"## `{path}`{''.join(told)}" if path else "## The file"
        introduction = [" ".join(model["description"].split()), ""] if path and "description" in model else []
        detector = kind_of(DETECTORS, model["properties"]["type"]["const"]) if path.endswith("detectors[]") else None
        introduction += [_declared(detector), ""] if detector else []
        rows = [
            f"| `{key}` | {_default(key, field, model, known)} | {_may_be(field, known)} | {field.get('description', '')} |"
            for key, field in model["properties"].items()
        ]
        head = ["| key | default | may be | what it is |", "|---|---|---|---|"]
        sections.append("\n".join([heading, "", *introduction, *head, *rows, ""]))
    return "\n".join(sections)


def _declared(kind: type[DetectorKind]) -> str:
    """What a detector needs of its recipe, and what it says of a finding beside class and box."""
    needs, says = (", ".join(sorted(each)) or "nothing more" for each in (kind.needs, kind.says))
    return f"It needs: {needs}. It says of a finding: {says}."


def _docstrings() -> dict[tuple[str, str], str]:
    """What stands below each key of each model or of one that it is made of, by (model, key).

    Read from the sources when it is asked for: functions start without it.
    """
    written: dict[tuple[str, str], str] = {}
    models = list(_made_of(Section))
    for module in {inspect.getmodule(model) for model in models} - {None}:
        for model in ast.parse(inspect.getsource(module)).body:  # type: ignore[arg-type]
            body = model.body if isinstance(model, ast.ClassDef) else []
            for key, text in pairwise(body):
                if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name) and isinstance(text, ast.Expr):
                    words = " ".join(str(ast.literal_eval(text.value)).split())
                    written[model.name, key.target.id] = words  # type: ignore[attr-defined]
    return {
        (model.__name__, key): written[base.__name__, key]
        for model in models
        for key in model.model_fields
        for base in reversed(model.__mro__)
        if (base.__name__, key) in written
    }


def _made_of(model: type[Section]) -> Iterator[type[Section]]:
    yield model
    for each in model.__subclasses__():
        yield from _made_of(each)


def _below(path: str, model: dict[str, Any], known: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each section with its path in the file, those of a section after it."""
    yield path, model
    for key, field in model["properties"].items():
        for way, inner in _inside(field):
            if "properties" in known[inner]:
                yield from _below(f"{path}.{key}{way}".lstrip("."), known[inner], known)


def _inside(field: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The models in a field, each with how one gets there."""
    if "$ref" in field:
        yield "", field["$ref"].rpartition("/")[2]
    if not _named(field):  # the keys of a kind that may be named stand beside its name
        for choice in (*field.get("anyOf", ()), *field.get("oneOf", ())):
            yield from _inside(choice)
    named = (field.get("additionalProperties"), *field.get("patternProperties", {}).values())
    for inner, way in (*((each, ".NAME") for each in named), (field.get("items"), "[]")):
        if isinstance(inner, dict):
            for further, name in _inside(inner):
                yield way + further, name


def _named(field: dict[str, Any]) -> bool:
    """Whether its values are the names of kinds, or sections of them."""
    return any("oneOf" in choice for choice in field.get("anyOf", ()))


def _default(key: str, field: dict[str, Any], model: dict[str, Any], known: dict[str, Any]) -> str:
    if key in model.get("required", ()):
        return "**required**"
    value = field.get("default")
    sections = [name for _, name in _inside(field) if "properties" in known[name]]
    if value is None or sections:
        return ""
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`".removesuffix(".0`").rstrip("`") + "`"


def _may_be(field: dict[str, Any], known: dict[str, Any]) -> str:
    """What a value may be, in words."""
    if "$ref" in field:
        field = known[field["$ref"].rpartition("/")[2]]
    choices = [choice for choice in field.get("anyOf", [field]) if choice.get("type") != "null"]
    return " or ".join(_in_words(choice, known) for choice in choices)


def _in_words(field: dict[str, Any], known: dict[str, Any]) -> str:
    if "oneOf" in field:
        return "a section with `type` and the keys of that kind"
    if "properties" in field or any(
        way in ("", ".NAME") and "properties" in known[name] for way, name in _inside(field)
    ):
        return "see below"
    if values := field.get("enum", [field["const"]] if "const" in field else []):
        return ", ".join(f"`{value}`" for value in values)
    if "pattern" in field:
        return IN_WORDS[field["pattern"]].removeprefix("must be ").removeprefix("may hold ")
    if field.get("type") == "array":
        return f"a list of {_may_be(field['items'], known)}" if not any(_inside(field)) else "a list"
    kinds = {"string": "text", "integer": "whole number", "boolean": "`true`, `false`", "object": "keys and values"}
    kind = kinds.get(field.get("type", ""), field.get("type", "anything"))
    words = [
        f"{word} {field[key]:,}"
        for key, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("maxLength", "at most"),
        )
        if key in field
    ]
    return " ".join([kind, *words])
