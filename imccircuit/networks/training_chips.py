"""Chips for training: converters drawn from a surrogate, cells and front ends beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError
from imccircuit.networks.fused_layer import spread_cells
from imccircuit.networks.hardware_layer import ChargeArray, CurrentArray, ImcLinear, LayerChip
from imccircuit.networks.read_table import ReadTable
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.front_end import FrontEndSurrogate
from imccircuit.surrogates.front_end_law import TERMS
from imccircuit.surrogates.ramp_adc import RampAdcSurrogate

Chip = tuple[LayerChip, ...]

# No conductance and no capacitor is negative; far below any spread there is.
_LEAST_CELL = np.float32(0.01)


@dataclass(frozen=True)
class ChipSource:
    """What chips are drawn from.

    Attributes
    ----------
    adc : population of the converters: every column has its own, or a comparator of its own on a
        ramp that it shares with as many columns as the model has.
    front_end : population of the front ends of a current-mode array; None: ideal ones.
    """

    adc: AdcSurrogate | RampAdcSurrogate
    front_end: FrontEndSurrogate | None = None

    def __post_init__(self) -> None:
        """Refuse models of one chip."""
        if not self.adc.has_population:
            raise UsageError("the converter's model was fitted to one chip: there is no population")
        if self.front_end is not None and not self.front_end.has_population:
            raise UsageError("the front end's model was fitted to one chip: it has no population")

    def draw(self, layers: Sequence[ImcLinear], count: int, seed: int) -> Iterator[Chip]:
        """Draw ``count`` chips for layers; the same seed and layers give the same chips.

        Raises
        ------
        UsageError : the converters have other bits than a layer, or a layer in charge mode would
            have a front end.
        """
        if any(layer.bits != self.adc.bits for layer in layers):
            raise UsageError(f"the converter has {self.adc.bits} bits; allowed: layers of as many")
        if self.front_end is not None and any(isinstance(i.array, ChargeArray) for i in layers):
            raise UsageError("a charge-mode array has no front end; allowed: None")
        columns = [layer.columns for layer in layers]
        total = sum(columns)
        seeds = Draws(seed, 0).generator("training_chips").integers(2**63, size=3)
        levels = self._levels_v(count, total, int(seeds[0]))
        shares = _tensor(levels / self.adc.full_scale_v)
        fronts = self._fronts(count * total, int(seeds[1]))
        generator = torch.Generator().manual_seed(int(seeds[2]))
        for k in range(count):
            parts = torch.split(shares[k], columns)
            ends: Sequence[Tensor | None] = [None] * len(layers)
            if fronts is not None:
                ends = torch.split(fronts[k * total : (k + 1) * total], columns)
            yield tuple(
                LayerChip(part, _cells(layer, generator), end, read=_read(layer))
                for part, layer, end in zip(parts, layers, ends, strict=True)
            )

    def _levels_v(self, count: int, total: int, seed: int) -> NDArray[np.float64]:
        """Levels (chip, column, code) in V."""
        if isinstance(self.adc, AdcSurrogate):
            levels = self.adc.sample_chips(count * total, seed)["transition_level"]
            return np.asarray(levels.reshape(count, total, -1))
        ramps = -(-total // self.adc.columns)
        levels = self.adc.sample_chips(count * ramps, seed)["column_level"]
        return np.asarray(levels.reshape(count, ramps * self.adc.columns, -1)[:, :total])

    def _fronts(self, count: int, seed: int) -> Tensor | None:
        """Numbers (front end, 4) over the mean swing; the mean offset is taken off by design."""
        if self.front_end is None:
            return None
        mean = self.front_end.array("population_mean")[:TERMS]
        # As `FrontEndSurrogate.sample_chips`, but all at once: a generator for each takes longer
        # than the training.
        values, vectors = np.linalg.eigh(self.front_end.array("population_covariance"))
        root = (vectors * np.sqrt(np.maximum(values, 0.0)))[:TERMS]
        normal = Draws(seed, 0).generator("front_end").standard_normal((count, len(values)))
        drawn = mean + normal @ root.T
        return _tensor((drawn - np.array([mean[0], mean[1], 0.0, 0.0])) / mean[1])


def calibrate_converters(chip: Chip, fraction_bits: int) -> Chip:
    """The same chip with a table for each converter, from its own levels.

    Algorithm: foreground calibration with a staircase. Inputs (k + ½)/2^n of full scale, n being
    the converter's bits and ``fraction_bits`` together, are converted once each, so that every
    level is known to the nearest k/2^n, and none beyond the range. A code stands for the middle
    between its two levels, rounded to 2^-``fraction_bits`` of a code; the first and the last stand
    half a code beyond their only one. Codes that are missing stay so.
    """
    return tuple(
        # Levels that all columns share make a table that each of them has.
        replace(part, table=_middles(part.levels, fraction_bits).expand(part.cells.shape[1], -1))
        for part in chip
    )


def _middles(levels: Tensor, fraction_bits: int) -> Tensor:
    last, fine = levels.shape[1], 2**fraction_bits
    scaled = torch.round(levels.clamp(0.0, 1.0) * ((last + 1) * fine)) / fine
    inner = (scaled[:, 1:] + scaled[:, :-1]) / 2
    middle = torch.cat([scaled[:, :1] - 0.5, inner, scaled[:, -1:] + 0.5], dim=1)
    rounded: Tensor = torch.round(middle * fine) / fine
    return rounded


def uniform_chip(layers: Sequence[ImcLinear]) -> Chip:
    """Cells without spread and converters of equal steps: rounding and clipping alone."""
    found = []
    for layer in layers:
        steps = torch.arange(1, 2**layer.bits) / 2**layer.bits
        cells = torch.ones(layer.inputs, layer.columns)
        found.append(LayerChip(steps.expand(1, -1), cells))
    return tuple(found)


def _read(layer: ImcLinear) -> ReadTable | None:
    return layer.array.read if isinstance(layer.array, CurrentArray) else None


def _cells(layer: ImcLinear, generator: torch.Generator) -> Tensor:
    cells = torch.randn((layer.inputs, layer.columns), generator=generator)
    if _read(layer) is not None:
        return cells
    shared = isinstance(layer.array, ChargeArray)
    spread_cells(cells.numpy(), np.float32(layer.array.spread), _LEAST_CELL, shared)
    return cells


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
