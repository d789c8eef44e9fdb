"""Measured currents of cells as the fit and the verdict need them, and fits of cells to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.cell_iv_parameters import CellParameters
from imccircuit.errors import UsageError
from imccircuit.surrogates.cell_fit import BlockFit, fit_blocks
from imccircuit.surrogates.cell_law import CellLaw
from imccircuit.surrogates.data import Measured, choose

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# An error counts relative to the current, but not below this share of the cell's largest.
_FLOOR = 0.01
_CELLS_FOR_LAW = 24
# Weights that hold numbers near their start, in units of the relative error of a point.
_PRIOR_PHYSICAL = 1e-3
# Without a transistor the law is nearly exact, and its residual is the last thing to move.
_PRIOR_RESIDUAL, _PRIOR_RESIDUAL_ALONE = 0.03, 1.0
_PRIOR_OWN = np.array([0.0, 0.1, 0.03])
_FIXED = 1e6
_START = np.array([0.0, 0.4, 1.3, np.log(1e-3), -1.0, 0.05, -1.0])


@dataclass(frozen=True)
class CellData:
    """Currents at all points whose bit-line voltage is not 0 (there they are 0 by the law).

    Attributes
    ----------
    current : (chip, level, cell, point) in A.
    bit_v, word_v : (point,) voltages in V; the word line's 0 without a transistor.
    law : what the numbers of a fit mean.
    varied : quantities of the recipe that vary from chip to chip.
    """

    current: Floats
    bit_v: Floats
    word_v: Floats
    law: CellLaw
    varied: frozenset[str]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Chips, levels, cells of a level."""
        chips, levels, cells = self.current.shape[:3]
        return chips, levels, cells

    @property
    def points(self) -> int:
        """Points that are not at 0 V."""
        return len(self.bit_v)

    @property
    def own_count(self) -> int:
        """Numbers of a cell that are free."""
        return 3 if self.law.gated and "transistor" in self.varied else 1


def data_of(measured: Measured) -> CellData:
    """Currents of a results file of bench ``cell_iv``.

    Raises
    ------
    UsageError : it is of another bench.
    """
    parameters = measured.parameters
    if not isinstance(parameters, CellParameters):
        raise UsageError(f"{measured.results.path} holds no I-V curves of cells")
    bit = measured.arrays["bit_line_voltage"][0]
    word = measured.arrays["word_line_voltage"][0] if parameters.has_transistors else None
    law = CellLaw.of(bit, word, parameters.conditions.temperature)
    gates = np.zeros(1) if word is None else word
    word_v, bit_v = (grid.ravel() for grid in np.meshgrid(gates, bit, indexing="ij"))
    current = measured.arrays["cell_current"]
    current = current.reshape(*current.shape[:3], -1)
    kept = bit_v != 0
    varied = frozenset(measured.recipe.common.variation.quantities)
    return CellData(current[..., kept], bit_v[kept], word_v[kept], law, varied)


def calibration_of(data: CellData) -> Mask:
    """Points (point,) at which a held-out chip shows its cells' own numbers: a third of them."""
    size = max(data.own_count + 1, round(data.points / 3))
    return choose(data.points, min(size, data.points - 1))


def fit_law(data: CellData, chips: Mask, points: Mask) -> BlockFit:
    """Numbers that all cells share, from some cells of these chips at these points."""
    _, levels, cells = data.shape
    use = np.flatnonzero(chips)[: max(1, _CELLS_FOR_LAW // (levels * cells))]
    current = data.current[use][..., points].reshape(-1, np.count_nonzero(points))
    physical, coefficients = len(data.law.physical), data.law.coefficients
    start = np.concatenate([_START[:physical], np.zeros(coefficients)])
    ridge = _PRIOR_RESIDUAL if data.law.gated else _PRIOR_RESIDUAL_ALONE
    prior = np.concatenate([np.full(physical, _PRIOR_PHYSICAL), np.full(coefficients, ridge)])
    # b is in 1/V² and its scale is that of the voltages.
    prior[0] *= data.law.scale_v**2
    return _fit(data, current, points, start, prior, fix_shared=False)


def fit_own(
    data: CellData, shared: Floats, chips: Mask, points: Mask, known: Floats | None = None
) -> Floats:
    """Own numbers (chip, level, cell, own) of these chips from these points.

    Parameters
    ----------
    known : (level,) logarithm of the conductance where that does not vary; None where it does.
    """
    _, levels, cells = data.shape
    current = data.current[chips][..., points].reshape(-1, np.count_nonzero(points))
    fixed = None if known is None else np.tile(np.repeat(known, cells), np.count_nonzero(chips))
    found = _fit(data, current, points, shared, np.zeros(len(shared)), fixed, fix_shared=True)
    return found.own.reshape(-1, levels, cells, len(data.law.own))


def known_conductance(data: CellData, law: BlockFit) -> Floats | None:
    """Logarithm (level,) of the conductance that all cells of a level have; None if they vary."""
    if "conductance" in data.varied:
        return None
    _, levels, cells = data.shape
    return np.asarray(law.own[:, 0].reshape(-1, levels, cells).mean(axis=(0, 2)))


def _fit(
    data: CellData, current: Floats, points: Mask, shared: Floats, prior: Floats,
    known: Floats | None = None, *, fix_shared: bool,
) -> BlockFit:  # fmt: skip
    bit, word = data.bit_v[points], data.word_v[points]
    scale = np.abs(current) + _FLOOR * np.abs(current).max(axis=1, keepdims=True)

    def residual(numbers: Floats, own: Floats) -> Floats:
        found = data.law.current(numbers, own[:, None, :], bit, word)
        return np.asarray((found - current) / scale)

    def jacobian(numbers: Floats, own: Floats, count: int) -> tuple[Floats, Floats]:
        found = data.law.derivatives(numbers, own[:, None, :], bit, word, count)
        return found[0] / scale[..., None], found[1] / scale[..., None]

    prior_own = _PRIOR_OWN[: len(data.law.own)].copy()
    prior_own[data.own_count :] = _FIXED
    start = _start_of(data.law, current, bit, word)
    if known is not None:
        start[:, 0], prior_own[0] = known, _FIXED
    return fit_blocks(
        residual,
        jacobian,
        shared,
        start,
        prior_shared=prior,
        prior_own=prior_own,
        fix_shared=fix_shared,
    )


def _start_of(law: CellLaw, current: Floats, bit: Floats, word: Floats) -> Floats:
    """Conductance where the gate is highest, no deviation of the transistor: (cell, own)."""
    best = word == word.max()
    slope = (current[:, best] @ bit[best]) / (bit[best] @ bit[best])
    own = np.zeros((len(current), len(law.own)))
    own[:, 0] = np.log(np.maximum(slope, 1e-15))
    return own


def predict(data: CellData, shared: Floats, own: Floats) -> Floats:
    """Currents (chip, level, cell, point) in A at all points of the data."""
    return data.law.current(shared, own[..., None, :], data.bit_v, data.word_v)
