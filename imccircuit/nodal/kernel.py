"""Compiled kernel of resistive arrays: one Newton step of all nodes, for one drive vector.

Method
------
Let ``M`` be the bit lines' own tridiagonal systems with the cells' slopes on their diagonals, ``W``
the same of the word lines and ``G`` the slopes. Eliminating the word lines leaves ``S = M - G W⁻¹ G``
on the bit-line nodes, symmetric and positive definite. Conjugate gradients with ``M`` as the
preconditioner need neither a product with ``M`` (``M p`` obeys the recurrence of ``p``) nor a
matrix: a step is one elimination along the word lines and one along the bit lines, both exact.

Eight word lines are eliminated side by side, turned into a buffer that stays in the cache; bit lines
are eliminated all at once, row by row. The work is done in the precision of the factors: single
precision halves what has to be moved, and the step is only a correction, so the answer loses nothing
(`imccircuit.nodal.fast` measures the imbalance of every node in double precision).

The twin in numpy is `imccircuit.nodal.lines`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 8
# What reordering may do to the last digits of a correction is repaired by the next one.
_FAST = {"contract", "reassoc", "nsz", "arcp"}


@njit(cache=True, fastmath=_FAST)
def row_factors(
    slope: NDArray[np.float64],
    segment_s: NDArray[np.float64],
    pivot: NDArray[np.float32],
    ratio: NDArray[np.float32],
) -> None:
    """Factors of the word lines, packed (block, col, lane).

    Parameters
    ----------
    slope : (row, col) conductance of each cell in S.
    segment_s : (row, col) conductance of the segment before each cell in S; the first one is that
        between the driver's source and the first cell.
    pivot, ratio : (block, col, LANES) output; lanes without a row are 0.
    """
    rows, cols = slope.shape
    for i in range(rows):
        block, lane = i // LANES, i % LANES
        # From the far end: what all that was eliminated conducts to ground. A sum of positive
        # terms only, so it never cancels.
        leak = slope[i, cols - 1]
        for j in range(cols - 1, -1, -1):
            towards = segment_s[i, j]
            inverse = 1.0 / (leak + towards)
            pivot[block, j, lane] = inverse
            ratio[block, j, lane] = towards * inverse
            if j > 0:
                leak = slope[i, j - 1] + towards * inverse * leak


@njit(cache=True, fastmath=_FAST)
def col_factors(
    slope: NDArray[np.float64],
    segment_s: NDArray[np.float64],
    pivot: NDArray[np.float32],
    ratio: NDArray[np.float32],
    leak: NDArray[np.float64],
) -> None:
    """Factors of the bit lines (row, col), eliminated from the first row to the sensed end.

    Parameters
    ----------
    slope : (row, col) conductance of each cell in S.
    segment_s : (row, col) conductance of the segment after each cell in S; the last one ends in the
        sense node.
    pivot, ratio : (row, col) output.
    leak : (col,) work.
    """
    rows, cols = slope.shape
    for j in range(cols):
        leak[j] = slope[0, j]
    for i in range(rows):
        for j in range(cols):
            towards = segment_s[i, j]
            inverse = 1.0 / (leak[j] + towards)
            pivot[i, j] = inverse
            ratio[i, j] = towards * inverse
            if i + 1 < rows:
                leak[j] = slope[i + 1, j] + towards * inverse * leak[j]


@njit(cache=True, fastmath=_FAST, inline="always")
def _solve_lanes(
    buffer: NDArray[np.float32], pivot: NDArray[np.float32], ratio: NDArray[np.float32]
) -> None:
    """Word-line voltages of LANES lines from the currents in ``buffer`` (col, lane), in place."""
    cols = buffer.shape[0]
    for j in range(cols - 1, 0, -1):
        for k in range(LANES):
            buffer[j - 1, k] += ratio[j, k] * buffer[j, k]
    for k in range(LANES):
        buffer[0, k] *= pivot[0, k]
    for j in range(1, cols):
        for k in range(LANES):
            buffer[j, k] = buffer[j, k] * pivot[j, k] + ratio[j, k] * buffer[j - 1, k]


@njit(cache=True, fastmath=_FAST)
def solve_rows(
    current: NDArray[np.float32],
    pivot: NDArray[np.float32],
    ratio: NDArray[np.float32],
    buffer: NDArray[np.float32],
    voltage: NDArray[np.float32],
) -> None:
    """Word-line voltages (row, col) from injected currents (row, col)."""
    rows, cols = current.shape
    for block in range(pivot.shape[0]):
        first = block * LANES
        lanes = min(LANES, rows - first)
        if lanes < LANES:
            buffer[:, :] = 0.0
        for k in range(lanes):
            for j in range(cols):
                buffer[j, k] = current[first + k, j]
        _solve_lanes(buffer, pivot[block], ratio[block])
        for k in range(lanes):
            for j in range(cols):
                voltage[first + k, j] = buffer[j, k]


@njit(cache=True, fastmath=_FAST)
def _apply_rows(
    g: NDArray[np.float32],
    z: NDArray[np.float32],
    r: NDArray[np.float32],
    p: NDArray[np.float32],
    mp: NDArray[np.float32],
    sp: NDArray[np.float32],
    beta: np.float32,
    pivot: NDArray[np.float32],
    ratio: NDArray[np.float32],
    buffer: NDArray[np.float32],
) -> float:
    """``p = z + β p``, ``M p = r + β M p``, ``S p = M p - G W⁻¹ G p``; the product ``p · S p``."""
    rows, cols = g.shape
    total = 0.0
    for block in range(pivot.shape[0]):
        first = block * LANES
        lanes = min(LANES, rows - first)
        if lanes < LANES:
            buffer[:, :] = 0.0
        for k in range(lanes):
            i = first + k
            for j in range(cols):
                p[i, j] = z[i, j] + beta * p[i, j]
                mp[i, j] = r[i, j] + beta * mp[i, j]
            for j in range(cols):
                buffer[j, k] = g[i, j] * p[i, j]
        _solve_lanes(buffer, pivot[block], ratio[block])
        for k in range(lanes):
            i = first + k
            part = np.float32(0.0)
            for j in range(cols):
                sp[i, j] = mp[i, j] - g[i, j] * buffer[j, k]
            for j in range(cols):
                part += p[i, j] * sp[i, j]
            total += part
    return total


@njit(cache=True, fastmath=_FAST)
def _precondition(
    r: NDArray[np.float32],
    sp: NDArray[np.float32],
    p: NDArray[np.float32],
    b: NDArray[np.float32],
    z: NDArray[np.float32],
    alpha: np.float32,
    pivot: NDArray[np.float32],
    ratio: NDArray[np.float32],
) -> float:
    """``r -= α S p``, ``b += α p``, ``z = M⁻¹ r``; the product ``r · z``."""
    rows, cols = r.shape
    for j in range(cols):
        r[0, j] -= alpha * sp[0, j]
        b[0, j] += alpha * p[0, j]
        z[0, j] = r[0, j]
    for i in range(1, rows):
        for j in range(cols):
            r[i, j] -= alpha * sp[i, j]
            b[i, j] += alpha * p[i, j]
            z[i, j] = r[i, j] + ratio[i - 1, j] * z[i - 1, j]
    total = 0.0
    for i in range(rows - 1, -1, -1):
        part = np.float32(0.0)
        if i == rows - 1:
            for j in range(cols):
                z[i, j] *= pivot[i, j]
        else:
            for j in range(cols):
                z[i, j] = z[i, j] * pivot[i, j] + ratio[i, j] * z[i + 1, j]
        for j in range(cols):
            part += r[i, j] * z[i, j]
        total += part
    return total


@njit(cache=True, fastmath=_FAST)
def conjugate_gradients(
    g: NDArray[np.float32],
    factors_w: tuple[NDArray[np.float32], NDArray[np.float32]],
    factors_b: tuple[NDArray[np.float32], NDArray[np.float32]],
    work: NDArray[np.float32],
    buffer: NDArray[np.float32],
    reduction: float,
    most: int,
) -> int:
    """Solve ``S b = r``.

    Parameters
    ----------
    g : (row, col) slopes.
    factors_w, factors_b : pivots and ratios of the word lines and of the bit lines.
    work : (6, row, col): ``r`` on entry and ``b`` on return are ``work[0]`` and ``work[1]``.
    buffer : (col, LANES) work.
    reduction : of the residual, in the norm of the preconditioner.
    most : iterations.

    Returns
    -------
    int : iterations done; ``most + 1`` if they did not suffice.
    """
    r, b, z, p, mp, sp = work[0], work[1], work[2], work[3], work[4], work[5]
    b[:, :] = 0.0
    p[:, :] = 0.0
    mp[:, :] = 0.0
    sp[:, :] = 0.0
    square = _precondition(r, sp, p, b, z, np.float32(0.0), factors_b[0], factors_b[1])
    goal = reduction * reduction * square
    beta = 0.0
    for iteration in range(1, most + 1):
        if not square > goal:
            return iteration - 1
        under = _apply_rows(
            g, z, r, p, mp, sp, np.float32(beta), factors_w[0], factors_w[1], buffer
        )
        if not under > 0.0:
            return iteration - 1
        alpha = square / under
        following = _precondition(
            r, sp, p, b, z, np.float32(alpha), factors_b[0], factors_b[1]
        )
        beta = following / square
        square = following
    return most if not square > goal else most + 1
