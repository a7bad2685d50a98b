"""Whether the gate can decide a product now: what a line's heartbeat stands for. It looks, and assumes nothing."""

from collections.abc import Callable
from time import monotonic
from typing import Final

from linegate.adapters.local.database import Database
from linegate.edge.dispatcher import Dispatcher
from linegate.edge.intake import Intake
from linegate.settings import Settings

# With nothing to do the dispatcher moves twice a second.
STILL_S: Final = 1.0
# How long a look waits for the store.
STORE_S: Final = 0.5


class Ability:
    """`built` of a recipe says why what its products need is not there; "" where it is."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        dispatcher: Dispatcher,
        intake: Intake,
        built: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._database = database
        self._dispatcher = dispatcher
        self._intake = intake
        self._built = built

    def gate(self) -> str:
        """Why no product could be decided at this moment; "" where it could."""
        if not self._intake.running:
            return "no picture is taken up"
        if self._dispatcher.still_s > STILL_S:
            return "no message is delivered"
        return self._database.look(STORE_S)

    def line(self, name: str) -> str:
        """Why no product of this line could be, beside that."""
        known = self._settings.recipe_of(name)
        return self._built(known[0]) if known else "the line is not in the configuration"


def seldom(look: Callable[[], dict[str, str]], seconds: float) -> Callable[[str], str]:
    """What `look` found of a recipe: asked again when its answer is so old."""
    found: dict[str, str] = {}
    at = -seconds

    def built(recipe: str) -> str:
        nonlocal found, at
        if monotonic() - at >= seconds:
            found, at = look(), monotonic()
        return found.get(recipe, "")

    return built
