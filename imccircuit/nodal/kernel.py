"""Compiled kernel of resistive arrays: one Newton step of all nodes, for one drive vector.

Method
------
Let ``M`` be the bit lines' own tridiagonal systems with the cells' slopes on their diagonals,
``W`` the same of the word lines and ``G`` the slopes. Eliminating the word lines leaves
``S = M - G W⁻¹ G`` on the bit-line nodes, symmetric and positive definite. Conjugate gradients
with ``M`` as the preconditioner need neither a product with ``M`` (``M p`` obeys the recurrence of
``p``) nor a matrix: a step is one elimination along the word lines and one along the bit lines,
both exact.

Sixteen word lines are eliminated side by side, turned into a buffer that stays in the cache; bit
lines are eliminated all at once, row by row. The work is done in the precision of the factors:
single precision halves what has to be moved, and the step is only a correction, so the answer loses
nothing
(`imccircuit.nodal.newton` measures the imbalance of every node in double precision).

The twin in numpy is `imccircuit.nodal.lines`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 16

Factors = tuple[NDArray[np.float32], NDArray[np.float32]]

# What reordering may do to the last digits of a correction is repaired by the next one.
_FAST = {"contract", "reassoc", "nsz", "arcp"}


@njit(cache=True, nogil=True, fastmath=_FAST)
def row_factors(
    slope: NDArray[np.float64],
    segment_s: NDArray[np.float64],
    far_s: NDArray[np.float64],
    pivot: NDArray[np.float32],
    ratio: NDArray[np.float32],
) -> None:
    """Factors of the word lines, packed (block, col, lane).

    Parameters
    ----------
    slope : (row, col) conductance of each cell in S.
    segment_s : (row, col) conductance of the segment before each cell in S; the first one is that
        between the driver's source and the first cell.
    far_s : (row,) conductance from the last cell to a second driver in S; 0 without one.
    pivot, ratio : (block, col, LANES) output; lanes without a row are 0.
    """
    rows, cols = slope.shape
    leak = np.zeros(LANES)
    for block in range(pivot.shape[0]):
        first = block * LANES
        lanes = min(LANES, rows - first)
        for k in range(lanes):
            leak[k] = far_s[first + k] + slope[first + k, cols - 1]
        # From the far end: what all that was eliminated conducts to ground. A sum of positive
        # terms only, so it never cancels.
        for j in range(cols - 1, -1, -1):
            for k in range(lanes):
                towards = segment_s[first + k, j]
                inverse = 1.0 / (leak[k] + towards)
                pivot[block, j, k] = inverse
                ratio[block, j, k] = towards * inverse
                before = slope[first + k, j - 1] if j > 0 else 0.0
                leak[k] = before + towards * inverse * leak[k]


@njit(cache=True, nogil=True, fastmath=_FAST)
def col_factors(
    slope: NDArray[np.float64],
    segment_s: NDArray[np.float64],
    far_s: NDArray[np.float64],
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
    far_s : (col,) conductance from the first cell to a second sense node in S; 0 without one.
    pivot, ratio : (row, col) output.
    leak : (col,) work.
    """
    rows, cols = slope.shape
    for j in range(cols):
        leak[j] = slope[0, j] + far_s[j]
    for i in range(rows):
        for j in range(cols):
            towards = segment_s[i, j]
            inverse = 1.0 / (leak[j] + towards)
            pivot[i, j] = inverse
            ratio[i, j] = towards * inverse
            if i + 1 < rows:
                leak[j] = slope[i + 1, j] + towards * inverse * leak[j]


@njit(cache=True, nogil=True, fastmath=_FAST)
def _solve_lanes(
    buffer: NDArray[np.float32],
    pivot: NDArray[np.float32],
    ratio: NDArray[np.float32],
    carry: NDArray[np.float32],
) -> None:
    """Word-line voltages of LANES lines from the currents in ``buffer`` (col, lane), in place."""
    # Two rows of one matrix may overlap for all the compiler knows, and a width that it knows it
    # unrolls; either way it would leave its vector registers. Hence the carry, and this width.
    cols, width = buffer.shape
    for k in range(width):
        carry[k] = buffer[cols - 1, k]
    for j in range(cols - 1, 0, -1):
        for k in range(width):
            carry[k] = buffer[j - 1, k] + ratio[j, k] * carry[k]
            buffer[j - 1, k] = carry[k]
    for k in range(width):
        carry[k] *= pivot[0, k]
        buffer[0, k] = carry[k]
    for j in range(1, cols):
        for k in range(width):
            carry[k] = buffer[j, k] * pivot[j, k] + ratio[j, k] * carry[k]
            buffer[j, k] = carry[k]


@njit(cache=True, nogil=True, fastmath=_FAST)
def solve_rows(
    current: NDArray[np.float32],
    pivot: NDArray[np.float32],
    ratio: NDArray[np.float32],
    buffer: NDArray[np.float32],
    carry: NDArray[np.float32],
    voltage: NDArray[np.float32],
) -> None:
    """Word-line voltages (row, col) from injected currents (row, col)."""
    rows, cols = current.shape
    for block in range(pivot.shape[0]):
        first = block * LANES
        lanes = min(LANES, rows - first)
        for j in range(cols if lanes < LANES else 0):
            for k in range(LANES):
                buffer[j, k] = 0.0
        for k in range(lanes):
            for j in range(cols):
                buffer[j, k] = current[first + k, j]
        _solve_lanes(buffer, pivot[block], ratio[block], carry)
        for k in range(lanes):
            for j in range(cols):
                voltage[first + k, j] = buffer[j, k]


@njit(cache=True, nogil=True, fastmath=_FAST)
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
    carry: NDArray[np.float32],
) -> float:
    """``p = z + β p``, ``M p = r + β M p``, ``S p = M p - G W⁻¹ G p``; the product ``p · S p``."""
    rows, cols = g.shape
    total = 0.0
    for block in range(pivot.shape[0]):
        first = block * LANES
        lanes = min(LANES, rows - first)
        for j in range(cols if lanes < LANES else 0):
            for k in range(LANES):
                buffer[j, k] = 0.0
        for k in range(lanes):
            i = first + k
            for j in range(cols):
                p[i, j] = z[i, j] + beta * p[i, j]
            for j in range(cols):
                mp[i, j] = r[i, j] + beta * mp[i, j]
            for j in range(cols):
                buffer[j, k] = g[i, j] * p[i, j]
        _solve_lanes(buffer, pivot[block], ratio[block], carry)
        for k in range(lanes):
            i = first + k
            part: Any = np.float32(0.0)
            for j in range(cols):
                sp[i, j] = mp[i, j] - g[i, j] * buffer[j, k]
            for j in range(cols):
                part += p[i, j] * sp[i, j]
            total += part
    return total


@njit(cache=True, nogil=True, fastmath=_FAST)
def _precondition(
    r: NDArray[np.float32],
    sp: NDArray[np.float32],
    p: NDArray[np.float32],
    b: NDArray[np.float32],
    z: NDArray[np.float32],
    alpha: np.float32,
    pivot: NDArray[np.float32],
    ratio: NDArray[np.float32],
    carry: NDArray[np.float32],
) -> float:
    """``r -= α S p``, ``b += α p``, ``z = M⁻¹ r``; the product ``r · z``."""
    rows, cols = r.shape
    for i in range(rows):
        # One matrix a loop: with more the compiler would have too many of them to tell apart before
        # it may use its vector registers, and it gives that up.
        for j in range(cols):
            r[i, j] -= alpha * sp[i, j]
        for j in range(cols):
            b[i, j] += alpha * p[i, j]
        if i == 0:
            for j in range(cols):
                carry[j] = r[0, j]
        else:
            for j in range(cols):
                carry[j] = r[i, j] + ratio[i - 1, j] * carry[j]
        for j in range(cols):
            z[i, j] = carry[j]
    total = 0.0
    for i in range(rows - 1, -1, -1):
        part: Any = np.float32(0.0)
        if i == rows - 1:
            for j in range(cols):
                carry[j] *= pivot[i, j]
        else:
            for j in range(cols):
                carry[j] = z[i, j] * pivot[i, j] + ratio[i, j] * carry[j]
        for j in range(cols):
            z[i, j] = carry[j]
        for j in range(cols):
            part += r[i, j] * carry[j]
        total += part
    return total


@njit(cache=True, nogil=True, fastmath=_FAST)
def newton_step(
    g: NDArray[np.float32],
    factors_w: Factors,
    factors_b: Factors,
    work: NDArray[np.float32],
    buffer: NDArray[np.float32],
    reduction: float,
    most: int,
) -> int:
    """Solve for the voltages that take away the currents left over at all nodes.

    Parameters
    ----------
    g : (row, col) slopes.
    factors_w, factors_b : pivots and ratios of the word lines and of the bit lines.
    work : (8, row, col): currents left over at word-line nodes in ``work[6]`` and at bit-line
        nodes in ``work[0]``; on return steps of word lines in ``work[7]`` and of bit lines in
        ``work[1]``.
    buffer : (col, LANES) work.
    reduction : of the residual, in the norm of the preconditioner.
    most : iterations.

    Returns
    -------
    int : iterations done; ``most + 1`` if they did not suffice.
    """
    r, b, z, p, mp, sp = work[0], work[1], work[2], work[3], work[4], work[5]
    pivot_w, ratio_w = factors_w
    pivot_b, ratio_b = factors_b
    rows, cols = g.shape
    carry = np.empty(max(cols, LANES), np.float32)
    solve_rows(work[6], pivot_w, ratio_w, buffer, carry, work[7])
    for i in range(rows):
        for j in range(cols):
            r[i, j] += g[i, j] * work[7, i, j]
    b[:], p[:], mp[:], sp[:] = 0.0, 0.0, 0.0, 0.0
    goal, square, alpha, beta = 0.0, 0.0, 0.0, 0.0
    done = 0
    while True:
        following = _precondition(r, sp, p, b, z, np.float32(alpha), pivot_b, ratio_b, carry)
        if done == 0:
            goal = reduction * reduction * following
        else:
            beta = following / square
        square = following
        if not square > goal or done > most:
            break
        under = _apply_rows(g, z, r, p, mp, sp, np.float32(beta), pivot_w, ratio_w, buffer, carry)
        if not under > 0.0:
            break
        alpha = square / under
        done += 1
    for i in range(rows):
        for j in range(cols):
            work[6, i, j] += g[i, j] * b[i, j]
    solve_rows(work[6], pivot_w, ratio_w, buffer, carry, work[7])
    return done
