"""What kinds of targets have in common that speak the handshake with a line's controller (PLC): see `linegate.line.handshake`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import Field

from linegate.inspection import Verdict
from linegate.kind import Surroundings, TargetKind
from linegate.line.conversation import Conversation
from linegate.line.handshake import Acknowledge, Decided, Rules, Signals, Trigger
from linegate.sections import Seconds


class LineSide(Protocol):
    """The other side of a protocol: a line that plays along, for trying out (`linegate listen`) and for tests."""

    def exchange(self, says: Sequence[Trigger | Acknowledge]) -> Signals | None:
        """Show the gate what the line says now; what the gate shows, None where it has shown nothing yet.

        Raises TransientError.
        """
        ...

    def close(self) -> None: ...


class HandshakeTarget(TargetKind):
    """A controller that agrees with the gate on which result is of which part."""

    mend: ClassVar[str] = "see that the controller runs, that this machine reaches it, and that the addresses are right"
    reportable: ClassVar[bool] = False
    testable: ClassVar[bool] = False  # a second server would take the first one's place

    depth: Annotated[int, Field(ge=1, le=64)] = 16
    """How many jobs may wait for their picture, their verdict or their acknowledgement; with as many the gate is not ready."""
    limit_s: Seconds = 10.0
    """From trigger to result: without a verdict by then the line gets a result that is none, and rejects."""
    picture_s: Seconds = 5.0
    """From trigger to picture: without one by then the part is ERROR, and everybody is told."""
    triggered: bool = True
    """`false`: the line sends no triggers, and each picture is a job. Serials must be unique then."""

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        if file.get("cloud"):
            yield "type: needs a gate beside the line: on Google Cloud nothing keeps a connection open"
        verdicts = written.get("verdicts")
        if isinstance(verdicts, list) and {*map(str, verdicts)} < {*Verdict}:
            yield "verdicts: a line hears of each of its parts; leave it out"

    def line_side(self, line: str, around: Surroundings) -> LineSide:
        """Play this line. Raises TransientError."""
        raise NotImplementedError

    @property
    def rules(self) -> Rules:
        return Rules(self.depth, self.limit_s, self.picture_s, self.triggered)

    def conversations(self, around: Surroundings) -> dict[str, Conversation]:
        """One with each line that it serves, by its name. Raises TransientError."""
        return {line: around.conversation(line, self.rules) for line in self.lines or around.lines}


def decided_of(body: str) -> Decided | None:
    """What a notification (JSON) says to a line; None where it tells of no verdict."""
    data = _data_of(body)
    if data is None:
        return None
    return Decided(
        picture=data["inspection_id"],
        part=data["serial"],
        at=datetime.fromisoformat(data["received_at"]),
        verdict=Verdict(data["verdict"]),
    )


def tell(conversations: Mapping[str, Conversation], body: str) -> None:
    """Hand the verdict of a notification to the conversation with its line, which has it for good once this returns.

    One of another line, or of none, is nobody's here. Raises TransientError where it must come again.
    """
    data, decided = _data_of(body), decided_of(body)
    conversation = conversations.get(str(data["line"])) if data else None
    if conversation is not None and decided is not None:
        conversation.decided(decided)


def _data_of(body: str) -> dict[str, Any] | None:
    event = json.loads(body)
    return event["data"] if event.get("type") == "inspection.decided" else None
