"""Comparison of two populations against chi-square intervals and likelihoods of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2, multivariate_normal

from imccircuit.errors import UsageError
from imccircuit.metrics.population import compute_population_test, compute_sigma_ratios

MIX = np.array([[1.0, 0.0, 0.0], [-0.6, 0.4, 0.0], [0.002, 0.001, 0.003]])
MEAN = np.array([0.5, 0.25, -0.002])


def group(chips: int, seed: int) -> NDArray[np.float64]:
    return MEAN + np.random.default_rng(seed).standard_normal((chips, 3)) @ MIX.T


def test_ratio_is_that_of_the_sigmas() -> None:
    fresh = group(40, 1)
    sigma = fresh.std(axis=0, ddof=1)
    found = compute_sigma_ratios(fresh, sigma * [0.5, 1.0, 1.25])
    np.testing.assert_allclose(found.ratio, [2.0, 1.0, 0.8], rtol=1e-12)
    expected = np.sqrt(np.sum(sigma**2) / np.sum((sigma * [0.5, 1.0, 1.25]) ** 2))
    assert found.pooled == pytest.approx(expected, rel=1e-12, abs=0)


def test_interval_of_one_code_is_that_of_chi_square() -> None:
    """One Gaussian code, 800 chips: (n − 1) s²/σ² is χ², which the bootstrap does not know."""
    fresh = group(800, 3)[:, :1]
    sigma = float(fresh.std(ddof=1))
    found = compute_sigma_ratios(fresh, np.array([sigma]))
    low, high = np.sqrt(799 / chi2.isf([0.025, 0.975], 799))
    # An interval of ±4.9 %; quantiles of 1000 replicates and a kurtosis of ±0.17 (one σ of 800
    # chips) leave a tenth of its width.
    for end, theirs in ((found.low[0], low), (found.high[0], high)):
        assert end == pytest.approx(theirs, rel=0, abs=0.01)
    assert found.pooled_low == pytest.approx(found.low[0], rel=0, abs=0.01)
    assert found.pooled_high == pytest.approx(found.high[0], rel=0, abs=0.01)


def test_interval_holds_for_all_codes_together() -> None:
    """Forty independent codes whose σ is right: 5 % of the intervals may miss one of them."""
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(60):
        found = compute_sigma_ratios(rng.standard_normal((300, 40)), np.ones(40))
        missed += bool(np.any((found.low > 1) | (found.high < 1)))
    # Binomial of 60 at 5 %: 3 ± 1.7; beyond 9 with a probability of 1e-3. Intervals for each code
    # by itself would miss 52 times.
    assert missed <= 9


def test_statistic_is_the_likelihood_ratio_per_chip() -> None:
    fresh, fitted = group(50, 5), group(80, 6)
    mean, covariance = fitted.mean(axis=0), np.cov(fitted, rowvar=False)
    found = compute_population_test(fresh, mean, covariance, 80)
    own = multivariate_normal(fresh.mean(axis=0), np.cov(fresh, rowvar=False, bias=True))
    model = multivariate_normal(mean, covariance)
    ratio = 2 * np.mean(own.logpdf(fresh) - model.logpdf(fresh))
    assert found.statistic == pytest.approx(ratio, rel=1e-9, abs=0)
    # In other units, mixed: the same test.
    turn = np.array([[1e3, 2.0, 0.0], [0.0, 5.0, -1.0], [3.0, 0.0, 0.1]])
    turned = compute_population_test(fresh @ turn.T, turn @ mean, turn @ covariance @ turn.T, 80)
    assert turned.statistic == pytest.approx(found.statistic, rel=1e-6, abs=0)
    assert turned.p_value == found.p_value


def test_a_right_population_is_rejected_as_often_as_said() -> None:
    p_values = []
    for seed in range(60):
        fitted = group(300, 100 + seed)
        mean, covariance = fitted.mean(axis=0), np.cov(fitted, rowvar=False)
        p_values.append(
            compute_population_test(group(200, 500 + seed), mean, covariance, 300).p_value
        )
    below = np.sort(p_values)
    # Kolmogorov's 99.9 % limit of 60 uniform numbers is 1.95/√60.
    distance = np.abs(below - (np.arange(60) + 0.5) / 60).max()
    assert distance < 1.95 / np.sqrt(60)


def test_what_cannot_be_compared_is_refused() -> None:
    fresh = group(40, 1)
    with pytest.raises(UsageError, match="not above 0"):
        compute_sigma_ratios(fresh, np.array([1.0, 0.0, 1.0]))
    with pytest.raises(UsageError, match="do not differ"):
        compute_sigma_ratios(np.ones((40, 3)), np.ones(3))
    with pytest.raises(UsageError, match="3 on"):
        compute_sigma_ratios(fresh[:2], np.ones(3))
    with pytest.raises(UsageError, match="5 on, each"):
        compute_population_test(fresh, MEAN, np.eye(3), 4)
    with pytest.raises(UsageError, match="no inverse"):
        compute_population_test(fresh, MEAN, np.ones((3, 3)), 40)
