"""Small ONNX files for tests: graphs that answer with what they are told, whatever picture they are shown."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 8


def saved(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str]],
    constants: Mapping[str, NDArray[np.generic]] | None = None,
    *,
    weights: str = "",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A model of these nodes; sides that are texts are not fixed. With `weights` its constants lie in a file of that name."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, path, save_as_external_data=bool(weights), location=weights or None, size_threshold=0)
    return path
