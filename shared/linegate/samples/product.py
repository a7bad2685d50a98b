"""A drawn product: what `demo --product` and `init --product` know of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linegate.samples.camera import Picture
from linegate.shapes import Box


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawn picture of a product. `truth` names each fault and boxes it in pixels of `picture`."""

    picture: Picture
    truth: tuple[tuple[str, Box], ...]


@dataclass(frozen=True, slots=True)
class Product:
    """One product: its recipe, what lies beside the configuration, and pictures of it."""

    name: str  # as it is typed
    title: str  # "a bottle: fill level and cap"
    faults: tuple[str, ...]  # the classes that a drawn picture can have
    recipe: str  # YAML: the keys of one recipe with comments, without indentation
    prepare: Callable[[Path], None]  # writes what the recipe names (golden picture, learned model) into this folder
    draw: Callable[[np.random.Generator, Sequence[str]], Drawn]  # one picture with these faults
