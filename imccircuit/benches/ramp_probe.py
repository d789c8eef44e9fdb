"""Levels of comparators of transistors from when they fire at some inputs.

Level T[k] is the input that a comparator fires at just at edge k, so the input as a function of the
firing time, read at the edges, gives all levels. That function is smooth but for one corner: a
comparator fires no earlier than it has recovered from the reset, so below some input its firing
time stands still. A good counter starts right behind the corner, and a spline through it is 0.05
LSB off at the first codes. Nothing that fires before edge 1 is used, therefore; an input that
fires at that edge is looked for instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from imccircuit.benches.bench import MeasurementError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# How near edge 1 an input must fire for its level to be known. Of inputs that fire within half a
# clock only one counts: the noise of the transient would be all that their distance tells.
_AT_EDGE_CLOCKS = 0.05
_APART_CLOCKS = 0.5
_WIDEST_GAP_CLOCKS = 4.0
_FEWEST = 4
# Inputs towards the first edge in one round. Columns with different offsets need different ones.
_MOST_AT_ONCE = 32


def inputs_towards_first_edge(
    inputs_v: Floats, since_s: Floats, first_s: float, clock_s: float
) -> Floats:
    """Inputs in V that should fire at edge 1, for the columns that have none there yet.

    Parameters
    ----------
    inputs_v : (input,) converted so far, rising.
    since_s : (input, column) when each fired, in s since the ramp's release; inf: never.
    first_s : edge 1, likewise.
    clock_s : between edges, in s.

    Returns
    -------
    inputs_v : (more,), rising; none where every column has fired within 0.05 clocks of the edge,
        or only after it.
    """
    wanted = []
    for late in since_s.T:
        good = _fired(late)
        times, inputs = late[good], inputs_v[good]
        after = int(np.count_nonzero(times < first_s))
        if not 0 < after < len(times) - 1:
            continue
        if np.min(np.abs(times - first_s)) > _AT_EDGE_CLOCKS * clock_s:
            wanted.append(_input_at(first_s, times[after - 1 :], inputs[after - 1 :]))
    if len(wanted) <= _MOST_AT_ONCE:
        return np.unique(wanted)
    return np.linspace(min(wanted), max(wanted), _MOST_AT_ONCE)


def _input_at(first_s: float, times_s: Floats, inputs_v: Floats) -> float:
    """Input that should fire at a time, from one that fires before it and others after it.

    The straight line of the two next after it, for the corner is mostly before it; where that has
    been tried already, the line between the neighbours.
    """
    slope = (inputs_v[2] - inputs_v[1]) / (times_s[2] - times_s[1])
    found = float(inputs_v[1] - slope * (times_s[1] - first_s))
    if inputs_v[0] < found < inputs_v[1]:
        return found
    return float(np.interp(first_s, times_s[:2], inputs_v[:2]))


def levels_at_edges(
    inputs_v: Floats, late_s: Floats, edges_s: Floats, column: int
) -> tuple[Floats, Codes]:
    """Levels (code,) in V of one column, never falling, and which inputs tell them.

    Parameters
    ----------
    inputs_v : (input,) converted, rising.
    late_s : (input,) when each fired, in s since the ramp's release; inf: never.
    edges_s : (code,) edges of the counter, likewise.
    column : what an error calls it.

    Raises
    ------
    MeasurementError : too few inputs fire, or not in order, or none near an end of the edges.
    """
    clock_s = float(edges_s[1] - edges_s[0])
    count = np.count_nonzero(_fired(late_s))
    tells = _tells(late_s, float(edges_s[0]), clock_s)
    late, level = late_s[tells], inputs_v[tells]
    if count < len(inputs_v) // 2 or len(late) < _FEWEST or np.any(np.diff(level) <= 0):
        raise MeasurementError(
            f"the comparator of column {column} fires at {count} of {len(inputs_v)} inputs across "
            "the ramp, or not in order"
        )
    gap = max(late[0] - edges_s[0], edges_s[-1] - late[-1]) / clock_s
    if gap > _WIDEST_GAP_CLOCKS:
        raise MeasurementError(
            f"the comparator of column {column} does not fire within {gap:.3g} LSB of an "
            "end of the ramp; a later count_start, or a faster comparator, may help"
        )
    return np.maximum.accumulate(CubicSpline(late, level)(edges_s)), tells


def _fired(late_s: Floats) -> NDArray[np.bool_]:
    """Fired, and not before the ramp was released."""
    return np.isfinite(late_s) & (late_s > 0)


def _tells(late_s: Floats, first_s: float, clock_s: float) -> Codes:
    """Indices, in the order of firing, of the input nearest edge 1 and of those well apart behind.

    One that fires too long before the edge to count as at it is left out, and so are all before.
    """
    near = np.flatnonzero(_fired(late_s))
    if not len(near):
        return near
    apart = _APART_CLOCKS * clock_s
    nearest = int(near[np.argmin(np.abs(late_s[near] - first_s))])
    found = [nearest] if late_s[nearest] > first_s - apart else []
    last = late_s[nearest] if found else first_s - apart
    for place in near[np.argsort(late_s[near], kind="stable")].tolist():
        if late_s[place] >= last + apart:
            found.append(place)
            last = late_s[place]
    return np.array(found, dtype=np.int64)
