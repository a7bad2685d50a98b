"""Which revision of an inspection may follow which: the one rule, whoever decides and however often it is told.

| stands        | machine, incomplete | machine, complete | the same machine | a person who saw it | a person who did not     |
|---------------|---------------------|-------------------|------------------|---------------------|--------------------------|
| nothing       | next                | next              |                  | next                | next                     |
| an incomplete | stands              | next              | repeat           | next                | next                     |
| a complete    | stands              | stands            | repeat           | next                | next                     |
| a person's    | stands              | stands            |                  | next                | stands; repeat if theirs |

A machine is a check, detect or sweep. The verdict plays no part.
"""

from enum import StrEnum

from linegate.inspection import Decider, Revision


class Step(StrEnum):
    """What becomes of a decision."""

    NEXT = "next"  # it is the next revision
    REPEAT = "repeat"  # it is the revision that stands, told again after a crash or by a redelivery
    STANDS = "stands"  # the revision that stands stays the latest


def step(standing: Revision | None, decided_by: Decider, *, complete: bool, seen: int = 0) -> Step:
    """What becomes of a decision where the latest revision is `standing`.

    `seen` is the number of the revision that a person looked at when deciding, 0 where there was none.
    """
    if standing is None:
        return Step.NEXT
    same = standing.decided_by == decided_by
    if decided_by.is_person:
        if not standing.decided_by.is_person or seen >= standing.number:
            return Step.NEXT
        return Step.REPEAT if same else Step.STANDS
    if same:
        return Step.REPEAT
    if standing.decided_by.is_person or standing.decision.complete or not complete:
        return Step.STANDS
    return Step.NEXT
