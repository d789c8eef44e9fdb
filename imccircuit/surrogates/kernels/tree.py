"""Levels of SAR chips clipped through the search tree, compiled.

In order of their codes, the trial codes are a binary tree: that of bit b has the levels of the
nearest trial codes of higher bits at its two sides, 2^b codes away. What the search can reach lies
between those: T_d = S_d clipped to T[d - 2^b] … T[d + 2^b], from the highest bit down, with -inf
below the first code and +inf above the last. The twin is
`imccircuit.metrics.adc.compute_tree_levels`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from imccircuit.threads import spread_rows

# Levels that are worth a thread's while.
_PART = 2**16


def clip_tree(levels: NDArray[np.float64]) -> None:
    """Clip levels (chip, 2^bits - 1) in place; a chip with a NaN level has NaN levels only."""
    spread_rows(
        lambda first, last: _clip_rows(levels[first:last]), len(levels), levels.shape[1], _PART
    )


@njit(cache=True, nogil=True)
def _clip_rows(levels):  # type: ignore[no-untyped-def]
    chips, count = levels.shape
    for chip in range(chips):
        row = levels[chip]
        if np.isnan(row).any():
            row[:] = np.nan
            continue
        step = (count + 1) // 2
        while step > 0:
            for code in range(step, count + 1, 2 * step):
                low = row[code - step - 1] if code > step else -np.inf
                high = row[code + step - 1] if code + step <= count else np.inf
                level = row[code - 1]
                level = low if level < low else level
                row[code - 1] = high if level > high else level
            step //= 2
