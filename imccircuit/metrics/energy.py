"""Energy that sources deliver, and the time until an output has settled."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SourceEnergy:
    """Energy of each source over one window of time.

    Attributes
    ----------
    delivered_j : (source,) ∫ max(p, 0) dt: what the source gives; what comes back to it is not
        netted, for a real regulator, driver or clock tree cannot store it.
    returned_j : (source,) ∫ max(−p, 0) dt, in J.
    """

    delivered_j: Floats
    returned_j: Floats


def compute_source_energy(
    time_s: Floats, voltage_v: Floats, current_a: Floats, window_s: tuple[float, float]
) -> SourceEnergy:
    """Energy of sources between two times.

    Power p = −v·i with SPICE's sign of a source's current (plus to minus through the source). v
    and i are taken linear between time points; p is then a parabola, which Simpson's rule
    integrates exactly between the places where v or i change sign.

    Parameters
    ----------
    time_s : (step,) ascending.
    voltage_v, current_a : (step, source).
    window_s : start and end; both inside ``time_s``.

    Raises
    ------
    UsageError : the window is not inside the simulated time.
    """
    start, end = window_s
    if not time_s[0] <= start < end <= time_s[-1] * (1 + 1e-9):
        raise UsageError(
            f"energy window {start:g} to {end:g} s is outside {time_s[0]:g} to {time_s[-1]:g} s"
        )
    inside = time_s[(time_s > start) & (time_s < end)]
    grid = np.concatenate([[start], inside, [end]])
    v = _sampled(grid, time_s, voltage_v)
    i = _sampled(grid, time_s, current_a)
    step = np.diff(grid)[:, None]
    delivered, returned = np.zeros(v.shape[1]), np.zeros(v.shape[1])
    # p changes sign where v or i does: between those places it keeps its sign.
    v0, dv, i0, di = v[:-1], np.diff(v, axis=0), i[:-1], np.diff(i, axis=0)
    cut_v, cut_i = _crossing(v0, dv), _crossing(i0, di)
    cuts = np.stack([np.zeros_like(v0), np.minimum(cut_v, cut_i), np.maximum(cut_v, cut_i),
                     np.ones_like(v0)])  # fmt: skip
    for a, b in pairwise(cuts):
        part = (
            (b - a)
            / 6
            * sum(
                weight * -(v0 + dv * at) * (i0 + di * at)
                for weight, at in ((1.0, a), (4.0, (a + b) / 2), (1.0, b))
            )
        )
        delivered += np.sum(np.maximum(part, 0.0) * step, axis=0)
        returned += np.sum(np.maximum(-part, 0.0) * step, axis=0)
    return SourceEnergy(delivered, returned)


def _sampled(grid: Floats, time_s: Floats, values: Floats) -> Floats:
    return np.stack([np.interp(grid, time_s, column) for column in values.T], axis=1)


def _crossing(first: Floats, change: Floats) -> Floats:
    """Fraction of a step at which a linear quantity is zero; 1 where it keeps its sign."""
    crosses = first * (first + change) < 0
    return np.where(crosses, -first / np.where(crosses, change, 1.0), 1.0)


def compute_settling_time(
    time_s: Floats, value: Floats, tolerance: float, *, start_s: float = 0.0
) -> float:
    """Time in s from ``start_s`` until a waveform stays within ``tolerance`` of its last value.

    Linear between time points. NaN if it never leaves the end of the record settled, that is if
    the band is entered only with the last point.

    Parameters
    ----------
    time_s, value : (step,).
    tolerance : half the width of the band, such as half an LSB.
    """
    error = np.abs(value - value[-1])
    outside = np.flatnonzero((error > tolerance) & (time_s >= start_s))
    if len(outside) == 0:
        return 0.0
    last = int(outside[-1])
    if last + 2 >= len(time_s):
        return float("nan")
    share = (error[last] - tolerance) / (error[last] - error[last + 1])
    return float(time_s[last] + share * (time_s[last + 1] - time_s[last]) - start_s)


def compute_remainder(time_s: Floats, value: Floats, tolerance: float) -> float:
    """How far a waveform is, at its end, from where it is going, if its tail is an exponential.

    `compute_settling_time` knows only the last value: what has not settled yet looks settled. Three
    values an eighth of the record apart give the limit (Aitken's Δ² process).

    Parameters
    ----------
    time_s, value : (step,) ascending times.
    tolerance : what moves by less than a quarter of it in the last quarter is at rest.

    Returns
    -------
    Distance, 0 at rest; infinite if the waveform does not slow down.
    """
    span = time_s[-1] - time_s[0]
    first, middle, last = np.interp(time_s[-1] - np.array([0.25, 0.125, 0.0]) * span, time_s, value)
    before, after = middle - first, last - middle
    if max(abs(before), abs(after)) < tolerance / 4:
        return 0.0
    if abs(after) >= abs(before):
        return float("inf")
    return float(abs(after**2 / (before - after)))
