"""Intervals of spread ratios: right as often as they say, and narrow enough to tell a factor 2."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from imccircuit.surrogates.spread import (
    SpreadRatio,
    compute_quadratic_ratio,
    compute_spread_ratio,
    judge_spreads,
)
from imccircuit.surrogates.verdict import Gate

TRIALS = 120
FITTED, HELD_OUT = 32, 8  # what 40 samples give
SPREAD_FACTOR = 1.75  # the shipped gate
METRIC = np.diag(4.0 ** -np.arange(8))


def shares(rng: np.random.Generator, count: int, factor: float = 1.0) -> NDArray[np.float64]:
    """Capacitor shares of an 8-bit converter: each divided by the sum of all, so correlated."""
    units = 2.0 ** np.arange(8)
    caps = units + factor * 0.02 * np.sqrt(units) * rng.standard_normal((count, 8))
    return np.asarray(caps / (caps.sum(axis=1, keepdims=True) + 1))


@cache
def ratios(factor: float, *, quadratic: bool = False) -> list[SpreadRatio]:
    rng = np.random.default_rng(11)
    found = []
    for _ in range(TRIALS):
        fitted, others = shares(rng, FITTED), shares(rng, HELD_OUT, factor)
        mean, cov = fitted.mean(axis=0), np.cov(fitted, rowvar=False)
        if quadratic:
            found.append(compute_quadratic_ratio(others, mean, cov, FITTED, METRIC))
        else:
            found.append(compute_spread_ratio(others, mean, cov, FITTED))
    return found


@pytest.mark.parametrize("quadratic", [False, True])
def test_intervals_hold_what_they_promise(quadratic: bool) -> None:
    covered = sum(ratio.low <= 1 <= ratio.high for ratio in ratios(1.0, quadratic=quadratic))
    # 90 % of 120 with a binomial σ of 2.7 %; three of them.
    assert abs(covered / TRIALS - 0.90) < 0.08


def test_a_right_spread_passes_and_one_wrong_by_two_does_not() -> None:
    right = [ratio.factor <= SPREAD_FACTOR for ratio in ratios(1.0)]
    assert np.mean(right) > 0.98
    for factor in (0.5, 2.0):
        wrong = [r.factor > SPREAD_FACTOR and r.is_contradicted for r in ratios(factor)]
        assert np.mean(wrong) > 0.97
        centre = np.median([r.ratio for r in ratios(factor)])
        # The estimate itself scatters by 13 %, its median over 120 by 1.5 %; small ratios are
        # lifted by the error of the fitted mean, 1/32 of a variance.
        assert centre == pytest.approx(factor, rel=0.05, abs=0)


def test_few_right_chips_are_hardly_ever_contradicted() -> None:
    """1 % each; of 200 groups 2 with a σ of 1.4, and three of them. At 5 % an end it was 10 %."""
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(200):
        fitted, others = shares(rng, 9), shares(rng, 5)
        mean, cov = fitted.mean(axis=0), np.cov(fitted, rowvar=False)
        wrong += compute_spread_ratio(others, mean, cov, 9).is_contradicted
    assert wrong <= 6


@pytest.mark.parametrize("contradicted", [False, True])
def test_a_gate_that_few_chips_exceed_is_no_failure(contradicted: bool) -> None:
    error, beyond = Gate.at_most("max_error", 0.1, 1.0, "LSB"), SpreadRatio(2, 1.1, 4, contradicted)
    gate = Gate.at_most("spread_factor", beyond.factor, 1.75, "1")
    state, reason = judge_spreads((error,), [(gate, beyond)], ())
    assert state == ("fail" if contradicted else "not judged")
    assert "spread_factor: 4 exceeds 1.75" in reason
    broken = Gate.at_most("max_error", 2.0, 1.0, "LSB")
    assert judge_spreads((broken,), [(gate, beyond)], ())[0] == "fail"
    assert judge_spreads((error,), [(gate, beyond)], ("levels fall",))[0] == "fail"
    assert judge_spreads((error,), [], ())[0] == "pass"


def test_one_parameter_agrees_with_the_f_distribution() -> None:
    from scipy.stats import f

    rng = np.random.default_rng(2)
    fitted, others = rng.standard_normal((20, 1)), rng.standard_normal((6, 1))
    mean, variance = fitted.mean(axis=0), np.array([[fitted.var(ddof=1)]])
    ratio = compute_spread_ratio(others, mean, variance, 20)
    # Held-out squares about a mean that is known to 1/20 of a variance. Given the fitted mean the
    # six deviations share its error, so F(6, 19)·(1 + 1/20) is near, not exact: 10 % of σ².
    q = float(np.mean((others - mean) ** 2 / variance)) / (1 + 1 / 20)
    expected = [np.sqrt(q / f.ppf(p, 6, 19)) for p in (0.95, 0.05)]
    np.testing.assert_allclose([ratio.low, ratio.high], expected, rtol=0.05)


def test_memory_is_bounded_and_the_answer_is_repeatable() -> None:
    rng = np.random.default_rng(5)
    fitted, others = rng.standard_normal((3000, 9)), rng.standard_normal((700, 9))
    cov = np.cov(fitted, rowvar=False)
    first = compute_spread_ratio(others[:20], fitted.mean(axis=0), cov, 60)
    assert first == compute_spread_ratio(others[:20], fitted.mean(axis=0), cov, 60)
    assert "90 % interval" in str(first)
