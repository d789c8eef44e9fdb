"""Voltages to codes by transition levels: exact for any levels that never fall, without a search.

The range of a column's levels is cut into buckets of equal width. For each bucket a table holds
how many levels lie in buckets before it. An input gets its bucket b by one subtraction and one
multiplication, both of which round without changing any order; so every level in a bucket before b
is below the input and every level in a bucket after it is not. Only the levels in bucket b itself
are compared, at most ``depth`` of them, which is the same number for all inputs: no branch. The
last bucket of a column is for inputs that are not a number.
Levels that are nearly uniform have depth 1, equal levels (missing codes) more, and the answer is
right for any: it equals ``np.searchsorted(levels, voltage)``.

Inputs in single precision are compared with levels rounded down to single precision, which is the
same as comparing them with the levels themselves: no single-precision number lies between.

The twin is `imccircuit.metrics.adc.compute_codes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.metrics.adc import NO_CODE
from imccircuit.surrogates.kernels.noise import ConversionNoise, add_noise

# Buckets a code: levels half an LSB apart still have buckets of their own.
_BUCKETS_PER_CODE = 2
# Columns that are converted together: their tables stay in the cache.
_GROUP = 64

Codes = NDArray[np.int16] | NDArray[np.int32]


@dataclass(frozen=True)
class CodeTable:
    """Levels of the converters of all columns, ready for the kernel; made by `code_table`.

    Attributes
    ----------
    low, scale : (col,) first level in V, and buckets a V.
    start : (col, buckets + 1) number of levels in buckets before, `NO_CODE` in the last bucket and
        wherever a level is NaN.
    pair : (col, buckets + 1) of both in one word, for a table in the cache is read by its words:
        ``start`` above, and below it the bits of the first level in V, rounded down, that is not in
        buckets before. Of single precision and depth 1 only, else (0, 0).
    level : (col, codes + depth) levels in V, rounded down, and above them +inf.
    depth : most levels in one bucket.
    """

    low: NDArray[Any]
    scale: NDArray[Any]
    start: NDArray[np.int32]
    pair: NDArray[np.int64]
    level: NDArray[Any]
    depth: int

    @property
    def columns(self) -> int:
        """Number of converters."""
        return len(self.low)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What the kernels take."""
        return self.low, self.scale, self.start, self.pair, self.level, self.depth

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voltages."""
        return self.level.dtype

    @property
    def code_dtype(self) -> type[np.signedinteger[Any]]:
        """Type of the codes: the smaller that holds them."""
        return np.int16 if self.level.shape[1] - self.depth < 2**15 else np.int32


def code_table(levels_v: ArrayLike, dtype: type[np.floating[Any]] = np.float32) -> CodeTable:
    """Tables of converters with transition levels (col, 2^bits - 1) in V, for inputs of ``dtype``.

    Raises
    ------
    UsageError : levels fall, or their shape or the type is another.
    """
    levels = np.atleast_2d(np.asarray(levels_v, dtype=np.float64))
    columns, count = levels.shape if levels.ndim == 2 else (0, 0)
    if columns == 0 or count == 0 or np.dtype(dtype) not in (np.float32, np.float64):
        raise UsageError("levels must be (column, code) and inputs float32 or float64")
    known = ~np.isnan(levels).any(axis=1)
    if np.any((levels[:, 1:] < levels[:, :-1]).any(axis=1) & known):
        raise UsageError("levels are not sorted; a search gives compute_tree_levels(levels)")
    rounded = _round_down(levels, np.dtype(dtype))
    buckets = _BUCKETS_PER_CODE * (count + 1)
    finite = np.where(np.isfinite(rounded), rounded, np.nan)
    low, high = np.nanmin(_some(finite), axis=1), np.nanmax(_some(finite), axis=1)
    with np.errstate(divide="ignore", over="ignore"):
        scale = (buckets / (high - low)).astype(dtype)
    scale[~np.isfinite(scale)] = 0.0
    start = np.full((columns, buckets + 1), NO_CODE, dtype=np.int32)
    depth = 1
    for j in np.flatnonzero(known):
        where = bucket_of(rounded[j], low[j], scale[j], buckets)
        filled = np.bincount(where, minlength=buckets)
        start[j, 1:-1], start[j, 0] = np.cumsum(filled)[:-1], 0
        depth = max(depth, int(filled.max()))
    above = np.full((columns, depth), np.inf, dtype=dtype)
    rounded[~known] = np.inf  # nothing is added to NO_CODE
    level = np.hstack([rounded, above])
    # Where there is no code yet, nothing is above: the last level is +inf.
    threshold = np.take_along_axis(level, start, axis=1)
    pair = np.empty((0, 0), dtype=np.int64)
    if depth == 1 and threshold.dtype == np.float32:
        pair = start.astype(np.int64) << 32 | threshold.view(np.uint32)
    return CodeTable(low, scale, start, pair, level, depth)


def _some(levels: NDArray[Any]) -> NDArray[Any]:
    """Levels with a zero where a whole row is not finite, so that it has a range."""
    return np.where(np.isnan(levels).all(axis=1, keepdims=True), levels.dtype.type(0), levels)


def _round_down(levels: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        near = levels.astype(dtype)
    return np.where(near > levels, np.nextafter(near, dtype.type(-np.inf)), near)


def bucket_of(voltage: NDArray[Any], low: Any, scale: Any, buckets: int) -> NDArray[np.int64]:
    """Bucket of each voltage as the kernel computes it, in the precision of its arguments."""
    with np.errstate(invalid="ignore", over="ignore"):
        along = (voltage - low) * scale
    inside = np.where(along > 0, along, 0)
    return np.where(inside < buckets - 1, inside, buckets - 1).astype(np.int64)


@njit(cache=True, nogil=True)
def code_rows(low, scale, start, pair, level, depth, voltage, codes, first, last):  # type: ignore[no-untyped-def]
    """Codes of rows ``first`` to ``last`` of voltages (batch, col) in V, both contiguous."""
    where = np.empty(_GROUP, np.uint32)
    columns, buckets, stride = len(low), start.shape[1] - 1, level.shape[1]
    zero, most = low.dtype.type(0), low.dtype.type(buckets - 1)
    starts, pairs, levels = start.ravel(), pair.ravel(), level.ravel()
    volts, found = voltage.ravel(), codes.ravel()
    # The tables of a group of columns stay in the cache while all vectors pass.
    for base in range(0, columns, _GROUP):
        width = min(_GROUP, columns - base)
        # Copies of fixed length, for loops whose indices need no look at their sign.
        lows, scales = np.zeros(_GROUP, low.dtype), np.zeros(_GROUP, low.dtype)
        lows[:width], scales[:width] = low[base : base + width], scale[base : base + width]
        for i in range(first, last):
            here = np.uint64(i * columns + base)
            for j in range(width):
                v = volts[here + np.uint64(j)]
                along = (v - lows[j]) * scales[j]
                along = along if along > zero else zero
                along = along if along < most else most
                bucket = np.int32(along) if v == v else np.int32(buckets)
                where[j] = np.uint32(np.int32(base + j) * np.int32(buckets + 1) + bucket)
            if len(pairs):
                for j in range(width):
                    both = pairs[where[j]]
                    at = here + np.uint64(j)
                    above = volts[at] > np.int32(both).view(np.float32)
                    found[at] = np.int32(both >> np.int64(32)) + np.int32(above)
            else:
                for j in range(width):
                    code, at = starts[where[j]], here + np.uint64(j)
                    lead = np.uint32(np.int32(base + j) * np.int32(stride) + max(code, np.int32(0)))
                    for k in range(depth):
                        code += np.int32(volts[at] > levels[np.uint32(lead + np.uint32(k))])
                    found[at] = code


def convert_codes(
    table: CodeTable, voltage_v: NDArray[Any], noise: ConversionNoise | None = None
) -> Codes:
    """Codes (batch, col) of voltages (batch, col) in V; `NO_CODE` for NaN, as `compute_codes`.

    Parameters
    ----------
    noise : drawn once a conversion and added to the input, where given.

    Raises
    ------
    UsageError : voltages have another type or number of columns than the table, the noise has a
        part that belongs to decisions, or its key does not fit.
    """
    check_voltages(voltage_v, table.columns, table.dtype)
    codes: Codes = np.empty(voltage_v.shape, dtype=table.code_dtype)
    voltage = np.ascontiguousarray(voltage_v)
    if noise is not None:
        voltage = voltage_v.copy(order="C")
        add_noise(voltage, 0, len(codes), *once(noise, voltage.shape, table.dtype.type))
    code_rows(*table.arrays, voltage, codes, 0, len(codes))  # type: ignore[call-arg]
    return codes


def once(noise: ConversionNoise, shape: tuple[int, ...], real: type[Any]) -> tuple[Any, ...]:
    """σ, key, chip and first index of noise that is drawn once a conversion.

    Raises
    ------
    UsageError : see `convert_codes`.
    """
    noise.check(shape[0], shape[1])
    if noise.decision_v != 0.0:
        raise UsageError("levels know no decisions; noise of decisions is drawn by convert_sar")
    return real(noise.sampled_v), noise.key, noise.chip, noise.first_index


def check_voltages(voltage_v: NDArray[Any], columns: int, dtype: np.dtype[Any]) -> None:
    """Refuse voltages that do not fit the converters.

    Raises
    ------
    UsageError : they do not.
    """
    if voltage_v.ndim != 2 or voltage_v.shape[1] != columns or voltage_v.dtype != dtype:
        raise UsageError(
            f"voltages must be (batch, {columns}) of {dtype}, "
            f"not {voltage_v.shape} of {voltage_v.dtype}"
        )
