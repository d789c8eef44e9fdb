"""A warning where whole conversions contradict the static levels of a converter."""

from __future__ import annotations

import json

import numpy as np

from imccircuit.results.read import Results
from imccircuit.units import parse_quantity

# Where a bench has no gate of its own: what a static level is trusted to.
_USUAL_LSB = 0.1
_ROUNDING = 1e-6
_GATE = "gates.max_error"


def loop_warnings(results: Results) -> list[str]:
    """One line a results file in which the closed loop is farther from the levels than allowed.

    Allowed is ``gates.max_error``, 0.1 LSB where a bench has none. Compared is
    ``static_against_loop``; where that is not measured, ``loop_difference``, a lower bound of it.
    Whole conversions are the truth, so where they differ the levels are not to be trusted.
    """
    converters = [data for data in results.datasets if "loop_difference" in data]
    if not converters:
        return []
    limit = _limit_lsb(results)
    found: list[tuple[float, int, int]] = []
    measured = 0
    for data in converters:
        apart = np.asarray(data["loop_difference"].values, dtype=np.float64).max(axis=2)
        if "static_against_loop" in data:
            better = data["static_against_loop"].values
            apart = np.where(np.isfinite(better), better, apart)
        good = data["status"].values == 0
        measured += int(np.count_nonzero(good))
        for row, sample in np.argwhere(good & (apart > limit + _ROUNDING)):
            point = int(data["point"].values[row])
            found.append((float(apart[row, sample]), point, int(sample)))
    if not found:
        return []
    worst, point, sample = max(found)
    said = f" ({_GATE})" if _gate(results) is not None else ""
    return [
        f"warning: closed loop and static levels differ by {worst:.3g} LSB (point {point}, sample "
        f"{sample}), {len(found)} of {measured} by more than {limit:g} LSB{said}: trust the "
        "loop, not the levels"
    ]


def _gate(results: Results) -> object:
    """What the recipe says, as it stands; None where the bench has no such gate."""
    gates = json.loads(results.provenance.recipe_resolved).get("gates", {})
    return gates.get(_GATE.partition(".")[2])


def _limit_lsb(results: Results) -> float:
    given = _gate(results)
    if isinstance(given, str):
        return parse_quantity(given, "LSB")
    return float(given) if isinstance(given, int | float) else _USUAL_LSB
