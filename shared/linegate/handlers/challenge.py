"""Whether a line's gate has shown lately that it fails what is bad: what a manifest says of that, and `status`."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from linegate import __version__
from linegate.challenges import Standing, standing
from linegate.errors import LinegateError
from linegate.handlers.context import Context
from linegate.handlers.shot import golden_name
from linegate.inspection import Answer, Inspection, Place
from linegate.kind import Need
from linegate.ports import Challenges
from linegate.settings import Recipe, Settings
from linegate.texts import span


def setup_of(settings: Settings, line: str, recipe: Recipe, golden: str, answers: Iterable[Answer] = ()) -> str:
    """16 hex digits that stand for all that products of a line are judged by; empty for a line without challenges.

    That is the release, the recipe, the settings of the services that it asks, the golden picture by the `golden` SHA-256
    of its file, and models on this machine by what the `answers` of their detectors call them. Where each serial has a golden
    picture of its own, no challenge proves more than one, and it is left out.
    """
    product = settings.lines.get(settings.product_line(line))
    if product is None or not (product.challenge_every or product.challenge_line):
        return ""
    services = (settings.service(kind) for kind in (*recipe.detectors, recipe.verifier))
    parts = [
        __version__,
        recipe.model_dump_json(exclude={"audit_share"}),
        *(one.model_dump_json() for one in services if one),
    ]
    parts += [] if "{serial}" in (recipe.golden or "") else [golden]
    on_files = _on_model_files(recipe)
    parts += [f"{one.detector} {one.model} {one.model_version}" for one in answers if one.detector in on_files]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _on_model_files(recipe: Recipe) -> set[str]:
    """The recipe's names of detectors whose model is a file that another may be put in the place of."""
    return {kind.called for kind in recipe.detectors if Need.MODEL_FILE in kind.needs}


def doubts(context: Context, inspection: Inspection, setup: str) -> tuple[str, ...]:
    """Why a product can't pass, since no challenge of its line counts at this moment. Raises TransientError."""
    line = context.settings.lines.get(inspection.place.line)
    if line is None or line.challenge_every is None:
        return ()
    name = inspection.place.line
    known = [one for one in context.challenges.of(name) if one.recipe == inspection.recipe]
    stands = standing(name, known, setup, span(line.challenge_every), context.clock.now())
    return (stands.overdue,) if stands.overdue else ()


def standings(
    settings: Settings, challenges: Challenges, golden: Callable[[str], bytes] | None, now: datetime
) -> Iterator[tuple[str, Standing]]:
    """Each line that has to be challenged, and how it stands. Raises TransientError.

    Whether the golden picture is still the one of the last challenge is known by its file, which `golden` reads. Without it, or
    where the name of the picture differs from product to product, the latest challenge counts; so it does where a detector's
    model is a file, which only the running gate has loaded.
    """
    for name, line in settings.lines.items():
        if line.challenge_every is None:
            continue
        recipe = settings.recipes[line.recipe]
        known = [one for one in challenges.of(name, fresh=True) if one.recipe == line.recipe]
        latest = max(known, key=lambda one: one.at, default=None)
        setup = latest.setup if latest else ""
        file = golden_name(recipe, Place(name, "{station}", "{serial}"))
        if golden is not None and "{" not in file and not _on_model_files(recipe):
            try:
                digest = hashlib.sha256(golden(file)).hexdigest() if file else ""
            except LinegateError:
                digest = ""  # `doctor` says what is wrong with it; no product passes meanwhile
            setup = setup_of(settings, name, recipe, digest)
        yield name, standing(name, known, setup, span(line.challenge_every), now)
