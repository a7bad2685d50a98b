"""What is wrong with a configuration, in words of the file: of YAML's errors and of pydantic's. Secrets are not repeated."""

import re
from datetime import date
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

from linegate.sections import IN_WORDS
from linegate.settings import ROLES, Recipe, Settings, keys_of, type_of

# Keys whose values must not be repeated in a fault
SECRET: Final = {"api_key", "audit_key", "secrets", "url"}
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
    match _untold(location):
        case ("recipes", name, ("detectors" | "verifier") as role, *rest):
            recipe = _recipe(written, name)
            if role == "detectors" and role not in recipe:
                role, rest = "detector", rest[1:]
            in_long_form = isinstance(recipe.get(role), dict | list)
            return ("recipes", name, role, *rest) if in_long_form or not rest else ("recipes", name, *rest)
        case found:
            return found


def _untold(location: tuple[Any, ...]) -> tuple[Any, ...]:
    """A location without the parts that only say which of several sections stands there."""
    model: Any = Settings
    kept: list[Any] = []
    for number, part in enumerate(location):
        if get_origin(_bare(model)) not in (Union, UnionType):
            kept.append(part)
        try:
            model = _inner(model, part)
        except (KeyError, IndexError, StopIteration):  # no key that is known, or no section
            return (*kept, *location[number + 1 :])
    return tuple(kept)


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
            allowed = f"is not known here; allowed: {', '.join(_keys(error['loc'][:-1]))}"
            what = _of_a_kind(error["loc"]) or allowed
        case "union_tag_invalid":
            what = f"is {context['tag']!r}; allowed: {_or(context['expected_tags'])}"
        case "union_tag_not_found":
            by = "tool" if "tool" in str(context["discriminator"]) else "type"
            what = f"must hold keys of its own, with `{by}` among them{_instead(error)}"
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


def _of_a_kind(location: tuple[Any, ...]) -> str:
    """Where a key belongs that stands in a recipe, but is none of its own kinds'."""
    match location:
        case ("recipes", _, str(key)):
            found = [(role, type_of(kind)) for role, kinds in ROLES.items() for kind in kinds if key in keys_of(kind)]
            if not found:
                return ""
            whose = " or ".join(f"{role} {kind}" for role, kind in found)
            role, kind = found[0]
            section = (
                f"`{role}: {{type: {kind}, {key}: …}}`"
                if role == "verifier"
                else f"`detectors`, {{type: {kind}, {key}: …}}"
            )
            return f"is a key of {whose}: write it in a section of that type in {section}, or take it out"
    return ""


def _keys(location: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed at `location`."""
    model: Any = Settings
    for part in location:
        model = _inner(model, part)
    model = _bare(model)
    keys = list(model.model_fields)
    if issubclass(model, Recipe):
        keys += dict.fromkeys(key for kinds in ROLES.values() for kind in kinds for key in keys_of(kind))
    return keys


def _inner(model: Any, part: object) -> Any:
    """The type of what stands at one part of a location: a field, an item, or one of several sections by what tells it."""
    model = _bare(model)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return model.model_fields[str(part)].annotation
    if get_origin(model) in (Union, UnionType):
        told = (choice for choice in get_args(model) if get_origin(choice) is Annotated)
        return next(choice for choice in told if part in [getattr(one, "tag", None) for one in get_args(choice)])
    return get_args(model)[-1]  # dict[Name, Model] or list[Model]


def _bare(model: Any) -> Any:
    """Without what is said about a type, and without None beside it."""
    while get_origin(model) is Annotated:
        model = get_args(model)[0]
    if get_origin(model) in (Union, UnionType) and type(None) in get_args(model):
        return _bare(get_args(model)[0])
    return model
