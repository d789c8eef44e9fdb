"""Probit fit and regeneration on answers that are known."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics.comparator import compute_crossing_time, fit_probit, fit_regeneration


@pytest.mark.parametrize("seed", range(3))
def test_probit_finds_mean_and_sigma_within_its_own_errors(seed):
    rng = np.random.default_rng(seed)
    x = np.linspace(-1e-3, 3e-3, 9)
    count = np.full(9, 400)
    yes = [np.sum(x_k + 0.7e-3 * rng.standard_normal(400) > 0.9e-3) for x_k in x]
    fit = fit_probit(x, yes, count)
    assert abs(fit.mean - 0.9e-3) < 3 * fit.mean_error
    assert abs(fit.sigma - 0.7e-3) < 3 * fit.sigma_error


def test_probit_errors_are_the_spread_of_many_fits():
    rng = np.random.default_rng(5)
    x = np.array([-1.6, -0.8, 0.0, 0.8, 1.6])
    fits = [
        fit_probit(x, np.sum(x + rng.standard_normal((200, 5)) > 0, axis=0), 200)
        for _ in range(400)
    ]
    # A spread from 400 fits is known to 1/√800 = 3.5 %: three of them.
    for name in ("mean", "sigma"):
        spread = np.std([getattr(fit, name) for fit in fits])
        stated = np.mean([getattr(fit, f"{name}_error") for fit in fits])
        assert stated == pytest.approx(spread, rel=0.11, abs=0)


def test_probit_of_exact_shares_is_exact():
    # Φ(−1), Φ(0), Φ(1) of a table of the normal distribution.
    fit = fit_probit([1.0, 2.0, 3.0], np.array([0.1586552539, 0.5, 0.8413447461]) * 1e6, 1e6)
    assert fit.mean == pytest.approx(2.0, abs=1e-8)
    assert fit.sigma == pytest.approx(1.0, abs=1e-8)


def test_single_decisions_and_counted_ones_agree():
    x = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0])
    said = np.array([0, 1, 0, 1, 0, 1, 1])
    single = fit_probit(x, said)
    counted = fit_probit([0.0, 1.0, 2.0], [1, 1, 2], [2, 3, 2])
    assert single.mean == pytest.approx(counted.mean, rel=1e-6, abs=0)
    assert single.sigma == pytest.approx(counted.sigma, rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("x", "yes", "why"),
    [
        ([0.0, 1.0], [0, 1], "no yes below a no"),
        ([0.0, 1.0], [1, 1], "no yes below a no"),
        ([0.0, 1.0], [2, 1], "from 0 to the count"),
        ([0.0, 1.0, 2.0, 3.0], [1, 1, 0, 0], "does not become likelier"),
    ],
)
def test_decisions_without_an_answer_are_refused(x, yes, why):
    with pytest.raises(UsageError, match=why):
        fit_probit(x, yes)


def test_regeneration_of_an_exponential():
    t = np.sort(np.random.default_rng(0).uniform(0, 300e-12, 200))
    fit = fit_regeneration(t, 1e-4 * np.exp(t / 20e-12), 1e-3, 1.0)
    # Between time points ln v is straight, as an exponential's is.
    assert fit.time_constant_s == pytest.approx(20e-12, rel=1e-9, abs=0)
    assert fit.deviation < 1e-9


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5, 0.75])
def test_regeneration_does_not_depend_on_where_the_time_points_lie(offset):
    # ln v = at - bt^2: the line of least squares over [t0, t1] has the slope a - b(t0 + t1).
    a, b, step = 50e9, 50e18, 2e-12
    t = (np.arange(150) + offset) * step
    low, high = 1e-3, 0.1
    fit = fit_regeneration(t, 1e-4 * np.exp(a * t - b * t**2), low, high)
    crossing = [(a - np.sqrt(a**2 - 4 * b * np.log(v / 1e-4))) / (2 * b) for v in (low, high)]
    # Straight pieces leave a parabola by b(step/2)^2 at most: of the rise of ln 100, 1.1e-5.
    assert fit.time_constant_s == pytest.approx(1 / (a - b * sum(crossing)), rel=5e-5, abs=0)


def test_regeneration_that_never_comes_is_refused():
    with pytest.raises(UsageError, match="never reaches"):
        fit_regeneration(np.linspace(0, 1, 9), np.full(9, 0.1), 0.01, 0.5)


def test_crossing_time():
    t = np.array([0.0, 1.0, 2.0])
    assert compute_crossing_time(t, np.array([0.0, 1.0, 4.0]), 2.5) == pytest.approx(
        1.5, rel=1e-6, abs=0
    )
    assert np.isnan(compute_crossing_time(t, np.zeros(3), 2.5))
    assert compute_crossing_time(t, np.ones(3), 0.5) == 0.0
