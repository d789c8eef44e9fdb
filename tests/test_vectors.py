"""Vectors in compiled kernels against the same written with numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from imccircuit.vectors import (
    LANES,
    add_products,
    count_from,
    exceeds,
    lane_sum,
    larger,
    load,
    long_products,
    nearest,
    padded,
    real,
    splat,
    store,
    store_some,
    take,
    turn,
    vector_zeros,
    where_number,
    whole_within,
)


@njit
def _arithmetic(a, b, out, number):  # type: ignore[no-untyped-def]
    total = splat(np.float32(0.0))
    for i in range(a.shape[0]):
        for j in range(0, a.shape[1], LANES):
            x = (load(a, i, j) * splat(number) + load(b, i, j)) / load(b, i, j) - load(a, i, j)
            store(out, i, j, x)
            total = total + x
    return lane_sum(total)


@njit
def _turned(source, target):  # type: ignore[no-untyped-def]
    for i in range(0, source.shape[0], LANES):
        for j in range(0, source.shape[1], LANES):
            turn(source, i, j, target, j, i)


@njit
def _taken(table, index, values):  # type: ignore[no-untyped-def]
    for j in range(0, index.shape[1], LANES):
        store(values, 0, j, take(table, load(index, 0, j)))


@njit
def _whole(x, y, out, most):  # type: ignore[no-untyped-def]
    """Rows: whole part, above y, the larger of both plus 3 minus 1, 7 where x is a number."""
    for j in range(0, x.shape[1], LANES):
        v, w = load(x, 0, j), load(y, 0, j)
        whole, above = whole_within(v, splat(most)), exceeds(v, w)
        store(out, 0, j, whole)
        store(out, 1, j, above)
        store(out, 2, j, larger(whole, above) + splat(np.int32(3)) - splat(np.int32(1)))
        store(out, 3, j, where_number(v, splat(np.int32(7)), splat(np.int32(-1))))


@njit
def _nearest_real(x, out):  # type: ignore[no-untyped-def]
    for j in range(0, x.shape[1], LANES):
        store(out, 0, j, nearest(load(x, 0, j)))


@njit
def _some(x, out, count):  # type: ignore[no-untyped-def]
    store_some(out, 0, 0, real(load(x, 0, 0)), count)


@njit
def _words(a, b, out, factor):  # type: ignore[no-untyped-def]
    """Rows: pair products on top of 7, high and low products, exclusive or, numbers from 3 on."""
    for j in range(0, a.shape[1], LANES):
        v, w = load(a, 0, j), load(b, 0, j)
        high, low = long_products(v, factor)
        store(out, 0, j, add_products(splat(np.int32(7)), v, w))
        store(out, 1, j, high)
        store(out, 2, j, low)
        store(out, 3, j, v ^ w)
        store(out, 4, j, count_from(np.int32(3)))


def test_words_are_multiplied_as_python_does() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 2**32, (2, 1, 64), dtype=np.uint32)
    a[0, :4], b[0, :4] = [0, 2**32 - 1, 2**31, 1], [2**32 - 1, 2**32 - 1, 2**31, 0]
    factor, out = np.uint32(0xD2511F53), np.zeros((5, 64), np.int32)
    _words(a.view(np.int32), b.view(np.int32), out, factor)
    pairs = [x.view(np.int16).reshape(64, 2).astype(np.int64) for x in (a, b)]
    sums = 7 + (pairs[0] * pairs[1]).sum(axis=1)
    np.testing.assert_array_equal(out[0].view(np.uint32), sums % 2**32)
    product = [int(x) * int(factor) for x in a[0]]
    np.testing.assert_array_equal(out[1].view(np.uint32), [p >> 32 for p in product])
    np.testing.assert_array_equal(out[2].view(np.uint32), [p % 2**32 for p in product])
    np.testing.assert_array_equal(out[3].view(np.uint32), (a ^ b)[0])
    np.testing.assert_array_equal(out[4], np.tile(np.arange(3, 19), 4))


def test_halves_are_rounded_to_even_numbers() -> None:
    x = np.arange(-8, 8, 0.25, dtype=np.float32)[None]
    out = np.zeros_like(x)
    _nearest_real(x, out)
    np.testing.assert_array_equal(out, np.rint(x))


@pytest.mark.parametrize("count", [0, 1, 15, 16])
def test_some_numbers_leave_the_others_alone(count: int) -> None:
    whole = np.arange(16, dtype=np.int32)[None] - 5
    out = np.full((1, 20), np.float32(9))
    _some(whole, out, count)
    np.testing.assert_array_equal(out[0, :count], whole[0, :count])
    assert np.all(out[0, count:] == 9)


def test_arithmetic_is_that_of_numpy() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.5, 2, (2, 3, 48)).astype(np.float32)
    out = vector_zeros((3, 48))
    total = _arithmetic(a, b, out, np.float32(0.3))
    wanted = (a * np.float32(0.3) + b) / b - a
    np.testing.assert_allclose(out, wanted, rtol=0, atol=4e-7)
    assert total == pytest.approx(float(wanted.sum(dtype=np.float64)), abs=2e-5)


def test_squares_are_transposed_where_they_lie() -> None:
    source = np.arange(32 * 48, dtype=np.float32).reshape(32, 48)
    target = vector_zeros((48, 32))
    _turned(source, target)
    np.testing.assert_array_equal(target, source.T)
    # Rows of a larger matrix: the steps between them are its own.
    wide = np.zeros((48, 64), np.float32)
    _turned(source, wide[:, 16:48])
    np.testing.assert_array_equal(wide[:, 16:48], source.T)
    assert not wide[:, :16].any()
    assert not wide[:, 48:].any()


def test_entries_are_those_of_the_indices() -> None:
    rng = np.random.default_rng(2)
    table, index = rng.random(1000).astype(np.float32), rng.integers(0, 1000, (1, 64))
    index[0, :2] = 0, 999
    values = np.zeros((1, 64), np.float32)
    _taken(table, index.astype(np.int32), values)
    np.testing.assert_array_equal(values, table[index])


@pytest.mark.parametrize("bits", [np.int16, np.int32])
def test_whole_numbers_are_those_of_numpy(bits: type) -> None:
    x = np.linspace(-3, 12, 16, dtype=np.float32)[None]
    x[0, :3] = np.nan, np.inf, -np.inf
    y = np.full_like(x, 4.0)
    y[0, 3] = np.nan
    out = np.zeros((4, 16), bits)
    _whole(x, y, out, np.float32(9.0))
    whole = np.clip(np.nan_to_num(x[0], posinf=9, neginf=0), 0, 9).astype(int)
    above = (x[0] > y[0]).astype(int)
    number = np.where(np.isnan(x[0]), -1, 7)
    np.testing.assert_array_equal(out, [whole, above, np.maximum(whole, above) + 2, number])


def test_matrices_begin_with_a_cache_line() -> None:
    for count in range(1, 20):
        zeros = vector_zeros((count, 16))
        assert zeros.ctypes.data % 64 == 0
        assert zeros.shape == (count, 16)
        assert not zeros.any()
    assert [padded(n) for n in (1, 16, 17)] == [16, 16, 32]
