"""A study of the gate as an attribute gauge: each board looked at several times, and what that shows, in words and figures."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

import linegate
from linegate.bounds import boards_needed, percent
from linegate.evaluation import gauge
from linegate.evaluation.assessment import Gate, Request, configuration, goldens
from linegate.evaluation.disturbances import Disturbance, generator, seen_again
from linegate.evaluation.gauge import Study
from linegate.evaluation.labels import Dataset, Kind, Sample, shown, warnings
from linegate.evaluation.outcomes import Outcome
from linegate.evaluation.thresholds import UNKNOWN

MEASURES: Final = {
    "effectiveness": "effectiveness",
    "miss_rate": "miss rate",
    "false_alarm_rate": "false-alarm rate",
    "kappa_reference": "kappa against the reference",
    "kappa_within": "kappa within the gate",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a study is made."""

    looks: int
    seed: int
    disturbance: Disturbance
    certainty: float
    escape_rate: float | None = None


class Looks:
    """Every board of a dataset `looks` times: first as it is, then disturbed. One picture that is there twice is one board."""

    def __init__(self, gate: Gate, dataset: Dataset, plan: Plan) -> None:
        twice = {fault.file for fault in dataset.faults if fault.kind is Kind.TWICE}
        kept = [index for index, sample in enumerate(dataset.samples) if shown(sample.picture) not in twice]
        self.boards = [dataset.samples[index] for index in kept]
        self._plan, self._max_pixels = plan, gate.settings.images.max_pixels
        self._which = {
            f"{number}.{look}": (number, look) for number in range(len(self.boards)) for look in range(plan.looks)
        }
        samples = [replace(self.boards[number], name=name) for name, (number, _) in self._which.items()]
        self.dataset = Dataset(samples, dataset.faults)
        files = gate.goldens or [None] * len(dataset.samples)
        self.gate = replace(gate, goldens=[files[kept[number]] for number, _ in self._which.values()])

    def content(self, sample: Sample) -> bytes | None:
        number, look = self._which[sample.name]
        if not look:
            return None
        drawn = generator(self._plan.seed, self.boards[number].name, look)
        return seen_again(sample.picture, self._plan.disturbance, drawn, self._max_pixels)

    def studies(self, outcomes: Sequence[Outcome]) -> list[Study]:
        """Each board with the verdicts of its looks, in the order of the dataset."""
        verdicts = {
            outcome.sample.name: outcome.inspection.revision.decision.verdict
            for outcome in outcomes
            if outcome.inspection.revision
        }
        return [
            Study(
                board.name,
                frozenset(truth.class_name for truth in board.truths),
                tuple(verdicts[f"{number}.{look}"] for look in range(self._plan.looks)),
            )
            for number, board in enumerate(self.boards)
        ]


def assess(gate: Gate, request: Request, looks: Looks, outcomes: Sequence[Outcome], plan: Plan) -> dict[str, Any]:
    """The whole study, as it goes into the JSON and onto the page."""
    dataset = looks.dataset
    manifests = [outcome.inspection.manifest for outcome in outcomes if outcome.inspection.manifest]
    report = {
        "made_at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "software": f"linegate {linegate.__version__}",
        "configuration": configuration(gate, request),
        "golden": goldens(gate),
        "dataset": {
            "path": shown(request.dataset),
            "format": request.layout,
            "sha256": digest(looks.boards),
            "counts": dataset.counts(),
            "warnings": warnings(dataset.faults),
        },
        "gate": {
            "detector": ", ".join(detector.called for detector in gate.recipe.detectors),
            "detector_model": sorted({answer.model for manifest in manifests for answer in manifest.answers}),
            "verifier": gate.recipe.verifier.type,
            "confidence": gate.recipe.confidence,
        },
        "looks": {"each": plan.looks, "seed": plan.seed, **asdict(plan.disturbance), "told": str(plan.disturbance)},
        "wanted": {"escape_rate": plan.escape_rate, "certainty": plan.certainty},
        "study": gauge.assess(looks.studies(outcomes), plan.certainty),
    }
    return {**report, "statement": statement(report), "limits": list(LIMITS)}


def digest(boards: Sequence[Sample]) -> str:
    """SHA-256 of the pictures and labels of a study, wherever they lie: who has the same has studied the same."""
    whole = hashlib.sha256()
    for board in sorted(boards, key=lambda board: board.name):
        picture = hashlib.sha256(board.picture.read_bytes()).hexdigest()
        labels = sorted((truth.class_name, *truth.box.corners) for truth in board.truths)
        whole.update(f"{board.name!r} {picture} {labels!r}\n".encode("utf-8", "surrogatepass"))
    return whole.hexdigest()


def statement(report: Mapping[str, Any]) -> list[str]:
    """What the study shows, in sentences that can be signed."""
    study, wanted = report["study"], report["wanted"]
    certainty = f"{100 * wanted['certainty']:g} % certainty"
    missed, alarmed, review = study["miss_rate"], study["false_alarm_rate"], study["review"]
    told = []
    if study["bad"]:
        told.append(
            f"Escapes: at most {percent(missed['at_most'])} with {certainty}. {_any(missed)} bad boards passed at any of "
            f"{study['looks']} looks."
        )
    else:
        told.append("Escapes are not known: there is no bad board.")
    if study["good"]:
        told.append(
            f"False alarms: at most {percent(alarmed['at_most'])} with {certainty}. {_any(alarmed)} good boards failed at any "
            "look."
        )
    else:
        told.append("False alarms are not known: there is no good board.")
    told.append(
        f"REVIEW at any look: {_any(review['bad'])} bad boards and {_any(review['good'])} good boards. A person looks at them: "
        "they are no escapes and no false alarms, and no right decisions either."
    )
    if study["not_inspected"]:
        told.append(f"{study['not_inspected']} looks ended in ERROR: no inspection took place.")
    told.append(
        f"After AIAG's bands the gauge is {study['band']} by the values that were seen, {study['shown_band']} by their bounds."
    )
    return told + _wanted(study, wanted, certainty)


def _wanted(study: Mapping[str, Any], wanted: Mapping[str, Any], certainty: str) -> list[str]:
    rate = wanted["escape_rate"]
    if rate is None:
        return []
    missed = study["miss_rate"]
    asked = f"An escape rate of {100 * rate:g} % or less with {certainty}"
    if study["bad"] and missed["at_most"] <= rate:
        return [f"{asked} is shown."]
    needed = boards_needed(rate, wanted["certainty"], missed["boards_so"])
    if needed is None:
        return [f"{asked} can't be shown by any number of boards."]
    there_are = f"and there are {study['bad']}"
    return [
        f"{asked} is not shown: {missed['boards_so']} missed, with which it takes {needed} bad boards, {there_are}."
    ]


def _any(rate: Mapping[str, Any]) -> str:
    return f"{rate['boards_so']} of {rate['boards']}"


LIMITS: Final = (
    "Bounds count boards, not looks: looks at one board are not independent. A board is missed where any look at it passed.",
    "They hold for boards and defects like those of this dataset, drawn independently, and for this recipe and this software.",
    "The labels are taken for the truth.",
    "All looks but the first are drawn by computer from the one picture; another camera, lamp or fixture is not among them.",
    "Each bound holds with the certainty by itself, those of single classes too, not all of them together.",
)


def rows(study: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """For each measure its value, its bound, AIAG's band, and the band that the bound keeps to."""
    effectiveness = study["effectiveness"]
    interval = (
        f"{percent(effectiveness['low'], least=True)} … {percent(effectiveness['high'])}"
        if study["boards"]
        else UNKNOWN
    )
    values = {
        "effectiveness": (_share(effectiveness["rate"]), interval),
        **{key: (_share(study[key]["rate"]), _most(study[key])) for key in ("miss_rate", "false_alarm_rate")},
        **{key: (_kappa(study[key]), UNKNOWN) for key in ("kappa_reference", "kappa_within")},
    }
    return [
        (title, *values[key], study["bands"][key], study["shown"].get(key, UNKNOWN)) for key, title in MEASURES.items()
    ]


CLASS_HEAD: Final = (
    "class",
    "with others",
    "alone",
    "missed",
    "miss rate",
    "boards missed",
    "to review",
    "AIAG's band",
)


def class_rows(study: Mapping[str, Any]) -> list[tuple[str, int, int, int, str, str, int, str]]:
    """For each class, under CLASS_HEAD, the boards that have it beside others, and what became of those with it alone."""
    return [
        (
            name,
            each["with_others"],
            each["boards"],
            each["boards_so"],
            _share(each["rate"]),
            _most(each),
            each["review"],
            each["band"],
        )
        for name, each in study["per_class"].items()
    ]


def _share(rate: float | None) -> str:
    return UNKNOWN if rate is None else f"{100 * rate:.3g} %"


def _most(rate: Mapping[str, Any]) -> str:
    return f"≤ {percent(rate['at_most'])}" if rate["boards"] else UNKNOWN


def _kappa(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"
