"""Laws of spread against scipy.stats and against their own moments, by quadrature."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, stats

from imccircuit.devices.core_tail import CoreTail, fit_core_tail
from imccircuit.devices.laws import LAWS, Spread, TruncatedNormal
from imccircuit.errors import UsageError

MEAN = 3.0
U = np.array([1e-6, 0.01, 0.16, 0.5, 0.84, 0.99, 1 - 1e-6])
CVS = [0.01, 0.0999, 0.1001, 0.3, 0.7, 0.94]


def reference(name, cv):
    sd = cv * MEAN
    if name == "normal":
        return stats.norm(MEAN, sd)
    if name == "lognormal":
        s2 = np.log(1 + cv**2)
        return stats.lognorm(np.sqrt(s2), scale=MEAN * np.exp(-s2 / 2))
    if name == "gamma":
        return stats.gamma(1 / cv**2, scale=sd**2 / MEAN)
    cut, width = (float(x) for x in TruncatedNormal().cut_and_width(np.array(MEAN), np.array(sd)))
    return stats.truncnorm(cut, np.inf, loc=-cut * width, scale=width)


@pytest.mark.parametrize("cv", CVS)
@pytest.mark.parametrize("name", LAWS)
def test_law_against_scipy(name, cv):
    expected = reference(name, cv)
    law, sd = LAWS[name], cv * MEAN
    # scipy integrates some of these moments numerically, to about 1e-8; the spline behind the
    # truncated normal is good to 1e-12.
    assert_allclose(expected.mean(), MEAN, rtol=1e-8)
    assert_allclose(expected.std(), sd, rtol=1e-7)
    # 1 - 1e-6 carries 1e-16/1e-6 = 1e-10 of rounding, other quantiles less.
    assert_allclose(law.quantile(U, MEAN, sd), expected.ppf(U), rtol=1e-9)
    x = expected.ppf(U[1:-1])
    assert_allclose(law.cdf(x, MEAN, sd), U[1:-1], rtol=1e-9)


@pytest.mark.parametrize("name", LAWS)
def test_zero_spread_is_the_mean(name):
    # One unit in the last place is what adding up z and the cut may leave.
    assert_allclose(LAWS[name].quantile(U, MEAN, 0.0), MEAN, rtol=1e-15)


@pytest.mark.parametrize("name", [n for n in LAWS if LAWS[n].positive])
def test_positive_at_the_ends_of_the_uniform(name):
    u = np.array([2.0**-54, 2.0**-53, 1 - 2.0**-53])
    drawn = LAWS[name].quantile(u, MEAN, 0.94 * MEAN)
    assert np.all(np.isfinite(drawn))
    assert drawn.min() > 0


def core_tail_moment(law, power, mean, sd):
    """Central moment by quadrature over both gamma densities, made here from the definition."""
    w, a, c = law.weight, law.offset, law.width
    b = -(1 - w) * a / w
    d = np.sqrt((1 - (1 - w) * (c**2 + a**2)) / w - b**2)
    total = 0.0
    for share, shift, scale in ((1 - w, a, c), (w, b, d)):
        m, s = mean + shift * sd, scale * sd
        density = stats.gamma((m / s) ** 2, scale=s**2 / m).pdf
        total += share * integrate.quad(
            lambda x, f=density: (x - mean) ** power * f(x), 0, m + 60 * s,
            points=[m], limit=400, epsabs=1e-13,
        )[0]  # fmt: skip
    return total


@pytest.mark.parametrize("law", [CoreTail(0.2, 0.1, 0.5), CoreTail(0.1, -0.1, 0.6)])
def test_core_tail_keeps_both_moments(law):
    sd = 0.3 * MEAN
    assert law.is_possible(0.3)
    assert abs(core_tail_moment(law, 1, MEAN, sd)) < 1e-8
    assert_allclose(core_tail_moment(law, 2, MEAN, sd), sd**2, rtol=1e-7)


def test_core_tail_quantile_and_cdf_agree():
    law, sd = CoreTail(0.2, 0.1, 0.5), 0.9
    # Equally spaced u: the share of draws below x differs from the law by at most one step
    # in each of the two parts.
    u = (np.arange(20000) + 0.5) / 20000
    drawn = law.quantile(u, MEAN, sd)
    for x in (2.2, 3.0, 4.1):
        assert abs(np.mean(drawn < x) - law.cdf(x, MEAN, sd)) <= 2 / 20000


def test_core_tail_fit_recovers_the_percentiles_of_a_known_mixture():
    true, mean, sd = CoreTail(0.15, 0.1, 0.4), 10.0, 3.0
    grid = np.linspace(0.01, 40, 400_000)
    wanted = np.interp([0.16, 0.5, 0.84], true.cdf(grid, mean, sd), grid)
    law, found = fit_core_tail(np.array([mean]), np.array([sd]), wanted[None], np.array([0.3]))
    assert found.all()
    shape = CoreTail(*(np.asarray(x)[0] for x in (law.weight, law.offset, law.width)))
    # 1 %: below what 500 devices, the size of the measured populations, can tell (1.6 %).
    assert_allclose(shape.cdf(wanted, mean, sd), [0.16, 0.5, 0.84], atol=0.01)


def test_spread_absolute_and_relative():
    nominal = np.array([1.0, 4.0])
    assert_allclose(Spread("gamma", 0.1).sd_of(nominal), [0.1, 0.4])
    assert_allclose(Spread("gamma", 0.1, relative=False).sd_of(nominal), [0.1, 0.1])


def test_spread_draw_moments():
    drawn = Spread("lognormal", 0.1).draw(np.random.default_rng(1), np.full(100_000, 5.0))
    # Five standard errors of mean and deviation for 1e5 nearly Gaussian draws.
    assert_allclose(drawn.mean(), 5.0, rtol=5 * 0.1 / np.sqrt(1e5))
    assert_allclose(drawn.std(), 0.5, rtol=5 / np.sqrt(2e5))


def test_a_draw_does_not_depend_on_the_neighbours():
    spread = Spread("gamma", 0.1)
    one = spread.draw(np.random.default_rng(1), np.array([1.0, 2.0, 3.0]))
    other = spread.draw(np.random.default_rng(1), np.array([9.0, 2.0, 3.0]))
    assert np.array_equal(one[1:], other[1:])


@pytest.mark.parametrize(
    ("spread", "nominal", "message"),
    [
        (Spread("lognormal", 0.1), 0.0, "needs values above 0"),
        (Spread("truncated_normal", 1.2), 1.0, "up to 0.98"),
    ],
)
def test_impossible_draws_are_refused(spread, nominal, message):
    with pytest.raises(UsageError, match=message):
        spread.draw(np.random.default_rng(0), np.array([nominal]))


@pytest.mark.parametrize(("law", "sd"), [("cauchy", 0.1), ("gamma", -1.0), ("gamma", np.inf)])
def test_impossible_spreads_are_refused(law, sd):
    with pytest.raises(UsageError):
        Spread(law, sd)
