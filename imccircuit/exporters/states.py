"""States of a memory cell out of programmed crossbars, for targets that take a table of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.content import Content

Floats = NDArray[np.float64]

# Weights of the fit follow the fitted variance: they stand still after a few rounds.
_ROUNDS = 5


@dataclass(frozen=True)
class States:
    """Evenly spaced states, lowest conductance first.

    Attributes
    ----------
    mean_s : (state,) conductance in S.
    sigma_s : (state,) standard deviation from chip to chip in S; 0 where one chip was measured.
    how : what was done, one line.
    """

    mean_s: Floats
    sigma_s: Floats
    how: str


def cell_states(content: Content, count: int) -> States:
    """States of a crossbar's cells.

    The programmed conductances are targets of their own, not states: the states are ``count``
    values, evenly spaced from the lowest to the highest conductance (each cell's mean over chips),
    as the targets assume. Their spread is `spread_law` at these values.

    Parameters
    ----------
    content : of kind crossbar, ``conductance`` (chip, row, col) in S.
    count : number of states, 2 or more.
    """
    conductance = np.asarray(content.arrays["conductance"].values, dtype=np.float64)
    chips = len(conductance)
    mean = conductance.mean(axis=0).ravel()
    states = np.linspace(mean.min(), mean.max(), count)
    if chips == 1:
        how = "evenly spaced over the cells' conductances; one chip was measured: no spread"
        return States(states, np.zeros(count), how)
    fixed, relative = spread_law(mean, conductance.var(axis=0, ddof=1).ravel())
    how = (
        f"evenly spaced over the cells' conductances; variance over {chips} chips fitted with a "
        "constant and a part that goes with the conductance squared"
    )
    return States(states, np.sqrt(fixed + relative * states**2), how)


def spread_law(mean_s: Floats, variance: Floats) -> tuple[float, float]:
    """Terms a in S² and b of variance = a + b · conductance², not below 0, by least squares.

    Each variance is as uncertain as it is large (a χ² law), so it is weighted with the inverse of
    its fitted value.

    Parameters
    ----------
    mean_s : (cell,) mean conductances in S.
    variance : (cell,) variances in S², estimated from the same number of chips.
    """
    from scipy.optimize import nnls

    size = float(np.max(np.abs(mean_s))) or 1.0
    terms = np.stack([np.ones(len(mean_s)), (mean_s / size) ** 2], axis=1)
    found = np.array([float(np.mean(variance)) / size**2, 0.0])
    for _ in range(_ROUNDS):
        fitted = terms @ found
        weight = 1 / np.maximum(fitted, 1e-6 * np.max(fitted) or 1.0)
        found, _ = nnls(terms * weight[:, None], variance / size**2 * weight)
    return float(found[0]) * size**2, float(found[1])
