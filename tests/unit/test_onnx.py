"""Models that are ONNX files: opened as they are or refused with what is to be done, and run by the names of their outputs."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from linegate.adapters import onnx
from linegate.adapters.onnx import Provider, opened
from linegate.errors import PermanentError, TransientError
from tests.onnx_graphs import OPSET, saved

ONE = np.ones((1, 3), np.float32)


def doubling(path: Path, factor: float = 2, weights: str = "") -> Path:
    nodes = [helper.make_node("Mul", ["x", "factor"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    constants = {"factor": np.array([factor, factor, factor], np.float32)}
    shapes: dict[str, list[int | str]] = {"y": ["n", 3], "z": ["n", 3]}
    return saved(path, nodes, {"x": ["n", 3]}, shapes, constants, weights=weights, metadata={"made": "here"})


def test_outputs_are_had_by_name_in_any_order(tmp_path: Path) -> None:
    model = opened(doubling(tmp_path / "m.onnx"))
    assert {name: value.tolist() for name, value in model.run({"x": ONE}, ["z", "y"]).items()} == {
        "y": [[2, 2, 2]],
        "z": [[-1, -1, -1]],
    }


def test_what_a_file_is_can_be_told(tmp_path: Path) -> None:
    model = opened(doubling(tmp_path / "m.onnx"))
    assert [str(port) for port in (*model.inputs, *model.outputs)] == ["x ? x 3", "y ? x 3", "z ? x 3"]
    assert (model.opset, model.metadata, model.providers) == (OPSET, {"made": "here"}, ("CPUExecutionProvider",))


def test_its_digest_is_of_what_it_reckons_with(tmp_path: Path) -> None:
    digests = []
    for factor, weights in ((2, ""), (3, ""), (2, "w.data"), (3, "w.data")):
        folder = tmp_path / f"{factor}{weights}"
        folder.mkdir()
        digests.append(opened(doubling(folder / "m.onnx", factor, weights)).digest)
    assert len(set(digests)) == 4
    again = doubling(tmp_path / "again.onnx")
    assert opened(again).digest == digests[0] == hashlib.sha256(again.read_bytes()).hexdigest()


def test_a_model_without_its_weights_says_which_file_is_missing(tmp_path: Path) -> None:
    path = doubling(tmp_path / "m.onnx", weights="w.data")
    (tmp_path / "w.data").unlink()
    with pytest.raises(TransientError, match=r"keeps its weights in .*w\.data: No such file"):
        opened(path)


def test_weights_are_not_read_from_elsewhere(tmp_path: Path) -> None:
    path = doubling(tmp_path / "m.onnx", weights="w.data")
    path.write_bytes(path.read_bytes().replace(b"w.data", b"../../"))
    with pytest.raises(TransientError, match="outside of its folder"):
        opened(path)


@pytest.mark.parametrize("content", [b"hello, world", b"\x89PNG\r\n\x1a\n", b"\x08\x08", b"\x00" * 100, b"\xff" * 100])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(TransientError, match="is no ONNX file"):
        opened(path)


@pytest.mark.parametrize("part", [0.3, 0.9, 0.99])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, part: float) -> None:
    path = doubling(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(TransientError, match=r"no ONNX file|can't be loaded"):
        opened(path)


def test_what_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(TransientError, match="there is no model"):
        opened(tmp_path / "m.onnx")
    with pytest.raises(TransientError, match="is empty"):
        opened(tmp_path / "empty.onnx")
    with pytest.raises(TransientError, match="can't be read"):
        opened(tmp_path)


@pytest.mark.parametrize("provider", [one for one in Provider if one not in onnx.installed()])
def test_a_provider_that_is_not_installed_is_no_silent_fall_back_to_the_cpu(tmp_path: Path, provider: Provider) -> None:
    with pytest.raises(TransientError, match=f"provider {provider} is not installed; there is cpu"):
        opened(doubling(tmp_path / "m.onnx"), [provider, Provider.CPU])


def test_input_that_does_not_fit_is_an_error_that_comes_every_time(tmp_path: Path) -> None:
    model = opened(doubling(tmp_path / "m.onnx"))
    with pytest.raises(PermanentError, match=r"m\.onnx could not be run"):
        model.run({"x": np.ones((1, 4), np.float32)}, ["y"])
    with pytest.raises(PermanentError, match=r"m\.onnx could not be run"):
        model.run({"x": ONE}, ["nothing"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_is_none(tmp_path: Path, bad: float) -> None:
    model = opened(doubling(tmp_path / "m.onnx", bad))
    with pytest.raises(PermanentError, match="what is no number in its output 'y'"):
        model.run({"x": ONE}, ["y"])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="what a process has taken is read from /proc")
def test_a_model_that_no_memory_is_left_for_says_so(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "m.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": ["n", 3]},
        {"y": ["n", 5_000_000]},
        {"w": np.ones((3, 5_000_000), np.float32)},
    )
    code = f"""
import resource
from pathlib import Path
import onnxruntime
from linegate.adapters.onnx import opened
(line,) = (each for each in open("/proc/self/status") if each.startswith("VmData"))
limit = (int(line.split()[1]) << 10) + (16 << 20)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
opened(Path({str(path)!r}), threads=1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "TransientError" in done.stderr and "there is too little memory for it" in done.stderr
