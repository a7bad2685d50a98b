"""Several instances of the handlers at once, one step at a time: whoever holds the seed holds the history.

Each delivery is a greenlet. Before and after every call of a port it stands still, and the scheduler chooses, by its seed, whose
turn it is, who dies there, and whose call fails though it may have worked.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from linegate.errors import LinegateError, TransientError
from tests.fakes import Crash


@dataclass
class Delivery:
    """One handler at work on one message; `acknowledged` once it has ended in a way that the bus takes for done."""

    name: str
    work: Callable[[], None]
    done: Callable[[bool], None]  # told at its end whether the message is acknowledged
    greenlet: Any = None
    urgency: float = 0.0


@dataclass
class Scheduler:
    """Runs deliveries turn by turn. `trace` tells what happened, for whoever has to understand a failing seed."""

    rng: random.Random
    running: list[Delivery] = field(default_factory=list)
    fair: bool = True
    trace: list[str] = field(default_factory=list)

    def next(self) -> Delivery:
        """Whose turn it is: anybody's, or where it is not fair whoever is most urgent, for a while.

        One that stands still while others do all of their work is what few fair histories have (Burckhardt and others,
        A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, 2010).
        """
        if self.fair:
            return self.rng.choice(self.running)
        chosen = max(self.running, key=lambda one: one.urgency)
        if self.rng.random() < 0.05:
            chosen.urgency = self.rng.random()
        return chosen

    def begin(self, delivery: Delivery) -> None:
        delivery.urgency = self.rng.random()
        self.trace.append(f"{delivery.name} begins")
        self.running.append(delivery)

    def turn(self, delivery: Delivery, thrown: BaseException | None = None) -> None:
        """Let one delivery go on to its next call of a port, or die or fail at the one where it stands."""
        if delivery.greenlet is None:
            if thrown is not None:  # it has not even begun
                self._end(delivery, acknowledged=False)
                return
            delivery.greenlet = greenlet(lambda: self._run(delivery))
        if thrown is not None:
            self.trace.append(f"{delivery.name} {type(thrown).__name__}")
            delivery.greenlet.throw(thrown)
        else:
            delivery.greenlet.switch()

    def _run(self, delivery: Delivery) -> None:
        try:
            delivery.work()
        except (Crash, TransientError) as error:
            self.trace.append(f"{delivery.name} ends by {type(error).__name__}: {error}")
            self._end(delivery, acknowledged=False)
        except LinegateError as error:  # recorded, and acknowledged
            self.trace.append(f"{delivery.name} gives up: {error}")
            self._end(delivery, acknowledged=True)
        except GreenletExit:  # the history is over
            raise
        else:
            self._end(delivery, acknowledged=True)

    def _end(self, delivery: Delivery, *, acknowledged: bool) -> None:
        self.running.remove(delivery)
        delivery.done(acknowledged)

    def through(self, port: Any, name: str) -> Any:
        """The port as one instance has it: every call of it is a place to stop at."""
        return _Port(self, port, name)


class _Port:
    def __init__(self, scheduler: Scheduler, port: Any, name: str) -> None:
        self._scheduler, self._port, self._name = scheduler, port, name

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        if not callable(found) or method.startswith("_"):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            here = getcurrent()
            if here.parent is None:  # a thread that an instance has of its own reads, and changes nothing
                return found(*arguments, **named)
            here.parent.switch()
            result = found(*arguments, **named)
            self._scheduler.trace.append(f"    {self._name}.{method}")
            here.parent.switch()
            return result

        return call
