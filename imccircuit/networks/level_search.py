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
    across = sums.shape[1]
    codes = np.empty(columns, dtype=np.int32)
    for p in range(passes):
        for i in range(rows):
            codes[:] = 0
            for k in range(levels.shape[0]):
                for j in range(columns):
                    codes[j] += np.int32(values[p, i, j] > levels[k, j])
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
        _count_codes(np.ascontiguousarray(levels.T), values, weights, sums)
    else:
        _search_codes(levels, values, weights, sums)
    return sums
