"""Settings ▶ adapters. Vendor SDKs are imported here, inside factories, and nothing is built before it is asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Final, TypeVar

from linegate import config, events, logs
from linegate.config import Recipe, Settings
from linegate.errors import TransientError
from linegate.handlers.context import Context
from linegate.ports import Detector, Registrar, Target, Verifier

if TYPE_CHECKING:
    from linegate.adapters.local.bus import LocalBus
    from linegate.adapters.local.database import Database

T = TypeVar("T")

STAGES: Final = {
    "detect": events.UPLOADS,
    "verify": events.CROPS,
    "aggregate": events.CHECKS,
    "notify": events.NOTIFICATIONS,
    "sweep": events.SWEEPS,
}
STAGE_OF: Final = {topic: stage for stage, topic in STAGES.items()}


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class App:
    """The adapters of one configuration, each built once, at first use, whatever thread asks."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self.settings = settings
        self.context = context
        self._built: dict[tuple[object, ...], object] = {}
        self._lock = RLock()

    def _once(self, key: tuple[object, ...], build: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._built:
                self._built[key] = build()
            return self._built[key]  # type: ignore[return-value]

    def warm_up(self) -> None:
        """Build what the recipes need now, so that the first board does not wait for it.

        A golden picture that can't be read is said at once, not when the first board comes.
        """
        for name, recipe in self.settings.recipes.items():
            self.registrar()
            self.detector(recipe)
            self.verifier(recipe)
            if recipe.golden and "{" not in recipe.golden:
                try:
                    self._golden_picture(recipe.golden)
                except TransientError as error:
                    logs.log.warning("golden.unreadable", recipe=name, reason=str(error))

    def registrar(self) -> Registrar:
        def build() -> Registrar:
            from linegate.adapters.golden.adapters import GoldenRegistrar

            return GoldenRegistrar(self._golden_picture)

        return self._once(("registrar",), build)

    def detector(self, recipe: Recipe) -> Detector:
        def build() -> Detector:
            from linegate.adapters.golden.adapters import GoldenDetector

            return GoldenDetector()

        return self._once(("detector", recipe.detector), build)

    def verifier(self, recipe: Recipe) -> Verifier:
        def build() -> Verifier:
            from linegate.adapters.golden.adapters import GoldenVerifier

            return GoldenVerifier()

        return self._once(("verifier", recipe.verifier), build)

    def target(self, name: str) -> Target:
        def build() -> Target:
            from linegate.adapters.webhook import WebhookTarget

            target = self.settings.targets[name]
            return WebhookTarget(target.url, target.secrets, target.timeout_s)

        return self._once(("target", name), build)

    def _golden_picture(self, name: str) -> bytes:
        """The golden picture beside the configuration. Its name may hold a serial from outside: it can't lead elsewhere.

        Raises TransientError: a person can put the picture there, and the upload must be replayable then.
        """
        folder = self.settings.folder.resolve()
        path = Path(folder, name)
        try:
            if ".." in Path(name).parts or "\0" in name:
                raise TransientError(f"the golden picture {name!r} does not lie beside the configuration")
            return path.read_bytes()
        except OSError as error:
            raise TransientError(f"the golden picture {path} can't be read: {error.strerror}") from error


def local(settings: Settings, database: "Database | None" = None, bus: "LocalBus | None" = None) -> App:
    """The app of one machine: folders as buckets, SQLite as store and bus. The runtime hands over its own two."""
    from linegate.adapters.local.bus import LocalBus
    from linegate.adapters.local.database import Database
    from linegate.adapters.local.storage import FolderStore
    from linegate.adapters.local.store import SqliteInspections

    database = database or Database(settings.data / "linegate.db")
    return App(
        settings,
        Context(
            settings=settings,
            clock=SystemClock(),
            images=FolderStore(database, settings.data),
            inspections=SqliteInspections(database),
            publisher=bus or LocalBus(database),
        ),
    )


_current: ContextVar[App] = ContextVar("linegate_app")
_default: list[App] = []
_default_lock = RLock()


def app() -> App:
    """The app to serve with: the one in `use`, or else one built from LINEGATE_CONFIG, once for each instance."""
    try:
        return _current.get()
    except LookupError:
        with _default_lock:
            if not _default:
                logs.configure(config.log_level())
                _default.append(local(config.from_environment()))
            return _default[0]


@contextmanager
def use(app: App) -> Iterator[None]:
    """Serve with `app` inside the block: how the one-machine runtime hands its own to the functions it calls."""
    token = _current.set(app)
    try:
        yield
    finally:
        _current.reset(token)
