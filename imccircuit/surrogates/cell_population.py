"""Spread of the numbers that each cell has of its own, over cells and chips.

A quantity follows one law for each level; within a chip the cells of a level may deviate together
(correlation ρ of their normal scores). Laws are positive where the quantity is. Of the laws with
two moments the one nearest to the fitted cells is taken, by the distance of Kolmogorov and
Smirnov; if even that is farther than chance allows (Lilliefors: 0.886/√n at 5 %), the quantiles
of the cells themselves are the law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from imccircuit.devices.draws import Draws
from imccircuit.devices.empirical import Empirical
from imccircuit.devices.groups import Group
from imccircuit.devices.laws import LAWS, Law

Floats = NDArray[np.float64]

POSITIVE = ("truncated_normal", "lognormal", "gamma")
EMPIRICAL = "empirical"
_SHARES = 64
_LILLIEFORS = 0.886
# Relative deviation below which cells do not differ: what a solver leaves.
_NO_SPREAD = 1e-6
_SIGNIFICANT = 3.0


@dataclass(frozen=True)
class CellSpread:
    """One quantity of all levels.

    Attributes
    ----------
    laws : (level,) names: of `LAWS`, or ``empirical``.
    mean, sd : (level,) in the unit of the quantity; a level of sd 0 does not vary.
    quantiles : (level, share) at `shares`, of the cells that were fitted.
    correlation : of two cells of one level and chip.
    cells : number of cells of a level that the law comes from.
    """

    laws: tuple[str, ...]
    mean: Floats
    sd: Floats
    quantiles: Floats
    correlation: float
    cells: int

    @property
    def varies(self) -> bool:
        """Whether any level does."""
        return bool(np.any(self.sd > 0))

    def law(self, level: int) -> Law:
        """Law of a level."""
        if self.laws[level] == EMPIRICAL:
            return Empirical(shares(), self.quantiles[level])
        return LAWS[self.laws[level]]

    def draw(self, draws: Draws, name: str, cells: int) -> Floats:
        """Values (level, cell) of one chip, from its stream of that name."""
        group = Group(self.correlation, "row")
        u = group.uniform(draws.generator(name), (len(self.mean), cells))
        found = np.empty(u.shape)
        for k, (mean, sd) in enumerate(zip(self.mean, self.sd, strict=True)):
            found[k] = self.law(k).quantile(u[k], mean, sd) if sd > 0 else mean
        return found

    def scores(self, values: Floats) -> Floats:
        """Normal scores (chip, level that varies, cell) of values (chip, level, cell)."""
        # What lies beyond the fitted cells is as far out as one cell in their number can tell.
        edge = 0.5 / self.cells
        found = [
            special.ndtri(np.clip(self.law(k).cdf(values[:, k], mean, sd), edge, 1 - edge))
            for k, (mean, sd) in enumerate(zip(self.mean, self.sd, strict=True))
            if sd > 0
        ]
        return np.stack(found, axis=1)


def shares() -> Floats:
    """Shares at which quantiles are kept."""
    return (np.arange(_SHARES) + 0.5) / _SHARES


def fit_spread(values: Floats, *, positive: bool) -> CellSpread:
    """Spread of values (chip, level, cell).

    Parameters
    ----------
    positive : the quantity is above 0; else its law is a normal one.
    """
    chips, levels, cells = values.shape
    flat = np.swapaxes(values, 0, 1).reshape(levels, -1)
    mean, sd = flat.mean(axis=1), flat.std(axis=1, ddof=1)
    size = np.abs(mean) if positive else np.full(levels, 1e3 * _NO_SPREAD)
    sd = np.where(sd > _NO_SPREAD * size, sd, 0.0)
    names = tuple(
        _choose(np.sort(row), float(m), float(s)) if positive and s > 0 else "normal"
        for row, m, s in zip(flat, mean, sd, strict=True)
    )
    quantiles = np.quantile(flat, shares(), axis=1, method="hazen").T
    found = CellSpread(names, mean, sd, quantiles, 0.0, chips * cells)
    for k, name in enumerate(names):
        if name == EMPIRICAL:
            table = Empirical(shares(), quantiles[k])
            # The moments of the kept quantiles, so that draws are the table again.
            mean[k], sd[k] = table.mean, table.cv * table.mean
    if cells > 1 and found.varies:
        rho = _correlation(found.scores(values))
        found = CellSpread(names, mean, sd, quantiles, rho, chips * cells)
    return found


def _choose(ordered: Floats, mean: float, sd: float) -> str:
    """Name of the law nearest to sorted values, or ``empirical``."""
    count = len(ordered)
    steps = np.arange(count + 1) / count
    distance = {}
    for name in POSITIVE:
        if sd / mean <= LAWS[name].max_cv:
            below = LAWS[name].cdf(ordered, mean, sd)
            gap = max(np.max(steps[1:] - below), np.max(below - steps[:-1]))
            distance[name] = float(gap)
    nearest = min(distance, key=distance.__getitem__, default=EMPIRICAL)
    if distance.get(nearest, 1.0) * np.sqrt(count) <= _LILLIEFORS:
        return nearest
    return EMPIRICAL


def _correlation(scores: Floats) -> float:
    """Correlation within (chip, level) of scores (chip, level, cell); 0 if chance explains it."""
    chips, levels, cells = scores.shape
    pairs = cells * (cells - 1)
    product = (scores.sum(axis=2) ** 2 - (scores**2).sum(axis=2)) / pairs
    rho = float(product.mean() / np.mean(scores**2))
    chance = np.sqrt(2 / (pairs * chips * levels))
    return min(rho, 0.999) if rho > _SIGNIFICANT * chance else 0.0
