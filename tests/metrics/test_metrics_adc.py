"""Converter figures against hand arithmetic, an independent implementation and a simulated SAR."""

import math

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics import (
    NO_CODE,
    compute_cdac_levels,
    compute_codes,
    compute_inl_dnl,
    compute_tree_levels,
)

# A 3-bit converter by hand. Full scale 8 V, so the ideal LSB is 1 V and T_ideal[k] = k V.
#
#   k             1      2      3      4      5      6      7
#   T[k] / V      1.0    2.3    3.4    4.0    5.8    7.0    8.2
#   width / V        1.3    1.1    0.6    1.8    1.2    1.2         (codes 1 … 6)
#
# End-point: q = (8.2 - 1.0) / 6 = 1.2 V.
#   DNL = width / 1.2 - 1           = 1/12  -1/12  -1/2  1/2  0  0
#   INL = (T - 1.0) / 1.2 - (k - 1) = 0  1/12  0  -1/2  0  0  0
#   offset = 1.0 - 1.2 = -0.2 V = -1/6 LSB;  gain error = 1.2 / 1 - 1 = 0.2
# Best fit: Σ(k-4)² = 28; Σ(k-4)·T = -3.0 - 4.6 - 3.4 + 0 + 5.8 + 14.0 + 24.6 = 33.4
#   q = 33.4 / 28 = 167/140 V; mean T = 31.7 / 7 = 317/70 V
#   line at k = 1: 317/70 - 3·167/140 = 133/140; so line[k] = (133 + 167 (k-1)) / 140
#     = (133, 300, 467, 634, 801, 968, 1135) / 140
#   T = (140, 322, 476, 560, 812, 980, 1148) / 140
#   INL = (T - line) / q = (7, 22, 9, -74, 11, 12, 13) / 167
#   DNL = width·140/167 - 1 = (182, 154, 84, 252, 168, 168) / 167 - 1
#       = (15, -13, -83, 85, 1, 1) / 167
#   offset = (133 - 167) / 140 = -34/140 V = -34/167 LSB;  gain error = 167/140 - 1 = 27/140
HAND_LEVELS = [1.0, 2.3, 3.4, 4.0, 5.8, 7.0, 8.2]
HAND = {
    "end-point": {
        "inl_lsb": [0, 1 / 12, 0, -1 / 2, 0, 0, 0],
        "dnl_lsb": [1 / 12, -1 / 12, -1 / 2, 1 / 2, 0, 0],
        "q_v": 1.2,
        "offset_v": -0.2,
        "offset_lsb": -1 / 6,
        "gain_error": 0.2,
    },
    "best-fit": {
        "inl_lsb": [7 / 167, 22 / 167, 9 / 167, -74 / 167, 11 / 167, 12 / 167, 13 / 167],
        "dnl_lsb": [15 / 167, -13 / 167, -83 / 167, 85 / 167, 1 / 167, 1 / 167],
        "q_v": 167 / 140,
        "offset_v": -34 / 140,
        "offset_lsb": -34 / 167,
        "gain_error": 27 / 140,
    },
}


def sar_code(static, bits, voltage):
    """One conversion, bit by bit, as a converter does it."""
    code = 0
    for bit in reversed(range(bits)):
        trial = code | (1 << bit)
        if voltage > static[trial - 1]:
            code = trial
    return code


def linearity_by_loops(levels, full_scale, method):
    """Figures of one chip in plain Python, the best fit by the textbook normal equations."""
    n = len(levels)
    k = list(range(1, n + 1))
    if method == "end-point":
        q = (levels[-1] - levels[0]) / (n - 1)
        intercept = levels[0] - q
    else:
        sx, sy = math.fsum(k), math.fsum(levels)
        sxx = math.fsum(x * x for x in k)
        sxy = math.fsum(x * y for x, y in zip(k, levels, strict=True))
        q = (n * sxy - sx * sy) / (n * sxx - sx * sx)
        intercept = (sy - q * sx) / n
    inl = [(t - intercept - q * x) / q for x, t in zip(k, levels, strict=True)]
    dnl = [(levels[i + 1] - levels[i]) / q - 1 for i in range(n - 1)]
    return inl, dnl, q, intercept, q * (n + 1) / full_scale - 1


@pytest.mark.parametrize("method", HAND)
def test_three_bit_converter_by_hand(method):
    figures = compute_inl_dnl(HAND_LEVELS, full_scale_v=8.0, method=method)
    for name, expected in HAND[method].items():
        # A few roundings of numbers of order 1 to 8: 1e-14 is some 10 units in the last place.
        np.testing.assert_allclose(getattr(figures, name), expected, rtol=0, atol=1e-14)
    assert figures.method == method
    assert figures.worst_inl_code == 4
    assert figures.worst_inl_lsb == figures.inl_lsb[3]
    if method == "best-fit":  # by end points, codes 3 and 4 tie
        assert figures.worst_dnl_code == 4
    assert figures.missing_count == 0
    assert figures.monotonic
    assert figures.good


@pytest.mark.parametrize("method", ["end-point", "best-fit"])
def test_against_plain_loops_for_many_chips(method):
    rng = np.random.default_rng(1)
    ideal = np.arange(1, 256) / 256
    levels = ideal * 1.01 + 0.003 + rng.normal(0, 0.3 / 256, (2, 5, 255))
    figures = compute_inl_dnl(levels, full_scale_v=[[1.0], [1.1]], method=method)
    for point, chip in np.ndindex(2, 5):
        inl, dnl, q, offset, gain = linearity_by_loops(
            levels[point, chip].tolist(), [1.0, 1.1][point], method
        )
        # 1e-16 V of rounding in T is 3e-14 LSB; the normal equations lose two more digits.
        np.testing.assert_allclose(figures.inl_lsb[point, chip], inl, rtol=0, atol=1e-11)
        np.testing.assert_allclose(figures.dnl_lsb[point, chip], dnl, rtol=0, atol=1e-11)
        np.testing.assert_allclose(figures.q_v[point, chip], q, rtol=1e-12)
        np.testing.assert_allclose(figures.offset_v[point, chip], offset, rtol=0, atol=1e-13)
        np.testing.assert_allclose(figures.gain_error[point, chip], gain, rtol=0, atol=1e-12)
        worst = max(range(255), key=lambda i: abs(inl[i]))
        assert figures.worst_inl_code[point, chip] == worst + 1
        assert figures.monotonic[point, chip] == all(width >= -1 for width in dnl)
        assert figures.missing_count[point, chip] == sum(width <= -0.9 for width in dnl)


@pytest.mark.parametrize("method", ["end-point", "best-fit"])
def test_pure_gain_has_no_offset_and_pure_shift_no_gain_error(method):
    ideal = np.arange(1, 64) / 64
    # Rounding of a sum of 63 numbers of order 1, divided by an LSB of 1/64: below 1e-12.
    gain = compute_inl_dnl(1.05 * ideal, full_scale_v=1.0, method=method)
    assert gain.gain_error == pytest.approx(0.05, abs=1e-12)
    assert gain.offset_v == pytest.approx(0.0, abs=1e-12)
    shift = compute_inl_dnl(ideal - 0.01, full_scale_v=1.0, method=method)
    assert shift.gain_error == pytest.approx(0.0, abs=1e-12)
    assert shift.offset_v == pytest.approx(-0.01, abs=1e-12)
    assert shift.offset_lsb == pytest.approx(-0.64, abs=1e-10)
    for figures in (gain, shift):
        np.testing.assert_allclose(figures.inl_lsb, 0, atol=1e-11)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 100, 254])
@pytest.mark.parametrize("method", ["end-point", "best-fit"])
def test_a_level_that_is_not_finite_spoils_its_chip_only(bad, where, method):
    clean = np.tile(np.arange(1, 256) / 256, (3, 1))
    levels = clean.copy()
    levels[1, where] = bad
    figures = compute_inl_dnl(levels, full_scale_v=1.0, method=method)
    reference = compute_inl_dnl(clean, full_scale_v=1.0, method=method)
    assert figures.good.tolist() == [True, False, True]
    for name in (
        "inl_lsb", "dnl_lsb", "q_v", "offset_v", "offset_lsb", "gain_error", "missing_count",
        "worst_inl_lsb", "worst_dnl_lsb",
    ):  # fmt: skip
        assert np.all(np.isnan(getattr(figures, name)[1])), name
        np.testing.assert_array_equal(getattr(figures, name)[::2], getattr(reference, name)[::2])
    assert figures.worst_inl_code[1] == NO_CODE
    assert figures.worst_dnl_code[1] == NO_CODE
    assert not figures.monotonic[1]
    assert not figures.missing_codes[1].any()


@pytest.mark.parametrize("levels", [[0.5] * 7, list(range(7, 0, -1))])
def test_levels_that_do_not_rise_have_no_lsb(levels):
    figures = compute_inl_dnl(levels, full_scale_v=1.0)
    assert not figures.good
    assert np.isnan(figures.q_v)
    assert np.all(np.isnan(figures.inl_lsb))


def test_missing_and_non_monotonic():
    levels = np.array([1.0, 2.0, 2.05, 4.0, 5.0, 6.0, 7.0])
    figures = compute_inl_dnl(levels)
    assert figures.missing_codes.nonzero()[0].tolist() == [1]  # code 2, 0.05 LSB wide
    assert figures.missing_count == 1
    assert figures.monotonic
    assert np.isnan(figures.gain_error)  # no full scale, no gain
    assert not compute_inl_dnl([1.0, 3.0, 2.0, 4.0, 5.0, 6.0, 7.0]).monotonic


@pytest.mark.parametrize(
    ("levels", "options", "word"),
    [
        (np.arange(8.0), {}, r"2\^bits - 1"),
        (1.0, {}, r"2\^bits - 1"),
        ([0.5], {}, "2 to"),
        (np.arange(7.0), {"method": "endpoint"}, "end-point, best-fit"),
        (np.arange(7.0), {"full_scale_v": 0.0}, "above 0"),
        (np.arange(7.0), {"full_scale_v": [1.0, 2.0]}, "does not fit"),
    ],
)
def test_linearity_refuses_in_one_line(levels, options, word):
    with pytest.raises(UsageError, match=word) as caught:
        compute_inl_dnl(levels, **options)
    assert "\n" not in str(caught.value)


def drawn_capacitors(bits, sigma, chips, seed, msb=1.0):
    rng = np.random.default_rng(seed)
    units = 2.0 ** np.arange(bits)
    caps = 2e-15 * units * (1 + rng.normal(0, sigma, (chips, bits)) / np.sqrt(units))
    caps[:, -1] *= msb
    return caps


@pytest.mark.parametrize(
    ("bits", "sigma", "msb"), [(3, 0.3, 1.0), (6, 0.1, 1.0), (6, 0, 0.9), (8, 0.02, 0.98)]
)
def test_tree_levels_against_a_simulated_search(bits, sigma, msb):
    static = compute_cdac_levels(drawn_capacitors(bits, sigma, 4, 7, msb), 2e-15, 40e-15, 1.0, 1e-3)
    levels = compute_tree_levels(static, bits)
    assert np.all(np.diff(levels, axis=-1) >= 0)
    grid = np.linspace(-0.02, 1.02, 3001)
    codes = compute_codes(levels, grid)
    assert codes.shape == (4, grid.size)
    for chip in range(4):
        assert codes[chip].tolist() == [sar_code(static[chip], bits, v) for v in grid]
        for k in range(1, 2**bits):  # exactly at a level, and one unit in the last place above
            level = levels[chip, k - 1]
            assert sar_code(static[chip], bits, level) < k
            assert sar_code(static[chip], bits, np.nextafter(level, 2.0)) >= k
            assert compute_codes(levels[chip], level) == sar_code(static[chip], bits, level)


def test_a_random_dac_far_out_of_order():
    static = np.random.default_rng(3).uniform(0, 1, (50, 31))
    levels = compute_tree_levels(static, 5)
    for chip in range(50):
        for v in np.linspace(0, 1, 101):
            assert np.sum(levels[chip] < v) == sar_code(static[chip], 5, v)


def test_light_msb_gives_missing_codes_that_counting_gets_wrong():
    caps = 2e-15 * 2.0 ** np.arange(8)
    caps[-1] *= 0.98
    static = compute_cdac_levels(caps, 2e-15, 40e-15, 1.0)
    figures = compute_inl_dnl(compute_tree_levels(static, 8))
    # The MSB weighs 125.44 units, so the trial codes 126 and 127 (126 and 127 units) are above
    # it: their codes vanish, and 125 keeps 0.44 units. Code 128 starts at 125.44.
    assert (figures.missing_codes.nonzero()[0] + 1).tolist() == [126, 127]
    assert figures.monotonic
    grid = np.linspace(0, 1, 4001)
    counted = (static < grid[:, None]).sum(axis=1)
    true = compute_codes(compute_tree_levels(static, 8), grid)
    assert np.abs(counted - true).max() == 2


def test_ideal_tree_levels_are_the_static_ones_exactly():
    static = compute_cdac_levels(2.0 ** np.arange(10) * 1e-15, 1e-15, 0.0, 1.0)
    ideal = np.arange(1, 1024) / 1024
    # Sums and quotients of 10 capacitors: a few units in the last place.
    np.testing.assert_allclose(static, ideal, rtol=1e-14)
    np.testing.assert_array_equal(compute_tree_levels(static, 10), static)


def test_cdac_levels_by_hand():
    # C = 1, 2 fF and a dummy of 1 fF: C_a = 4 fF; C_p = 4 fF doubles the offset of 10 mV.
    levels = compute_cdac_levels([1e-15, 2e-15], 1e-15, 4e-15, 0.8, 0.01)
    np.testing.assert_allclose(levels, [0.2 - 0.02, 0.4 - 0.02, 0.6 - 0.02], rtol=1e-14)


def test_cdac_broadcasts_points_and_chips():
    caps = drawn_capacitors(4, 0.05, 3, 1)
    offset = np.array([[0.0], [2e-3]])
    levels = compute_cdac_levels(caps, 2e-15, 5e-15, 1.0, offset)
    assert levels.shape == (2, 3, 15)
    for chip in range(3):
        alone = compute_cdac_levels(caps[chip], 2e-15, 5e-15, 1.0, 2e-3)
        np.testing.assert_allclose(levels[1, chip], alone, rtol=1e-14)
    assert np.all(levels[1] < levels[0])


@pytest.mark.parametrize(
    "arguments",
    [
        ([1e-15, -1e-15], 1e-15, 0.0, 1.0),
        ([0.0, 0.0], 0.0, 0.0, 1.0),
        ([], 1e-15, 0.0, 1.0),
        (np.ones((3, 4)), np.ones(2), 0.0, 1.0),
    ],
)
def test_cdac_refuses_in_one_line(arguments):
    with pytest.raises(UsageError) as caught:
        compute_cdac_levels(*arguments)
    assert "\n" not in str(caught.value)


def test_nan_chips_stay_nan_through_levels_and_codes():
    caps = drawn_capacitors(4, 0.05, 2, 1)
    caps[1, 2] = np.nan
    levels = compute_tree_levels(compute_cdac_levels(caps, 2e-15, 0.0, 1.0), 4)
    assert np.isnan(levels[1]).any()
    assert compute_inl_dnl(levels).good.tolist() == [True, False]
    codes = compute_codes(levels, [0.1, np.nan, 0.9])
    assert codes[1].tolist() == [NO_CODE] * 3
    assert codes[0, 1] == NO_CODE
    assert codes[0, 0] >= 0
    assert codes[0, 2] > codes[0, 0]


def test_codes_shapes():
    levels = np.arange(1, 8) / 8
    assert compute_codes(levels, 0.125) == 0  # a level belongs to the code below
    assert compute_codes(levels, 0.126) == 1
    assert compute_codes(levels, [[0.0, 1.0], [0.5, 0.51]]).tolist() == [[0, 7], [3, 4]]
    chips = np.stack([levels, levels + 0.2])
    assert compute_codes(chips, 0.25).tolist() == [1, 0]
    assert compute_codes(chips, [0.25, 1.0]).tolist() == [[1, 7], [0, 6]]
    assert compute_codes(chips, [[0.25], [1.0]]).tolist() == [[1], [6]]
    assert compute_codes(levels, []).shape == (0,)


def test_codes_refuse_unsorted_levels_and_misfits():
    with pytest.raises(UsageError, match="not sorted"):
        compute_codes([0.1, 0.3, 0.2], 0.5)
    with pytest.raises(UsageError, match="do not fit"):
        compute_codes(np.ones((2, 3)), np.ones((3, 4)))
    with pytest.raises(UsageError, match="4 bits have 15"):
        compute_tree_levels(np.arange(7.0), 4)
