"""Products of weights with digits, the whole numbers that drive the rows of an array.

A driver of b bits makes one of 2^b voltages, so an input is a digit from 0 to 2^b − 1 and fits
sixteen bits; weights are rounded to as many, the largest of a column to 32767. Processors multiply
two pairs of such numbers and add them in one instruction, two to three times as fast as single
precision. Sums are whole, hence exact, and are added in single precision before 32 bits could
overflow; so the same weights give the same products on any machine.

What rounding the weights does is known beforehand: `DigitWeights.rounding`. The twin is numpy's
product of the same whole numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.vectors import (
    LANES,
    add_products,
    exceeds,
    lane_sum,
    larger,
    load,
    nearest,
    real,
    splat,
    store,
    store_some,
    vector_zeros,
    where_number,
    whole_within,
)

MOST_BITS = 8
"""Of a digit, as of drivers and of passes."""

# Vectors and columns of a tile: four vectors times four registers of sums, with what they are made
# of, take the registers of a core.
_TILE, _WIDE = 4, 4 * LANES
_LARGEST = 2**15 - 1

Digits = NDArray[np.uint8]


def nearest_digits(inputs: NDArray[np.float32], bits: int) -> Digits:
    """Digits (vector, row) next to inputs (vector, row) from 0 to 1; 1 is the largest digit.

    Equals ``np.rint(inputs * (2**bits - 1))`` in single precision: halves go to the even digit.

    Raises
    ------
    UsageError : an input is out of range, no number, or of another type.
    """
    if inputs.ndim != 2 or inputs.dtype != np.float32:
        raise UsageError(f"inputs must be float32 of (vector, row), not {inputs.dtype}")
    digits = np.empty(inputs.shape, dtype=np.uint8)
    # The kernel reads along memory.
    if not _round_inputs(np.ascontiguousarray(inputs), _largest_digit(bits), digits):
        raise UsageError("an input is out of range or no number; allowed: 0 to 1")
    return digits


def _largest_digit(bits: int) -> int:
    if not 1 <= bits <= MOST_BITS:
        raise UsageError(f"digits of {bits} bits; allowed: 1 to {MOST_BITS}")
    return int(2**bits - 1)


class DigitWeights:
    """Weights (row, col) as whole numbers of sixteen bits, each column with a scale of its own.

    Parameters
    ----------
    weights : (row, col); a column where one is not finite has products that are no number.
    bits : of a digit, 1 to `MOST_BITS`.

    Raises
    ------
    UsageError : one of both is not allowed.
    """

    def __init__(self, weights: ArrayLike, bits: int) -> None:
        exact = np.asarray(weights, dtype=np.float64)
        self.most = _largest_digit(bits)
        if exact.ndim != 2:
            raise UsageError(f"weights of shape {exact.shape}; allowed: (row, col)")
        known = np.isfinite(exact).all(axis=0)
        exact = np.where(known, exact, 0.0)
        self.rows, self.columns = exact.shape
        scale = np.abs(exact).max(axis=0, initial=0.0) / _LARGEST
        step = np.where(scale > 0, scale, 1.0)
        whole = np.rint(exact / step)
        self._scale = np.zeros(_width(self.columns), dtype=np.float32)
        self._scale[: self.columns] = np.where(known, scale, np.nan)
        self._stored = _in_tiles(whole.astype(np.int16))
        # Pairs whose sum of products cannot leave 32 bits, whatever they are.
        self._pairs = (2**31 - 1) // (2 * self.most * _LARGEST)
        off = exact - whole * self._scale[: self.columns].astype(np.float64)
        self.rounding: NDArray[np.float64] = self.most * np.abs(off).sum(axis=0)
        """(col,) most that rounded weights change in any product, in the unit of products."""

    def check(self, digits: NDArray[Any]) -> None:
        """Refuse what `pack` does not take.

        Raises
        ------
        UsageError : another type or shape.
        """
        if digits.dtype != np.uint8 or digits.ndim != 2 or digits.shape[1] != self.rows:
            raise UsageError(
                f"digits of shape {digits.shape} and type {digits.dtype}; allowed: (vector, "
                f"{self.rows}) of uint8"
            )

    def pack(self, digits: NDArray[Any]) -> NDArray[np.int32]:
        """Pairs of digits for `times`: (vector, pair), in whole tiles of vectors.

        Raises
        ------
        UsageError : digits of another type or shape, or one that is too large.
        """
        self.check(digits)
        shape = -(-len(digits) // _TILE) * _TILE, -(-self.rows // 2)
        is_whole = shape == (len(digits), self.rows / 2)
        pairs = np.empty(shape, np.int32) if is_whole else np.zeros(shape, np.int32)
        if _pack(digits, pairs.view(np.int16)) > self.most:
            raise UsageError(f"a digit is too large; allowed: 0 to {self.most}")
        return pairs

    def times(self, pairs: NDArray[np.int32], out: NDArray[np.float32]) -> None:
        """Products (vector, col) of packed digits, in whole tiles of vectors as those."""
        _multiply(pairs, self._stored, self._scale, self._pairs, out)


def _width(columns: int) -> int:
    """Columns with those that fill the last tile: a narrow one for a register's, else a wide."""
    left = columns % _WIDE
    return columns - left + (0 if left == 0 else LANES if left <= LANES else _WIDE)


def _in_tiles(whole: NDArray[np.int16]) -> NDArray[np.int32]:
    """Pairs of rows, (pair, column) of as many columns as a tile has, one tile after the other."""
    rows, columns = whole.shape
    width = _width(columns)
    full = np.zeros((rows + rows % 2, width), dtype=np.int16)
    full[:rows, :columns] = whole
    halves = full.reshape(len(full) // 2, 2, width).transpose(0, 2, 1)
    pairs = np.ascontiguousarray(halves).view(np.int32)[:, :, 0]
    # Wherever else they began, every vector of them could lie across two lines of the cache.
    tiles = vector_zeros((pairs.size,)).view(np.int32)
    for first in range(0, width, _WIDE):
        tile = pairs[:, first : first + _WIDE]
        tiles[first * len(pairs) :][: tile.size] = tile.ravel()
    return tiles


@njit(cache=True, nogil=True)
def _pack(digits, packed):  # type: ignore[no-untyped-def]
    """Copy digits to numbers of sixteen bits; the largest."""
    largest = np.int32(0)
    for i in range(len(digits)):
        given, words = digits[i], packed[i]
        for j in range(len(given)):
            words[j] = given[j]
            largest = max(largest, np.int32(given[j]))
    return largest


@njit(cache=True, nogil=True)
def _round_inputs(inputs, most, digits):  # type: ignore[no-untyped-def]
    """Digits next to inputs; whether all inputs are from 0 to 1."""
    rows, largest = inputs.shape[1], np.float32(most)
    right, zero, one = 0, np.float32(0), np.float32(1)
    scale, outside = splat(largest), splat(np.int32(1))
    least, unit, wrong = splat(zero), splat(one), splat(np.int32(0))
    last = rows // LANES * LANES
    for i in range(len(inputs)):
        for j in range(0, last, LANES):
            x = load(inputs, i, j)
            below_or_above = exceeds(least, x) + exceeds(x, unit)
            wrong = larger(wrong, where_number(x, below_or_above, outside))
            store(digits, i, j, whole_within(nearest(x * scale), scale))
        for j in range(last, rows):
            x = inputs[i, j]
            inside = (x >= zero) & (x <= one)
            if inside:
                right += 1
            digits[i, j] = np.uint8(np.rint(x * largest)) if inside else np.uint8(0)
    return right == len(inputs) * (rows - last) and lane_sum(real(wrong)) == zero


@njit(cache=True, nogil=True)
def _multiply(pairs, stored, scale, most_pairs, out):  # type: ignore[no-untyped-def]
    vectors, count = pairs.shape
    columns = out.shape[1]
    scales = scale.reshape(1, -1)
    if count == 0:
        out[:] = np.float32(0)
        return
    for n in range(0, columns, _WIDE):
        tile, left = stored[n * count :], columns - n
        if left <= LANES:
            narrow = tile.reshape(count, LANES)
            for i in range(0, vectors, _TILE):
                _narrow_tile(pairs, i, most_pairs, narrow, scales, n, out)
        elif left < _WIDE:
            part = np.empty((vectors, _WIDE), np.float32)
            _wide_column(pairs, tile.reshape(count, _WIDE), scales[:, n:], most_pairs, 0, part)
            out[:, n:] = part[:, :left]
        else:
            wide = tile[: _WIDE * count].reshape(count, _WIDE)
            _wide_column(pairs, wide, scales[:, n:], most_pairs, n, out)


@njit(cache=True, nogil=True)
def _wide_column(pairs, tile, scales, most_pairs, n, out):  # type: ignore[no-untyped-def]
    """All vectors times the columns of a tile, which begin at column ``n`` of ``out``."""
    vectors, count = pairs.shape
    # Scaled with the last stretch: a sum before a product leaves nothing to be rounded once on one
    # machine and twice on another.
    ones = np.ones((1, _WIDE), np.float32)
    # The weights of a stretch stay in the first level of the cache while all vectors pass.
    for first in range(0, count, most_pairs):
        last = first + most_pairs
        for i in range(0, vectors, _TILE):
            if last < count:
                _wide_tile(pairs, i, first, last, tile, ones, n, out)
            else:
                _wide_tile(pairs, i, first, count, tile, scales, n, out)


@njit(cache=True, nogil=True, inline="always")
def _add(out, i, n, first, sums, scale):  # type: ignore[no-untyped-def]
    """Put the sums of the first stretch there or add those of another, then scale."""
    total = real(sums)
    if first > 0:
        total = load(out, i, n) + total
    store(out, i, n, total * scale)


@njit(cache=True, nogil=True)
def _wide_tile(pairs, i, first, last, tile, scales, n, out):  # type: ignore[no-untyped-def]
    """Four vectors times four registers of columns over some pairs."""
    zero = splat(np.int32(0))
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero
    c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = zero
    for k in range(first, last):
        w0, w1 = load(tile, k, 0), load(tile, k, LANES)
        w2, w3 = load(tile, k, 2 * LANES), load(tile, k, 3 * LANES)
        x = splat(pairs[i, k])
        a0, a1 = add_products(a0, x, w0), add_products(a1, x, w1)
        a2, a3 = add_products(a2, x, w2), add_products(a3, x, w3)
        x = splat(pairs[i + 1, k])
        b0, b1 = add_products(b0, x, w0), add_products(b1, x, w1)
        b2, b3 = add_products(b2, x, w2), add_products(b3, x, w3)
        x = splat(pairs[i + 2, k])
        c0, c1 = add_products(c0, x, w0), add_products(c1, x, w1)
        c2, c3 = add_products(c2, x, w2), add_products(c3, x, w3)
        x = splat(pairs[i + 3, k])
        d0, d1 = add_products(d0, x, w0), add_products(d1, x, w1)
        d2, d3 = add_products(d2, x, w2), add_products(d3, x, w3)
    s0, s1 = load(scales, 0, 0), load(scales, 0, LANES)
    s2, s3 = load(scales, 0, 2 * LANES), load(scales, 0, 3 * LANES)
    _add(out, i, n, first, a0, s0)
    _add(out, i, n + LANES, first, a1, s1)
    _add(out, i, n + 2 * LANES, first, a2, s2)
    _add(out, i, n + 3 * LANES, first, a3, s3)
    _add(out, i + 1, n, first, b0, s0)
    _add(out, i + 1, n + LANES, first, b1, s1)
    _add(out, i + 1, n + 2 * LANES, first, b2, s2)
    _add(out, i + 1, n + 3 * LANES, first, b3, s3)
    _add(out, i + 2, n, first, c0, s0)
    _add(out, i + 2, n + LANES, first, c1, s1)
    _add(out, i + 2, n + 2 * LANES, first, c2, s2)
    _add(out, i + 2, n + 3 * LANES, first, c3, s3)
    _add(out, i + 3, n, first, d0, s0)
    _add(out, i + 3, n + LANES, first, d1, s1)
    _add(out, i + 3, n + 2 * LANES, first, d2, s2)
    _add(out, i + 3, n + 3 * LANES, first, d3, s3)


@njit(cache=True, nogil=True)
def _narrow_tile(pairs, i, most_pairs, tile, scales, n, out):  # type: ignore[no-untyped-def]
    """Four vectors times up to sixteen columns, over all pairs."""
    zero, nothing = splat(np.int32(0)), splat(np.float32(0))
    p = q = r = s = nothing
    for first in range(0, len(tile), most_pairs):
        a = b = c = d = zero
        for k in range(first, min(first + most_pairs, len(tile))):
            w = load(tile, k, 0)
            a = add_products(a, splat(pairs[i, k]), w)
            b = add_products(b, splat(pairs[i + 1, k]), w)
            c = add_products(c, splat(pairs[i + 2, k]), w)
            d = add_products(d, splat(pairs[i + 3, k]), w)
        p, q, r, s = p + real(a), q + real(b), r + real(c), s + real(d)
    scale, left = load(scales, 0, n), min(LANES, out.shape[1] - n)
    store_some(out, i, n, p * scale, left)
    store_some(out, i + 1, n, q * scale, left)
    store_some(out, i + 2, n, r * scale, left)
    store_some(out, i + 3, n, s * scale, left)
