"""Intervals against formulas written out, tables and a coverage count."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics import compute_proportion_interval, compute_summary


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (185, 200), (1, 3)])
def test_wilson_by_its_formula(k, n):
    # Wilson 1927: (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    z, p = NormalDist().inv_cdf(0.975), k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    interval = compute_proportion_interval(k, n)
    # Two implementations of the normal quantile agree to about 1e-15 relative.
    assert interval.low == pytest.approx(centre - half, abs=1e-13)
    assert interval.high == pytest.approx(centre + half, abs=1e-13)
    assert interval.estimate == p
    assert (interval.method, interval.confidence) == ("wilson", 0.95)


def test_clopper_pearson_by_its_definition():
    # At the ends of the exact interval, the observed tail has probability 2.5 %.
    k, n = 185, 200
    interval = compute_proportion_interval(k, n, method="clopper-pearson")

    def tail(p, counts):
        return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in counts)

    # scipy finds the ends by a root search to 1e-12 or so in p; the tail's slope is about 5.
    assert tail(interval.low, range(k, n + 1)) == pytest.approx(0.025, abs=1e-9)
    assert tail(interval.high, range(k + 1)) == pytest.approx(0.025, abs=1e-9)
    # None of n: the upper end solves (1-p)^n = 0.025.
    none = compute_proportion_interval(0, 20, method="clopper-pearson")
    assert none.low == 0
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 20), abs=1e-9)


@pytest.mark.parametrize(
    "arguments",
    [(5, 4), (-1, 4), (0, 0), (1, 2, 1.0), (1, 2, 0.0), (1, 2, 0.9, "wald"), (1.5, 3)],
)
def test_impossible_proportions(arguments):
    with pytest.raises(UsageError) as caught:
        compute_proportion_interval(*arguments)
    assert "\n" not in str(caught.value)


def test_summary_by_hand():
    # 2, 4, 4, 4, 6: mean 4, squares 8, s = sqrt(8/4) = sqrt 2. Tables for 4 degrees of freedom at
    # 95 %: t = 2.776, χ² = 0.4844 and 11.143, four digits each.
    summary = compute_summary([2.0, 4.0, 4.0, 4.0, 6.0])
    assert summary.count == 5
    assert summary.mean == 4
    assert summary.std == pytest.approx(math.sqrt(2), rel=1e-15, abs=0)
    half = 2.776 * math.sqrt(2 / 5)
    assert summary.mean_low == pytest.approx(4 - half, rel=2e-4, abs=0)
    assert summary.mean_high == pytest.approx(4 + half, rel=2e-4, abs=0)
    assert summary.std_low == pytest.approx(math.sqrt(8 / 11.143), rel=2e-4, abs=0)
    assert summary.std_high == pytest.approx(math.sqrt(8 / 0.4844), rel=2e-4, abs=0)


def test_intervals_cover_as_often_as_they_say():
    samples = np.random.default_rng(5).normal(3.0, 0.5, (4000, 8))
    summary = compute_summary(samples, confidence=0.9)
    for low, high, truth in (
        (summary.mean_low, summary.mean_high, 3.0),
        (summary.std_low, summary.std_high, 0.5),
    ):
        covered = np.mean((low <= truth) & (truth <= high))
        # 0.9 of 4000: standard error 0.0047; four of them.
        assert covered == pytest.approx(0.9, abs=0.019)


def test_summary_axes_and_nan():
    samples = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(compute_summary(samples, axis=0).mean, [4.5, 5.5, 6.5])
    samples[0, 0] = np.nan
    propagated = compute_summary(samples, axis=0)
    assert np.isnan(propagated.mean[0])
    assert np.isnan(propagated.std_high[0])
    assert propagated.mean[1] == 5.5
    omitted = compute_summary(samples, axis=0, nan_policy="omit")
    assert omitted.count.tolist() == [3, 4, 4]
    assert omitted.mean[0] == 6
    assert omitted.std[0] == 3


@pytest.mark.parametrize("samples", [[], [1.0], [np.nan, np.nan]])
def test_too_few_samples_have_no_spread(samples):
    summary = compute_summary(samples, nan_policy="omit")
    assert np.isnan(summary.std)
    assert np.isnan(summary.mean_low)
    assert np.isnan(summary.std_high)


def test_summary_refuses():
    with pytest.raises(UsageError, match="axis 1"):
        compute_summary([1.0, 2.0], axis=1)
    with pytest.raises(UsageError, match="policy"):
        compute_summary([1.0, 2.0], nan_policy="raise")
    with pytest.raises(UsageError, match="between 0 and 1"):
        compute_summary([1.0, 2.0], confidence=95)
