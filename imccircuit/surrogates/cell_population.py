"""Spread of the numbers that each cell has of its own, over cells and chips.

A quantity follows one law for each level; the cells of a chip may deviate together
(`imccircuit.surrogates.cell_correlation`). Laws are positive where the quantity is. Of the laws
with two moments the one nearest to the fitted cells is taken, by the distance of Kolmogorov and
Smirnov; if even that is farther than chance allows (Lilliefors: 0.886/√n at 5 %), the quantiles
of the cells themselves are the law.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from imccircuit.devices.draws import Draws
from imccircuit.devices.empirical import Empirical
from imccircuit.devices.laws import LAWS, Law
from imccircuit.surrogates.cell_correlation import Shares, estimate_shares

Floats = NDArray[np.float64]

POSITIVE = ("truncated_normal", "lognormal", "gamma")
EMPIRICAL = "empirical"
_SHARES = 64
_LILLIEFORS = 0.886
# Relative deviation below which cells do not differ: what a solver leaves.
_NO_SPREAD = 1e-6
# Score beyond which a law's tail is continued as a straight line: a cdf has digits up to there.
_TAIL = 4.0
_TAIL_STEP = 0.5
# Points of a table that tell the slope of its end.
_END = 4
# Relative distance at which a step of a cdf is looked at from both sides.
_STEP = 1e-9


@dataclass(frozen=True)
class CellSpread:
    """One quantity of all levels.

    Attributes
    ----------
    laws : (level,) names: of `LAWS`, or ``empirical``.
    mean, sd : (level,) in the unit of the quantity; a level of sd 0 does not vary.
    quantiles : (level, share) at `shares`, of the cells that were fitted.
    shared : what the cells of one chip have in common.
    """

    laws: tuple[str, ...]
    mean: Floats
    sd: Floats
    quantiles: Floats
    shared: Shares

    @property
    def varies(self) -> bool:
        """Whether any level does."""
        return bool(np.any(self.sd > 0))

    @property
    def levels(self) -> NDArray[np.intp]:
        """Numbers of the levels that vary."""
        return np.flatnonzero(self.sd > 0)

    def law(self, level: int) -> Law:
        """Law of a level."""
        if self.laws[level] == EMPIRICAL:
            return Empirical(shares(), self.quantiles[level])
        return LAWS[self.laws[level]]

    def draw(self, draws: Draws, name: str, cells: int) -> Floats:
        """Values (level, cell) of one chip, from its streams of that name."""
        scores = self.shared.draw(draws, name, len(self.mean), cells)
        # Φ of a large score rounds to 1, where a quantile would be infinite.
        u = np.clip(special.ndtr(scores), 2.0**-54, 1 - 2.0**-53)
        found = np.empty(u.shape)
        for k, (mean, sd) in enumerate(zip(self.mean, self.sd, strict=True)):
            found[k] = self.law(k).quantile(u[k], mean, sd) if sd > 0 else mean
        return found

    def scores(self, values: Floats) -> Floats:
        """Normal scores (chip, level that varies, cell) of values (chip, level, cell)."""
        found = [score(self.law(k), values[:, k], self.mean[k], self.sd[k]) for k in self.levels]
        return np.stack(found, axis=1)

    def changes(self, values: Floats) -> bool:
        """Whether a level that does not vary here differs in values (chip, level, cell)."""
        still = np.flatnonzero(self.sd == 0)
        if not still.size:
            return False
        mean = self.mean[still, None]
        # A hundred times what counts as no spread: the fit of a single cell leaves more than
        # that of all. The law of a normal quantity, with mean near 0, counts in units of 1 mV.
        size = np.where(np.array(self.laws)[still, None] == "normal", 1e-3, 0.0)
        limit = 100 * _NO_SPREAD * np.maximum(np.abs(mean), size)
        return bool(np.any(np.abs(values[:, still] - mean) > limit))


def shares() -> Floats:
    """Shares at which quantiles are kept."""
    return (np.arange(_SHARES) + 0.5) / _SHARES


def score(law: Law, values: Floats, mean: Floats, sd: Floats) -> Floats:
    """Normal scores Φ⁻¹(F(x)) of values; ``mean`` and ``sd`` broadcast with them.

    Beyond ±4 (beyond its last points for a table, where no quantity is known) the score goes on
    as a straight line with the slope of the law's end, so that a value far outside the law counts
    as far outside. The end of a table may be flat, its slope is at least one standard deviation.
    """
    empirical = isinstance(law, Empirical)
    edge, inner = table_ends() if empirical else (_TAIL, _TAIL - _TAIL_STEP)
    least = np.asarray(sd) * (1.0 if empirical else 1e-9)
    # Where many values are equal, the middle of the step.
    spots = (values * (1 - _STEP), values * (1 + _STEP)) if empirical else (values,)
    share = sum(law.cdf(spot, mean, sd) for spot in spots) / len(spots)
    found = special.ndtri(np.clip(share, special.ndtr(-edge), special.ndtr(edge)))
    for sign in (-1.0, 1.0):
        end, before = (law.quantile(special.ndtr(sign * z), mean, sd) for z in (edge, inner))
        slope = np.maximum(sign * (end - before) / (edge - inner), least)
        beyond = sign * (values - end)
        found = np.where(beyond > 0, sign * (edge + beyond / slope), found)
    return np.asarray(found)


def table_ends() -> tuple[float, float]:
    """Scores of the last share of a table, and of the one from which its end's slope is taken."""
    known = special.ndtri(shares())
    return float(known[-1]), float(known[-_END])


def fit_spread(values: Floats, *, positive: bool) -> CellSpread:
    """Spread of values (chip, level, cell).

    Parameters
    ----------
    positive : the quantity is above 0; else its law is a normal one.
    """
    levels = values.shape[1]
    flat = np.swapaxes(values, 0, 1).reshape(levels, -1)
    mean, sd = flat.mean(axis=1), flat.std(axis=1, ddof=1)
    size = np.abs(mean) if positive else np.full(levels, 1e3 * _NO_SPREAD)
    sd = np.where(sd > _NO_SPREAD * size, sd, 0.0)
    names = tuple(
        _choose(np.sort(row), float(m), float(s)) if positive and s > 0 else "normal"
        for row, m, s in zip(flat, mean, sd, strict=True)
    )
    quantiles = np.quantile(flat, shares(), axis=1, method="hazen").T
    found = CellSpread(names, mean, sd, quantiles, Shares())
    for k, name in enumerate(names):
        if name == EMPIRICAL:
            table = Empirical(shares(), quantiles[k])
            # The moments of the kept quantiles, so that draws are the table again.
            mean[k], sd[k] = table.mean, table.cv * table.mean
    if found.varies:
        found = replace(found, shared=estimate_shares(found.scores(values)))
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
