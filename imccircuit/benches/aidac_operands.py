"""Operands of the error budget: random, over the full span, of real layers, as long as others."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit import library

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

# A normal distribution is put on a converter's range so that its ends are three σ away.
_RANGE_SIGMA = 3.0


@dataclass(frozen=True)
class Layer:
    """One layer of a network: its name, and how many products one of its outputs adds."""

    name: str
    length: int


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[Layer, ...]]:
    found: dict[str, list[Layer]] = {}
    path = library.find("data", "mlperf_tiny_layers", ".csv")
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            length = int(row["C"]) * int(row["FY"]) * int(row["FX"])
            found.setdefault(row["net"], []).append(Layer(f"{row['net']} {row['layer']}", length))
    return {name: tuple(layers) for name, layers in found.items()}


def networks() -> tuple[str, ...]:
    """Networks whose layers the table in ``data/`` has."""
    return tuple(_table())


def layers_of(network: str) -> tuple[Layer, ...]:
    """Layers of one of them, one of each length, shortest first."""
    shortest = {layer.length: layer for layer in reversed(_table()[network])}
    return tuple(shortest[length] for length in sorted(shortest))


@dataclass(frozen=True)
class StoredLayer:
    """A layer of a trained network with some of its operands, of 8 bits.

    Attributes
    ----------
    name : of the layer.
    weights : (output, product) from −127 to 127.
    inputs : (image, product) from 0 to 255.
    """

    name: str
    weights: Whole
    inputs: Whole

    @property
    def length(self) -> int:
        """Products that one output adds."""
        return int(self.weights.shape[1])


@lru_cache(maxsize=1)
def stored_layers() -> tuple[StoredLayer, ...]:
    """Layers whose weights and activations ``data/`` has."""
    found: dict[str, dict[str, list[list[int]]]] = {}
    path = library.find("data", "digits_mlp_layers", ".csv")
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            kinds = found.setdefault(row["layer"], {})
            kinds.setdefault(row["kind"], []).append([int(word) for word in row["values"].split()])
    return tuple(
        StoredLayer(name, np.array(kinds["weights"]), np.array(kinds["inputs"]))
        for name, kinds in found.items()
    )


@dataclass(frozen=True)
class Operands:
    """Operands of one output of one chip.

    Attributes
    ----------
    inputs : (vector, array, row) whole numbers.
    weights : (array, row) whole numbers.
    signal : (vector,) what the product is to tell, in fractions of full scale: the product itself,
        or with signed weights the product less the share of the weights' offset.
    """

    inputs: Whole
    weights: Whole
    signal: Floats


def draw_operands(
    kind: str, length: int, size: tuple[int, int, int], bits: tuple[int, int],
    rng: np.random.Generator, share: float,
) -> Operands:  # fmt: skip
    """Operands of one kind.

    Parameters
    ----------
    kind : ``random`` (all numbers equally often), ``full span`` (inputs and weights from windows
        whose middles move from 0 to the largest, so that products fill the range), or ``layer``
        (inputs half-normal as behind a rectifier, weights normal in offset binary, rows beyond
        ``length`` 0), or the name of one of `stored_layers` (its own operands, weights in offset
        binary, rows beyond its length likewise; chips take its outputs in turn, vectors its
        images).
    size : vectors, arrays, rows.
    bits : of inputs and weights.
    share : place of this chip between 0 and 1: of its weights for ``full span``, of its output
        for a stored layer.
    """
    vectors, arrays, rows = size
    x_max, w_max = 2 ** bits[0] - 1, 2 ** bits[1] - 1
    zero = 0.0
    inputs: NDArray[Any]
    weights: NDArray[Any]
    if kind == "random":
        inputs = rng.integers(0, x_max + 1, size)
        weights = rng.integers(0, w_max + 1, (arrays, rows))
    elif kind == "full span":
        middle = np.linspace(0, 1, vectors)[:, None, None]
        inputs = _window(middle, rng.random(size), x_max)
        weights = _window(share, rng.random((arrays, rows)), w_max)
    else:
        zero = (w_max + 1) / 2
        stored = {layer.name: layer for layer in stored_layers()}
        if kind in stored:
            x, w = _stored(stored[kind], vectors, share, x_max, zero)
            inputs, weights = _padded(x, arrays * rows), _padded(w, arrays * rows)
            inputs, weights = inputs.reshape(size), weights.reshape(arrays, rows)
        else:
            inputs = np.rint(np.abs(rng.standard_normal(size)) * x_max / _RANGE_SIGMA)
            weights = np.rint(rng.standard_normal((arrays, rows)) * zero / _RANGE_SIGMA)
        unused = np.arange(arrays * rows).reshape(arrays, rows) >= length
        inputs = np.where(unused, 0, np.clip(inputs, 0, x_max))
        weights = np.where(unused, zero, np.clip(weights + zero, 0, w_max))
    full = arrays * rows * x_max * w_max
    signal = np.einsum("nai,ai->n", inputs.astype(float), weights - zero) / full
    return Operands(inputs.astype(np.int64), weights.astype(np.int64), signal)


def _window(middle: Floats | float, u: Floats, largest: int) -> Floats:
    """Numbers from a window around a middle, as wide as its distance from the nearer end allows."""
    half = np.minimum(middle, 1 - np.asarray(middle))
    return np.asarray(np.rint((middle + half * (2 * u - 1)) * largest))


def _stored(
    layer: StoredLayer, vectors: int, share: float, x_max: int, zero: float
) -> tuple[Floats, Floats]:
    """Operands of one output, (vector, product) and (product,), on the scales of the converters."""
    images = np.arange(vectors) % len(layer.inputs)
    output = min(int(share * len(layer.weights)), len(layer.weights) - 1)
    inputs = np.rint(layer.inputs[images] * (x_max / 255))
    return inputs, np.rint(layer.weights[output] * ((zero - 1) / 127))


def _padded(values: Floats, length: int) -> Floats:
    """The last axis filled up with zeros."""
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, length - values.shape[-1])])
