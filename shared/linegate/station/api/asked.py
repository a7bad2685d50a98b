"""What may be asked, as models: they read requests strictly and describe them in the OpenAPI file."""

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from starlette.requests import Request

from linegate.answers import LONGEST_COMMENT, LONGEST_NAME, MOST_MISSED, Disposition
from linegate.inspection import Verdict
from linegate.search import By
from linegate.station.problems import ProblemError
from linegate.texts import brief, visible

M = TypeVar("M", bound=BaseModel)

MOST_ITEMS: Final = 200
MOST_RULINGS: Final = 10_000
ID: Final = r"^[0-9a-f]{32}$"
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: object) -> object:
    """RFC 3339 only: pydantic would also take a number for seconds since 1970."""
    if isinstance(value, str) and not _MOMENT.fullmatch(value):
        raise ValueError("must be a time with its zone after RFC 3339, e.g. 2026-03-01T12:00:00Z")
    return value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError("must be the name of a time zone, e.g. Europe/Berlin") from error
    return name


def _seen(text: str) -> str:
    if visible(text) != text or not text.strip():
        raise ValueError("must be a text that can be seen: no control characters, nothing that turns the direction")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Zone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_zone)]
Shown = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME), AfterValidator(_seen)]
Pixels = Annotated[float, Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)]
Extent = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


class Asked(BaseModel):
    """Nothing that is not known here is passed over in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Nothing(Asked):
    """No parameter is known."""


class _Paged(Asked):
    cursor: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]*$", max_length=1000)] = Field(
        "", description="`next` of the page before, for the same question; the first page without it."
    )
    limit: int = Field(50, ge=1, le=MOST_ITEMS, description="Items of a page; it may hold fewer and have a next one.")


class Which(_Paged):
    line: Text | None = Field(None, description="Of this line.")
    recipe: Text | None = Field(None, description="Inspected by this recipe.")
    serial: Text | None = Field(None, description="With this very serial.")
    verdict: Verdict | None = Field(None, description="Whose latest verdict it is.")
    decided_by: By | None = Field(None, description="Who made the latest revision.")
    class_name: Text | None = Field(
        None,
        alias="class",
        description="With a finding of this class that verification did not clear, that a person ruled on or that was missed.",
    )
    disposition: Disposition | None = Field(None, description="With a finding of which a person said so.")
    since: Moment | None = Field(None, description="Received then or later.")
    until: Moment | None = Field(None, description="Received before.")
    order: Literal["newest", "oldest"] = Field("newest", description="Which come first, by the time of receipt.")


class Waiting(_Paged):
    line: Text | None = Field(None, description="Of this line.")


class Exported(_Paged):
    line: Text | None = Field(None, description="Of this line; without it, of all but those of challenges.")
    verdict: Verdict | None = Field(None, description="Whose latest verdict it is.")
    since: Moment | None = Field(None, description="Received then or later.")
    until: Moment | None = Field(None, description="Received before.")


class Counted(Asked):
    since: Moment = Field(description="Hours that begin then or later.")
    until: Moment = Field(description="Hours that begin before; 31 days behind `since` at most by hour, 400 by day.")
    line: Text | None = Field(None, description="Of this line.")
    recipe: Text | None = Field(None, description="Of this recipe.")
    by: Literal["hour", "day"] = Field("hour", description="Days are those of `zone`.")
    zone: Zone = Field("UTC", description="A time zone, e.g. Europe/Berlin.")


class RulingAsked(Asked):
    index: int = Field(ge=0, lt=100_000, description="Of the finding in its inspection.")
    disposition: Disposition


class BoxAsked(Asked):
    """In pixels of the upright picture; x and y are the centre."""

    x: Pixels
    y: Pixels
    width: Extent
    height: Extent


class MissedAsked(Asked):
    class_name: Shown = Field(alias="class")
    box: BoxAsked | None = Field(None, description="null where it has no place in the picture.")


class ReviewAsked(Asked):
    """What a person decided. The same said twice is one review."""

    seen: int = Field(ge=1, lt=1_000_000, description="The revision that they looked at.")
    rulings: list[RulingAsked] = Field([], max_length=MOST_RULINGS, description="One for a finding at most.")
    missed: list[MissedAsked] = Field([], max_length=MOST_MISSED, description="Defects that no detector found.")
    looked: bool = Field(False, description="They looked at the whole product, which answers the machine's doubts.")
    comment: str = Field("", max_length=LONGEST_COMMENT)
    author: Shown | None = Field(
        None, description="Who decided, where a token speaks for a person; kept as `author (name of the token)`."
    )


def parameters(request: Request, model: type[M]) -> M:
    """What stands behind the `?`. Raises ProblemError."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise ProblemError.of(400, "bad-parameter", f"{name} is given twice.", "Give each parameter once.")
        given[name] = value
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _refused(error, model, 400, "bad-parameter") from error


def body(text: bytes, model: type[M]) -> M:
    """A JSON body. Raises ProblemError."""
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise _refused(error, model, 422, "bad-body") from error


def _refused(error: ValidationError, model: type[BaseModel], status: int, kind: str) -> ProblemError:
    faults = [
        {"at": brief(".".join(map(str, each["loc"]))), "fault": brief(each["msg"].removeprefix("Value error, "))}
        for each in error.errors(include_url=False)[:20]
    ]
    known = ", ".join(field.alias or name for name, field in model.model_fields.items()) or "none"
    said = "; ".join(f"{fault['at']}: {fault['fault']}" if fault["at"] else fault["fault"] for fault in faults[:3])
    return ProblemError.of(status, kind, f"{said}.", f"Known here: {known}. See /api/v1/openapi.json.", faults=faults)


def example(model: type[BaseModel]) -> dict[str, Any]:
    """Of the schema, for whoever builds the OpenAPI file."""
    return model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")


def spans(since: datetime, until: datetime, most_days: int) -> None:
    """Raises ProblemError where there is nothing between, or too much."""
    if not since < until:
        raise ProblemError.of(
            400, "bad-parameter", "until does not lie behind since.", "Let until be later than since."
        )
    if (until - since).total_seconds() > most_days * 86_400:
        raise ProblemError.of(
            400, "bad-parameter", f"More than {most_days} days are asked for.", "Ask for less at a time, or by day."
        )
