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
lines are eliminated all at once, row by row. Matrices are padded to whole vectors: cells there
conduct nothing, so currents and voltages there stay zeros. The work is done in the precision of the
factors: single precision halves what has to be moved, and the step is only a correction, so the
answer loses nothing (`imccircuit.nodal.newton` measures the imbalance of every node in double
precision).

The twin in numpy is `imccircuit.nodal.lines`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from imccircuit.vectors import LANES, lane_sum, load, splat, store, turn

Factors = tuple[NDArray[np.float32], NDArray[np.float32]]


@njit(cache=True, nogil=True)
def row_factors(slope, segment_s, far_s, pivot, ratio, turned, cols):  # type: ignore[no-untyped-def]
    """Factors of the word lines, packed (block, col, lane).

    Parameters
    ----------
    slope : (row, col) conductance of each cell in S.
    segment_s : (row, col) conductance of the segment before each cell in S; the first one is that
        between the driver's source and the first cell.
    far_s : (1, row) conductance from the last cell to a second driver in S; 0 without one.
    pivot, ratio : (block, col, LANES) output.
    turned : two of (col, LANES) for work.
    cols : columns of the array.
    """
    slopes, segments = turned
    one = splat(np.float32(1.0))
    for block in range(pivot.shape[0]):
        first = block * LANES
        for j in range(0, slope.shape[1], LANES):
            turn(slope, first, j, slopes, j, 0)
            turn(segment_s, first, j, segments, j, 0)
        # From the far end: what all that was eliminated conducts to ground. A sum of positive
        # terms only, so it never cancels.
        leak = load(far_s, 0, first)
        for j in range(cols - 1, -1, -1):
            leak = leak + load(slopes, j, 0)
            towards = load(segments, j, 0)
            inverse = one / (leak + towards)
            share = towards * inverse
            store(pivot[block], j, 0, inverse)
            store(ratio[block], j, 0, share)
            leak = share * leak


@njit(cache=True, nogil=True)
def col_factors(slope, segment_s, far_s, pivot, ratio, leak, rows):  # type: ignore[no-untyped-def]
    """Factors of the bit lines (row, col), eliminated from the first row to the sensed end.

    Parameters
    ----------
    slope : (row, col) conductance of each cell in S.
    segment_s : (row, col) conductance of the segment after each cell in S; the last one ends in the
        sense node.
    far_s : (1, col) conductance from the first cell to a second sense node in S; 0 without one.
    pivot, ratio : (row, col) output.
    leak : (1, col) for work.
    rows : rows of the array.
    """
    one = splat(np.float32(1.0))
    leak[0] = far_s[0]
    for i in range(rows):
        for j in range(0, slope.shape[1], LANES):
            through = load(leak, 0, j) + load(slope, i, j)
            towards = load(segment_s, i, j)
            inverse = one / (through + towards)
            share = towards * inverse
            store(pivot, i, j, inverse)
            store(ratio, i, j, share)
            store(leak, 0, j, share * through)


@njit(cache=True, inline="always")
def _along_rows(turned, pivot, ratio, cols):  # type: ignore[no-untyped-def]
    """Voltages of LANES word lines from the currents in ``turned`` (col, lane), in place."""
    carry = load(turned, cols - 1, 0)
    for j in range(cols - 1, 0, -1):
        carry = load(turned, j - 1, 0) + load(ratio, j, 0) * carry
        store(turned, j - 1, 0, carry)
    carry = carry * load(pivot, 0, 0)
    store(turned, 0, 0, carry)
    for j in range(1, cols):
        carry = load(turned, j, 0) * load(pivot, j, 0) + load(ratio, j, 0) * carry
        store(turned, j, 0, carry)


@njit(cache=True, inline="always")
def _solve_lines(lines, turned, pivot, ratio, cols):  # type: ignore[no-untyped-def]
    """Voltages of LANES word lines from the currents in ``lines`` (lane, col), in place."""
    for j in range(0, lines.shape[1], LANES):
        turn(lines, 0, j, turned, j, 0)
    _along_rows(turned, pivot, ratio, cols)
    for j in range(0, lines.shape[1], LANES):
        turn(turned, j, 0, lines, 0, j)


@njit(cache=True, nogil=True)
def _solve_rows(g, b, current, voltage, factors, buffers, cols):  # type: ignore[no-untyped-def]
    """Word-line voltages from the currents ``current + g b`` injected there."""
    pivot, ratio = factors
    turned, lines = buffers
    for block in range(pivot.shape[0]):
        for k in range(LANES):
            i = block * LANES + k
            for j in range(0, g.shape[1], LANES):
                store(lines, k, j, load(current, i, j) + load(g, i, j) * load(b, i, j))
        _solve_lines(lines, turned, pivot[block], ratio[block], cols)
        for k in range(LANES):
            for j in range(0, g.shape[1], LANES):
                store(voltage, block * LANES + k, j, load(lines, k, j))


@njit(cache=True, nogil=True)
def _apply_rows(g, z, r, p, mp, sp, beta, factors, buffers, cols):  # type: ignore[no-untyped-def]
    """``p = z + β p``, ``M p = r + β M p``, ``S p = M p - G W⁻¹ G p``; the product ``p · S p``."""
    pivot, ratio = factors
    turned, lines = buffers
    share, total = splat(beta), 0.0
    for block in range(pivot.shape[0]):
        for k in range(LANES):
            i = block * LANES + k
            for j in range(0, g.shape[1], LANES):
                direction = load(z, i, j) + share * load(p, i, j)
                store(p, i, j, direction)
                store(mp, i, j, load(r, i, j) + share * load(mp, i, j))
                store(lines, k, j, load(g, i, j) * direction)
        _solve_lines(lines, turned, pivot[block], ratio[block], cols)
        for k in range(LANES):
            i = block * LANES + k
            part = splat(np.float32(0.0))
            for j in range(0, g.shape[1], LANES):
                image = load(mp, i, j) - load(g, i, j) * load(lines, k, j)
                store(sp, i, j, image)
                part = part + load(p, i, j) * image
            total += lane_sum(part)
    return total


@njit(cache=True, nogil=True)
def _precondition(r, sp, p, b, z, alpha, factors, rows):  # type: ignore[no-untyped-def]
    """``r -= α S p``, ``b += α p``, ``z = M⁻¹ r``; the product ``r · z``."""
    pivot, ratio = factors
    share, total = splat(alpha), 0.0
    for i in range(rows):
        for j in range(0, r.shape[1], LANES):
            left = load(r, i, j) - share * load(sp, i, j)
            store(r, i, j, left)
            store(b, i, j, load(b, i, j) + share * load(p, i, j))
            if i > 0:
                left = left + load(ratio, i - 1, j) * load(z, i - 1, j)
            store(z, i, j, left)
    for i in range(rows - 1, -1, -1):
        part = splat(np.float32(0.0))
        for j in range(0, r.shape[1], LANES):
            solved = load(z, i, j) * load(pivot, i, j)
            if i < rows - 1:
                solved = solved + load(ratio, i, j) * load(z, i + 1, j)
            store(z, i, j, solved)
            part = part + load(r, i, j) * solved
        total += lane_sum(part)
    return total


@njit(cache=True)
def _clear_padding(matrix, rows, cols):  # type: ignore[no-untyped-def]
    """Zeros beyond the array, where a solution that came to nothing may have left no numbers."""
    matrix[rows:] = 0.0
    matrix[:, cols:] = 0.0


@njit(cache=True, nogil=True)
def newton_step(g, factors_w, factors_b, work, buffers, shape, reduction, most):  # type: ignore[no-untyped-def]
    """Solve for the voltages that take away the currents left over at all nodes.

    All matrices are in single precision, (row, col) padded to whole vectors.

    Parameters
    ----------
    g : slopes.
    factors_w, factors_b : pivots and ratios of the word lines and of the bit lines.
    work : (8, …): currents left over at word-line nodes in ``work[6]`` and at bit-line nodes in
        ``work[0]``; on return steps of word lines in ``work[7]`` and of bit lines in ``work[1]``.
    buffers : (col, LANES) and (LANES, col) for work.
    shape : rows and columns of the array.
    reduction : of the residual, in the norm of the preconditioner.
    most : iterations.

    Returns
    -------
    int : iterations done; ``most + 1`` if they did not suffice.
    """
    rows, cols = shape
    r, b, z, p, mp, sp = work[0], work[1], work[2], work[3], work[4], work[5]
    into_w, w = work[6], work[7]
    _clear_padding(r, rows, cols)
    _clear_padding(into_w, rows, cols)
    b[:], p[:], mp[:], sp[:] = 0.0, 0.0, 0.0, 0.0
    _solve_rows(g, b, into_w, w, factors_w, buffers, cols)
    for i in range(rows):
        for j in range(0, g.shape[1], LANES):
            store(r, i, j, load(r, i, j) + load(g, i, j) * load(w, i, j))
    goal, square, alpha, beta = 0.0, 0.0, 0.0, 0.0
    done = 0
    while True:
        following = _precondition(r, sp, p, b, z, np.float32(alpha), factors_b, rows)
        if done == 0:
            goal = reduction * reduction * following
        else:
            beta = following / square
        square = following
        if not square > goal or done > most:
            break
        under = _apply_rows(g, z, r, p, mp, sp, np.float32(beta), factors_w, buffers, cols)
        if not under > 0.0:
            break
        alpha = square / under
        done += 1
    _solve_rows(g, b, into_w, w, factors_w, buffers, cols)
    return done
