"""How sure a number is that was estimated from few chips or few images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

ProportionMethod = Literal["wilson", "clopper-pearson"]
NanPolicy = Literal["propagate", "omit"]


@dataclass(frozen=True)
class Proportion:
    """A share of successes with its confidence interval; no units.

    Attributes
    ----------
    estimate : successes / trials.
    low, high : ends of the two-sided interval.
    confidence : its confidence level.
    method : ``"wilson"`` or ``"clopper-pearson"``.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    method: ProportionMethod


@dataclass(frozen=True, eq=False)
class Summary:
    """Mean and spread of samples with their confidence intervals, in the unit of the samples.

    Attributes
    ----------
    count : (…) number of samples used.
    mean : (…) their mean.
    std : (…) their standard deviation, with divisor count - 1; NaN below two samples.
    mean_low, mean_high : (…) interval of the mean, from Student's t.
    std_low, std_high : (…) interval of the standard deviation, from χ².
    confidence : level of both intervals. Both assume normally distributed samples; that of the
        mean hardly minds, that of the standard deviation does.
    """

    count: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    mean_low: NDArray[np.float64]
    mean_high: NDArray[np.float64]
    std_low: NDArray[np.float64]
    std_high: NDArray[np.float64]
    confidence: float


def compute_proportion_interval(
    k: int, n: int, confidence: float = 0.95, method: ProportionMethod = "wilson"
) -> Proportion:
    """Confidence interval of a proportion, such as an accuracy.

    Parameters
    ----------
    k, n : successes and trials.
    confidence : level, between 0 and 1.
    method : ``"wilson"`` (score interval, covers ``confidence`` on average) or
        ``"clopper-pearson"`` (exact, covers at least ``confidence`` and is wider).

    Raises
    ------
    UsageError : not 0 ≤ k ≤ n with n ≥ 1, a level outside 0 … 1, or an unknown method.
    """
    _check_confidence(confidence)
    if method not in get_args(ProportionMethod):
        raise UsageError(f"interval {method!r} is unknown; there are: wilson, clopper-pearson")
    if not (n >= 1 and 0 <= k <= n and int(k) == k and int(n) == n):
        raise UsageError(f"{k} successes of {n} trials are impossible")
    from scipy.stats import binomtest

    name = "wilson" if method == "wilson" else "exact"
    interval = binomtest(int(k), int(n)).proportion_ci(confidence_level=confidence, method=name)
    return Proportion(k / n, float(interval.low), float(interval.high), confidence, method)


def compute_summary(
    samples: ArrayLike,
    *,
    axis: int = -1,
    confidence: float = 0.95,
    nan_policy: NanPolicy = "propagate",
) -> Summary:
    """Mean, standard deviation and their intervals along the axis of samples.

    Parameters
    ----------
    samples : values in any unit.
    axis : the axis of samples.
    confidence : level of the intervals, between 0 and 1.
    nan_policy : ``"propagate"`` makes a result NaN if one of its samples is; ``"omit"`` leaves out
        NaN samples (points that are not good) and says how many were used in ``count``.

    Raises
    ------
    UsageError : no such axis, a level outside 0 … 1, or an unknown policy.
    """
    _check_confidence(confidence)
    if nan_policy not in get_args(NanPolicy):
        raise UsageError(f"NaN policy {nan_policy!r} is unknown; there are: propagate, omit")
    values = np.asarray(samples, dtype=np.float64)
    try:
        values = np.moveaxis(values, axis, -1)
    except np.exceptions.AxisError:
        raise UsageError(f"axis {axis} does not exist in shape {values.shape}") from None
    from scipy.stats import chi2, t

    used = np.ones(values.shape, dtype=bool) if nan_policy == "propagate" else ~np.isnan(values)
    count = np.asarray(used.sum(axis=-1))
    total = np.where(used, values, 0.0).sum(axis=-1)
    mean = np.asarray(total / np.where(count > 0, count, np.nan))
    squares = (np.where(used, values - mean[..., None], 0.0) ** 2).sum(axis=-1)
    freedom = np.where(count > 1, count - 1.0, np.nan)
    std = np.asarray(np.sqrt(squares / freedom))
    tail = (1 - confidence) / 2
    half = np.asarray(t.isf(tail, freedom) * std / np.sqrt(freedom + 1))
    return Summary(
        count=count,
        mean=mean,
        std=std,
        mean_low=np.asarray(mean - half),
        mean_high=np.asarray(mean + half),
        std_low=np.asarray(np.sqrt(squares / chi2.isf(tail, freedom))),
        std_high=np.asarray(np.sqrt(squares / chi2.ppf(tail, freedom))),
        confidence=confidence,
    )


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence level lies between 0 and 1, not {confidence!r}")
