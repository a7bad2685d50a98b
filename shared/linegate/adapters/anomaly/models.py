"""The file of a model ▶ the model, opened, and the detector over it."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from linegate.adapters.anomaly.calibration import Threshold
from linegate.adapters.anomaly.detector import AnomalyDetector, Scorer
from linegate.adapters.anomaly.file import Model, ModelFileError, read
from linegate.adapters.anomaly.learned import Still
from linegate.errors import TransientError

ONNX: Final = ".onnx"
CALIBRATE: Final = "find it with `linegate anomaly calibrate`"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which model, and what the recipe says of it: the keys of `AnomalyDetection`, with the path of the file."""

    path: Path
    threshold: float | None = None
    typical: float | None = None
    picture_threshold: float | None = None
    picture_typical: float | None = None
    input_side: int | None = None
    center_crop: int | None = None
    normalize: Literal["inside", "imagenet"] = "inside"


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that can score. `places` and `whole` say which scores it gives, `digest` which file it is (SHA-256, in hex)."""

    scorer: Scorer
    places: bool
    whole: bool
    name: str
    digest: str
    said: str  # what it is, for a person
    learned: Model | None = None


def opened(wanted: Wanted) -> Opened:
    """Raises TransientError where it can't be opened: a person may put a sound one there."""
    return _exported(wanted) if wanted.path.suffix.lower() == ONNX else _learned(wanted.path)


def detector(wanted: Wanted) -> AnomalyDetector:
    """Raises TransientError where the model can't be opened, or a threshold is not known."""
    model = opened(wanted)
    place, whole = thresholds(wanted, model)
    return AnomalyDetector(model.scorer, place, whole, model.name, model.digest[:12])


def described(wanted: Wanted) -> str:
    """What the model is, for a person. Raises TransientError, as `detector` does."""
    model = opened(wanted)
    levels = zip(("places", "the whole picture"), thresholds(wanted, model), strict=True)
    said = ", ".join(f"{level.value:.4g} for {what}" for what, level in levels if level is not None)
    return f"{model.said}; thresholds: {said}"


def thresholds(wanted: Wanted, model: Opened) -> tuple[Threshold | None, Threshold | None]:
    """Of places and of the whole picture, for each score that the model gives. Raises TransientError for one not known.

    What the recipe says comes before what stands in the model's file.
    """
    own = (model.learned.place, model.learned.whole) if model.learned else (None, None)
    written = (
        ("threshold", wanted.threshold, wanted.typical, model.places, own[0]),
        ("picture_threshold", wanted.picture_threshold, wanted.picture_typical, model.whole, own[1]),
    )
    known: list[Threshold | None] = []
    for key, value, typical, given, kept in written:
        if not given:
            known.append(None)
        elif value is None and kept is None:
            raise TransientError(f"the model {wanted.path} has no threshold ({key}); {CALIBRATE}")
        elif value is None:
            known.append(kept)
        else:
            # Where nobody knows what is typical, twice the threshold is far.
            fallback = kept.typical if kept else value - max(abs(value), 1e-6)
            known.append(Threshold(value, fallback if typical is None else typical))
    return known[0], known[1]


def _learned(path: Path) -> Opened:
    try:
        data = path.read_bytes()
        model = read(data)
    except OSError as error:
        raise TransientError(f"the model {path} can't be read: {error.strerror or error}; put it there") from error
    except ModelFileError as error:
        raise TransientError(f"the model {path} can't be used: {error}") from error
    still = isinstance(model.learned, Still)
    sort = "a product that lies still" if still else "a surface"
    said = f"{path.name}: learned of {sort} from {len(model.pictures)} good pictures"
    if model.promise:
        said += f"; {model.promise}"
    return Opened(model.learned, True, not still, "anomaly-learned", sha256(data).hexdigest(), said, model)


def _exported(wanted: Wanted) -> Opened:
    from linegate.adapters import onnx
    from linegate.adapters.anomaly import exported

    model = onnx.opened(wanted.path)
    known = exported.contract(model)
    scorer = exported.ExportedScorer(model, known, wanted.input_side, wanted.center_crop, wanted.normalize)
    said = exported.described(model, known)
    return Opened(
        scorer, known.map is not None, known.score is not None, f"anomaly-{wanted.path.stem}", model.digest, said
    )
