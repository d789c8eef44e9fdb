"""Codes of a batch from each column's own levels, and their sums; for training on a CPU.

New chips come with every batch, so that tables as those of `imccircuit.surrogates.kernels.codes`
would cost more than they save. The twin is `imccircuit.exporters.torch.runtime.convert_codes`,
which runs where the tensors are.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Up to here a comparison with every level, many columns at once, is faster than a search.
_MOST_COUNTED = 255


@njit(cache=True, nogil=True)
def _count_codes(levels, values, weights, sums) -> None:  # type: ignore[no-untyped-def]
    passes, rows, columns = values.shape
    across, count = sums.shape[1], levels.shape[1]
    # Eight levels for each time that values and codes pass through the cache; nothing lies above
    # what fills them up.
    filled = -(-count // 8) * 8
    turned = np.full((filled, columns), np.inf, dtype=levels.dtype)
    for j in range(columns):
        for k in range(count):
            turned[k, j] = levels[j, k]
    codes = np.empty(columns, dtype=np.int32)
    for p in range(passes):
        for i in range(rows):
            codes[:] = 0
            row = values[p, i]
            for k in range(0, filled, 8):
                a, b, c, d = turned[k], turned[k + 1], turned[k + 2], turned[k + 3]
                e, f, g, h = turned[k + 4], turned[k + 5], turned[k + 6], turned[k + 7]
                for j in range(columns):
                    v = row[j]
                    low = np.int32(v > a[j]) + np.int32(v > b[j])
                    low += np.int32(v > c[j]) + np.int32(v > d[j])
                    high = np.int32(v > e[j]) + np.int32(v > f[j])
                    high += np.int32(v > g[j]) + np.int32(v > h[j])
                    codes[j] += low + high
            for part in range(columns // across):
                for j in range(across):
                    sums[i, j] += weights[p, part] * np.float32(codes[part * across + j])


@njit(cache=True, nogil=True)
def _search_codes(levels, values, weights, sums) -> None:  # type: ignore[no-untyped-def]
    passes, rows, columns = values.shape
    half, across = (levels.shape[1] + 1) // 2, sums.shape[1]
    for p in range(passes):
        for i in range(rows):
            for j in range(columns):
                value, code, step = values[p, i, j], 0, half
                while step > 0:
                    code += step * int(value > levels[j, code + step - 1])
                    step //= 2
                sums[i, j % across] += weights[p, j // across] * code


@njit(cache=True, nogil=True)
def sum_codes(levels, values, weights):  # type: ignore[no-untyped-def]
    """Weighted sums (batch, c) of codes, a code being how many levels lie below a value.

    Parameters
    ----------
    levels : (slice · c, 2^bits - 1) not falling along code; in the type of the values.
    values : (pass, batch, slice · c), the slices one behind the other.
    weights : (pass, slice) in single precision, as the sums.
    """
    sums = np.zeros((values.shape[1], values.shape[2] // weights.shape[1]), dtype=np.float32)
    if levels.shape[1] <= _MOST_COUNTED:
        _count_codes(levels, values, weights, sums)
    else:
        _search_codes(levels, values, weights, sums)
    return sums
