"""How an instance on the platform gets ready before its first board, which would wait for it else.

The server imports a function in one process and forks another that serves. What is imported before the fork is there in the
server's own process, while the platform still gives a starting instance all of its processor. Clients and connections are
built behind it: gRPC's do not survive a fork, and two processes must not speak on one socket.
"""

import os
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Final

from linegate import bootstrap, config
from linegate.codec import codec
from linegate.errors import LinegateError
from linegate.inspection import Check, Inspection, OutboxEntry, Revision
from linegate.kind import Kind
from linegate.logs import log
from linegate.settings import Settings
from linegate.stages import BY_MESSAGE, STAGES

_WITH_GOLDEN: Final = ("linegate.adapters.golden.adapters",)
_DRAWING: Final = ("linegate.annotate",)
_IN_CLOUD: Final = ("firestore", "pubsub", "storage")
_LOCAL: Final = ("bus", "database", "storage", "store")


def make_ready(stage: str) -> None:
    """On the platform, have what this stage needs imported now and built when the server forks; elsewhere nothing.

    Raises ConfigError: a release that can't read its configuration must not take over from the one that serves.
    """
    if not config.on_cloud_run():
        return
    for module in modules(config.from_environment(), stage):
        import_module(module)
    os.register_at_fork(after_in_child=partial(_build, stage))


def modules(settings: Settings, stage: str) -> Iterator[str]:
    """What the adapters of a stage are made of, by name."""
    ports = STAGES[stage].ports
    own = ("gcp", _IN_CLOUD) if settings.cloud else ("local", _LOCAL)
    yield from (f"linegate.adapters.{own[0]}.{name}" for name in own[1])
    if any(recipe.golden for recipe in settings.recipes.values()):
        yield from _WITH_GOLDEN if "registrar" in ports else ()
    yield from _DRAWING if "images" in ports else ()
    kinds: list[Kind] = []
    for recipe in settings.recipes.values():
        kinds += recipe.detectors if "detector" in ports else []
        kinds += [recipe.verifier] if "verifier" in ports else []
    kinds += settings.targets.values() if "target" in ports else []
    yield from (name for kind in kinds for name in kind.preload)


def _build(stage: str) -> None:
    """Build and try it all. What fails here fails again when a board needs it, and is told then."""
    started = perf_counter()
    try:
        for cls in (*BY_MESSAGE, Inspection, Check, Revision, OutboxEntry):
            codec(cls)
        app = bootstrap.app()
        app.warm_up([stage])
        app.context.inspections.get("none")  # the first call makes the connection
        if "registrar" in STAGES[stage].ports:
            app.read_goldens()
    except LinegateError as error:
        log.warning("instance.not_ready", stage=stage, reason=str(error))
        return
    log.info("instance.ready", stage=stage, built_ms=round(1000 * (perf_counter() - started)))
