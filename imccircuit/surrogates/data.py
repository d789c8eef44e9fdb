"""Measured arrays of one sweep point, good chips only, and which of them the fit may not see."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.engines.contract import Status
from imccircuit.errors import FileFormatError, UsageError
from imccircuit.recipes.load import Recipe, recipe_of_results

if TYPE_CHECKING:
    from imccircuit.benches.bench import Bench, Parameters
    from imccircuit.results.read import Results

HELD_OUT_SHARE = 0.2
FEWEST = 5
"""Fewest held-out chips (or inputs of a single chip) that a verdict is given on."""


@dataclass(frozen=True)
class Measured:
    """What a results file holds of one point.

    Attributes
    ----------
    results : the file.
    recipe : its recipe.
    parameters : parameters of the bench at this point.
    point : index of the point.
    samples : (chip,) sample index of every good chip.
    arrays : variable name → (chip, …) values of the good chips.
    dims : variable name → names of the axes after chip.
    left_out : number of chips whose status is not good.
    columns : so many of what stands here as chips, one after the other, are columns of one chip.
    """

    results: Results
    recipe: Recipe
    parameters: Parameters
    point: int
    samples: NDArray[np.int64]
    arrays: Mapping[str, NDArray[Any]]
    dims: Mapping[str, tuple[str, ...]]
    left_out: int
    columns: int = 1

    @property
    def chips(self) -> int:
        """Number of good chips."""
        return len(self.samples)

    def hidden_chips(self) -> NDArray[np.bool_] | None:
        """`held_out` chips, all columns of one together."""
        mask = held_out(self.chips // self.columns)
        return None if mask is None else np.repeat(mask, self.columns)

    @property
    def reference(self) -> str:
        """Who measured."""
        versions = self.results.provenance.versions
        return f"{versions.get('engine', '')} {versions.get('version', '')}".strip()


def measured_point(results: Results, point: int | None = None) -> Measured:
    """Good chips of one sweep point.

    Parameters
    ----------
    point : index of the point; may be left out where there is only one.

    Raises
    ------
    UsageError : there are many points and none was chosen, there is no such point, or none of its
        chips is good.
    """
    from imccircuit.recipes.plan import Plan

    numbers = [int(p) for data in results.datasets for p in data["point"].values]
    allowed = f"0 to {max(numbers)}"
    if point is None:
        if len(numbers) != 1:
            raise UsageError(
                f"{results.path} holds {len(numbers)} points and a surrogate describes one; "
                f"choose a point from {allowed}"
            )
        point = numbers[0]
    if point not in numbers:
        raise UsageError(f"{results.path} has no point {point}; there are {allowed}")
    data = next(d for d in results.datasets if point in d["point"].values)
    row = int(np.flatnonzero(data["point"].values == point)[0])
    good = data["status"].values[row] == Status.GOOD
    if not good.any() and results.unfinished(point):
        raise UsageError(f"no chip of point {point} is good: {results.unfinished(point)}")
    if not good.any():
        raise UsageError(f"{results.path}: no chip of point {point} is good, nothing can be fitted")
    left_out = int(np.count_nonzero(~good))
    arrays, dims = {}, {}
    for name, variable in data.data_vars.items():
        if variable.dims[:2] == ("point", "sample") and variable.dtype.kind in "fi":
            arrays[str(name)] = variable.values[row][good]
            dims[str(name)] = tuple(str(dim) for dim in variable.dims[2:])
    samples = np.flatnonzero(good)
    if all(
        np.array_equal(values, np.broadcast_to(values[:1], values.shape), equal_nan=True)
        for values in arrays.values()
    ):
        # Chips that do not differ are one chip, however often it was measured: holding its copies
        # out would prove nothing.
        samples, arrays = samples[:1], {name: values[:1] for name, values in arrays.items()}
    recipe = recipe_of_results(results)
    parameters = Plan(recipe).parameters(point)
    _check_whole(results, recipe.bench, parameters, arrays, dims)
    return Measured(
        results=results,
        recipe=recipe,
        parameters=parameters,
        point=point,
        samples=samples,
        arrays=arrays,
        dims=dims,
        left_out=left_out,
    )


def _check_whole(
    results: Results,
    bench: Bench,
    parameters: Parameters,
    arrays: Mapping[str, NDArray[Any]],
    dims: Mapping[str, tuple[str, ...]],
) -> None:
    """Refuse results in which an array of the bench is missing or has another shape.

    Raises
    ------
    FileFormatError : there is one.
    """
    sizes = bench.sizes(parameters)
    for variable in bench.variables(parameters):
        name, shape = variable.name, tuple(sizes[dim] for dim in variable.dims)
        if name not in arrays or arrays[name].shape[1:] != shape or dims[name] != variable.dims:
            raise FileFormatError(
                f"{results.path}: not a whole results file (no {name} as its recipe gives it); "
                "allowed: one that this version has measured"
            )


def held_out(count: int) -> NDArray[np.bool_] | None:
    """Mark a fifth of ``count`` items, at least five; the same ones whenever the count is the same.

    Returns
    -------
    (count,) True where held out; None if five held out would leave fewer than five.
    """
    size = max(FEWEST, round(HELD_OUT_SHARE * count))
    if count - size < FEWEST:
        return None
    return choose(count, size)


def choose(count: int, size: int) -> NDArray[np.bool_]:
    """Mark ``size`` of ``count`` items by a fixed shuffle."""
    key = (zlib.crc32(b"held out"), count)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0, spawn_key=key)))
    mask = np.zeros(count, dtype=bool)
    mask[generator.permutation(count)[:size]] = True
    return mask


def file_sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
