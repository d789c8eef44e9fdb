"""How cells of one chip deviate together: random effects on their normal scores.

    score(chip, level, cell) = √ρ_chip·a(chip) + √ρ_level·b(chip, level) + √ρ_cell·c(chip, cell)
                               + √(1 − ρ_chip − ρ_level − ρ_cell)·e(chip, level, cell)

with independent standard normal a, b, c, e. Two cells of one chip then have the correlation
ρ_chip, and in addition ρ_level if they are of one level, or ρ_cell if they are the same cell of
two levels (a column, where levels are rows). With one cell a level, or one level, only sums of
these can be seen; then all of it is called ρ_chip, which draws the same cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.draws import Draws

Floats = NDArray[np.float64]

# A share is kept where it is so many standard errors above zero.
_SIGNIFICANT = 3.0
_MOST = 0.999


@dataclass(frozen=True)
class Shares:
    """Shares of the variance of the normal scores that cells have in common.

    Attributes
    ----------
    chip, level, cell : ρ of the module, each 0 or more, 1 or less in sum.
    """

    chip: float = 0.0
    level: float = 0.0
    cell: float = 0.0

    @property
    def own(self) -> float:
        """Share that each cell has of its own."""
        return 1.0 - self.chip - self.level - self.cell

    @property
    def possible(self) -> bool:
        """Whether these are shares at all."""
        return min(self.chip, self.level, self.cell, self.own) >= 0

    def combine(self, chip: Floats, level: Floats, cell: Floats, own: Floats) -> Floats:
        """Scores from independent standard normal numbers that broadcast with each other."""
        return np.asarray(
            np.sqrt(self.chip) * chip
            + np.sqrt(self.level) * level
            + np.sqrt(self.cell) * cell
            + np.sqrt(self.own) * own
        )

    def draw(self, draws: Draws, name: str, levels: int, cells: int) -> Floats:
        """Scores (level, cell) of one chip."""
        shapes = ((1, 1), (levels, 1), (1, cells), (levels, cells))
        names = (f"{name} of the chip", f"{name} of a level", f"{name} across levels", name)
        parts = (
            draws.generator(stream).standard_normal(shape)
            for stream, shape in zip(names, shapes, strict=True)
        )
        return self.combine(*parts)


def estimate_shares(scores: Floats) -> Shares:
    """Shares from scores (chip, level, cell) by moments; 0 where chance explains it.

    The mean product of two different cells of one chip is ρ_chip for cells of other levels and
    places, ρ_chip + ρ_level within a level, ρ_chip + ρ_cell at one place of two levels.
    """
    chips, levels, cells = scores.shape
    square = np.sum(scores**2, axis=(1, 2))
    of_level = np.sum(scores.sum(axis=2) ** 2, axis=1)
    of_cell = np.sum(scores.sum(axis=1) ** 2, axis=1)
    of_chip = scores.sum(axis=(1, 2)) ** 2
    variance = float(square.mean()) / (levels * cells)
    if levels == 1 or cells == 1:
        pairs = levels * cells * (levels * cells - 1)
        if pairs == 0:
            return Shares()
        return _limited(chip=_significant((of_chip - square) / (pairs * variance), pairs))
    pairs_level = levels * cells * (cells - 1)
    pairs_cell = levels * cells * (levels - 1)
    pairs_chip = pairs_level * (levels - 1)
    within = (of_level - square) / (pairs_level * variance)
    across = (of_cell - square) / (pairs_cell * variance)
    apart = (of_chip - of_level - of_cell + square) / (pairs_chip * variance)
    chip = _significant(apart, pairs_chip)
    rest = apart if chip else np.zeros(chips)
    return _limited(
        chip, _significant(within - rest, pairs_level), _significant(across - rest, pairs_cell)
    )


def _significant(estimate: Floats, pairs: int) -> float:
    """Mean over chips of an estimate (chip,), 0 if it may be chance.

    Independent cells give it the variance 2/pairs on each chip (``pairs`` counts both orders);
    where something is shared the scatter of the chips tells.
    """
    count = len(estimate)
    error = np.sqrt(max(2 / pairs, float(estimate.var(ddof=1)) if count > 1 else 0.0) / count)
    mean = float(estimate.mean())
    return mean if mean > _SIGNIFICANT * error else 0.0


def _limited(chip: float = 0.0, level: float = 0.0, cell: float = 0.0) -> Shares:
    excess = max((chip + level + cell) / _MOST, 1.0)
    return Shares(chip / excess, level / excess, cell / excess)
