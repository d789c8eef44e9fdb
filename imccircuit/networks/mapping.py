"""Layers on tiles: weights as integers in slices and halves, in arrays of limited rows and columns.

A column of a tile stores one slice of one half (plus or minus) of the weights of one output. The
columns of an output stand side by side, plus beside minus, so that a pair is never torn apart by
the edge of a tile::

    output 0 slice 0 +, output 0 slice 0 −, output 0 slice 1 +, …, output 1 slice 0 +, …

Inputs are integers; each pass drives digits of a few of their bits, all at once (an analogue
driver) or one at a time (bit-serial). What comes back of a column is added with its weight,
``±2^(slice_bits·slice)``; see `imccircuit.surrogates.macro_compose` for the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.macro_compose import Composition, weight_digits

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Mapping:
    """How layers are laid on tiles.

    Attributes
    ----------
    rows, cols : most rows and physical columns of a tile.
    composition : bits of inputs and weights, of a pass and a slice, and how signs are stored.

    Raises
    ------
    UsageError : a tile is smaller than one slice of one weight.
    """

    rows: int
    cols: int
    composition: Composition

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < self.halves:
            raise UsageError(
                f"a tile of {self.rows} rows and {self.cols} columns is smaller than one slice of "
                f"a weight; allowed: from 1 row and {self.halves} columns"
            )

    @property
    def halves(self) -> int:
        """Columns of one slice: 2 with differential columns, else 1."""
        return 2 if self.composition.signed == "differential" else 1


@dataclass(frozen=True)
class Tile:
    """A part of a layer that one array holds.

    Attributes
    ----------
    first_row : of the layer's rows.
    digits : (row, col) digit that each cell stores, 0 … 2^slice_bits − 1.
    combine : (col, output) weight of each column in each output of the layer.
    """

    first_row: int
    digits: Integers
    combine: Floats

    @property
    def rows(self) -> slice:
        """The layer's rows that it holds."""
        return slice(self.first_row, self.first_row + len(self.digits))


@dataclass(frozen=True)
class MappedLayer:
    """The weights of a layer as integers on tiles.

    Attributes
    ----------
    integers : (in, out) weights as integers.
    step : weight that the integer 1 stands for.
    tiles : parts, rows first.
    """

    integers: Integers
    step: float
    tiles: tuple[Tile, ...]


def quantise_weights(weights: ArrayLike, composition: Composition) -> tuple[Integers, float]:
    """Integers of weights (in, out) and the step between them: the largest magnitude fills them.

    ``integer = round(weight / step)`` with ``step = max |weight| / (2^(weight_bits − 1) − 1)``.

    Raises
    ------
    UsageError : weights are not finite or not along two axes.
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 2 or w.size == 0 or not np.all(np.isfinite(w)):
        raise UsageError(f"weights must be finite, of (in, out); they are {w.shape}")
    largest = float(np.max(np.abs(w)))
    step = largest / (2 ** (composition.weight_bits - 1) - 1) if largest > 0 else 1.0
    return np.rint(w / step).astype(np.int64), step


def quantise_inputs(inputs: ArrayLike, full_scale: float, bits: int) -> Integers:
    """Integers 0 … 2^bits − 1 of inputs 0 … full_scale; larger inputs stay at the last one.

    Raises
    ------
    UsageError : an input is negative or not finite: rows are driven to one side only.
    """
    x = np.asarray(inputs, dtype=np.float64)
    check_scaling(x)
    last = 2**bits - 1
    return np.asarray(np.minimum(np.rint(x * (last / full_scale)), last), dtype=np.int64)


def check_scaling(inputs: NDArray[Any]) -> None:
    """Refuse inputs that rows, which are driven to one side only, cannot show.

    Raises
    ------
    UsageError : an input is negative or not finite.
    """
    if inputs.size and not (np.all(np.isfinite(inputs)) and np.min(inputs) >= 0):
        raise UsageError(
            f"inputs of another scaling: from {np.min(inputs):g} to {np.max(inputs):g}; allowed: "
            "from 0, such as pixels from 0 to 1 or what a ReLU gives"
        )


def map_layer(weights: ArrayLike, mapping: Mapping) -> MappedLayer:
    """Lay the weights (in, out) of a layer on tiles.

    Raises
    ------
    UsageError : weights are not finite or not along two axes.
    """
    composition = mapping.composition
    integers, step = quantise_weights(weights, composition)
    digits = weight_digits(integers, composition)
    halves, slices, rows, outputs = digits.shape
    # (row, output, slice, half): neighbours in the last axes are neighbours on the array.
    side = digits.transpose(2, 3, 1, 0).reshape(rows, outputs * slices * halves)
    sign = np.array([1.0, -1.0])[:halves]
    weight = np.multiply.outer(2.0 ** (composition.slice_bits * np.arange(slices)), sign).ravel()
    combine = np.zeros((outputs, slices * halves, outputs))
    for output in range(outputs):
        combine[output, :, output] = weight
    combine = combine.reshape(-1, outputs)
    width = mapping.cols // halves * halves
    tiles = [
        Tile(
            row,
            side[row : row + mapping.rows, col : col + width],
            combine[col : col + width],
        )
        for row in range(0, rows, mapping.rows)
        for col in range(0, side.shape[1], width)
    ]
    return MappedLayer(integers, step, tuple(tiles))
