"""Settings ▶ adapters. Vendor SDKs are imported here, inside factories, and nothing is built before it is asked for."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from linegate import config, logs
from linegate.errors import LinegateError, ObjectMissingError, TransientError
from linegate.handlers.arrivals import catch_up
from linegate.handlers.context import Context
from linegate.kind import Kind, Surroundings
from linegate.line.controllers import Controller
from linegate.line.conversation import Conversation, KeptConversation
from linegate.line.handshake import Rules
from linegate.line.keeper import HandshakeStore, Keeper
from linegate.ports import Detector, Registrar, Target, Verifier
from linegate.proxies import proxy_for
from linegate.redaction import know
from linegate.settings import Recipe, Settings
from linegate.stages import STAGES

if TYPE_CHECKING:
    from linegate.adapters.gcp.storage import CloudImages
    from linegate.adapters.gcp.tokens import ProxyIdentities, PushTokens
    from linegate.adapters.local.bus import LocalBus
    from linegate.adapters.local.database import Database

T = TypeVar("T")
SESSION_KEY = "station.key"


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Handshakes:
    """Where the one process that speaks to lines keeps what it agreed on with them, and who is connected."""

    store: Callable[[str, str], HandshakeStore]  # of a target and line
    link: Callable[[str], Callable[[bool, str], None]]  # of a target


class App:
    """The adapters of one configuration, each built once, at first use, whatever thread asks."""

    def __init__(
        self,
        settings: Settings,
        context: Context,
        golden: Callable[[str], bytes],
        pulse: Callable[[], int] | None = None,
        handshakes: "Handshakes | None" = None,
        controllers: Callable[[], list[Controller]] = list,
    ) -> None:
        know(settings.confidential)  # a process of its own has not read the file
        self.settings = settings
        self.context = context
        self.pulse = pulse  # another number whenever the store has changed, where that is cheap to know
        self.conversations: dict[tuple[str, str], KeptConversation] = {}  # by target and line
        self._handshakes = handshakes
        self.controllers = controllers  # how targets that speak to lines stand; raises TransientError
        self._golden_picture = golden
        self._built: dict[tuple[object, ...], object] = {}
        self._keys: dict[
            int, tuple[Recipe, str]
        ] = {}  # by the recipe's identity, which is its own as long as it is kept
        self._open = ExitStack()
        self._lock = RLock()

    def _once(self, key: tuple[object, ...], build: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._built:
                self._built[key] = build()
            return self._built[key]  # type: ignore[return-value]

    def _key(self, recipe: Recipe) -> str:
        """Equal for recipes that say the same. Writing one out for each check would take longer than the rest of its way."""
        kept = self._keys.get(id(recipe))
        if kept is None:
            kept = self._keys[id(recipe)] = (recipe, repr(recipe))
        return kept[1]

    def warm_up(self, stages: Collection[str] = tuple(STAGES)) -> None:
        """Build what the recipes need in these stages, so that the first board does not wait for it."""
        ports = _ports(stages)
        for recipe in self.settings.recipes.values():
            self._build(recipe, ports)
        if "target" in ports:
            for name in self.settings.targets:
                self.target(name)

    def lacking(self, stages: Collection[str]) -> dict[str, str]:
        """The recipes whose products could not be worked on in these stages now, each with why."""
        ports, found = _ports(stages), {}
        for name, recipe in self.settings.recipes.items():
            try:
                self._build(recipe, ports)
                if "registrar" in ports and recipe.golden and "{" not in recipe.golden:
                    self._golden_picture(recipe.golden)
            except LinegateError as error:
                found[name] = str(error)
        return found

    def _build(self, recipe: Recipe, ports: Collection[str]) -> None:
        if "detector" in ports:
            self.detectors(recipe)
        if "registrar" in ports and recipe.golden:
            self.registrar()
        if "verifier" in ports:
            self.verifier(recipe)

    def look_for_goldens(self) -> None:
        """Say at once, not when the first board comes, which golden picture can't be read."""
        self._each_golden(self._golden_picture)

    def golden_picture(self, name: str) -> bytes:
        """The file of a golden picture. Raises TransientError."""
        return self._golden_picture(name)

    def read_goldens(self) -> None:
        """Have those golden pictures decoded and measured that do not differ from board to board."""
        self._each_golden(lambda golden: self.registrar().sight(golden))

    def look_for_shortfalls(self) -> None:
        """Say at once which golden picture does not deliver what its recipe demands: every board would go to REVIEW."""
        for name, recipe in self.settings.recipes.items():
            if not recipe.golden or "{" in recipe.golden:
                continue
            try:
                file = self._golden_picture(recipe.golden)
            except TransientError:  # told by look_for_goldens
                continue
            for detector in recipe.detectors:
                for reason in detector.shortfalls(recipe, file):
                    logs.log.warning("golden.unproven", recipe=name, reason=reason)

    def _each_golden(self, look: Callable[[str], object]) -> None:
        for name, recipe in self.settings.recipes.items():
            if recipe.golden and "{" not in recipe.golden:
                try:
                    look(recipe.golden)
                except TransientError as error:
                    logs.log.warning("golden.unreadable", recipe=name, reason=str(error))

    def registrar(self) -> Registrar:
        def build() -> Registrar:
            from linegate.adapters.golden.adapters import GoldenRegistrar

            return GoldenRegistrar(self._golden_picture)

        return self._once(("registrar",), build)

    def detectors(self, recipe: Recipe) -> tuple[Detector, ...]:
        """The recipe's detectors, in its order."""
        return tuple(
            self._once(("detector", kind.called, self._key(recipe)), partial(kind.build, recipe, self.around(kind)))
            for kind in recipe.detectors
        )

    def verifier(self, recipe: Recipe) -> Verifier:
        kind = recipe.verifier
        return self._once(("verifier", self._key(recipe)), lambda: kind.build(recipe, self.around(kind)))

    def target(self, name: str) -> Target:
        kind = self.settings.targets[name]
        return self._once(("target", name), lambda: kind.build(self._around_target(name, kind)))

    def around(self, kind: Kind) -> Surroundings:
        """What a kind is built with here."""
        settings = self.settings
        return Surroundings(
            folder=settings.folder,
            service=settings.service(kind),
            network=settings.network,
            proxy_for=proxy_for,
            shared=self._shared,
            at_stop=self._at_stop,
            lines=tuple(settings.lines),
        )

    def _around_target(self, name: str, kind: Kind) -> Surroundings:
        around, handshakes = self.around(kind), self._handshakes
        if handshakes is None:
            return around

        def conversation(line: str, rules: Rules) -> Conversation:
            with self._lock:
                if (name, line) not in self.conversations:
                    keeper = Keeper(rules, handshakes.store(name, line))
                    conversation = KeptConversation(line, keeper, self.context.clock.now)
                    catch_up(self.context, conversation)
                    self.conversations[name, line] = conversation
                return self.conversations[name, line]

        return replace(around, conversation=conversation, link=handshakes.link(name))

    def close(self) -> None:
        """Part from whoever a kind keeps a connection to, the last one first. Nothing that was built is used afterwards."""
        self._open.close()

    def _shared(self, key: str, build: Callable[[], T]) -> T:
        return self._once(("shared", key), build)

    def _at_stop(self, call: Callable[[], None]) -> None:
        self._open.callback(call)


def _ports(stages: Collection[str]) -> frozenset[str]:
    return frozenset[str]().union(*(STAGES[stage].ports for stage in stages))


def look_for_packages(settings: Settings) -> None:
    """Say before anything starts, not when the first board comes, what is not installed. Raises ModuleNotFoundError."""
    kinds = [kind for recipe in settings.recipes.values() for kind in (*recipe.detectors, recipe.verifier)]
    for kind in (*kinds, *settings.targets.values()):
        if kind.package and find_spec(kind.package) is None:
            raise ModuleNotFoundError(f"No module named {kind.package!r}", name=kind.package)


def _beside(folder: Path, name: str) -> bytes:
    """The golden picture beside the configuration. Its name may hold a serial from outside: it can't lead elsewhere.

    Raises TransientError: a person can put the picture there, and the upload must be replayable then.
    """
    path = Path(folder, name)
    try:
        if ".." in Path(name).parts or "\0" in name:
            raise TransientError(f"the golden picture {name!r} does not lie beside the configuration")
        return path.read_bytes()
    except OSError as error:
        raise TransientError(f"the golden picture {path} can't be read: {error.strerror}") from error


def local(settings: Settings, database: "Database | None" = None, bus: "LocalBus | None" = None) -> App:
    """The app of one machine: folders as buckets, SQLite as store and bus.

    The runtime hands over its own two, and is the only one that speaks to lines.
    """
    from linegate.adapters.local.bus import LocalBus
    from linegate.adapters.local.database import DATABASE, Database
    from linegate.adapters.local.handshakes import SqliteHandshake, controllers, link_keeper
    from linegate.adapters.local.queries import SqliteQueries
    from linegate.adapters.local.storage import FolderStore
    from linegate.adapters.local.store import SqliteChallenges, SqliteInspections, SqliteOutbox

    database = database or Database(settings.data / DATABASE)
    context = Context(
        settings=settings,
        clock=SystemClock(),
        images=FolderStore(database, settings.data, settings.umask),
        inspections=SqliteInspections(database),
        outbox=SqliteOutbox(database),
        queries=SqliteQueries(database),
        publisher=bus or LocalBus(database),
        challenges=SqliteChallenges(database),
    )
    handshakes = Handshakes(partial(SqliteHandshake, database), partial(link_keeper, database)) if bus else None
    golden, standing = partial(_beside, settings.folder.resolve()), partial(controllers, database, settings.data)
    return App(settings, context, golden, database.pulse, handshakes, standing)


def cloud(settings: Settings) -> App:
    """The app of a function on Google Cloud: its clients are built once for each instance."""
    from linegate.adapters.gcp.firestore import (
        Firestore,
        FirestoreChallenges,
        FirestoreInspections,
        FirestoreOutbox,
    )
    from linegate.adapters.gcp.pubsub import CloudPublisher
    from linegate.adapters.gcp.queries import FirestoreQueries
    from linegate.adapters.gcp.storage import CloudImages

    where = settings.cloud
    assert where is not None
    images = CloudImages(where.project)
    firestore = Firestore(where.project, where.database, timedelta(days=where.retention_days))
    context = Context(
        settings=settings,
        clock=SystemClock(),
        images=images,
        inspections=FirestoreInspections(firestore),
        outbox=FirestoreOutbox(firestore),
        queries=FirestoreQueries(firestore),
        publisher=CloudPublisher(where.project, f"{where.prefix}-", config.emulator("PUBSUB")),
        challenges=FirestoreChallenges(firestore),
    )
    return App(settings, context, partial(_in_bucket, images, where.golden_bucket or ""))


def _in_bucket(images: "CloudImages", bucket: str, name: str) -> bytes:
    try:
        return images.latest(bucket, name)
    except ObjectMissingError as error:  # a person can put it there, and the upload must be replayable then
        raise TransientError(f"the golden picture gs://{bucket}/{name} is not there") from error


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
                settings = config.from_environment()
                _default.append(cloud(settings) if settings.cloud else local(settings))
            return _default[0]


def in_use() -> bool:
    """Whether this process called the function itself, with an app of its own: nobody else could have."""
    return _current.get(None) is not None


@cache
def push_tokens(audience: str, account: str) -> "PushTokens":
    """Verifies the tokens that Pub/Sub's pushes carry."""
    try:
        from linegate.adapters.gcp.tokens import PushTokens
    except ImportError as error:
        raise TransientError(
            f"Google's tokens can't be verified ({error}); install Linegate with its extra cloud"
        ) from error
    from linegate.adapters.exchange import Http

    return PushTokens(audience, account, Http(proxy_for=proxy_for))


def session_key(settings: Settings) -> bytes:
    """What sessions of the station on this machine are signed with; kept in the gate's folder. Raises TransientError."""
    from linegate.adapters.local.keyfile import key

    return key(settings.data / SESSION_KEY)


@cache
def proxy_identities(audience: str) -> "ProxyIdentities":
    """Verifies what the Identity-Aware Proxy says of those whom it let in."""
    from linegate.adapters.exchange import Http
    from linegate.adapters.gcp.tokens import ProxyIdentities

    return ProxyIdentities(audience, Http(proxy_for=proxy_for))


@contextmanager
def use(app: App) -> Iterator[None]:
    """Serve with `app` inside the block: how the one-machine runtime hands its own to the functions it calls."""
    token = _current.set(app)
    try:
        yield
    finally:
        _current.reset(token)
