"""Codes of a batch by search in each column's own levels, and their sums; for training on a CPU.

New chips come with every batch, so that tables as those of `imccircuit.surrogates.kernels.codes`
would cost more than they save. The twin is `imccircuit.exporters.torch.runtime.convert_codes`,
which runs where the tensors are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _add_codes(levels, values, weights, sums) -> None:  # type: ignore[no-untyped-def]
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


def sum_codes(
    levels: NDArray[Any], values: NDArray[Any], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weighted sums (batch, c) of codes, a code being how many levels lie below a value.

    Parameters
    ----------
    levels : (slice · c, 2^bits - 1) not falling along code; in the type of the values.
    values : (pass, batch, slice · c), the slices one behind the other.
    weights : (pass, slice).
    """
    sums = np.zeros((values.shape[1], values.shape[2] // weights.shape[1]), dtype=np.float32)
    _add_codes(levels, values, weights, sums)
    return sums
