"""One upload and all that it is looked at with, as one value: where it was taken, by which recipe, picture and golden picture."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from linegate import imaging, sight
from linegate.errors import ImageRejectedError, LinegateError, RegistrationError
from linegate.handlers.context import Context
from linegate.inspection import Inspection, ObjectRef, Place, place_of
from linegate.logs import log
from linegate.messages import ImageUploaded
from linegate.ports import Reference, Registrar
from linegate.settings import Recipe, Settings
from linegate.texts import brief

if TYPE_CHECKING:
    from PIL.Image import Image

# How long an inspection may take whose recipe is not known: long enough for a replay by hand.
DEFAULT_DEADLINE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Shot:
    """`picture` is upright and RGB, `file` the upload that it was decoded from.

    Until the golden picture is laid over it there is neither a `reference` nor a reason in `unlike`.
    """

    place: Place
    recipe: Recipe
    file: bytes
    picture: "Image"
    golden: str = ""  # the name of the golden picture; empty if the recipe has none
    reference: Reference | None = None
    unlike: str = ""  # why the golden picture can't be laid over it, as a sentence

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why a product does not pass, whatever a detector says that never looks at its golden picture."""
        if self.unlike:
            return (self.unlike,)
        return sight.unseen(self.reference.unseen, self.recipe.limits) if self.reference else ()

    def laid(self, registrar: Callable[[], Registrar]) -> "Shot":
        """With the golden picture laid over it, or why that can't be. Raises TransientError."""
        if not self.golden:
            return self
        try:
            return replace(self, reference=registrar().register(self.picture, self.golden))
        except RegistrationError as error:
            return replace(self, unlike=f"Not compared: {error}.")
        except LinegateError:
            raise
        except Exception as error:  # a bug that this picture brings out: what never looks at the golden one is heard
            log.exception("golden.laying_crashed")
            return replace(self, unlike=f"Not compared: it broke off ({type(error).__name__}: {brief(str(error))}).")


def new_inspection(settings: Settings, upload: ImageUploaded, now: datetime) -> tuple[Inspection, Recipe | None, str]:
    """The inspection of an upload as it begins, and the recipe that applies, or no recipe and why not.

    The deadline counts from the upload, not from when detect gets round to it; a clock that runs ahead of ours gains nothing.
    """
    place = place_of(upload.image.name, upload.metadata)
    name, recipe, fault = _recipe(settings, place, upload.metadata)
    patience = timedelta(seconds=recipe.deadline_s) if recipe else DEFAULT_DEADLINE
    inspection = Inspection(
        inspection_id=upload.image.inspection_id,
        image=upload.image,
        place=place,
        recipe=name,
        uploaded_at=upload.uploaded_at,
        received_at=now,
        deadline=min(upload.uploaded_at, now) + patience,
    )
    return inspection, recipe, fault


def _recipe(settings: Settings, place: Place, metadata: Mapping[str, str]) -> tuple[str, Recipe | None, str]:
    """Name and recipe that apply, or no recipe and why not."""
    known = settings.recipe_of(place.line)
    if known is None:
        lines = ", ".join(sorted(settings.lines))
        where = f"line {place.line!r} is not in the configuration" if place.line else "the object name tells no line"
        return "", None, f"{where}; pictures belong below uploads/LINE/STATION/ with a line of: {lines}"
    asked = metadata.get("recipe")
    if asked is None:
        return *known, ""
    # Whoever uploads writes the metadata: a recipe that only another line allows may be laxer than this line's.
    allowed = settings.allowed_recipes(place.line)
    if asked not in allowed:
        why = f"the picture's metadata asks for recipe {asked!r}, which line {place.line!r} does not allow"
        return "", None, f"{why}; it allows {', '.join(allowed)} (lines.{place.line}.recipes)"
    return asked, settings.recipes[asked], ""


def fetch(context: Context, image: ObjectRef) -> bytes:
    """The picture's bytes, its size looked at first. Raises ImageRejectedError, ObjectMissingError, TransientError."""
    limit = context.settings.images.max_bytes
    size = context.images.size(image)
    if size > limit:
        raise ImageRejectedError(f"the file holds {size:,} bytes; {limit:,} are allowed (images.max_bytes)")
    return context.images.read(image)


def shot_of(settings: Settings, place: Place, recipe: Recipe, file: bytes) -> Shot:
    """The upload as it is looked at, its golden picture still to be laid over it. Raises ImageRejectedError."""
    compared = golden_name(recipe, replace(place, line=settings.product_line(place.line)))
    return Shot(place, recipe, file, imaging.decode(file, settings.images.max_pixels), compared)


def golden_name(recipe: Recipe, place: Place) -> str:
    """The name of the golden picture for a product; empty if the recipe has none."""
    name = recipe.golden or ""
    for key, value in (("{line}", place.line), ("{station}", place.station), ("{serial}", place.serial)):
        name = name.replace(key, value.lstrip("/"))  # from outside: it must not make the name an absolute one
    return name
