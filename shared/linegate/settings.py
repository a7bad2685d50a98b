"""The file as a whole: its sections, with one of the kinds wherever there is a choice. `config` reads it."""

import os
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import Discriminator, Field, GetJsonSchemaHandler, PrivateAttr, Tag, model_validator

from linegate.adapters.gemini.service import Gemini
from linegate.adapters.roboflow.service import Roboflow
from linegate.inspection import Verdict
from linegate.kind import DetectorKind, Kind, RecipeBase, TargetKind, VerifierKind
from linegate.kinds import DETECTORS, TARGETS, VERIFIERS
from linegate.sections import CLOUD_RETRY, Cloud, Edge, Images, Line, Name, Network, Retry, Section, Storage
from linegate.stages import STAGES, Instance
from linegate.station_section import Station

K = TypeVar("K", bound=Kind)

CORES: Final = max(1, os.cpu_count() or 1)
# Of the line that challenge boards are put through, behind the name of the line that they stand for
CHALLENGE_SUFFIX: Final = "-challenge"
# Pictures that may wait for a remote detector at the same time, if the file says nothing.
REMOTE_DETECTIONS: Final = 8
# People are slow: their decisions need no key of their own.
REVIEWS_AT_ONCE: Final = 4
# What a worker process needs at most: in time beside the services' own budgets, and in memory.
WORKER_TIME_S: Final = 60.0
WORKER_BYTES, WORKER_BYTES_A_PIXEL = 1 << 30, 48


def type_of(kind: type[Kind]) -> str:
    """What the file calls it."""
    return str(kind.model_fields["type"].default)


def kind_of(kinds: Sequence[type[K]], named: object) -> type[K] | None:
    """The kind that the file calls so, if there is one."""
    return next((kind for kind in kinds if type_of(kind) == named), None)


def keys_of(kind: type[Kind]) -> tuple[str, ...]:
    """The keys of its own that may stand in a recipe. The only one of its role needs no name."""
    return tuple(key for key in kind.model_fields if key not in ("type", "name"))


def one_of(kinds: Sequence[type[Kind]]) -> Any:
    """The type of a field that holds a section of any of these kinds, told apart by `type`; without one it is the first."""

    def named(written: object) -> str | None:
        kind = (
            written.get("type", type_of(kinds[0])) if isinstance(written, Mapping) else getattr(written, "type", None)
        )
        return kind if isinstance(kind, str) else None

    return Annotated[reduce(or_, (Annotated[kind, Tag(type_of(kind))] for kind in kinds)), Discriminator(named)]


if TYPE_CHECKING:
    AnyDetector = DetectorKind
    AnyVerifier = VerifierKind
    AnyTarget = TargetKind
else:
    AnyDetector, AnyVerifier, AnyTarget = one_of(DETECTORS), one_of(VERIFIERS), one_of(TARGETS)
# What of a recipe is of a kind, and which there are
ROLES: Final[Mapping[str, tuple[type[Kind], ...]]] = {"detector": DETECTORS, "verifier": VERIFIERS}
MOST_DETECTORS: Final = 16


class Recipe(RecipeBase):
    """What a line inspects for.

    `detector: NAME` is short for `detector: {type: NAME}`; the keys of that kind then stand in the recipe itself. A recipe with
    several has a list, `detectors`.
    """

    detectors: Annotated[list[AnyDetector], Field(min_length=1, max_length=MOST_DETECTORS)] = Field(
        default_factory=lambda: [DETECTORS[0]()]  # type: ignore[call-arg]
    )
    """Find suspected defects, side by side, each with a name of its own. `detector` is short for a list of one."""
    verifier: AnyVerifier = Field(default_factory=VERIFIERS[0])
    """Looks at each finding again."""

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, written: object) -> object:
        if not isinstance(written, Mapping):
            return written
        recipe = dict(written)
        several = "detectors" in recipe
        if several and "detector" in recipe:
            raise ValueError("has both detector and detectors; the one is short for a list of one")
        for role, kinds in ROLES.items():
            if role == "detector" and several:
                continue
            named = recipe.get(role, type_of(kinds[0]))
            if isinstance(named, str):
                chosen = kind_of(kinds, named)
                own = keys_of(chosen) if chosen else ()
                # What another kind demands stays in the recipe, where it is refused.
                theirs = {key for kind in kinds if chosen for key in kind.demanding if key not in own}
                keys = {
                    key: recipe.pop(key)
                    for kind in kinds
                    for key in keys_of(kind)
                    if key in recipe and key not in theirs
                }
                recipe[role] = {"type": named} | {key: value for key, value in keys.items() if key in own}
        if not several:
            recipe["detectors"] = [recipe.pop("detector")]
        return recipe

    @model_validator(mode="after")
    def _each_its_name(self) -> "Recipe":
        called = [detector.called for detector in self.detectors]
        for twice in {name for name in called if called.count(name) > 1}:
            raise ValueError(f"has two detectors called {twice!r}; give each a `name` of its own")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Both forms of a detector and a verifier are right."""
        made = handler.resolve_ref_schema(handler(core))
        made["properties"] = {"detector": made["properties"]["detectors"]["items"], **made["properties"]}
        for role, kinds in ROLES.items():
            long = made["properties"][role]
            made["properties"][role] = {
                "anyOf": [{"enum": [type_of(kind) for kind in kinds], "type": "string"}, long],
                "default": type_of(kinds[0]),
            }
            for kind in kinds:
                short = handler(kind.__pydantic_core_schema__)
                made["properties"] |= {
                    key: handler.resolve_ref_schema(short)["properties"][key] for key in keys_of(kind)
                }
        made["required"] = [key for key in made.get("required", ()) if key not in (*ROLES, "detectors")]
        return made

    def changed(self, **fields: object) -> "Recipe":
        """This recipe with other values, validated. Raises ValueError."""
        kept = {key: value for key, value in dict(self).items() if key != "detectors" or "detector" not in fields}
        return Recipe.model_validate({**kept, **fields})


class Settings(Section):
    """The whole file. Relative paths in it start at `folder`, where it lies."""

    roboflow: Roboflow | None = None
    gemini: Gemini | None = None
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]
    """What lines inspect for, by name."""
    lines: Annotated[dict[Name, Line], Field(min_length=1)]
    """The recipe of each line; a picture of a line that is not here is ERROR."""
    targets: dict[Name, AnyTarget] = {}
    """Who is notified, by name."""
    network: Network = Network()
    images: Images = Images()
    storage: Storage = Storage()
    cloud: Cloud | None = None
    edge: Edge = Edge()
    station: Station = Station()
    _folder: Path = PrivateAttr(default_factory=Path)
    _confidential: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def confidential(self) -> frozenset[str]:
        """What of the file, and of what it took from the environment, must never be shown."""
        return self._confidential

    @property
    def data(self) -> Path:
        """Where the one-machine runtime keeps its folders and its database."""
        return self._folder / self.edge.data

    @property
    def retry(self) -> Retry:
        """How a message that failed comes again where this gate runs."""
        return CLOUD_RETRY if self.cloud else self.edge.retry

    @property
    def umask(self) -> int:
        """Permissions that files and folders of the gate lack."""
        return int(self.edge.umask, 8)

    @property
    def workers(self) -> int:
        """How many worker processes the one-machine runtime has; 0 if it does without."""
        return CORES if self.edge.workers.processes is None else self.edge.workers.processes

    @property
    def worked_stages(self) -> tuple[str, ...]:
        """The stages that worker processes serve: those that open pictures, and checks that are made on this machine."""
        if not self.workers:
            return ()
        asks = any(recipe.verifier.asks for recipe in self.recipes.values())
        return tuple(
            name
            for name, stage in STAGES.items()
            if "images" in stage.ports or ("verifier" in stage.ports and not asks)
        )

    @property
    def worker_time_limit_s(self) -> float:
        """Seconds after which a worker that has not answered is taken for lost."""
        budgets = [
            seconds for recipe in self.recipes.values() for seconds in (*self.budgets_s(recipe), recipe.check_budget_s)
        ]
        return self.edge.workers.time_limit_s or WORKER_TIME_S + max(budgets)

    @property
    def worker_memory_bytes(self) -> int:
        """What one worker may take: enough for the largest picture that is let through."""
        asked = self.edge.workers.memory_mb
        return asked << 20 if asked else WORKER_BYTES + WORKER_BYTES_A_PIXEL * self.images.max_pixels

    @property
    def in_work(self) -> dict[str, int]:
        """How many messages of each stage the one-machine runtime works on at the same time."""
        limits, recipes = self.edge.concurrency, self.recipes.values()
        remote = all(detector.asks for recipe in recipes for detector in recipe.detectors)
        checks = max((recipe.verifier.most_at_once for recipe in recipes), default=0)
        return {
            "detect": limits.detect or (REMOTE_DETECTIONS if remote else max(1, self.workers or CORES)),
            "verify": limits.verify or checks or 2 * CORES,
            "aggregate": limits.aggregate,
            "review": REVIEWS_AT_ONCE,
            "notify": limits.notify_per_target * max(1, len(self.targets)),
            "sweep": 1,
        }

    @property
    def in_order(self) -> list[str]:
        """The targets that hear of a line's products one after the other."""
        return [name for name, target in self.targets.items() if target.in_order]

    def instance(self, stage: str) -> Instance:
        """What an instance of the stage's function gets on Google Cloud: memory for the largest pictures that are let through."""
        # Side by side: what one of them takes, all of them take.
        asked = [sum(detector.bytes_a_pixel for detector in recipe.detectors) for recipe in self.recipes.values()]
        own = max(asked) if "detector" in STAGES[stage].ports else 0
        return STAGES[stage].instance.holding(self.images.max_pixels, own)

    def budgets_s(self, recipe: Recipe) -> list[float]:
        """Seconds that a picture may wait for each of the recipe's detectors."""
        return [detector.budget_s(self.service(detector)) for detector in recipe.detectors]

    def service(self, kind: Kind) -> Section | None:
        """The section of the file that a kind shares with others; None where it has none."""
        section = getattr(self, kind.service, None) if kind.service else None
        return section if isinstance(section, Section) else None

    def recipe_of(self, line: str) -> tuple[str, Recipe] | None:
        """Name and recipe of a line, or of the one that it challenges; None for a line that the file does not know."""
        known = self.lines.get(self.product_line(line))
        return (known.recipe, self.recipes[known.recipe]) if known else None

    def allowed_recipes(self, line: str) -> list[str]:
        """What the pictures of a line of the file may be inspected by: its own recipe first."""
        known = self.lines[self.product_line(line)]
        return list(dict.fromkeys((known.recipe, *known.recipes)))

    @property
    def challenge_lines(self) -> dict[str, str]:
        """The lines that challenge boards are put through, each with the line in whose place it stands."""
        return {
            line.challenge_line or f"{name}{CHALLENGE_SUFFIX}": name
            for name, line in self.lines.items()
            if line.challenge_every or line.challenge_line
        }

    def product_line(self, line: str) -> str:
        """The line whose recipe and golden picture hold for a line: its own, but for one that challenges are put through."""
        return line if line in self.lines else self.challenge_lines.get(line, line)

    def subscribed(self, line: str) -> dict[str, list[Verdict]]:
        """The targets that listen to a line, with the verdicts each asked for."""
        if line in self.challenge_lines or (line in self.lines and not self.lines[line].notifies):
            return {}
        return {
            name: target.verdicts
            for name, target in self.targets.items()
            if target.lines is None or line in target.lines
        }
