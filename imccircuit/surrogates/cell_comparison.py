"""Whether a fitted population of cells agrees with cells of chips that the fit never saw.

All figures are of normal scores, so they are in units of the fitted spread. For each level: the
scores' mean, which is 0 for a right population, and their standard deviation about it, which is
1. For all levels together, what cells of a chip have in common: the spread over chips of the mean
of a chip, of its levels within it, and of its places (one cell of every level) within it.

How far chance alone moves these figures is simulated: fitted and other cells are drawn from the
model, the laws' moments fitted anew, and the figures computed as from measured cells. An
interval is what the simulated quantiles leave possible. One wrong level of many must show, so
the worst counts, and the 5 % of each end are divided by the number of figures that are looked at
together (Bonferroni). A population that is not shown to be right is not thereby wrong: it is
contradicted where chance alone would be as far off in less than 1 % of cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from imccircuit.devices.laws import LAWS
from imccircuit.surrogates.cell_correlation import Shares
from imccircuit.surrogates.cell_population import (
    EMPIRICAL,
    CellSpread,
    score,
    shares,
    table_ends,
)

Floats = NDArray[np.float64]

CONFIDENCE = 0.90
CERTAIN = 0.99
CONTRASTS = ("chips", "levels of a chip", "places of a chip")
_REPLICATES = 2000
_FEWEST_REPLICATES = 400
_SEED = 20_161_121
# Numbers drawn for one level: at a time, which bounds the memory, and in all.
_BLOCK = 1_000_000
_MOST = 40_000_000
_GRID = np.linspace(-7.0, 7.0, 2801)
_LEAST_CV_MARGIN = 1e-3


@dataclass(frozen=True)
class Finding:
    """One figure of held-out cells against the fitted population.

    Attributes
    ----------
    value : estimate: a shift in fitted standard deviations, or a ratio of spreads.
    low, high : ends of its interval, 90 % for all figures that are looked at together.
    size : shift or factor within which the fitted population is shown to be right.
    contradicted : whether chance makes a right population as far off in less than 1 % of cases,
        all figures of all quantities together.
    """

    value: float
    low: float
    high: float
    size: float
    contradicted: bool

    def __str__(self) -> str:
        """Value with its interval."""
        return f"{self.value:.2g} ({self.low:.2g} to {self.high:.2g})"


@dataclass(frozen=True)
class Figures:
    """Figures of scores; the leading axes are those of the scores.

    Attributes
    ----------
    mean, sd : (…, level).
    contrasts : (…, contrast) standard deviations of `CONTRASTS`; only the first with one level or
        one cell a level.
    """

    mean: Floats
    sd: Floats
    contrasts: Floats


@dataclass(frozen=True)
class Comparison:
    """Held-out cells of one quantity against the fitted population.

    Attributes
    ----------
    levels : numbers of the levels that vary.
    shifts, ratios : mean and spread of each of these.
    contrasts : for each of `CONTRASTS` that can be told.
    """

    levels: tuple[int, ...]
    shifts: tuple[Finding, ...]
    ratios: tuple[Finding, ...]
    contrasts: tuple[Finding, ...]


def figures_of(scores: Floats) -> Figures:
    """Figures of scores (…, chip, level, cell)."""
    mean = scores.mean(axis=(-3, -1))
    count = scores.shape[-3] * scores.shape[-1]
    centred = scores - mean[..., None, :, None]
    sd = np.sqrt(np.sum(centred**2, axis=(-3, -1)) / (count - 1))
    of_level, of_place = centred.mean(axis=-1), centred.mean(axis=-2)
    of_chip = of_level.mean(axis=-1, keepdims=True)
    parts = [of_chip]
    if min(scores.shape[-2:]) > 1:
        parts += [of_level - of_chip, of_place - of_chip]
    contrasts = [np.sqrt(np.mean(part**2, axis=(-2, -1))) for part in parts]
    return Figures(mean, sd, np.stack(contrasts, axis=-1))


def compare(
    spread: CellSpread, values: Floats, fitted_chips: int, *, levels: int, contrasts: int
) -> Comparison:
    """Compare held-out cells with the population.

    Parameters
    ----------
    spread : the population.
    values : (chip, level, cell) of the quantity on held-out chips.
    fitted_chips : number of chips that the population was fitted to.
    levels, contrasts : number of levels, and of contrasts, over all quantities that are looked at
        together.
    """
    here = figures_of(spread.scores(values))
    chips, _, cells = values.shape
    drawn = simulate(spread, cells, fitted_chips, chips)
    together = 2 * levels + contrasts
    return Comparison(
        tuple(int(k) for k in spread.levels),
        _find(here.mean, drawn.mean, levels, together, ratio=False),
        _find(here.sd, drawn.sd, levels, together, ratio=True),
        _find(here.contrasts, drawn.contrasts, contrasts, together, ratio=True),
    )


def simulate(spread: CellSpread, cells: int, fitted: int, others: int) -> Figures:
    """Figures (replicate, …) of other chips of the population, which is fitted anew each time."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(_SEED)))
    count = len(spread.levels)
    size = (fitted + others) * cells
    replicates = int(np.clip(_MOST // (size * count), _FEWEST_REPLICATES, _REPLICATES))
    block = max(1, min(replicates, _BLOCK // size))
    found = []
    for start in range(0, replicates, block):
        shape = (min(block, replicates - start), fitted + others, cells)
        drawn = _draw(generator, spread.shared, shape, count)
        of_levels = [
            _scores_anew(spread, level, z[:, :fitted], z[:, fitted:])
            for level, z in zip(spread.levels, drawn, strict=True)
        ]
        found.append(figures_of(np.stack(of_levels, axis=2)))
    return Figures(*(
        np.concatenate([getattr(figures, part) for figures in found])
        for part in ("mean", "sd", "contrasts")
    ))  # fmt: skip


def _draw(
    generator: np.random.Generator, shared: Shares, shape: tuple[int, int, int], levels: int
) -> Iterator[Floats]:
    """Scores (replicate, chip, cell) of one level after the other."""
    chip = generator.standard_normal((*shape[:2], 1)) if shared.chip else np.zeros(1)
    place = generator.standard_normal(shape) if shared.cell else np.zeros(1)
    for _ in range(levels):
        level = generator.standard_normal((*shape[:2], 1)) if shared.level else np.zeros(1)
        yield shared.combine(chip, level, place, generator.standard_normal(shape))


def _scores_anew(spread: CellSpread, level: int, fitted: Floats, others: Floats) -> Floats:
    """Scores of other cells by a law fitted to the fitted ones; all (replicate, chip, cell)."""
    replicates = len(fitted)
    name = spread.laws[level]
    if name == EMPIRICAL:
        # Ranks do not change with the law, so its scores are a table's of Gaussian numbers.
        flat = fitted.reshape(replicates, -1)
        tables = np.quantile(flat, shares(), axis=1, method="hazen").T
        rows = zip(others, tables, flat.std(axis=1, ddof=1), strict=True)
        return np.stack([_by_table(z, table, float(sd)) for z, table, sd in rows])
    law, mean, sd = LAWS[name], spread.mean[level], spread.sd[level]
    values = law.quantile(special.ndtr(_GRID), mean, sd)
    seen, new = np.interp(fitted, _GRID, values), np.interp(others, _GRID, values)
    again = seen.mean(axis=(1, 2), keepdims=True)
    most = law.max_cv * (1 - _LEAST_CV_MARGIN) * np.abs(again) if law.positive else np.inf
    scatter = np.minimum(seen.reshape(replicates, -1).std(axis=1, ddof=1)[:, None, None], most)
    return score(law, new, again, scatter)


def _by_table(values: Floats, table: Floats, sd: float) -> Floats:
    """Score by a table of quantiles, continued as `score` does."""
    known = special.ndtri(shares())
    edge, inner = table_ends()
    reach = int(np.searchsorted(known, inner - 1e-9)) - len(known)
    found = np.interp(values, table, known)
    for sign, end, before in ((-1.0, table[0], table[-reach - 1]), (1.0, table[-1], table[reach])):
        slope = max(sign * (end - before) / (edge - inner), sd)
        beyond = sign * (values - end)
        found = np.where(beyond > 0, sign * (edge + beyond / slope), found)
    return np.asarray(found)


def _find(
    here: Floats, drawn: Floats, alike: int, together: int, *, ratio: bool
) -> tuple[Finding, ...]:
    """Findings from figures (figure,) and simulated ones (replicate, figure)."""
    tail, rare = (1 - CONFIDENCE) / 2 / alike, (1 - CERTAIN) / 2 / together
    quantiles = np.quantile(drawn, [rare, tail, 0.5, 1 - tail, 1 - rare], axis=0)
    found = []
    for value, column in zip(here.tolist(), quantiles.T.tolist(), strict=True):
        least, low, middle, high, most = column
        wrong = not least <= value <= most
        if ratio:
            ends = value / middle, value / high, value / low
            size = max(ends[2], 1 / ends[1]) if ends[1] > 0 else float("inf")
        else:
            ends = value - middle, value - high, value - low
            size = max(abs(ends[1]), abs(ends[2]))
        found.append(Finding(*ends, size, wrong))
    return tuple(found)
