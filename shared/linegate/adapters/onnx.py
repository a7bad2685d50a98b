"""Models that are ONNX files, run by onnxruntime on this machine: opened strictly, run by names, bounded in threads.

What onnxruntime does not tell, the file itself does: its opset, and which files its weights lie in. ModelProto, field by field:
github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from linegate.errors import PermanentError, TransientError
from linegate.texts import brief

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Provider(StrEnum):
    """Whose processor a model runs on: onnxruntime's execution providers."""

    CPU = "cpu"
    CUDA = "cuda"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"


# What onnxruntime calls each, and the package that brings it
_CALLED: Final[Mapping[Provider, tuple[str, str]]] = {
    Provider.CPU: ("CPUExecutionProvider", "onnxruntime"),
    Provider.CUDA: ("CUDAExecutionProvider", "onnxruntime-gpu"),
    Provider.OPENVINO: ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    Provider.TENSORRT: ("TensorrtExecutionProvider", "onnxruntime-gpu, and TensorRT"),
}
# Several worker processes share the cores: a model that took all of them for itself would make the others late.
THREADS: Final = min(4, os.cpu_count() or 1)
NOTHING_LOGGED: Final = 4  # what goes wrong is raised, and told once
# A file that is parsed has no more of either than a model of today, by a wide margin.
_MOST_FIELDS: Final = 1_000_000

_NO_MEMORY: Final = re.compile(r"bad_alloc|failed to allocate|out of memory", re.IGNORECASE)

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a model. A side that is None is not fixed."""

    name: str
    shape: tuple[int | None, ...]
    type: str  # "tensor(float)"

    def __str__(self) -> str:
        return f"{self.name} {' x '.join('?' if side is None else str(side) for side in self.shape)}"


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A model that was opened. Threads may share it."""

    path: Path
    digest: str  # SHA-256 of the file, in hex; where its weights lie in others, of all their digests in turn
    opset: int  # of the standard operators; 0 where the file does not tell
    metadata: Mapping[str, str]  # what its maker wrote into it
    providers: tuple[str, ...]  # as onnxruntime took them, the first one first
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    _session: "InferenceSession" = field(repr=False, compare=False)

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """These outputs, by name.

        Raises PermanentError where it fails, or where an output holds what is no number; TransientError where memory ran out.
        """
        try:
            values = self.unchecked(inputs, outputs)
        except Exception as error:
            if _lacked_memory(error):
                raise TransientError(f"there was too little memory to run {self.path.name}: {_said(error)}") from error
            raise PermanentError(f"{self.path.name} could not be run: {_said(error)}") from error
        answered = dict(zip(outputs, values, strict=True))
        for name, value in answered.items():
            # NaN is what both return where there is one.
            if value.size and not (np.isfinite(value.min()) and np.isfinite(value.max())):
                raise PermanentError(f"{self.path.name} answered with what is no number in its output {name!r}")
        return answered

    def unchecked(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """onnxruntime's own run, to measure against. Raises what onnxruntime raises."""
        return list(self._session.run(list(outputs), dict(inputs)))


def installed() -> tuple[Provider, ...]:
    """The providers that this installation of onnxruntime has. Raises TransientError where there is none."""
    available = _runtime().get_available_providers()
    return tuple(provider for provider, (name, _) in _CALLED.items() if name in available)


def opened(path: Path, providers: Sequence[Provider] = (Provider.CPU,), threads: int = THREADS) -> OnnxModel:
    """The model in a file, to be run on the first of these providers that takes an operator.

    Raises TransientError with what is to be done: a person may mend it, and what waits must come again then.
    """
    runtime = _runtime()
    digest, opset = _looked_at(path)
    _all_installed(providers)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # A thread that waits spins by default, and takes its core from another worker.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = NOTHING_LOGGED
    names = [_CALLED[provider][0] for provider in providers]
    try:
        session = runtime.InferenceSession(str(path), options, providers=_with_options(names, path))
    except Exception as error:
        mend = "export it anew, or update onnxruntime"
        if _lacked_memory(error):
            mend = "there is too little memory for it (edge.workers.memory_mb, or the machine's)"
        raise TransientError(f"{path} can't be loaded: {_said(error)}; {mend}") from error
    taken = session.get_providers()
    # Where a library of the system is missing, onnxruntime goes on without the provider and says nothing.
    for provider, name in zip(providers, names, strict=True):
        if name not in taken:
            raise TransientError(
                f"the provider {provider} can't be used here: see that its driver and libraries are installed, or take 'cpu'"
            )
    session.disable_fallback()
    inputs, outputs = (tuple(map(_tensor, ports)) for ports in (session.get_inputs(), session.get_outputs()))
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    return OnnxModel(path, digest, opset, metadata, tuple(taken), inputs, outputs, session)


def _runtime() -> Any:
    try:
        import onnxruntime  # starts threads: never in a process that others are forked from
    except ImportError as error:
        raise TransientError(f"onnxruntime can't be loaded ({error}); install Linegate with its extra onnx") from error
    return onnxruntime


def _all_installed(providers: Sequence[Provider]) -> None:
    here = installed()
    for provider in providers:
        if provider not in here:
            raise TransientError(
                f"the provider {provider} is not installed; there is {', '.join(here)}. "
                f"Install {_CALLED[provider][1]} in the place of onnxruntime"
            )


def _with_options(names: Sequence[str], path: Path) -> list[Any]:
    # Numbers as on any other processor: TF32 rounds to ten bits. An engine takes minutes to build, so it is kept.
    options = {
        "CUDAExecutionProvider": {"use_tf32": "0"},
        "TensorrtExecutionProvider": {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(path.parent)},
    }
    return [(name, options.get(name, {})) for name in names]


def _tensor(port: Any) -> Tensor:
    return Tensor(port.name, tuple(side if isinstance(side, int) else None for side in port.shape), port.type)


def _lacked_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or bool(_NO_MEMORY.search(str(error)))


def _said(error: Exception) -> str:
    """What onnxruntime says, without its number and name of the error."""
    return brief(re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error)) or type(error).__name__)


# --- the file


def _looked_at(path: Path) -> tuple[str, int]:
    """The digest of a model with its weights, and its opset. Raises TransientError."""
    try:
        with path.open("rb") as file:
            digests = [hashlib.file_digest(file, "sha256")]
            if not file.seek(0, os.SEEK_END):
                raise TransientError(f"{path} is empty; export the model anew")
            # Closed with the last view of it
            opset, weights = _parsed(memoryview(mmap(file.fileno(), 0, access=ACCESS_READ)))
    except FileNotFoundError as error:
        raise TransientError(f"there is no model {path}; put it there") from error
    except OSError as error:
        raise TransientError(f"the model {path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise TransientError(f"{path} is no ONNX file; export the model as one") from error
    for name in weights:
        beside = path.parent / name
        if not beside.resolve().is_relative_to(path.parent.resolve()):
            raise TransientError(f"{path.name} keeps its weights outside of its folder, in {name!r}; export it anew")
        try:
            with beside.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256"))
        except OSError as error:
            why = error.strerror or str(error)
            raise TransientError(f"{path.name} keeps its weights in {beside}: {why}; put it there too") from error
    together = digests[0] if not weights else hashlib.sha256(b"".join(each.digest() for each in digests))
    return together.hexdigest(), opset


def _parsed(model: memoryview) -> tuple[int, list[str]]:
    """Opset and names of files with weights, in order. Raises ValueError for what is no model."""
    opset, weights, graphs = 0, dict[str, None](), 0
    for number, value in _fields(model):
        match number, value:
            case 8, memoryview():  # opset_import
                entry = dict(_fields(value))
                version = entry.get(2, 0)
                if bytes(_view(entry.get(1))) in (b"", b"ai.onnx") and isinstance(version, int):
                    opset = version
            case 7, memoryview():  # graph
                graphs += 1
                weights |= dict.fromkeys(_locations(value))
    if not graphs:
        raise ValueError("it holds no graph")
    return opset, list(weights)


def _locations(graph: memoryview) -> Iterator[str]:
    for number, initializer in _fields(graph):
        if number != 5:
            continue
        for inner, external in _fields(_view(initializer)):
            if inner == 13:
                entry = dict(_fields(_view(external)))
                if bytes(_view(entry.get(1))) == b"location":
                    yield bytes(_view(entry.get(2))).decode()


def _view(value: "int | memoryview | None") -> memoryview:
    return value if isinstance(value, memoryview) else memoryview(b"")


def _fields(message: memoryview) -> Iterator[tuple[int, "int | memoryview"]]:
    """Number and value of each field of a protobuf message. Raises ValueError where it is none.

    protobuf.dev/programming-guides/encoding
    """
    at = 0
    for _ in range(_MOST_FIELDS):
        if at == len(message):
            return
        key, at = _varint(message, at)
        if not key >> 3:
            raise ValueError("a field without a number")
        match key & 7:
            case 0:
                value, at = _varint(message, at)
                yield key >> 3, value
                continue
            case 1:
                length = 8
            case 2:
                length, at = _varint(message, at)
            case 5:
                length = 4
            case wire:
                raise ValueError(f"wire type {wire}")
        if at + length > len(message):
            raise ValueError("a field goes beyond the end")
        yield key >> 3, message[at : at + length]
        at += length
    raise ValueError("too many fields")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("a number is cut off")
        byte = message[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise ValueError("a number without end")
