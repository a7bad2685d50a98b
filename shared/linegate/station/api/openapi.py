"""The OpenAPI file, made of the operations and their models. Source: https://spec.openapis.org/oas/v3.1.1"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from linegate import __version__
from linegate.station.api.operation import Operation
from linegate.station.api.told import ProblemTold
from linegate.station.problems import MEDIA_TYPE
from linegate.station_section import May

REF: Final = "#/components/schemas/{model}"
ABOUT: Final = """\
What the pages of a gate's station tell, for machines, and what machines send: reviews and pictures. A PASS means that everything
was seen, and cleared. Times are RFC 3339. New keys may come in answers at any time; what is not known in a request is refused.
"""
PROBLEMS: Final = {
    400: "A parameter is unknown, or can't be understood.",
    401: "It needs a token.",
    403: "The token may not do this, or not for this line.",
    503: "The gate's store can't answer: ask again.",
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Linegate station", "version": __version__, "description": ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": "/", "description": "The station itself."}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of `station.tokens`."}
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "parameters": [*_parts(operation), *_query(operation.query), *_headers(operation)],
        "responses": {**_answers(operation), **_problems(operation)},
    }
    if operation.may is not None:
        # Where the configuration lets anybody look, no token is needed.
        made["security"] = [{"token": []}, *([{}] if operation.may is May.LOOK else [])]
    if operation.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(operation.body)}}}
    elif operation.stream is not None:
        picture = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
        made["requestBody"] = {"required": True, "content": {"application/octet-stream": picture}}
    return made


def _parts(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": part.name,
            "in": "path",
            "required": True,
            "description": part.about,
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": part.most,
                **({"pattern": part.pattern} if part.pattern else {}),
            },
        }
        for part in operation.parts
    ]


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    made = model.model_json_schema(by_alias=True, ref_template=REF)
    required = made.get("required", ())
    parameters = []
    for name, field in made["properties"].items() if "properties" in made else ():
        schema = {key: value for key, value in field.items() if key not in ("title", "description", "default")}
        choices = [each for each in schema.pop("anyOf", []) if each != {"type": "null"}]
        schema |= choices[0] if choices else {}
        if field.get("default") is not None:
            schema["default"] = field["default"]
        parameters.append(
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": field.get("description", ""),
                "schema": schema,
            }
        )
    return parameters


def _headers(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": about,
            "schema": {"type": "string", "pattern": pattern},
        }
        for name, about, pattern in operation.headers
    ]


def _answers(operation: Operation) -> dict[str, Any]:
    file = operation.file
    told = (
        {
            "description": file.about,
            "headers": {
                name: {"description": about, "schema": {"type": "string"}} for name, about in file.headers.items()
            },
            "content": {file.media_type: {"schema": dict(file.schema)}},
        }
        if file
        else None
    )
    return ({"200": told} if told else {}) | {
        str(status): {
            "description": about,
            **({"content": {"application/json": {"schema": _ref(model)}}} if model else {}),
        }
        for status, (model, about) in operation.answers.items()
    }


def _problems(operation: Operation) -> dict[str, Any]:
    said = {status: text for status, text in PROBLEMS.items() if operation.may is not None or status in (400, 401, 503)}
    content = {MEDIA_TYPE: {"schema": _ref(ProblemTold)}}
    return {
        str(status): {"description": about, "content": content}
        for status, about in sorted((said | dict(operation.problems)).items())
    }


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    answered = {model: None for each in operations for model, _ in each.answers.values() if model}
    asked = {each.body: None for each in operations if each.body} | {
        each.query: None for each in operations if each.query.model_fields
    }
    modes = [(model, "serialization") for model in (*answered, ProblemTold)] + [
        (model, "validation") for model in asked
    ]
    _, made = models_json_schema(modes, by_alias=True, ref_template=REF)  # type: ignore[arg-type]
    queries = {model.__name__ for model in (each.query for each in operations)}
    schemas = {name: schema for name, schema in made["$defs"].items() if name not in queries}
    for schema in schemas.values():
        schema.pop("title", None)
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
    return schemas
