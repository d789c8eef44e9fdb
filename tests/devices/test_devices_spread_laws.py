"""Skewed, empirical and grouped draws against scipy, against moments by quadrature, and theory."""

import csv
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, stats

from imccircuit.devices.empirical import Empirical
from imccircuit.devices.groups import Group, uniform
from imccircuit.devices.laws import LAWS, Spread
from imccircuit.devices.skewed import Skewed
from imccircuit.errors import InputError, UsageError

MEAN = 3.0
U = np.array([1e-6, 0.01, 0.16, 0.5, 0.84, 0.99, 1 - 1e-6])
ENDS = np.array([2.0**-54, 2.0**-53, 1 - 2.0**-53])


# --- skewed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("skew", "cv"), [(1.0, 0.4), (3.0, 1.4), (-0.5, 0.05), (0.2, 0.1)])
def test_skewed_against_scipy(skew, cv):
    expected, law = stats.pearson3(skew, MEAN, cv * MEAN), Skewed(skew)
    # 1e-9 is what may be cut off; as a share it moves a quantile at 1e-6 by 1e-3 of its share.
    assert_allclose(law.quantile(U[1:-1], MEAN, cv * MEAN), expected.ppf(U[1:-1]), rtol=1e-7)
    x = expected.ppf(U[1:-1])
    assert_allclose(law.cdf(x, MEAN, cv * MEAN), U[1:-1], rtol=1e-6)


def moments(law, mean, sd):
    """Mean, deviation and skewness by integrating the quantile function."""

    def moment(function):
        edges = [1e-15, 1e-6, 1e-3, 0.999, 1 - 1e-6, 1 - 1e-15]
        return sum(
            integrate.quad(lambda u: function(float(law.quantile(u, mean, sd))), a, b, limit=400)[0]
            for a, b in pairwise(edges)
        )

    first = moment(lambda x: x)
    second = moment(lambda x: (x - first) ** 2)
    third = moment(lambda x: (x - first) ** 3)
    return first, np.sqrt(second), third / second**1.5


@pytest.mark.parametrize("skew", [2.0, 0.8, 5e-4, 0.0, -0.7])
def test_skewed_has_the_three_moments(skew):
    law = Skewed(skew)
    sd = 0.99 * min(law.max_cv, 1.0) * MEAN
    # 1e-5: the cut-off share of 1e-9 and the quadrature at the ends.
    assert_allclose(moments(law, MEAN, sd), [MEAN, sd, skew], rtol=1e-5, atol=1e-5)


def test_skewed_of_twice_the_cv_is_a_gamma_law():
    expected = LAWS["gamma"].quantile(U, MEAN, 0.3 * MEAN)
    assert_allclose(Skewed(0.6).quantile(U, MEAN, 0.3 * MEAN), expected, rtol=1e-9)


@pytest.mark.parametrize("skew", [-4.0, -1.0, 0.0, 0.5, 4.0])
def test_skewed_is_positive_up_to_its_limit(skew):
    law = Skewed(skew)
    drawn = law.quantile(ENDS, MEAN, law.max_cv * MEAN)
    assert np.all(np.isfinite(drawn))
    assert drawn.min() > 0
    if skew > 0:
        assert law.max_cv >= skew / 2
    with pytest.raises(UsageError, match="reaches sd/mean up to"):
        Spread(law, law.max_cv * 1.01).draw(np.random.default_rng(0), np.array([1.0]))


def test_skewed_draws():
    count = 400_000
    drawn = Spread(Skewed(1.2), 0.5).draw(np.random.default_rng(3), np.full(count, 2.0))
    assert_allclose(drawn.mean(), 2.0, rtol=5 * 0.5 / np.sqrt(count))
    # σ of a deviation is sd·√((κ − 1)/4n), κ = 3 + 1.5 γ² of a gamma law.
    kurtosis = 3 + 1.5 * 1.2**2
    assert_allclose(drawn.std(), 1.0, rtol=5 * np.sqrt((kurtosis - 1) / 4 / count))
    # σ of a skewness is √(6/n) for normal draws and, for γ = 1.2, some three times that.
    assert abs(stats.skew(drawn) - 1.2) < 5 * 3 * np.sqrt(6 / count)
    assert drawn.min() > 0


def test_no_spread_is_the_mean():
    for law in (Skewed(1.0), Skewed(-1.0), Empirical.of_samples(np.array([1.0, 2.0, 4.0]))):
        assert_allclose(law.quantile(U, MEAN, 0.0), MEAN, rtol=1e-15)


# --- empirical -------------------------------------------------------------------------------


def write_csv(path, **columns):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def test_empirical_moments_by_hand():
    # Quantile function 2 below 0.5 and 2 + 4 (u − 0.5) above it: mean 2.5, and the second moment
    # about it is ½·0.25 + ∫₀^½ (4t − ½)² dt = 1/8 + 7/24 = 5/12.
    law = Empirical(np.array([0.5, 1.0]), np.array([2.0, 4.0]))
    assert_allclose(law.mean, 2.5)
    assert_allclose(law.cv, np.sqrt(5 / 12) / 2.5)
    assert_allclose(law.quantile(np.array([0.25, 0.75]), law.mean, law.cv * law.mean), [2.0, 3.0])


def test_empirical_draws_are_the_table_again():
    values = np.random.default_rng(5).gamma(3.0, size=5000)
    law = Empirical.of_samples(values)
    drawn = Spread(law, law.cv).draw(np.random.default_rng(6), np.full(200_000, law.mean))
    # Two-sample distance: √(1/n + 1/m) times 1.95 is exceeded once in a thousand.
    assert stats.ks_2samp(values, drawn).statistic < 1.95 * np.sqrt(1 / 5000 + 1 / 200_000)
    assert_allclose(stats.skew(drawn), stats.skew(values), rtol=0.1)
    # Nothing is drawn outside of what was measured.
    assert drawn.min() >= values.min() * (1 - 1e-12)
    assert drawn.max() <= values.max() * (1 + 1e-12)


def test_empirical_quantile_and_cdf_agree():
    law = Empirical.of_samples(np.array([1.0, 2.0, 3.0, 5.0]))
    u = np.array([0.2, 0.4, 0.7])
    assert_allclose(law.cdf(law.quantile(u, 4.0, 0.5), 4.0, 0.5), u, rtol=1e-12)


def test_empirical_stays_positive():
    law = Empirical.of_samples(np.array([1.0, 2.0, 10.0]))
    assert law.cv < law.max_cv
    assert law.quantile(ENDS, MEAN, law.max_cv * MEAN).min() > 0
    with pytest.raises(UsageError, match="reaches sd/mean"):
        Spread(law, law.max_cv * 1.01).draw(np.random.default_rng(0), np.array([1.0]))


def test_empirical_files(tmp_path):
    values = np.array([3.0, 1.0, 2.0])
    samples = Empirical.read(write_csv(tmp_path / "a.csv", value=values))
    assert_allclose(samples.value, [1, 2, 3])
    np.savez(tmp_path / "b.npz", value=values)
    assert_allclose(Empirical.read(tmp_path / "b.npz").value, [1, 2, 3])
    path = write_csv(tmp_path / "c.csv", share=[0.1, 0.5, 0.9], value=[1.0, 2.0, 2.0])
    assert_allclose(Empirical.read(path).share, [0.1, 0.5, 0.9])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"value": []}, "too few rows"),
        ({"value": [1.0]}, "too few rows"),
        ({"value": [1.0, -2.0]}, "not above 0"),
        ({"value": [2.0, 2.0]}, "all values are the same"),
        ({"value": ["1", "two"]}, "not a number"),
        ({"value": ["1", "nan"]}, "not a list of finite numbers"),
        ({"size": [1.0, 2.0]}, "no such column"),
        ({"share": [0.1, 0.9, 0.5], "value": [1, 2, 3]}, "share = 0.5: row 3 does not rise"),
        ({"share": [0.1, 0.5, 0.9], "value": [1, 3, 2]}, "value = 2.0: row 3 does not rise"),
        ({"share": [0.1, 1.5], "value": [1, 2]}, "not a share"),
    ],
)
def test_faulty_tables_are_one_line(tmp_path, columns, message):
    path = write_csv(tmp_path / "t.csv", **columns)
    with pytest.raises(InputError, match=message) as caught:
        Empirical.read(path, "t.csv")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("t.csv")


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"hello")
    np.savez(tmp_path / "y.npz", other=np.ones(3))
    np.savez(tmp_path / "z.npz", value=np.ones((2, 2)))
    for name in ("x.npz", "y.npz", "z.npz", "none.csv"):
        with pytest.raises(InputError):
            Empirical.read(tmp_path / name)


# --- groups ----------------------------------------------------------------------------------


def scores(group, shape, seed=1):
    return stats.norm.ppf(group.uniform(np.random.default_rng(seed), shape))


@pytest.mark.parametrize(("extent", "axis"), [("row", 0), ("column", 1)])
def test_correlation_within_and_between_groups(extent, axis):
    rho, groups, size = 0.3, 40_000, 4
    shape = (groups, size) if axis == 0 else (size, groups)
    drawn = scores(Group(rho, extent), shape)
    pairs = np.corrcoef(drawn if axis == 1 else drawn.T)
    # σ of a correlation of n pairs is (1 − ρ²)/√n.
    off = pairs[~np.eye(size, dtype=bool)]
    assert_allclose(off, rho, atol=5 * (1 - rho**2) / np.sqrt(groups))
    between = drawn[::2] if axis == 0 else drawn.T[::2]
    other = drawn[1::2] if axis == 0 else drawn.T[1::2]
    assert abs(np.corrcoef(between[:, 0], other[:, 1])[0, 1]) < 5 / np.sqrt(groups / 2)


def test_a_chip_is_one_group():
    drawn = np.array([scores(Group(0.5, "chip"), (2, 3), seed=k).ravel() for k in range(4_000)])
    pairs = np.corrcoef(drawn.T)[~np.eye(6, dtype=bool)]
    assert_allclose(pairs, 0.5, atol=5 * 0.75 / np.sqrt(4_000))


@pytest.mark.parametrize("rho", [0.0, 0.4, 1.0])
def test_the_law_of_each_device_is_untouched(rho):
    u = Group(rho, "row").uniform(np.random.default_rng(2), (100_000, 2))
    # 1.95/√n is exceeded once in a thousand.
    assert stats.kstest(u[:, 0], "uniform").statistic < 1.95 / np.sqrt(100_000)
    assert (u > 0).all()
    assert (u < 1).all()


def test_correlation_of_lognormal_values():
    rho, cv, count = 0.6, 0.8, 200_000
    spread = Spread("lognormal", cv, group=Group(rho, "row"))
    drawn = spread.draw(np.random.default_rng(4), np.full((count, 2), MEAN))
    s2 = np.log1p(cv**2)
    # corr(e^{sX}, e^{sY}) = (e^{ρs²} − 1)/(e^{s²} − 1). Heavy tails: 2 % is five σ of this sample
    # by repeating it.
    expected = np.expm1(rho * s2) / np.expm1(s2)
    assert_allclose(np.corrcoef(drawn.T)[0, 1], expected, atol=0.02)
    assert_allclose(drawn.mean(), MEAN, rtol=5 * cv * np.sqrt(1.6 / 2 / count))
    assert drawn.min() > 0


def test_a_full_correlation_makes_a_row_equal():
    drawn = Spread("gamma", 0.3, group=Group(1.0)).draw(np.random.default_rng(0), np.ones((3, 5)))
    assert_allclose(drawn, drawn[:, :1] * np.ones(5), rtol=1e-12)
    assert len(np.unique(drawn[:, 0])) == 3


def test_no_correlation_draws_what_independent_cells_draw():
    expected = uniform(np.random.default_rng(7), (3, 4))
    # Through Φ and its inverse and back.
    assert_allclose(Group(0.0).uniform(np.random.default_rng(7), (3, 4)), expected, rtol=1e-9)


def test_groups_of_a_list_and_of_one_device():
    assert Group(1.0, "row").uniform(np.random.default_rng(0), (4,)).shape == (4,)
    assert Group(0.5, "chip").uniform(np.random.default_rng(0), ()).shape == ()


@pytest.mark.parametrize("arguments", [(1.2,), (-0.1,), (np.nan,), (0.3, "block")])
def test_impossible_groups_are_refused(arguments):
    with pytest.raises(UsageError):
        Group(*arguments)


@pytest.mark.parametrize("skew", [5.0, np.nan])
def test_impossible_skews_are_refused(skew):
    with pytest.raises(UsageError):
        Skewed(skew)
