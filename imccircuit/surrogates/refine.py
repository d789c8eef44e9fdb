"""Measured points beyond those of a results file: what a surrogate asks for, and fits to all.

A surrogate only proposes: it names a key of the recipe and the values at which it is least sure.
Whoever runs the simulator measures the same chips there, in a results file of its own. Held-out
chips stay held out in all files, and a proposal never looks at them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from imccircuit.errors import UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates.base import REFINED, Surrogate
from imccircuit.surrogates.data import Measured, file_sha256, held_out, measured_point
from imccircuit.surrogates.registry import get_kind


@dataclass(frozen=True)
class Proposal:
    """Where a surrogate wants to be measured.

    Attributes
    ----------
    key : key of the recipe that lists the values of one axis.
    dim, coordinate : that axis in the results, and the variable with its values.
    values : wanted, in ``unit``.
    unit : SI unit.
    doubt : how far the surrogate may be off there as a share of full scale, by its own estimate.
    """

    key: str
    dim: str
    coordinate: str
    values: tuple[float, ...]
    unit: str
    doubt: float


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
    order = np.argsort(np.concatenate([m.arrays[proposal.coordinate][0] for m in sources]))
    arrays = dict(first.arrays)
    for name, dims in first.dims.items():
        if proposal.dim in dims:
            axis = 1 + dims.index(proposal.dim)
            joined = np.concatenate([m.arrays[name] for m in sources], axis=axis)
            arrays[name] = np.take(joined, order, axis=axis)
    if np.any(np.diff(arrays[proposal.coordinate][0]) <= 0):
        raise UsageError(f"{first.results.path}: a value of {proposal.key} was measured twice")
    return replace(first, arrays=arrays)


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
