"""What the digital side of a layer on tiles does with codes: the same for every source of codes.

    Σ_j = (gain · (code + ½) · worth − G_off Σ digit) / ΔG

and the sums of passes, slices and halves are added with their weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.networks.mapping import quantise_inputs
from imccircuit.networks.models import Network
from imccircuit.networks.ranges import LayerRange
from imccircuit.surrogates.kernels.noise import ConversionNoise
from imccircuit.surrogates.macro_compose import Composition, input_digits

Floats = NDArray[np.float64]

# Images at a time: bounds the memory of a convolution's patches.
_CHUNK = 1000


@dataclass(frozen=True)
class ReadNoise:
    """Noise of conversions.

    Attributes
    ----------
    seed : of its draws.
    sigma_v : in V rms, once a conversion.
    """

    seed: int
    sigma_v: float


@dataclass(frozen=True)
class TileSums:
    """How a tile's codes enter the sums.

    Attributes
    ----------
    rows : the layer's rows that it holds.
    combine : (col, out) weight of each column in each output.
    worth : integer sum that a code is worth.
    """

    rows: slice
    combine: Floats
    worth: float


@dataclass(frozen=True)
class Digital:
    """Everything that a layer's digital side knows.

    Attributes
    ----------
    composition : bits of inputs and weights, of a pass and a slice, and how signs are stored.
    found : calibration: what the largest integer stands for, the converters' range, the gain.
    weight_step : weight that the integer 1 stands for.
    off : what a cell of the lowest conductance adds to a sum, a digit of the input.
    digit_v : voltage of a digit of the input, in V.
    tiles : in the order of their folders.
    """

    composition: Composition
    found: LayerRange
    weight_step: float
    off: float
    digit_v: float
    tiles: tuple[TileSums, ...]

    @property
    def outputs(self) -> int:
        """Number of outputs of the layer."""
        return int(self.tiles[0].combine.shape[1])


class DigitalSide(ABC):
    """A layer whose codes come from somewhere.

    Parameters
    ----------
    digital : what is known beside the codes.
    """

    def __init__(self, digital: Digital) -> None:
        self.digital = digital

    @property
    def digit_v(self) -> float:
        """Voltage of a digit of the input, in V."""
        return self.digital.digit_v

    @abstractmethod
    def codes(
        self, tile: int, digits: NDArray[np.uint8], noise: ConversionNoise | None = None
    ) -> NDArray[Any]:
        """Codes (vector, col) that a tile answers digits (vector, row) with."""

    def __call__(
        self, inputs: Floats, noise: ReadNoise | None, chip: int, first_index: int
    ) -> Floats:
        """Products (vector, out) of inputs (vector, in) with the layer's weights.

        Parameters
        ----------
        first_index : number of the first vector; the noise of a vector is keyed by it.
        """
        known = self.digital
        sums = self.sums(self.integers_of(inputs), noise, chip, first_index)
        step = known.found.input_full_scale / (2**known.composition.input_bits - 1)
        return np.asarray(sums * (step * known.weight_step))

    def integers_of(self, inputs: Floats) -> NDArray[np.int64]:
        """Integers that drive the rows for inputs (vector, in)."""
        known = self.digital
        return quantise_inputs(inputs, known.found.input_full_scale, known.composition.input_bits)

    def sums(
        self, x: NDArray[np.int64], noise: ReadNoise | None, chip: int = 0, first_index: int = 0
    ) -> Floats:
        """Sums (vector, out) of integers that stand for x @ integers, gain included.

        Raises
        ------
        UsageError : a conversion gave no code.
        """
        raw = self.raw_sums(x, noise, chip, first_index)
        return np.asarray(self.digital.found.gain * raw - self.common(x))

    def common(self, x: NDArray[np.int64]) -> Floats:
        """What ideal columns show beside x @ integers, (vector, out), in the same unit.

        That is what cells of the lowest conductance let through, and the offset of stored weights.
        Differential columns cancel both.
        """
        known = self.digital
        total = np.zeros((len(x), known.outputs))
        for number, digits in enumerate(input_digits(x, known.composition)):
            weight = 2.0 ** (known.composition.pass_bits * number)
            for tile in known.tiles:
                driven = digits[:, tile.rows].sum(axis=1, dtype=np.float64)
                total += weight * known.off * driven[:, None] * tile.combine.sum(axis=0)
        return np.asarray(total + known.composition.offset * x.sum(axis=1, keepdims=True))

    def raw_sums(
        self, x: NDArray[np.int64], noise: ReadNoise | None, chip: int = 0, first_index: int = 0
    ) -> Floats:
        """Sums (vector, out) of all columns' codes in the unit of x @ integers, nothing taken off.

        Raises
        ------
        UsageError : a conversion gave no code.
        """
        known = self.digital
        total = np.zeros((len(x), known.outputs))
        for number, digits in enumerate(input_digits(x, known.composition)):
            weight = 2.0 ** (known.composition.pass_bits * number)
            for index, tile in enumerate(known.tiles):
                part = np.ascontiguousarray(digits[:, tile.rows], dtype=np.uint8)
                drawn = None
                if noise is not None and noise.sigma_v > 0:
                    drawn = ConversionNoise(
                        _stream(noise.seed, index, number), noise.sigma_v, 0.0, chip, first_index
                    )
                codes = self.codes(index, part, drawn)
                _check_codes(codes, index)
                combine = tile.combine.astype(np.float32)
                total += weight * ((codes + np.float32(0.5)) @ combine * tile.worth)
        return total


def run_network(
    network: Network,
    layers: Sequence[DigitalSide],
    images: Floats,
    noise: ReadNoise | None = None,
    chip: int = 0,
) -> Floats:
    """Outputs (image, class) for images (image, pixel) of a network whose layers are these.

    Parameters
    ----------
    noise : of all conversions, each layer with a seed of its own.
    chip : by which the noise is keyed as well.
    """
    parts = []
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK]

        def product(number: int, rows: Floats, start: int = start, n: int = len(part)) -> Floats:
            own = None if noise is None else replace(noise, seed=noise.seed + number)
            return layers[number](rows, own, chip, start * (len(rows) // n))

        parts.append(network.logits(part, product))
    return np.concatenate(parts)


def _check_codes(codes: NDArray[Any], tile: int) -> None:
    """Refuse codes (vector, col) among which there is none: -1 would count as half an LSB."""
    if codes.size and codes.min() < 0:
        vector, column = np.argwhere(codes < 0)[0]
        raise UsageError(
            f"tile {tile}, column {column}: no code for vector {vector}: a level or the voltage is "
            "not a number; allowed: converters with finite levels, finite conductances and inputs"
        )


def _stream(seed: int, tile: int, number: int) -> int:
    """Seed of the noise of one tile in one pass, 64 bits."""
    state = np.random.SeedSequence([seed, tile, number]).generate_state(1, np.uint64)
    return int(state[0])
