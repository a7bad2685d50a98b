"""The file of a learned model: one .npz without code in it, versioned, read strictly.

`header` is JSON: what the model is, and its thresholds once it was calibrated. All else are arrays of numbers.
"""

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from linegate.adapters.anomaly.calibrating import Calibrated, told
from linegate.adapters.anomaly.calibration import Threshold
from linegate.adapters.anomaly.features import DEPTHS, places
from linegate.adapters.anomaly.learned import Learned, Still, Surface
from linegate.adapters.anomaly.neighbours import PARTS, Memory
from linegate.adapters.golden.registration import SMALLEST_SIDE
from linegate.errors import PermanentError

FORMAT: Final = "linegate-anomaly"
VERSION: Final = 1
LARGEST: Final = 1 << 30  # bytes of all arrays together
HASH: Final = 32  # bytes of sha256
_SURFACE: Final = "surface"
_STILL: Final = "still"
_MEMORIES: Final = tuple(DEPTHS)


class _Level(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)
    value: float
    typical: float


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)
    format: Literal["linegate-anomaly"]
    version: Literal[1]
    kind: Literal["surface", "still"]
    step: int = Field(ge=1, le=64)
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    place: _Level | None = None
    whole: _Level | None = None
    promise: str = ""


class ModelFileError(PermanentError):
    """The file is no learned model that can be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Model:
    """What was learned, of which pictures (sha256 of their pixels, n x 32), and the thresholds once they are known."""

    learned: Learned
    pictures: NDArray[np.uint8]
    place: Threshold | None = None
    whole: Threshold | None = None
    promise: str = ""

    @property
    def calibrated(self) -> bool:
        return self.place is not None and (self.whole is not None or isinstance(self.learned, Still))


def write(model: Model) -> bytes:
    """The file."""
    learned = model.learned
    arrays: dict[str, NDArray[Any]] = {"pictures": model.pictures}
    kind: Literal["surface", "still"]
    if isinstance(learned, Still):
        sides, kind = learned.size, _STILL
        arrays |= {"reference": learned.reference, "mean": learned.mean, "spread": learned.spread}
    else:
        sides, kind = learned.sides, _SURFACE
        arrays |= {"middle": learned.middle, "spread": learned.spread}
        for name in _MEMORIES:
            memory = getattr(learned, name)
            arrays |= {f"{name}.{field.name}": getattr(memory, field.name) for field in fields(memory)}
    header = _Header(
        format=FORMAT,
        version=VERSION,
        kind=kind,
        step=learned.step,
        width=sides[0],
        height=sides[1],
        place=_level(model.place),
        whole=_level(model.whole),
        promise=model.promise,
    )
    arrays["header"] = np.frombuffer(header.model_dump_json().encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def read(data: bytes) -> Model:
    """Raises ModelFileError for whatever was not written by `write`, or by a newer release."""
    try:
        arrays = _arrays(data)
        header = _header(arrays.pop("header"))
        pictures = _taken(arrays, "pictures", np.uint8, (None, HASH))
        learned = _still(header, arrays) if header.kind == _STILL else _surface(header, arrays)
    except ModelFileError:
        raise
    except ValidationError as error:
        raise ModelFileError(f"its header is not sound: {error.errors()[0]['msg']}") from error
    except KeyError as error:
        raise ModelFileError(f"it lacks {error}") from error
    except MemoryError as error:
        raise ModelFileError("it needs more memory than there is") from error
    except Exception as error:  # a damaged zip raises as variously as a damaged picture
        raise ModelFileError(f"it can't be read ({error}): is it what `linegate anomaly learn` wrote?") from error
    if arrays:
        raise ModelFileError(f"it holds what no model has: {', '.join(sorted(arrays)[:3])}")
    return Model(learned, pictures, _threshold(header.place), _threshold(header.whole), header.promise)


def calibrated(model: Model, made: Calibrated) -> Model:
    """The model with these thresholds, and what they promise."""
    return replace(model, place=made.place, whole=made.whole, promise=told(made.promise))


def digests(pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """n x HASH: SHA-256 of each picture's pixels, by which it is known again under any name and in any lossless file."""
    return np.stack([np.frombuffer(digest(picture), np.uint8) for picture in pictures])


def digest(picture: NDArray[np.uint8]) -> bytes:
    return sha256(f"{picture.shape}".encode() + np.ascontiguousarray(picture).tobytes()).digest()


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        if sum(part.file_size for part in parts.infolist()) > LARGEST:
            raise ModelFileError(f"its arrays have more than {LARGEST:,} bytes")
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _header(raw: NDArray[Any]) -> _Header:
    written = json.loads(raw.astype(np.uint8).tobytes())
    if isinstance(written, dict) and written.get("format") == FORMAT and written.get("version") != VERSION:
        raise ModelFileError(f"its version is {written.get('version')!r}, this release reads {VERSION}: learn it anew")
    return _Header.model_validate(written)


def _taken(arrays: dict[str, NDArray[Any]], name: str, kind: type, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """The array of that name, taken out; `shape` has None where any length will do."""
    array = arrays.pop(name)
    fits = len(array.shape) == len(shape) and all(
        there > 0 and want in (None, there) for there, want in zip(array.shape, shape, strict=True)
    )
    if array.dtype != kind or not fits:
        raise ModelFileError(f"its {name} is {array.dtype} of {array.shape}")
    if kind is np.float32 and not np.isfinite(array).all():
        raise ModelFileError(f"its {name} holds what is no number")
    return array


def _surface(header: _Header, arrays: dict[str, NDArray[Any]]) -> Surface:
    energies, derivatives = (_memory(arrays, name) for name in _MEMORIES)
    depth = 4 + 2 * (energies.mean.shape[1] + derivatives.mean.shape[1])
    middle, spread = (_taken(arrays, name, np.float32, (depth,)) for name in ("middle", "spread"))
    _positive(spread, "spread")
    return Surface(header.step, (header.width, header.height), energies, derivatives, middle, spread)


def _memory(arrays: dict[str, NDArray[Any]], name: str) -> Memory:
    depth = DEPTHS[name]
    mean = _taken(arrays, f"{name}.mean", np.float32, (PARTS, depth))
    whiten = _taken(arrays, f"{name}.whiten", np.float32, (PARTS, depth, depth))
    unit = _taken(arrays, f"{name}.unit", np.float32, (PARTS,))
    _positive(unit, f"{name}.unit")
    cells = _taken(arrays, f"{name}.cells", np.float32, (None, depth))
    part = _taken(arrays, f"{name}.part", np.uint8, (len(cells),))
    if set(np.unique(part)) != set(range(PARTS)):
        raise ModelFileError(f"its {name} do not tell all parts of a picture")
    return Memory(mean, whiten, unit, cells, part)


def _still(header: _Header, arrays: dict[str, NDArray[Any]]) -> Still:
    reference = _taken(arrays, "reference", np.uint8, (None, None, 3))
    if min(reference.shape[:2]) < SMALLEST_SIDE:
        raise ModelFileError(f"its reference is {reference.shape}")
    mean = _taken(arrays, "mean", np.float32, places(reference).shape)
    spread = _taken(arrays, "spread", np.float32, mean.shape)
    _positive(spread, "spread")
    return Still(header.step, (header.width, header.height), reference, mean, spread)


def _positive(array: NDArray[Any], name: str) -> None:
    if array.min() <= 0:
        raise ModelFileError(f"its {name} must be above 0")


def _level(threshold: Threshold | None) -> _Level | None:
    return None if threshold is None else _Level(value=threshold.value, typical=threshold.typical)


def _threshold(level: _Level | None) -> Threshold | None:
    return None if level is None else Threshold(level.value, level.typical)
