"""Measured points beyond those of a results file: what a surrogate asks for, and fits to all.

A surrogate only proposes: it names a key of the recipe and the values at which it is least sure.
Whoever runs the simulator measures the same chips there, in a results file of its own. Held-out
chips stay held out in all files, and a proposal never looks at them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Along
from imccircuit.errors import UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates.base import REFINED, Surrogate
from imccircuit.surrogates.conditions import with_conditions
from imccircuit.surrogates.data import Measured, file_sha256, held_out, measured_point
from imccircuit.surrogates.fit import with_open_gates
from imccircuit.surrogates.registry import get_kind

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Proposal:
    """Where a surrogate wants to be measured.

    Attributes
    ----------
    key : key of the recipe that lists the values of one axis.
    dim, coordinate : that axis in the results, and the variable with its values.
    values : wanted, in ``unit``.
    unit : SI unit.
    doubt : how far the surrogate may be off there, by its own estimate.
    doubt_unit : of that, as of the gate ``max_error``: ``1`` for a share of full scale, or ``LSB``.
    """

    key: str
    dim: str
    coordinate: str
    values: tuple[float, ...]
    unit: str
    doubt: float
    doubt_unit: str = "1"


def choose_between(
    values: Floats, error_without: Callable[[int], float], finest: float, count: int
) -> tuple[tuple[float, ...], float]:
    """Choose the middles of those intervals in which a fitted curve is worst.

    A value that is left out is the one place between two others where the truth is known. Its
    error e_i is that of an interval as wide as both of its own together, and the error of an
    interpolation goes with the square of the width (that of any piecewise curve of first order
    on), so an interval of width h is given the sum of e_i·(h/w_i)² of its two ends, w_i being the
    width without i. The ends of the axis cannot be left out; their neighbours stand in for them.

    Parameters
    ----------
    values : (value,) measured, ascending.
    error_without : index of a value → largest error there of a fit that did not see it.
    finest : no interval is cut into parts narrower than this.
    count : how many to choose.

    Returns
    -------
    Values to measure, ascending, and the largest e_i beside an interval that has room for one, 0 if
    none has: an upper estimate, for e_i is of a gap twice as wide.
    """
    last = len(values) - 1
    error = np.array([0.0, *(error_without(index) for index in range(1, last)), 0.0])
    width = np.diff(values)
    both = np.array([1.0, *(width[1:] + width[:-1]), 1.0])
    # An end says nothing of its own, so its interval takes the other's word for it.
    share = error / both**2
    share[0], share[-1] = share[1], share[-2]
    score = (share[:-1] + share[1:]) * width**2
    score[width < 2 * finest * (1 - 1e-9)] = -1.0
    room = score >= 0
    doubt = np.maximum(error[:-1], error[1:])[room].max(initial=0.0)
    chosen = [int(side) for side in np.argsort(-score, kind="stable")[:count] if score[side] >= 0]
    middles = [values[side] + finest * round(width[side] / 2 / finest) for side in chosen]
    return tuple(sorted(float(m) for m in middles)), float(doubt)


def measured_once(path: Path) -> Measured:
    """Chips of a results file of one point, with enough of them to hold some out.

    Raises
    ------
    UsageError : it has several points, or too few chips.
    """
    measured = measured_point(read_results(path))
    if measured.recipe.axes:
        raise UsageError(f"{path} is a sweep; allowed to refine: a results file of one point")
    if held_out(measured.chips) is None:
        raise UsageError(
            f"{path} has {measured.chips} chips, too few to hold some out of the refinement; "
            "allowed: 10 chips on"
        )
    return measured


def merge(first: Measured, others: Sequence[Measured], proposal: Proposal) -> Measured:
    """Measurements of the same chips at all values of one axis, in rising order.

    Quantities that have no such axis are those of the first file.

    Raises
    ------
    UsageError : other chips are good in one file than in another, or a value was measured twice.
    """
    for other in others:
        if not np.array_equal(first.samples, other.samples):
            raise UsageError(
                f"{other.results.path} has other good chips than {first.results.path}, so that "
                "what was held out would be seen; run both again"
            )
    sources = [first, *others]
    along = np.concatenate([_along(m, proposal) for m in sources])
    order = np.argsort(along)
    arrays = dict(first.arrays)
    for name, dims in first.dims.items():
        if proposal.dim in dims:
            axis = 1 + dims.index(proposal.dim)
            joined = np.concatenate([m.arrays[name] for m in sources], axis=axis)
            arrays[name] = np.take(joined, order, axis=axis)
    if np.any(np.diff(along[order]) <= 0):
        raise UsageError(f"{first.results.path}: a value of {proposal.key} was measured twice")
    arrays[proposal.coordinate] = np.tile(along[order], (first.chips, 1))
    return replace(first, arrays=arrays)


def _along(measured: Measured, proposal: Proposal) -> Floats:
    """Values of the axis: a measured variable, or the bench's coordinate."""
    if proposal.coordinate in measured.arrays:
        return np.asarray(measured.arrays[proposal.coordinate][0], dtype=np.float64)
    along = measured.recipe.bench.coordinates(measured.parameters)[proposal.dim]
    return np.asarray(along.values if isinstance(along, Along) else along, dtype=np.float64)


def fit_refined(merged: Measured, others: Sequence[Measured]) -> Surrogate:
    """Fit to merged measurements; the digests of all files stand in the model.

    Raises
    ------
    UsageError : no surrogate describes the bench, or nothing can be fitted.
    """
    bench = merged.recipe.bench
    if not bench.surrogate:
        raise UsageError(f"{merged.results.path} is of bench {bench.name}, of no surrogate")
    model = get_kind(bench.surrogate).fit(merged)
    verdict = with_open_gates(model.verdict, model, bench)
    model = with_conditions(type(model)(replace(model.model, verdict=verdict)), merged)
    if not others:
        return model
    sources = [
        {
            "results_digest": other.results.provenance.digest,
            "results_sha256": file_sha256(other.results.path),
        }
        for other in others
    ]
    settings = {**model.model.settings, REFINED: json.dumps(sources)}
    return type(model)(replace(model.model, settings=settings))
