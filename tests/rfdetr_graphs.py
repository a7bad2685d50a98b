"""Tiny ONNX graphs with the inputs and outputs of an RF-DETR; none of them is one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from tests.onnx_graphs import saved

SIDE, CELL, CLASSES = 32, 8, 3
QUERIES = (SIDE // CELL) ** 2
SEED = 5


def tiny(path: Path) -> Path:
    """Seeded weights: each cell of 8 x 8 pixels is a query, which one convolution gives its box, logits and mask."""
    rng = np.random.default_rng(SEED)
    mask = (SIDE // 4) ** 2
    channels = 4 + CLASSES + 1 + mask
    constants: dict[str, NDArray[np.generic]] = {
        "weight": rng.normal(0, 0.1, (channels, 3, CELL, CELL)).astype(np.float32),
        "bias": rng.normal(0, 0.5, channels).astype(np.float32),
        "sides": np.array([4, CLASSES + 1, mask], np.int64),
        "row": np.array([1, channels, QUERIES], np.int64),
        "square": np.array([1, QUERIES, SIDE // 4, SIDE // 4], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["input", "weight", "bias"], ["seen"], strides=[CELL, CELL]),
        helper.make_node("Reshape", ["seen", "row"], ["cells"]),
        helper.make_node("Transpose", ["cells"], ["queries"], perm=[0, 2, 1]),
        helper.make_node("Split", ["queries", "sides"], ["boxes", "labels", "flat"], axis=2),
        helper.make_node("Sigmoid", ["boxes"], ["dets"]),
        helper.make_node("Reshape", ["flat", "square"], ["masks"]),
    ]
    # In another order than they are asked for
    outputs: dict[str, list[int | str]] = {
        "masks": [1, QUERIES, SIDE // 4, SIDE // 4],
        "labels": [1, QUERIES, CLASSES + 1],
        "dets": [1, QUERIES, 4],
    }
    return saved(path, nodes, {"input": [1, 3, SIDE, SIDE]}, outputs, constants)


def answering(
    path: Path,
    boxes: NDArray[np.float32],
    logits: NDArray[np.float32],
    masks: NDArray[np.float32] | None = None,
    *,
    takes: Sequence[int | str] = (1, 3, SIDE, SIDE),
    names: Sequence[str] = ("dets", "labels", "masks"),
    dark_is: str = "",
) -> Path:
    """A model that answers so whatever it is shown; `dark_is` "NaN" spoils its logits for pictures darker than a plain one."""
    told = [np.asarray(value, np.float32)[None] for value in (boxes, logits, masks) if value is not None]
    constants: dict[str, NDArray[np.generic]] = {f"told_{index}": value for index, value in enumerate(told)}
    nodes = [helper.make_node("Identity", [f"told_{index}"], [names[index]]) for index in range(len(told))]
    if dark_is:
        constants["nothing"] = np.zeros(1, np.float32)
        nodes[1:2] = [
            helper.make_node("ReduceMean", ["input"], ["light"], keepdims=0),
            helper.make_node("Sqrt", ["light"], ["root"]),
            helper.make_node("Mul", ["root", "nothing"], ["spoiled"]),
            helper.make_node("Add", ["told_1", "spoiled"], [names[1]]),
        ]
    outputs: dict[str, Sequence[int | str]] = {names[index]: value.shape for index, value in enumerate(told)}
    return saved(path, nodes, {"input": takes}, outputs, constants)
