"""The configuration as a reference: a JSON Schema for editors, and the page `configuration.md`, both made of the models.

Also what Terraform takes from the package, `terraform/defaults.json`. `.ci/reference` writes all of it; a test keeps it in step.
"""

import ast
import inspect
import json
from collections.abc import Iterator
from typing import Any, Final

from linegate import settings
from linegate.settings import IN_WORDS, Cloud, Settings
from linegate.stages import BY_TOPIC, STAGES, Stage

INTRODUCTION: Final = """\
# Configuration

Every key of `linegate.yaml`, with its default and its bounds. Made by `.ci/reference` from the models that read the file.
`linegate init` writes a file to start from; `linegate schema` prints a JSON Schema for editors. `${NAME}` in a text takes
a value from the environment. Names of lines, recipes, targets and classes are yours to choose (NAME below).
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
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "linegate.yaml"}


def provisioning() -> dict[str, Any]:
    """What Terraform must know of the package: its stages, and what holds where the file's section `cloud` says nothing."""
    defaults = {
        key: field.default for key, field in Cloud.model_fields.items() if key in ("region", "database", "prefix")
    }
    return {"cloud": defaults, "stages": {name: _provisioned(stage) for name, stage in STAGES.items()}}


def _provisioned(stage: Stage) -> dict[str, Any]:
    instance = stage.instance
    return {
        "topic": stage.topic,
        "publishes_to": [BY_TOPIC[topic].name for topic in stage.publishes_to],
        "sections": stage.sections,
        "sizing": {
            "memory": f"{instance.memory_mib}Mi",
            "cpu": "1",
            "concurrency": instance.concurrency,
            "min_instances": 0,
            "max_instances": instance.most,
            "timeout_s": instance.timeout_s,
        },
    }


def models() -> list[tuple[str, dict[str, Any]]]:
    """Each section's path in the file (NAME for what a person names, [] for an item of a list) and its schema."""
    made = schema()
    return list(_below("", made, made["$defs"]))


def page() -> str:
    """The page `configuration.md`."""
    known = schema()["$defs"]
    sections = [INTRODUCTION]
    for path, model in models():
        heading = f"## `{path}`\n\n{' '.join(model.get('description', '').split())}" if path else "## The file"
        rows = [
            f"| `{key}` | {_default(key, field, model, known)} | {_may_be(field, known)} | {field.get('description', '')} |"
            for key, field in model["properties"].items()
        ]
        sections.append(
            "\n".join([f"{heading}\n", "| key | default | may be | what it is |", "|---|---|---|---|", *rows, ""])
        )
    return "\n".join(sections)


def _docstrings() -> dict[tuple[str, str], str]:
    """What stands below each key of each model, by (model, key). Read when it is asked for: functions start without it."""
    found: dict[tuple[str, str], str] = {}
    for model in ast.parse(inspect.getsource(settings)).body:
        if not isinstance(model, ast.ClassDef):
            continue
        for key, text in zip(model.body, model.body[1:], strict=False):
            if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name) and isinstance(text, ast.Expr):
                found[model.name, key.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found


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
    for choice in field.get("anyOf", ()):
        yield from _inside(choice)
    named = (field.get("additionalProperties"), *field.get("patternProperties", {}).values())
    for inner, way in (*((each, ".NAME") for each in named), (field.get("items"), "[]")):
        if isinstance(inner, dict):
            for further, name in _inside(inner):
                yield way + further, name


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
    if "properties" in field or any(
        way in ("", ".NAME") and "properties" in known[name] for way, name in _inside(field)
    ):
        return "see below"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
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
