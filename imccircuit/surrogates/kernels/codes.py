"""Voltages to codes by transition levels: exact for any levels that never fall, without a search.

The range of a column's levels is cut into buckets of equal width. An input gets its bucket b by one
subtraction and one multiplication, both of which round without changing any order; so every level
in a bucket before b is below the input and every level in a bucket after it is not. Only the levels
that may lie in bucket b itself are compared, ``depth`` of them, the same number for all inputs: no
branch.

Nearly uniform levels get buckets of one LSB, laid so that level k is in bucket k to k + depth - 1:
an INL within ± depth/2 LSB allows that. Which levels to compare is then known from b alone, and the
levels are the only table. Any other levels (large INL, missing codes, levels that are never
reached) get buckets of half an LSB and a table of how many levels lie before each. The answer is
right for any: it equals ``np.searchsorted(levels, voltage)``.

Inputs in single precision are compared with levels rounded down to single precision, which is the
same as comparing them with the levels themselves: no single-precision number lies between.

The twin is `imccircuit.metrics.adc.compute_codes`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.metrics.adc import NO_CODE
from imccircuit.surrogates.kernels.noise import ConversionNoise, add_noise
from imccircuit.threads import spread_rows
from imccircuit.vectors import (
    LANES,
    exceeds,
    larger,
    load,
    splat,
    store,
    take,
    where_number,
    whole_within,
)

# Levels that an input is compared with before a table of counts is faster: in vectors, and one by
# one.
_MOST_DEPTH, _MOST_DEPTH_SCALAR = 8, 3
# Buckets a code where such a table is made: levels half an LSB apart still have their own.
_BUCKETS_PER_CODE = 2
# Columns that are converted together: their levels stay in the first level of the cache.
_GROUP = 2 * LANES
# Conversions that are worth a thread's while.
_PART = 2**17
# Vectors that are converted column by column, so that their voltages stay there.
_ROWS = 256

Codes = NDArray[np.int16] | NDArray[np.int32]


@dataclass(frozen=True)
class CodeTable:
    """Levels of the converters of all columns, ready for the kernel; made by `code_table`.

    Attributes
    ----------
    low, scale : (col,) where the first bucket begins in V, and buckets a V. Of nearly uniform
        levels ``low`` is NaN where a level is.
    start : (col, buckets + 1) number of levels in buckets before, `NO_CODE` in the last bucket
        (inputs that are no number) and wherever a level is NaN; (0, 0) for nearly uniform levels.
    level : (col, …) levels in V, rounded down, and above them +inf; those of nearly uniform levels
        begin with ``depth`` - 1 more of +inf.
    depth : number of levels that an input is compared with.
    count : number of levels a converter.
    """

    low: NDArray[Any]
    scale: NDArray[Any]
    start: NDArray[np.int32]
    level: NDArray[Any]
    depth: int
    count: int

    @property
    def columns(self) -> int:
        """Number of converters."""
        return len(self.low)

    def part(self, first: int, last: int) -> CodeTable:
        """Table of columns ``first`` to ``last``."""
        of = slice(first, last)
        return replace(
            self,
            low=self.low[of],
            scale=self.scale[of],
            start=self.start[of] if self.start.size else self.start,
            level=self.level[of],
        )

    @cached_property
    def beside(self) -> CodeTable:
        """As many copies of fewer than `LANES` nearly uniform columns as fill a register."""
        times = -(-LANES // self.columns)
        low, scale = np.tile(self.low, times), np.tile(self.scale, times)
        return replace(self, low=low, scale=scale, level=np.tile(self.level, (times, 1)))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voltages."""
        return self.level.dtype

    @property
    def code_dtype(self) -> type[np.signedinteger[Any]]:
        """Type of the codes: the smaller that holds them."""
        return np.int16 if self.count < 2**15 else np.int32


def code_table(levels_v: ArrayLike, dtype: type[np.floating[Any]] = np.float32) -> CodeTable:
    """Tables of converters with transition levels (col, 2^bits - 1) in V, for inputs of ``dtype``.

    Raises
    ------
    UsageError : levels fall, or their shape or the type is another.
    """
    levels = np.ascontiguousarray(np.atleast_2d(np.asarray(levels_v, dtype=np.float64)))
    columns, count = levels.shape if levels.ndim == 2 else (0, 0)
    if columns == 0 or count == 0 or np.dtype(dtype) not in (np.float32, np.float64):
        raise UsageError("levels must be (column, code) and inputs float32 or float64")
    known = ~np.any(np.isnan(levels), axis=1)
    if np.any((levels[:, 1:] < levels[:, :-1]).any(axis=1) & known):
        raise UsageError("levels are not sorted; a search gives compute_tree_levels(levels)")
    rounded = _round_down(levels, np.dtype(dtype))
    return _nearly_uniform(rounded, known) or _counted(rounded, known)


def _nearly_uniform(levels: NDArray[Any], known: NDArray[np.bool_]) -> CodeTable | None:
    """Buckets of one LSB along a line through the levels; None where they need too many."""
    columns, count = levels.shape
    place = np.arange(count)
    low, lsb = np.full(columns, np.nan), np.full(columns, np.nan)
    with np.errstate(all="ignore"):
        low[known], lsb[known], spread = _line(levels[known].astype(np.float64))
        most = _MOST_DEPTH if levels.dtype == np.float32 else _MOST_DEPTH_SCALAR
        if not spread < most:
            return None
        # One level needs no buckets, and where levels are equal there are none of one LSB.
        scale = np.where(np.isfinite(1 / lsb), 1 / lsb, 0.0).astype(levels.dtype)
        for depth in range(int(spread) + 1, min(int(spread) + 2, most) + 1):
            start = (low - depth / 2 * lsb).astype(levels.dtype)
            within = bucket_of(levels, start[:, None], scale[:, None], count + depth - 1) - place
            fits = np.isfinite(start) & ((within >= 0) & (within < depth)).all(axis=1)
            if np.all(fits | ~known):
                levels[~known] = np.inf
                padded = np.pad(levels, ((0, 0), (depth - 1,) * 2), constant_values=np.inf)
                none = np.empty((0, 0), dtype=np.int32)
                return CodeTable(start, scale, none, padded, depth, count)
    return None


def _line(
    levels: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Level 0 (col,) and LSB (col,) of a line with as much of the levels above as below it.

    Third, the largest range of a column's levels about it in LSB; NaN where there is none.
    """
    place = np.arange(levels.shape[1]) - (levels.shape[1] - 1) / 2
    lsb = levels @ place / max(place @ place, 1.0)
    level_0 = levels - lsb[:, None] * np.arange(levels.shape[1])
    high, low = level_0.max(axis=1), level_0.min(axis=1)
    spread = np.where(high == low, 0.0, (high - low) / lsb)
    return (high + low) / 2, lsb, float(np.max(spread, initial=0.0))


def _counted(levels: NDArray[Any], known: NDArray[np.bool_]) -> CodeTable:
    """Buckets of half an LSB, and a table of the levels before each."""
    columns, count = levels.shape
    buckets = _BUCKETS_PER_CODE * (count + 1)
    finite = np.where(np.isfinite(levels), levels, np.nan)
    low, high = np.nanmin(_some(finite), axis=1), np.nanmax(_some(finite), axis=1)
    with np.errstate(divide="ignore", over="ignore"):
        scale = (buckets / (high - low)).astype(levels.dtype)
    scale[~np.isfinite(scale)] = 0.0
    start = np.full((columns, buckets + 1), NO_CODE, dtype=np.int32)
    depth = 1
    for j in np.flatnonzero(known):
        where = bucket_of(levels[j], low[j], scale[j], buckets)
        filled = np.bincount(where, minlength=buckets)
        start[j, 1:-1], start[j, 0] = np.cumsum(filled)[:-1], 0
        depth = max(depth, int(filled.max()))
    levels[~known] = np.inf  # nothing is added to NO_CODE
    above = np.full((columns, depth), np.inf, dtype=levels.dtype)
    return CodeTable(low, scale, start, np.hstack([levels, above]), depth, count)


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


@njit(cache=True, inline="always")
def _limit(along, most):  # type: ignore[no-untyped-def]
    """Whole part of ``along`` between 0 and ``most``; 0 for what is no number."""
    zero = type(most)(0)
    along = along if along > zero else zero
    return np.int32(along if along < most else most)


@njit(cache=True, nogil=True)
def _nearly_uniform_rows(low, scale, level, depth, voltage, codes):  # type: ignore[no-untyped-def]
    most, before = low.dtype.type(level.shape[1] - depth), np.int32(depth - 1)
    for block in range(0, len(codes), _ROWS):
        last = min(block + _ROWS, len(codes))
        for j in range(len(low)):
            lowest, steps, levels = low[j], scale[j], level[j]
            for i in range(block, last):
                v = voltage[i, j]
                apart = v - lowest
                bucket = _limit(apart * steps, most)
                code = max(np.int32(bucket - before), np.int32(0))
                for k in range(depth):
                    code += np.int32(v > levels[np.uint32(bucket + k)])
                # NaN is an input that is no number, and a converter without levels.
                codes[i, j] = code if apart == apart else np.int32(NO_CODE)


@njit(cache=True, nogil=True)
def _nearly_uniform_vectors(low, scale, level, depth, voltage, codes):  # type: ignore[no-untyped-def]
    """The same of at least `LANES` columns, in single precision."""
    whole, stride = len(low), level.shape[1]
    lows, scales = low.reshape(1, -1), scale.reshape(1, -1)
    most, no_code = splat(np.float32(stride - depth)), splat(np.int32(NO_CODE))
    zero, one, before = splat(np.int32(0)), splat(np.int32(1)), splat(np.int32(depth - 1))
    table, first = level.ravel(), np.empty((1, whole), np.int32)
    for j in range(whole):
        first[0, j] = j * stride
    # The levels of a group of columns stay in the cache while all vectors pass.
    for group in range(0, whole, _GROUP):
        for i in range(len(codes)):
            for lane in range(group, min(group + _GROUP, whole), LANES):
                # The last vector begins where it still fits: some columns are converted twice.
                j = min(lane, whole - LANES)
                v = load(voltage, i, j)
                apart = v - load(lows, 0, j)
                bucket = whole_within(apart * load(scales, 0, j), most)
                code, place = larger(bucket - before, zero), load(first, 0, j) + bucket
                for _ in range(depth - 1):
                    code = code + exceeds(v, take(table, place))
                    place = place + one
                code = code + exceeds(v, take(table, place))
                store(codes, i, j, where_number(apart, code, no_code))


@njit(cache=True, nogil=True)
def _counted_rows(low, scale, start, level, depth, voltage, codes):  # type: ignore[no-untyped-def]
    columns, buckets = len(low), start.shape[1] - 1
    most = low.dtype.type(buckets - 1)
    for group in range(0, columns, _GROUP):
        for i in range(len(codes)):
            for j in range(group, min(group + _GROUP, columns)):
                v = voltage[i, j]
                bucket = _limit((v - low[j]) * scale[j], most) if v == v else np.int32(buckets)
                code = start[j, bucket]
                first = max(code, np.int32(0))
                for k in range(depth):
                    code += np.int32(v > level[j, first + k])
                codes[i, j] = code


def fill_codes(table: CodeTable, voltage_v: NDArray[Any], codes: Codes) -> None:
    """Codes (batch, col) of contiguous voltages (batch, col) in V of the table's type."""
    low, scale, level, depth = table.low, table.scale, table.level, table.depth
    if table.start.size:
        _counted_rows(low, scale, table.start, level, depth, voltage_v, codes)
    elif level.dtype != np.float32 or level.size >= 2**31:
        _nearly_uniform_rows(low, scale, level, depth, voltage_v, codes)
    elif len(low) >= LANES:
        _nearly_uniform_vectors(low, scale, level, depth, voltage_v, codes)
    else:
        _fill_few_columns(table, voltage_v, codes)


def _fill_few_columns(table: CodeTable, voltage_v: NDArray[Any], codes: Codes) -> None:
    """`fill_codes` where several vectors side by side fill a register."""
    beside = -(-LANES // table.columns)
    last = len(codes) // beside * beside
    if last and codes.flags.c_contiguous:
        wide, shape = table.beside, (last // beside, beside * table.columns)
        _nearly_uniform_vectors(
            wide.low, wide.scale, wide.level, wide.depth,
            voltage_v[:last].reshape(shape), codes[:last].reshape(shape),
        )  # fmt: skip
        voltage_v, codes = voltage_v[last:], codes[last:]
    _nearly_uniform_rows(table.low, table.scale, table.level, table.depth, voltage_v, codes)


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
    drawn: tuple[Any, ...] = ()
    if noise is not None:
        voltage = voltage_v.copy(order="C")
        drawn = once(noise, voltage.shape, table.dtype.type)

    def convert(first: int, last: int) -> None:
        if drawn:
            *key, start = drawn
            add_noise(voltage[first:last], *key, start + first, 0)  # type: ignore[call-arg]
        fill_codes(table, voltage[first:last], codes[first:last])

    spread_rows(convert, len(codes), table.columns, _PART)
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
