"""Compiled conversions against `np.searchsorted`, a plain search and known probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2
from synthetic import search

from imccircuit.errors import UsageError
from imccircuit.metrics.adc import compute_tree_levels
from imccircuit.surrogates.kernels import codes, mvm, tree
from imccircuit.surrogates.kernels import noise as noise_kernel
from imccircuit.surrogates.kernels.codes import code_table, convert_codes, fill_codes
from imccircuit.surrogates.kernels.mvm import CodedProduct
from imccircuit.surrogates.kernels.noise import ConversionNoise, draw_normals
from imccircuit.surrogates.kernels.sar_noise import convert_sar
from imccircuit.surrogates.kernels.sar_twin import compute_code_probabilities, convert_sar_twin
from imccircuit.surrogates.kernels.tree import clip_tree


def levels_of(kind: str, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Levels (col, 63) of 1 V full scale that never fall."""
    uniform = np.tile(np.arange(1, 64) / 64, (columns, 1))
    if kind == "nearly uniform":
        return np.sort(uniform + rng.normal(0, 0.1 / 64, uniform.shape), axis=1)
    if kind == "missing codes":
        return compute_tree_levels(uniform + rng.normal(0, 3 / 64, uniform.shape), 6)
    if kind == "wild":
        return np.sort(rng.standard_cauchy(uniform.shape), axis=1)
    if kind == "all equal":
        return np.full(uniform.shape, 0.3)
    return np.where(uniform > 0.9, np.inf, np.where(uniform < 0.1, -np.inf, uniform))


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["nearly uniform", "missing codes", "wild", "all equal", "open"])
def test_codes_equal_a_search_for_any_levels(kind: str, real: type) -> None:
    rng = np.random.default_rng(3)
    levels = levels_of(kind, 70, rng)
    finite = np.where(np.isfinite(levels), levels, 0.5)
    at = finite[:, rng.integers(0, 63, 40)].T.astype(real)
    # On a level, and on the two numbers next to it.
    near = [at, np.nextafter(at, real(-np.inf)), np.nextafter(at, real(np.inf))]
    voltage = np.concatenate([rng.uniform(-0.5, 1.5, (200, 70)).astype(real), *near])
    voltage[0, :4] = np.inf, -np.inf, np.finfo(real).max, np.finfo(real).min
    expected = np.stack(
        [np.searchsorted(levels[j], voltage[:, j].astype(np.float64)) for j in range(70)], axis=1
    )
    np.testing.assert_array_equal(convert_codes(code_table(levels, real), voltage), expected)


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 3, 8, 10, 15, 16, 17, 45])
@pytest.mark.parametrize("bow_lsb", [0.3, 0.7, 1.2, 1.9, 3.4, 9.0])
def test_levels_along_a_bow_are_compared_one_after_the_other(
    bow_lsb: float, columns: int, real: type
) -> None:
    rng = np.random.default_rng(columns)
    x = np.arange(1, 64) / 64
    levels = np.sort(
        x + 4 * bow_lsb / 64 * x * (1 - x) + rng.normal(0, 1e-3, (columns, 63)), axis=1
    )
    table = code_table(levels, real)
    # The line goes through the middle of the bow: as many levels are compared as its height is LSB.
    vectors = real is np.float32
    if table.start.size == 0:
        assert bow_lsb - 0.3 < table.depth < bow_lsb + 2
    assert (table.start.size == 0) == (bow_lsb < (8 if vectors else 3))
    voltage = rng.uniform(-0.1, 1.2, (300, columns)).astype(real)
    voltage[:63] = np.nextafter(levels.T.astype(real), real(-1))
    expected = np.stack(
        [np.searchsorted(levels[j], voltage[:, j].astype(np.float64)) for j in range(columns)],
        axis=1,
    )
    np.testing.assert_array_equal(convert_codes(table, voltage), expected)
    whole = np.empty(voltage.shape, np.int32)
    fill_codes(table, voltage, whole)
    np.testing.assert_array_equal(whole, expected)


def test_what_is_no_number_has_no_code() -> None:
    levels = np.tile(np.arange(1, 8) / 8, (3, 1))
    levels[1, 4] = np.nan
    voltage = np.array([[0.5, 0.5, np.nan], [9.0, 9.0, 9.0]])
    expected = [[3, -1, -1], [7, -1, 7]]
    np.testing.assert_array_equal(convert_codes(code_table(levels, np.float64), voltage), expected)
    noise = ConversionNoise(1, decision_v=1e-9)
    np.testing.assert_array_equal(convert_sar(levels, voltage + 1e-6, noise) >= 0,
                                  [[True, False, False], [True, False, True]])  # fmt: skip


def test_noise_of_a_conversion_is_added_once() -> None:
    rng = np.random.default_rng(4)
    levels = levels_of("nearly uniform", 130, rng)
    voltage = rng.uniform(0, 1, (9, 130))
    table, noise = code_table(levels, np.float64), ConversionNoise(5, 0.02, chip=2, first_index=3)
    drawn = draw_normals((9, 130), seed=5, chip=2, first_index=3).astype(np.float64)
    expected = convert_codes(table, voltage + 0.02 * drawn)
    np.testing.assert_array_equal(convert_codes(table, voltage, noise), expected)
    assert np.any(expected != convert_codes(table, voltage))


def test_what_does_not_fit_is_refused() -> None:
    table = code_table(np.arange(1, 8) / 8)
    with pytest.raises(UsageError, match="voltages must be"):
        convert_codes(table, np.zeros((2, 1)))
    with pytest.raises(UsageError, match="no decisions"):
        convert_codes(table, np.zeros((2, 1), np.float32), ConversionNoise(0, decision_v=1.0))
    with pytest.raises(UsageError, match="not sorted"):
        code_table(np.array([0.0, 2.0, 1.0]))
    for bad in (ConversionNoise(1, chip=1.5), ConversionNoise(1, first_index=2.5)):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="must be a whole number, it is"):
            convert_codes(table, np.zeros((2, 1), np.float32), bad)
    with pytest.raises(UsageError, match=r"seed must be a whole number, it is 1\.5"):
        draw_normals((2, 2), seed=1.5)  # type: ignore[arg-type]
    small = draw_normals((2, 2), seed=np.uint8(200))  # type: ignore[arg-type]
    np.testing.assert_array_equal(small, draw_normals((2, 2), seed=200))
    with pytest.raises(UsageError, match="not negative"):
        convert_codes(table, np.zeros((2, 1), np.float32), ConversionNoise(0, -1.0))


# --- decisions -------------------------------------------------------------------------------


def test_codes_go_nowhere_but_into_whole_memory() -> None:
    rng = np.random.default_rng(5)
    weights = rng.random((6, 4), dtype=np.float32) / 6
    inputs = rng.random((3, 6), dtype=np.float32)
    product = CodedProduct(weights, code_table(levels_of("nearly uniform", 4, rng)))
    found = product(inputs)
    whole = np.full_like(found, -7)
    assert product(inputs, None, whole) is whole
    np.testing.assert_array_equal(whole, found)
    fixed = np.full_like(found, -7)
    fixed.flags.writeable = False
    scattered_ones = np.full((4, 3), -7, found.dtype).T, np.full((3, 8), -7, found.dtype)[:, ::2]
    for scattered in (*scattered_ones, fixed):
        with pytest.raises(UsageError, match="out must be contiguous"):
            product(inputs, None, scattered)
        assert np.all(scattered == -7)


def static_of(columns: int, spread_lsb: float, seed: int) -> np.ndarray:
    """Levels of trial codes (col, 31) of 1 V full scale, not in order where spread is large."""
    rng = np.random.default_rng(seed)
    weights = 2.0 ** np.arange(5) / 32 + rng.normal(0, spread_lsb / 32, (columns, 5))
    bits = (np.arange(1, 32)[:, None] >> np.arange(5)) & 1
    return np.asarray(weights @ bits.T)


def test_without_noise_a_search_decides() -> None:
    levels = static_of(70, 0.7, 1)
    voltage = np.random.default_rng(2).uniform(-0.1, 1.1, (50, 70))
    codes = convert_sar(levels, voltage, ConversionNoise(1))
    clipped = code_table(compute_tree_levels(levels, 5), np.float64)
    np.testing.assert_array_equal(codes, convert_codes(clipped, voltage))
    assert codes[3, 5] == search(levels[5], 5, voltage[3, 5])


def test_noisy_decisions_are_those_of_the_twin() -> None:
    levels = static_of(70, 0.7, 1)
    voltage = np.random.default_rng(2).uniform(-0.1, 1.1, (50, 70))
    noise = ConversionNoise(7, 0.004, 0.006, chip=1, first_index=9)
    expected = convert_sar_twin(
        levels, voltage, seed=7, sampled_v=0.004, decision_v=0.006, chip=1, first_index=9
    )
    # The twin draws in every decision, the kernel only in those that a draw can change. A variate
    # differs by 1e-6 σ, so a decision differs in one of 1e5; here none of 17500 does.
    np.testing.assert_array_equal(convert_sar(levels, voltage, noise), expected)


@pytest.mark.parametrize("voltage", [0.37, 0.5, 0.51])
def test_probabilities_are_products_along_the_tree(voltage: float) -> None:
    level, sigma, count = static_of(1, 0.3, 3), 0.6 / 32, 64 * 3000
    inputs = np.full((3000, 64), voltage)
    codes = convert_sar(np.tile(level, (64, 1)), inputs, ConversionNoise(11, decision_v=sigma))
    expected = count * compute_code_probabilities(level[0], voltage, sigma)
    assert expected.sum() == pytest.approx(count, rel=1e-12, abs=0)
    seen = np.bincount(codes.ravel(), minlength=32)
    often = expected > 10
    squares = (seen[often] - expected[often]) ** 2 / expected[often]
    assert squares.sum() < chi2.ppf(0.999, np.count_nonzero(often) - 1)
    assert seen[~often].sum() < 10 + 5 * expected[~often].sum()
    # One draw at the input is another law, and this number of conversions tells them apart.
    once = convert_codes(
        code_table(np.tile(compute_tree_levels(level, 5), (64, 1)), np.float64),
        inputs,
        ConversionNoise(11, sigma),
    )
    other = np.bincount(once.ravel(), minlength=32)[often]
    assert ((other - expected[often]) ** 2 / expected[often]).sum() > 10 * squares.sum()


# --- tree and product ------------------------------------------------------------------------


def test_the_tree_clips_as_the_search_does() -> None:
    rng = np.random.default_rng(5)
    for bits in (1, 2, 5, 8):
        static = np.arange(1, 2**bits) + rng.normal(0, 3, (40, 2**bits - 1))
        expected = compute_tree_levels(static, bits)
        static[7, -1] = expected[7] = np.nan
        clip_tree(static)
        np.testing.assert_array_equal(static, expected)


@pytest.mark.parametrize("part", [1, 100, 1000])
def test_parts_of_a_batch_are_those_of_the_whole(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(7)
    levels, voltage = levels_of("nearly uniform", 9, rng), rng.random((203, 9), dtype=np.float32)
    table, noise = code_table(levels), ConversionNoise(5, 0.02, first_index=4)
    chips = rng.normal(0, 1, (203, 63))
    whole = convert_codes(table, voltage, noise), draw_normals((203, 9), seed=2, first_index=3)
    clipped = chips.copy()
    clip_tree(clipped)
    for module in (codes, noise_kernel, tree):
        monkeypatch.setattr(module, "_PART", part)
    np.testing.assert_array_equal(convert_codes(table, voltage, noise), whole[0])
    np.testing.assert_array_equal(draw_normals((203, 9), seed=2, first_index=3), whole[1])
    clip_tree(chips)
    np.testing.assert_array_equal(chips, clipped)


@pytest.mark.parametrize("noise", [None, ConversionNoise(3, 0.01, first_index=5)])
@pytest.mark.parametrize("kind", ["nearly uniform", "missing codes"])
def test_a_product_is_converted_by_any_number_of_threads(
    kind: str, noise: ConversionNoise | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mvm, "_LEAST_WORK", 0)
    rng = np.random.default_rng(6)
    inputs = rng.random((700, 20), dtype=np.float32)
    # More vectors and columns than a tile has.
    weights = (rng.random((20, 1100), dtype=np.float32) / 10).astype(np.float32)
    table = code_table(levels_of(kind, 1100, rng))
    voltage = inputs @ weights
    expected = convert_codes(table, voltage, noise)
    found = [CodedProduct(weights, table, threads)(inputs, noise) for threads in (1, 2, 3)]
    for answer in found:
        np.testing.assert_array_equal(answer, found[0])
    # BLAS may add in another order for another number of rows: one rounding on a level.
    assert np.count_nonzero(found[0] != expected) <= 1e-4 * expected.size
    if kind == "nearly uniform":
        assert np.max(np.abs(found[0] - expected)) <= 1
