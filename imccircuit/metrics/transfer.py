"""Figures of a transfer curve: gain, offset, nonlinearity, and where it leaves its line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A straight line y = slope·x + at_zero."""

    slope: float
    at_zero: float

    def __call__(self, x: Floats) -> Floats:
        """Value of the line at ``x``."""
        return self.slope * np.asarray(x, dtype=np.float64) + self.at_zero


def compute_best_fit(x: Floats, y: Floats) -> Line:
    """Least-squares line through points (point,).

    Raises
    ------
    UsageError : fewer than two different x.
    """
    _check(x, y)
    centred = x - x.mean()
    slope = float(centred @ (y - y.mean()) / (centred @ centred))
    return Line(slope, float(y.mean() - slope * x.mean()))


def compute_end_point(x: Floats, y: Floats) -> Line:
    """Line through the first and the last of points (point,) with ascending x.

    Raises
    ------
    UsageError : fewer than two different x.
    """
    _check(x, y)
    slope = float((y[-1] - y[0]) / (x[-1] - x[0]))
    return Line(slope, float(y[0] - slope * x[0]))


def compute_linear_range(
    x: Floats, y: Floats, line: Line, limit: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where a curve leaves a line, going outward from the middle of its x.

    Parameters
    ----------
    x, y : (point,) with ascending x; linear between points.
    limit : distance in y from the line that is still linear.

    Returns
    -------
    (x, y) below and (x, y) above the middle at which the distance first exceeds ``limit``; NaN
    where the curve ends before.
    """
    error = np.abs(y - line(x)) - limit
    middle = len(x) // 2
    return (
        _first_outside(x[middle::-1], y[middle::-1], error[middle::-1]),
        _first_outside(x[middle:], y[middle:], error[middle:]),
    )


def _first_outside(x: Floats, y: Floats, error: Floats) -> tuple[float, float]:
    outside = np.flatnonzero(error > 0)
    if len(outside) == 0:
        return float("nan"), float("nan")
    at = int(outside[0])
    if at == 0:
        return float(x[0]), float(y[0])
    share = error[at - 1] / (error[at - 1] - error[at])
    return (
        float(x[at - 1] + share * (x[at] - x[at - 1])),
        float(y[at - 1] + share * (y[at] - y[at - 1])),
    )


def _check(x: Floats, y: Floats) -> None:
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2 or float(np.ptp(x)) == 0:
        raise UsageError("a line needs two points or more, at different x")
