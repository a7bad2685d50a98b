"""Which golden picture each labelled picture is compared with; what is missing is said before any board is inspected."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linegate.errors import UsageError
from linegate.evaluation.labels import Dataset, Kind, Sample, shown
from linegate.files import golden_picture
from linegate.handlers.shot import golden_name
from linegate.inspection import Place, place_of
from linegate.kind import Need
from linegate.settings import Recipe, Settings

KEYS: Final = ("{line}", "{station}", "{serial}")


@dataclass(frozen=True, slots=True)
class Naming:
    """Where the pictures of a dataset count as taken: what stands for {line}, {station} and {serial}.

    In `station` and `serial`, {name} is the picture's own name without its extension, and {folder} its folder's.
    """

    line: str
    station: str | None = None
    serial: str = "{name}"

    def place(self, sample: Sample) -> Place:
        """As the gate would read it off the object's name."""
        name, folder = sample.picture.stem, sample.picture.parent.name
        station, serial = (
            text.replace("{folder}", folder).replace("{name}", name).replace("/", "_")
            for text in (self.station or "", self.serial)
        )
        return place_of(f"uploads/{self.line.replace('/', '_')}/{station}/{serial}.jpg", {})


def assign(
    recipe: Recipe, settings: Settings, dataset: Dataset, given: str | None, naming: Naming
) -> list[Path | None]:
    """The golden picture of each of the dataset's samples; those that lack theirs are taken out and told as faults.

    What was `given` on the command line is used for all, else a picture's own, where the dataset has one, else the
    recipe's. Raises UsageError where a choice is missing or no picture has its golden picture.
    """
    template = given or recipe.golden
    compares = any(Need.GOLDEN in detector.needs for detector in recipe.detectors)
    if template is None and compares and not any(sample.golden for sample in dataset.samples):
        raise UsageError("nothing to compare with: give --golden FILE, the picture of a good board, or --config FILE")
    base = Path() if given else settings.folder
    literal = template is not None and Path(base, template).is_file()
    if template and "{station}" in template and naming.station is None and not literal:
        raise UsageError(
            f"the golden picture {template} depends on the station: say which with --station NAME ({{folder}} stands for "
            "a picture's folder)"
        )
    wanted = [_wanted(sample, recipe, template, base, given, naming, literal=literal) for sample in dataset.samples]
    faults = {golden: _fault(golden) for golden in dict.fromkeys(wanted) if golden is not None}
    kept: list[tuple[Sample, Path | None]] = []
    for sample, golden in zip(dataset.samples, wanted, strict=True):
        fault = faults.get(golden, "") if golden is not None else ""
        if not fault and golden is not None and golden.samefile(sample.picture):
            dataset.fault(sample.picture, 0, "left out: it is the golden picture itself", Kind.LEFT_OUT)
        elif fault:
            dataset.fault(sample.picture, 0, f"left out: {fault}", Kind.NO_GOLDEN)
        else:
            kept.append((sample, golden))
    if not kept and not any(faults.values()):
        raise UsageError("the golden picture is the dataset's only picture: there is nothing to compare with it")
    if not kept:
        told = "; ".join(list(filter(None, faults.values()))[:3])
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        placeholders = [key for key in KEYS if template and key in template]
        hint = f" ({', '.join(placeholders)}: see --line, --station, --serial)" if placeholders and not literal else ""
        raise UsageError(f"no picture has a golden picture to be compared with: {told}{more}{hint}")
    dataset.samples[:] = [sample for sample, _ in kept]
    return [golden for _, golden in kept]


def _wanted(
    sample: Sample,
    recipe: Recipe,
    template: str | None,
    base: Path,
    given: str | None,
    naming: Naming,
    *,
    literal: bool,
) -> Path | None:
    if sample.golden and not given:
        return sample.golden
    if template is None:
        return None
    name = template if literal else golden_name(recipe.model_copy(update={"golden": template}), naming.place(sample))
    return Path(base, name)


def _fault(golden: Path) -> str:
    """What is wrong with a golden picture; empty if it can be used."""
    try:
        golden_picture(golden)
    except UsageError as error:
        return shown(str(error))
    return ""
