"""The plan: every point and chip of a recipe, made when asked for and never all at once."""

from __future__ import annotations

import hashlib
import json
import math
import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import imccircuit
from imccircuit.benches.bench import Along, Parameters, Variation
from imccircuit.devices.draws import Draws
from imccircuit.devices.figure import Card
from imccircuit.devices.reference import card_label
from imccircuit.recipes.fields import (
    card_keys,
    check_each,
    field_of,
    is_card_key,
    unit_of,
    value_of,
)
from imccircuit.recipes.load import Recipe
from imccircuit.recipes.resolve import ArrayTable, resolve
from imccircuit.recipes.sweep import MOST_TRIED, Axis
from imccircuit.results.schema import Coordinate, ShapeGroup

Task = tuple[int, int]
"""(point, sample)"""


class Plan:
    """What a recipe asks for, point by point.

    Point ``p`` counts through the product of the axes with the last axis fastest.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.samples = recipe.common.variation.samples
        self.points = math.prod(len(axis) for axis in recipe.axes)
        # A measurement asks for its parameters twice, its neighbours for the same ones.
        self._parameters = lru_cache(maxsize=8)(lambda point: recipe.parameters(self.values(point)))

    @cached_property
    def _resolved(self) -> tuple[str, ArrayTable]:
        return resolve(self.recipe)

    @property
    def resolved(self) -> str:
        """JSON of the resolved recipe."""
        return self._resolved[0]

    @property
    def arrays(self) -> ArrayTable:
        """Arrays that the resolved recipe refers to, by key."""
        return self._resolved[1]

    @property
    def tasks(self) -> int:
        """Number of measurements: points times samples."""
        return self.points * self.samples

    def task(self, index: int) -> Task:
        """Point and sample of a measurement; samples advance fastest."""
        return divmod(index, self.samples)

    def indices(self, point: int) -> tuple[int, ...]:
        """Index along every axis."""
        lengths = [len(axis) for axis in self.recipe.axes]
        return tuple(int(i) for i in np.unravel_index(point, lengths)) if lengths else ()

    def values(self, point: int) -> dict[str, Any]:
        """Value of every swept key, as the recipe writes it."""
        pairs: dict[str, Any] = {}
        for axis, index in zip(self.recipe.axes, self.indices(point), strict=True):
            pairs.update(axis.step(index))
        return pairs

    def parameters(self, point: int) -> Parameters:
        """Checked parameters of the bench at a point."""
        return self._parameters(point)

    def variation(self, point: int, sample: int) -> Variation:
        """Draws of a chip. Sample k is the same chip at every point unless told otherwise."""
        table = self.recipe.common.variation
        draws = Draws(table.seed, sample, point if table.independent else None)
        return Variation(draws, frozenset(table.quantities))

    def label(self, task: Task) -> str:
        """Name of a task in logs and of its kept deck."""
        # It becomes the title of a deck and the name of a file; the name may be a stranger's.
        name = re.sub(r"[^\w.+-]", "_", self.recipe.name)
        return f"{name}-p{task[0]}-s{task[1]}"

    @cached_property
    def groups(self) -> tuple[ShapeGroup, ...]:
        """Groups of points by the shape of their arrays, in order of their first point."""
        active = np.flatnonzero(self._axes_that_change_shape())
        lengths = [len(axis) for axis in self.recipe.axes]
        if len(active) == 0:
            return (self._group(np.arange(self.points, dtype=np.int64)),)
        every = np.arange(self.points, dtype=np.int64)
        along = np.unravel_index(every, lengths)
        key = np.ravel_multi_index([along[i] for i in active], [lengths[i] for i in active])
        _, first, which = np.unique(key, return_index=True, return_inverse=True)
        shapes = [self._shape(self.parameters(int(point))) for point in first]
        members: dict[tuple[Any, ...], list[int]] = {}
        for index in np.argsort(first):
            members.setdefault(shapes[index], []).append(int(index))
        return tuple(self._group(every[np.isin(which, group)]) for group in members.values())

    def _group(self, points: NDArray[np.int64]) -> ShapeGroup:
        bench, parameters = self.recipe.bench, self.parameters(int(points[0]))
        lengths = [len(axis) for axis in self.recipe.axes]
        swept: dict[str, Coordinate] = {}
        indices = np.unravel_index(points, lengths) if lengths else ()
        for axis, along in zip(self.recipe.axes, indices, strict=True):
            for key in axis.values:
                values, unit = self._axis_values(axis, key)
                swept[key] = Coordinate(values[along], unit)
        return ShapeGroup(
            points=points,
            sizes=bench.sizes(parameters),
            variables=bench.variables(parameters),
            coordinates=bench.coordinates(parameters),
            swept=swept,
        )

    def _axis_values(self, axis: Axis, key: str) -> tuple[NDArray[Any], str]:
        """Values along an axis as an array in SI with its unit; indices where they are arrays."""
        first, model = self.values(0), self.recipe.bench.parameters
        if len(axis) > MOST_TRIED:
            found = check_each(model, key, axis.values[key], file=self.recipe.file)
        else:
            found = [
                value_of(self.recipe.parameters({**first, **axis.step(index)}), key)
                for index in range(len(axis))
            ]
        unit = unit_of(field_of(model, key))
        if all(isinstance(value, bool) for value in found):
            return np.array(found, dtype=np.int8), "1"  # netCDF has no boolean
        if all(isinstance(value, int | float) for value in found):
            return np.array(found), unit or "1"
        if all(isinstance(value, str | Card) for value in found):
            texts = [card_label(value) if isinstance(value, Card) else value for value in found]
            return np.array(texts, dtype=object), ""
        return np.arange(len(found)), "1"

    def _shape(self, parameters: Parameters) -> tuple[Any, ...]:
        bench = self.recipe.bench
        sizes = tuple(sorted(bench.sizes(parameters).items()))
        coordinates = tuple(
            (name, _bytes(values)) for name, values in bench.coordinates(parameters).items()
        )
        return sizes, tuple(variable.name for variable in bench.variables(parameters)), coordinates

    def _axes_that_change_shape(self) -> tuple[bool, ...]:
        """Axes along which, from the first point, the shape changes: only they are walked.

        A long axis that changes it between the values that are tried only is not seen: its points
        do not fit their group and are marked so when they are measured.
        """
        first = self.values(0)
        shape = self._shape(self.recipe.parameters(first))
        flags = []
        for axis in self.recipe.axes:
            steps = ({**first, **axis.step(index)} for index in axis.tried()[1:])
            flags.append(any(self._shape(self.recipe.parameters(s)) != shape for s in steps))
        return tuple(flags)

    @cached_property
    def file_hashes(self) -> dict[str, str]:
        """SHA-256 of every card, library and cell file that the parameters name, by file name.

        Of several files of one name the second is ``name#2``, and so on.
        """
        paths: dict[Path, str] = {}
        keys = card_keys(self.recipe.bench.parameters)
        for values in self.recipe.steps(keys):
            parameters = self.recipe.parameters(values)
            # A technology of which the circuit has neither transistor nor supply decides no number.
            at_all = parameters.has_transistors or parameters.has_supply
            used = [key for key in keys if key != "technology" or at_all]
            for path in (p for key in used for p in value_of(parameters, key).source_files()):
                if path not in paths:
                    same = sum(other.name == path.name for other in paths)
                    paths[path] = f"{path.name}#{same + 1}" if same else path.name
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for path, name in paths.items()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides the numbers: recipe, arrays, files, version of imccircuit.

        The folder in which a card lies, the title and how long a run takes do not.
        """
        tables = json.loads(self.resolved)
        for key in ("title", "takes"):
            tables.pop(key, None)
        text = json.dumps(_without_folders(tables), sort_keys=True)
        digest = hashlib.sha256(f"{imccircuit.__version__}\n{text}".encode())
        for key, array in sorted(self.arrays.items()):
            digest.update(f"{key} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        for name, value in self.file_hashes.items():
            digest.update(f"{name} {value}".encode())
        return digest.hexdigest()


def _bytes(values: NDArray[Any] | Along) -> bytes:
    """What tells the values along one dimension from others."""
    array = values.values if isinstance(values, Along) else values
    return repr(array.tolist()).encode() if array.dtype == object else array.tobytes()


def _without_folders(value: Any, key: str = "") -> Any:
    """Tables with paths of cards cut to their file names; what is in them is hashed beside."""
    if isinstance(value, dict):
        return {k: _without_folders(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_folders(item, key) for item in value]
    return Path(value).name if isinstance(value, str) and is_card_key(key) else value
