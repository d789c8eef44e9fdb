"""Figures of a comparator: normal distribution behind its decisions, regeneration, crossings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]
_MAX_STEPS = 200
_SINGULAR = 1e12


@dataclass(frozen=True)
class ProbitFit:
    """Normal distribution function fitted to decisions: P(yes | x) = Φ((x − mean)/sigma).

    Attributes
    ----------
    mean, sigma : in the unit of the inputs. A comparator's offset is −mean, its input-referred
        noise sigma.
    mean_error, sigma_error : standard errors from the Fisher information.
    """

    mean: float
    sigma: float
    mean_error: float
    sigma_error: float


def fit_probit(inputs: ArrayLike, yes: ArrayLike, count: ArrayLike = 1) -> ProbitFit:
    """Maximum-likelihood fit of Φ((x − mean)/sigma) to counted decisions.

    Parameters
    ----------
    inputs : (n,) inputs.
    yes : (n,) how many decisions at each input were yes.
    count : (n,) how many there were.

    Raises
    ------
    UsageError : shapes or counts make no sense, or no maximum exists: no yes lies below a no
        (sigma could be 0), or yes does not become likelier with the input.

    Notes
    -----
    Fisher scoring on P = Φ(a + b·x) with x centred and scaled, then mean = −a/b, sigma = 1/b and
    their errors by the delta method.
    """
    x, k, n = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (inputs, yes, count))
    n = np.broadcast_to(n, x.shape)
    if x.ndim != 1 or k.shape != x.shape or np.any((k < 0) | (k > n) | (n < 1)):
        raise UsageError("decisions need as many counts of yes as inputs, from 0 to the count")
    some_yes, some_no = x[k > 0], x[k < n]
    if len(some_yes) == 0 or len(some_no) == 0 or some_yes.min() >= some_no.max():
        raise UsageError("no yes below a no: the noise is too small against the inputs' spacing")
    centre, scale = float(np.average(x, weights=n)), float(np.std(x))
    design = np.stack([np.ones_like(x), (x - centre) / scale])
    weights = np.zeros(2)
    for _ in range(_MAX_STEPS):
        gradient, information = _score(weights, design, k, n)
        if not np.linalg.cond(information) < _SINGULAR:
            raise UsageError("yes does not become likelier with the input, or not as a normal law")
        step = np.linalg.solve(information, gradient)
        # Far from the maximum a whole step of the scoring may overshoot.
        weights = weights + step * min(1.0, 2.0 / float(np.max(np.abs(step))))
        if np.max(np.abs(step)) < 1e-10 * (1 + np.max(np.abs(weights))):
            break
    else:
        raise UsageError("the likelihood of the decisions has no maximum that could be found")
    a, b = weights
    if b <= 0:
        raise UsageError("yes does not become likelier with the input")
    covariance = np.linalg.inv(information)
    to_mean = np.array([-1 / b, a / b**2])
    return ProbitFit(
        mean=centre - scale * float(a / b),
        sigma=scale / float(b),
        mean_error=scale * float(np.sqrt(to_mean @ covariance @ to_mean)),
        sigma_error=scale * float(np.sqrt(covariance[1, 1])) / float(b) ** 2,
    )


def _score(weights: Floats, design: Floats, yes: Floats, count: Floats) -> tuple[Floats, Floats]:
    """Gradient of the log likelihood and its expected curvature."""
    z = weights @ design
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    above, below = special.ndtr(z), special.ndtr(-z)
    spread = np.maximum(above * below, 1e-300)
    gradient = design @ ((yes - count * above) * density / spread)
    information = (design * (count * density**2 / spread)) @ design.T
    return np.asarray(gradient), np.asarray(information)


def compute_crossing_time(time_s: Floats, value: Floats, level: float) -> float:
    """First time in s at which a waveform reaches ``level`` from below; NaN if it never does.

    Linear between time points.

    Parameters
    ----------
    time_s, value : (step,).
    """
    above = np.flatnonzero(value >= level)
    if len(above) == 0:
        return float("nan")
    k = int(above[0])
    if k == 0:
        return float(time_s[0])
    share = (level - value[k - 1]) / (value[k] - value[k - 1])
    return float(time_s[k - 1] + share * (time_s[k] - time_s[k - 1]))


@dataclass(frozen=True)
class Regeneration:
    """Exponential growth v = v0·exp(t/τ) fitted to a waveform.

    Attributes
    ----------
    time_constant_s : τ in s.
    deviation : largest |ln v − fit|, no unit: 0.1 says that the waveform is within 10 % of it.
    """

    time_constant_s: float
    deviation: float


def fit_regeneration(time_s: Floats, value: Floats, low: float, high: float) -> Regeneration:
    """Fit an exponential to the last rise of a waveform from ``low`` to ``high``.

    The line through ln v against t, on a uniform grid of t, so that dense time points do not count
    more than others, from one crossing to the other and not from time point to time point: growth
    is not quite exponential, and a simulator chooses its steps.

    Raises
    ------
    UsageError : the waveform has no such rise.
    """
    end = np.flatnonzero(value >= high)
    if len(end) == 0:
        raise UsageError(f"the waveform never reaches {high:g}")
    last = int(end[0])
    before = np.flatnonzero(value[:last] < low)
    first = int(before[-1]) + 1 if len(before) else 0
    if last - first < 4:
        raise UsageError(f"fewer than 4 time points between {low:g} and {high:g}")
    around = slice(max(first - 1, 0), last + 1)
    starts = _crossing(time_s[around][:2], value[around][:2], low)
    ends = _crossing(time_s[last - 1 : last + 1], value[last - 1 : last + 1], high)
    time = np.concatenate([[starts], time_s[first:last], [ends]])
    level = np.concatenate([[max(low, value[around][0])], value[first:last], [high]])
    grid = np.linspace(starts, ends, 64)
    logarithm = np.interp(grid, time, np.log(level))
    slope, start = np.polyfit(grid - grid[0], logarithm, 1)
    deviation = float(np.max(np.abs(logarithm - start - slope * (grid - grid[0]))))
    return Regeneration(float(1 / slope), deviation)


def _crossing(time_s: Floats, value: Floats, level: float) -> float:
    """As `compute_crossing_time`, but straight in ln v: an exponential is not straight in v."""
    if np.any(value <= 0):
        return compute_crossing_time(time_s, value, level)
    return compute_crossing_time(time_s, np.log(value), float(np.log(level)))
