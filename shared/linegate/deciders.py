"""Who decides about an inspection: the machine in one of its roles, or a person."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic_core import CoreSchema


class Role(StrEnum):
    """In which role somebody decides."""

    CHECK = "check"  # the last check that came
    DETECT = "detect"  # nothing was to be checked, or inspected
    SWEEP = "sweep"  # the deadline passed
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Decider:
    """Who decided: the check of an `index`, detect, sweep, or a person by `name`. Raises ValueError for anybody else.

    Stored as a text: "check:3", "detect", "sweep", "person:Ada Lovelace".
    """

    role: Role
    index: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        wanted = (self.role is Role.CHECK, self.role is Role.PERSON)
        if (self.index is not None, self.name != "") != wanted or (self.index or 0) < 0:
            raise ValueError(f"nobody decides as {self.role} with index {self.index} and name {self.name!r}")

    @classmethod
    def check(cls, index: int) -> "Decider":
        return cls(Role.CHECK, index=index)

    @classmethod
    def person(cls, name: str) -> "Decider":
        return cls(Role.PERSON, name=name)

    @classmethod
    def parse(cls, text: str) -> "Decider":
        """From the stored form. Raises ValueError."""
        role, _, which = text.partition(":")
        try:
            decider = cls.check(int(which)) if role == Role.CHECK else cls(Role(role), name=which)
        except ValueError as error:
            raise ValueError(f"{text!r} names nobody who decides") from error
        if str(decider) != text:  # "check:03"
            raise ValueError(f"{text!r} names nobody who decides")
        return decider

    def __str__(self) -> str:
        """The stored form."""
        which = self.name if self.index is None else str(self.index)
        return f"{self.role}:{which}" if which else self.role.value

    @property
    def is_person(self) -> bool:
        return self.role is Role.PERSON

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> "CoreSchema":
        """How the codec keeps it: by its stored form."""
        from pydantic_core import core_schema

        known, written = core_schema.is_instance_schema(cls), core_schema.str_schema(strict=True)
        read = core_schema.no_info_after_validator_function(cls.parse, written)
        return core_schema.json_or_python_schema(
            json_schema=read,
            python_schema=core_schema.union_schema([known, read]),
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=written),
        )


DETECT: Final = Decider(Role.DETECT)
SWEEP: Final = Decider(Role.SWEEP)
