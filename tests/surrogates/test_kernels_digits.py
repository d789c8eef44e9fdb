"""Products of digits against whole numbers of any size, and what rounded weights may change."""

from __future__ import annotations

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics.adc import NO_CODE
from imccircuit.surrogates.kernels import mvm
from imccircuit.surrogates.kernels.codes import code_table, convert_codes
from imccircuit.surrogates.kernels.digits import DigitWeights, nearest_digits
from imccircuit.surrogates.kernels.mvm import CodedProduct
from imccircuit.surrogates.kernels.noise import ConversionNoise

# Of a product in single precision: each stretch is rounded once as it is made and once as added.
SINGLE = 2.0**-22


def product(weights: np.ndarray, inputs: np.ndarray, bits: int) -> np.ndarray:
    known = DigitWeights(weights, bits)
    pairs = known.pack(inputs)
    # Memory on both sides of where the product belongs.
    whole = np.full((len(pairs) + 2, weights.shape[1]), np.float32(-7))
    known.times(pairs, whole[1:-1])
    assert np.all(whole[[0, -1]] == -7)
    return whole[1:-1][: len(inputs)].astype(np.float64)


@pytest.mark.parametrize("columns", [1, 2, 15, 16, 17, 63, 64, 65, 80, 81, 130])
@pytest.mark.parametrize(("vectors", "rows"), [(0, 3), (1, 1), (3, 2), (4, 16), (9, 33), (5, 300)])
def test_whole_weights_are_multiplied_as_whole_numbers(
    vectors: int, rows: int, columns: int
) -> None:
    rng = np.random.default_rng(rows)
    whole = rng.integers(-32767, 32768, (rows, columns))
    whole[0] = 32767  # then a column's scale is 2^-15, and nothing is rounded
    digits = rng.integers(0, 256, (vectors, rows)).astype(np.uint8)
    exact = digits.astype(np.int64) @ whole
    found = product(whole * 2.0**-15, digits, 8) * 2.0**15
    largest = digits.astype(np.int64) @ np.abs(whole)
    # The scale itself, a column's largest over 32767, is in single precision.
    assert np.all(np.abs(found - exact) <= 4 * SINGLE * largest)


def twin(weights: np.ndarray, digits: np.ndarray, bits: int) -> np.ndarray:
    """Whole products of as many rows as 32 bits hold, added in single precision, then scaled."""
    scale = np.abs(weights).max(axis=0) / 32767
    whole = np.rint(weights / scale).astype(np.int64)
    rows = 2 * ((2**31 - 1) // (2 * (2**bits - 1) * 32767))
    total = np.zeros((len(digits), weights.shape[1]), np.float32)
    for first in range(0, len(weights), rows):
        stretch = slice(first, first + rows)
        total += (digits[:, stretch].astype(np.int64) @ whole[stretch]).astype(np.float32)
    return np.asarray(total * scale.astype(np.float32), dtype=np.float64)


@pytest.mark.parametrize("columns", [5, 16, 40, 64, 150])
@pytest.mark.parametrize(("rows", "bits"), [(40, 8), (256, 8), (259, 8), (900, 8), (900, 4)])
def test_products_are_those_of_the_twin_to_the_last_bit(rows: int, bits: int, columns: int) -> None:
    rng = np.random.default_rng(rows)
    weights = rng.normal(size=(rows, columns))
    digits = rng.integers(0, 2**bits, (11, rows)).astype(np.uint8)
    np.testing.assert_array_equal(product(weights, digits, bits), twin(weights, digits, bits))


def test_a_product_without_rows_is_zero() -> None:
    np.testing.assert_array_equal(product(np.ones((0, 20)), np.zeros((5, 0), np.uint8), 8), 0.0)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_sums_leave_their_32_bits_before_these_overflow(bits: int) -> None:
    # Of whatever number of rows that is: beyond 65536 sums of digits of one bit would.
    rows = 200_000
    digits = np.full((2, rows), 2**bits - 1, np.uint8)
    weights = np.ones((rows, 17))
    weights[:, 1] = -1
    found = product(weights, digits, bits)
    expected = rows * (2**bits - 1) * np.where(np.arange(17) == 1, -1.0, 1.0)
    # 200,000 rows are 782 stretches of 8 bits, each of which is added with one rounding.
    assert found == pytest.approx(np.tile(expected, (2, 1)), abs=800 * 2.0**-24 * abs(expected[0]))


def test_what_rounded_weights_change_is_bounded_beforehand() -> None:
    rng = np.random.default_rng(1)
    weights = rng.lognormal(0, 1, (128, 40)) * rng.choice([-1.0, 1.0], (128, 40))
    known = DigitWeights(weights, 4)
    digits = rng.integers(0, 16, (500, 128)).astype(np.uint8)
    error = np.abs(product(weights, digits, 4) - digits @ weights)
    assert np.all(error <= known.rounding + SINGLE * (digits @ np.abs(weights)))
    # A bound that is taken: the digits that add up what was rounded one way.
    one = DigitWeights(weights[:, :1], 4)
    back = product(weights[:, :1], np.eye(128, dtype=np.uint8), 4)[:, 0]
    up = np.where(back > weights[:, 0], 15, 0).astype(np.uint8)
    down = 15 - up
    taken = [abs(product(weights[:, :1], x[None], 4)[0, 0] - x @ weights[:, 0]) for x in (up, down)]
    assert sum(taken) == pytest.approx(one.rounding[0], abs=0.01 * one.rounding[0])


def test_columns_are_rounded_by_themselves() -> None:
    weights = np.array([[1.0, 1e-9, 0.0], [0.5, -3e-10, 0.0]])
    digits = np.array([[3, 2], [1, 0]], np.uint8)
    found, exact = product(weights, digits, 2), digits @ weights
    assert np.all(np.abs(found - exact) <= np.array([1.0, 1e-9, 0.0]) * 3 * 2.0**-15)


@pytest.mark.parametrize("columns", [5, 20, 64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_column_with_a_weight_that_is_none_has_no_products(bad: float, columns: int) -> None:
    weights = np.ones((6, columns), np.float32)
    weights[2, 1] = bad
    digits = np.zeros((3, 6), np.uint8)
    found, no_number = product(weights, digits, 2), np.arange(columns) == 1
    np.testing.assert_array_equal(np.isnan(found), np.tile(no_number, (3, 1)))
    np.testing.assert_array_equal(np.isnan(DigitWeights(weights, 2).rounding), no_number)
    codes = CodedProduct(weights, code_table(np.tile([0.1, 0.2], (columns, 1))), input_bits=2)
    np.testing.assert_array_equal(codes(digits) == NO_CODE, np.isnan(found))


@pytest.mark.parametrize("bits", [1, 5, 8])
@pytest.mark.parametrize("rows", [3, 16, 21])
def test_the_nearest_digit_is_within_half_a_step(rows: int, bits: int) -> None:
    rng = np.random.default_rng(rows)
    inputs, most = rng.random((50, rows), dtype=np.float32), 2**bits - 1
    inputs[0, 0], inputs[1, 1] = 0.0, 1.0
    digits = nearest_digits(inputs, bits)
    assert np.all(np.abs(digits - most * inputs.astype(np.float64)) <= 0.5 + most * 2.0**-23)
    np.testing.assert_array_equal(nearest_digits(np.asfortranarray(inputs), bits), digits)
    every = np.tile(np.arange(most + 1, dtype=np.uint8)[:, None], rows)
    np.testing.assert_array_equal(nearest_digits((every / np.float32(most)), bits), every)


@pytest.mark.parametrize("rows", [1, 16, 21])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_digits_are_those_of_numpy_whatever_their_column(bits: int, rows: int) -> None:
    most = np.float32(2**bits - 1)
    halves = (np.arange(2**bits - 1, dtype=np.float32) + np.float32(0.5)) / most
    below, above = (np.nextafter(halves, np.float32(side)) for side in (0, 1))
    inputs = np.tile(np.concatenate([halves, below, above])[:, None], rows)
    np.testing.assert_array_equal(nearest_digits(inputs, bits), np.rint(inputs * most))


@pytest.mark.parametrize("rows", [3, 16, 21])
@pytest.mark.parametrize("bad", [-0.01, 1.01, np.nan, np.inf, -np.inf])
def test_no_input_is_taken_for_another(rows: int, bad: float) -> None:
    for place in range(rows):
        inputs = np.zeros((2, rows), np.float32)
        inputs[1, place] = bad
        with pytest.raises(UsageError, match="out of range or no number; allowed: 0 to 1"):
            nearest_digits(inputs, 3)
        digits = np.zeros((2, rows), np.uint8)
        digits[1, place] = 8
        with pytest.raises(UsageError, match="a digit is too large; allowed: 0 to 7"):
            DigitWeights(np.ones((rows, 2)), 3).pack(digits)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="digits of 9 bits; allowed: 1 to 8"):
        DigitWeights(np.ones((2, 2)), 9)
    with pytest.raises(UsageError, match="digits of 0 bits; allowed: 1 to 8"):
        nearest_digits(np.ones((2, 2), np.float32), 0)
    with pytest.raises(UsageError, match="must be float32"):
        nearest_digits(np.ones((2, 2)), 4)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"allowed: \(row, col\)"):
        DigitWeights(np.ones(3), 8)
    for inputs in (np.ones((2, 3), np.uint8), np.ones((2, 2), np.float32), np.ones((2, 2), int)):
        with pytest.raises(UsageError, match=r"allowed: \(vector, 2\) of uint8"):
            DigitWeights(np.ones((2, 2)), 8).pack(inputs)  # type: ignore[arg-type]


@pytest.mark.parametrize("noise", [None, ConversionNoise(3, 0.01, first_index=5)])
def test_products_of_digits_are_converted_by_any_number_of_threads(
    noise: ConversionNoise | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mvm, "_LEAST_WORK", 0)
    rng = np.random.default_rng(6)
    digits = rng.integers(0, 16, (701, 20)).astype(np.uint8)
    weights = (rng.random((20, 1100), dtype=np.float32) / 150).astype(np.float32)
    levels = np.sort(np.arange(1, 64) / 64 + rng.normal(0, 1e-3, (1100, 63)), axis=1)
    table = code_table(levels)
    found = [CodedProduct(weights, table, n, input_bits=4)(digits, noise) for n in (1, 2, 3)]
    for codes in found:
        np.testing.assert_array_equal(codes, found[0])
    run = CodedProduct(weights, table, input_bits=4)
    np.testing.assert_array_equal(run(digits, noise), codes)
    # Only where a level is no further than what rounding may change is another code right.
    assert 0 < run.rounding_v.max() < 1e-4
    voltage = digits.astype(np.float64) @ weights.astype(np.float64)
    bounds = [
        convert_codes(table, (voltage + side * (run.rounding_v + 1e-6)).astype(np.float32), noise)
        for side in (-1, 1)
    ]
    assert np.all((bounds[0] <= codes) & (codes <= bounds[1]))
    assert np.mean(bounds[0] != bounds[1]) < 0.02
