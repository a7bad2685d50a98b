"""What is wrong with a configuration, in words of the file: of YAML's errors and of pydantic's. Secrets are not repeated."""

import re
from datetime import date
from types import UnionType
from typing import Any, Final

import yaml
from pydantic import BaseModel

from linegate.kind import Kind
from linegate.kinds import TARGETS
from linegate.sections import IN_WORDS
from linegate.settings import ROLES, Recipe, Settings, keys_of, kind_of

# Keys whose values must not be repeated in a fault
SECRET: Final = {"api_key", "secrets", "url"}
# YAML's words for what people do most ▶ ours; what such an error quotes may be part of a secret
_YAML: Final = {
    "found character '\\t' that cannot start any token": "a tab stands there; YAML is indented with spaces",
    "mapping values are not allowed here": "a ':' stands where none belongs; put quotes around a text that holds one",
    "could not find expected ':'": "a ':' is missing after a key",
    "expected ',' or": "a ',' or what closes a bracket is missing before it",
    "found undefined alias": "a text that starts with '*' needs quotes",
    "could not determine a constructor for the tag": "a text that starts with '!' needs quotes",
}
# More than a sign and less than a token's name, such as '<scalar>'
_QUOTED: Final = re.compile(r"(['\"])(?!<)[^'\"]{2,}\1")
_BOUNDS: Final = {
    "greater_than": ("gt", "must be more than {}"),
    "greater_than_equal": ("ge", "must be {} or more"),
    "less_than": ("lt", "must be less than {}"),
    "less_than_equal": ("le", "must be {} or less"),
}
_KINDS: Final = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number with an end",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list, e.g. [a, b]",
    "dict_type": "must hold names, each with what belongs to it",
}


def yaml_fault(error: yaml.YAMLError) -> str:
    """Where and what, in one line."""
    if isinstance(error, yaml.MarkedYAMLError):
        problem, mark = error.problem or error.context or "can't be read", error.problem_mark or error.context_mark
        said = next((ours for theirs, ours in _YAML.items() if problem.startswith(theirs)), _QUOTED.sub("…", problem))
        return f"line {mark.line + 1}, column {mark.column + 1}: {said}" if mark else said
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position + 1} is none that a text may hold (#{error.character:04x})"
    return "can't be read"


def value_fault(error: Any, written: object) -> str:
    """One of pydantic's errors, in what was `written`."""
    location = _as_written(error["loc"], written)
    if error["type"] == "union_tag_invalid" and isinstance(error["input"], dict) and location[0] == "targets":
        location = (*location, "type")
    path = ".".join(str(part) for part in location if part != "[key]") or "the file"
    return f"{path}: {_what(error)}"


def _as_written(location: tuple[Any, ...], written: object) -> tuple[Any, ...]:
    """Where the fault stands in the file: without the names of kinds that pydantic puts in, and without the section of a kind
    whose keys stand in the recipe itself.
    """
    match location:
        case ("recipes", name, "detectors", index, *rest):
            if "detectors" in _recipe(written, name):
                return ("recipes", name, "detectors", index, *rest[1:])
            return _as_written(("recipes", name, "detector", *(rest or [None])), written)
        case ("recipes", name, role, _, *rest) if role in ROLES:
            in_long_form = isinstance(_recipe(written, name).get(role), dict)
            return ("recipes", name, role, *rest) if in_long_form or not rest else ("recipes", name, *rest)
        case ("targets", name, _, *rest) if rest:
            return ("targets", name, *rest)
    return location


def _recipe(written: object, name: object) -> dict[str, Any]:
    """A recipe as it was written, with no keys where it is none."""
    recipe = written.get("recipes", {}).get(name) if isinstance(written, dict) else None
    return recipe if isinstance(recipe, dict) else {}


def _what(error: Any) -> str:
    given, context = error["input"], error.get("ctx") or {}
    what = f"{error['msg'][0].lower()}{error['msg'][1:]}{_instead(error)}"
    match error["type"]:
        case "missing":
            what = "is required and missing"
        case "extra_forbidden":
            what = f"is not known here; allowed: {', '.join(_keys(error['loc'][:-1]))}"
        case "union_tag_invalid":
            what = f"is {context['tag']!r}; allowed: {_or(context['expected_tags'])}"
        case "union_tag_not_found":
            what = "must hold keys of its own, with `type` among them" + _instead(error)
        case "literal_error" | "enum":
            what = f"is {given!r}; allowed: {str(context['expected']).replace(chr(39), '')}"
        case "string_pattern_mismatch":
            what = IN_WORDS.get(context["pattern"], f"must fit the pattern {context['pattern']}")
        case "value_error":
            what = str(context["error"])
        case "string_too_short" | "too_short":
            what = "must not be empty"
        case "string_type":
            what = _no_text(given)
        case "model_type" | "model_attributes_type":
            # Elsewhere than in `lines` it may be a key.
            instead = _instead(error) if error["loc"][0] == "lines" or given is None else ""
            what = f"must hold keys of its own ({', '.join(_keys(error['loc']))}){instead}"
        case kind if kind in _KINDS:
            what = _KINDS[kind] + _instead(error)
        case kind if kind in _BOUNDS:
            bound, words = _BOUNDS[kind]
            what = words.format(f"{context[bound]:g}") + _instead(error)
    return what


def _or(listed: str) -> str:
    """Pydantic's list of texts as it lists the values of a literal: 'a', 'b' ▶ a or b."""
    names = [name.strip().strip("'") for name in listed.split(",")]
    return " or ".join((", ".join(names[:-1]), names[-1]) if names[1:] else names)


def _no_text(given: object) -> str:
    match given:
        case None:
            return "must not be empty"
        case bool():
            return "must be text; YAML takes yes, no, on, off, true and false for something else: put quotes around it"
        case int() | float() | date():
            kind = "date" if isinstance(given, date) else "number"
            return f"must be text; YAML takes what stands there for a {kind}: put quotes around it"
    return f"must be text, not a {'list' if isinstance(given, list) else 'mapping'}"


def _instead(error: Any) -> str:
    given = error["input"]
    if given is None:
        return "; nothing stands there"
    if SECRET & {*error["loc"]} or not isinstance(given, str | int | float):
        return ""
    return f", not {given!r}"


def _keys(location: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed at `location`."""
    model: Any = Settings
    choice: tuple[type[Kind], ...] = ()
    for part in location:
        if choice and isinstance(part, int):  # one of a list
            continue
        if choice:  # which of several kinds
            model, choice = kind_of(choice, part), ()
            continue
        if isinstance(model, type) and issubclass(model, BaseModel):
            choice = ROLES.get(str(part).removesuffix("s"), ()) if issubclass(model, Recipe) else ()
            model = model.model_fields[part].annotation
        else:  # dict[Name, Model] or list[Model]
            model = model.__args__[-1]
            choice = TARGETS if location[0] == "targets" else ()
        if isinstance(model, UnionType):  # Model | None
            model = model.__args__[0]
    keys = list(model.model_fields)
    if issubclass(model, Recipe):
        keys += dict.fromkeys(key for kinds in ROLES.values() for kind in kinds for key in keys_of(kind))
    return keys
