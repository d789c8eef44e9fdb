"""Resistive arrays at the speed of the machine: compiled, many drive vectors in parallel.

Newton on Kirchhoff's current law with the steps of `imccircuit.nodal.kernel`. What is left over at
each node is computed in double precision from differences of voltages, which are exact; so the
precision of a step decides how many steps are needed, and not the answer.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from imccircuit.nodal.kernel import (
    LANES,
    col_factors,
    conjugate_gradients,
    row_factors,
    solve_rows,
)

LINEAR, SINH, RISE = 0, 1, 2

# Of a step, in single precision: more would polish rounding errors.
_REDUCTION = 1e-4
_MOST_ITERATIONS = 2000
_MOST_STEPS = 60
_MOST_HALVINGS = 40
# Largest error left, relative to the drive.
_GOAL = 1e-11

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
Factors = tuple[Float32, Float32]


@njit(cache=True, inline="always")
def _cell(law: int, g: float, a: float, v: float) -> tuple[float, float]:
    """Current in A and slope in S of one cell."""
    if law == SINH:
        grown = math.expm1(abs(v) / a)
        sinh = 0.5 * (grown + grown / (grown + 1.0))
        return g * a * math.copysign(sinh, v), g * math.sqrt(1.0 + sinh * sinh)
    if law == RISE:
        # The root of V = I/g + a·I·|I|, written so that nothing cancels.
        root = math.sqrt(1.0 + 4.0 * a * g * g * abs(v))
        return 2.0 * g * v / (1.0 + root), g / root
    return g * v, g


@njit(cache=True, fastmath={"contract"})
def _unbalance(
    law: int,
    g: Float64,
    a: Float64,
    drive: Float64,
    row_s: Float64,
    col_s: Float64,
    w: Float64,
    b: Float64,
    slope: Float64,
    into_w: Float32,
    into_b: Float32,
    column: Float64,
) -> float:
    """Currents left over at all nodes, slopes, column currents; the norm of what is left over."""
    rows, cols = g.shape
    column[:] = 0.0
    square = 0.0
    for i in range(rows):
        before = row_s[i, 0] * (drive[i] - w[i, 0])
        for j in range(cols):
            if law == LINEAR:
                current = g[i, j] * (w[i, j] - b[i, j])
            else:
                current, slope[i, j] = _cell(law, g[i, j], a[i, j], w[i, j] - b[i, j])
            column[j] += current
            after = row_s[i, j + 1] * (w[i, j] - w[i, j + 1]) if j + 1 < cols else 0.0
            left_w = before - after - current
            before = after
            above = col_s[i - 1, j] * (b[i - 1, j] - b[i, j]) if i > 0 else 0.0
            below = b[i + 1, j] if i + 1 < rows else 0.0
            left_b = current + above - col_s[i, j] * (b[i, j] - below)
            into_w[i, j] = left_w
            into_b[i, j] = left_b
            square += left_w * left_w + left_b * left_b
    return math.sqrt(square)


@njit(cache=True)
def _new_factors(rows: int, cols: int) -> tuple[Factors, Factors]:
    blocks = (rows + LANES - 1) // LANES
    packed = np.zeros((2, blocks, cols, LANES), dtype=np.float32)
    plain = np.empty((2, rows, cols), dtype=np.float32)
    return (packed[0], packed[1]), (plain[0], plain[1])


@njit(cache=True, fastmath={"contract"})
def _step(
    slope: Float32, factors_w: Factors, factors_b: Factors, work: Float32, buffer: Float32
) -> int:
    """Newton step: ``work[6]``, ``work[0]`` hold what is left over and then the steps of w and b."""
    solve_rows(work[6], factors_w[0], factors_w[1], buffer, work[7])
    rows, cols = slope.shape
    for i in range(rows):
        for j in range(cols):
            work[0, i, j] += slope[i, j] * work[7, i, j]
    done = conjugate_gradients(
        slope, factors_w, factors_b, work[:6], buffer, _REDUCTION, _MOST_ITERATIONS
    )
    for i in range(rows):
        for j in range(cols):
            work[6, i, j] += slope[i, j] * work[1, i, j]
    solve_rows(work[6], factors_w[0], factors_w[1], buffer, work[7])
    return done


@njit(cache=True, fastmath={"contract"})
def _solve_one(
    law: int,
    g: Float64,
    a: Float64,
    drive: Float64,
    row_s: Float64,
    col_s: Float64,
    shared: tuple[Float32, Factors, Factors],
    w: Float64,
    b: Float64,
    column: Float64,
) -> int:
    """One drive vector from the guess in ``w`` and ``b``; iterations, negative if too many."""
    rows, cols = g.shape
    low, factors_w, factors_b = shared
    slope = g
    if law != LINEAR:
        slope = np.empty((rows, cols))
        low = np.empty((rows, cols), dtype=np.float32)
        factors_w, factors_b = _new_factors(rows, cols)
    work = np.empty((8, rows, cols), dtype=np.float32)
    buffer = np.empty((cols, LANES), dtype=np.float32)
    leak = np.empty(cols)
    scale = np.max(np.abs(drive))
    total = 0
    norm = _unbalance(law, g, a, drive, row_s, col_s, w, b, slope, work[6], work[0], column)
    for _ in range(_MOST_STEPS):
        if law != LINEAR:
            row_factors(slope, row_s, factors_w[0], factors_w[1])
            col_factors(slope, col_s, factors_b[0], factors_b[1], leak)
            low[:, :] = slope
        done = _step(low, factors_w, factors_b, work, buffer)
        total += done
        if done > _MOST_ITERATIONS:
            return -total
        largest = 0.0
        for i in range(rows):
            for j in range(cols):
                w[i, j] += work[7, i, j]
                b[i, j] += work[1, i, j]
                largest = max(largest, max(abs(work[7, i, j]), abs(work[1, i, j])))
        last = largest <= 1e-7 * scale if law == LINEAR else largest <= 1e-6 * scale
        before = norm
        taken = 1.0
        step_w, step_b = work[7].copy(), work[1].copy()
        for _ in range(_MOST_HALVINGS):
            norm = _unbalance(law, g, a, drive, row_s, col_s, w, b, slope, work[6], work[0], column)
            if law == LINEAR or last or norm <= (1.0 - 1e-4 * taken) * before:
                break
            taken *= 0.5
            for i in range(rows):
                for j in range(cols):
                    w[i, j] -= taken * step_w[i, j]
                    b[i, j] -= taken * step_b[i, j]
        # What is left is the square of this step, or what single precision leaves of it.
        if last:
            return total
    return -total


@njit(cache=True, parallel=True)
def _solve_all(
    law: int,
    g: Float64,
    a: Float64,
    drive: Float64,
    row_s: Float64,
    col_s: Float64,
    w: Float64,
    b: Float64,
    column: Float64,
    iterations: NDArray[np.int64],
    threads: int,
) -> None:
    """All drive vectors; each thread takes neighbours, and begins with the answer before."""
    rows, cols = g.shape
    factors_w, factors_b = _new_factors(rows, cols)
    row_factors(g, row_s, factors_w[0], factors_w[1])
    col_factors(g, col_s, factors_b[0], factors_b[1], np.empty(cols))
    low = g.astype(np.float32)
    batch = drive.shape[0]
    for t in prange(threads):
        first, end = t * batch // threads, (t + 1) * batch // threads
        for v in range(first, end):
            for i in range(rows):
                for j in range(cols):
                    if v == first:
                        w[v, i, j], b[v, i, j] = drive[v, i], 0.0
                    else:
                        w[v, i, j] = drive[v, i] + w[v - 1, i, j] - drive[v - 1, i]
                        b[v, i, j] = b[v - 1, i, j]
            iterations[v] = _solve_one(
                law, g, a, drive[v], row_s, col_s, (low, factors_w, factors_b),
                w[v], b[v], column[v],
            )  # fmt: skip


def solve_fast(
    conductance_s: Float64,
    voltage_v: Float64,
    *,
    r_row_ohm: float,
    r_col_ohm: float,
    r_driver_ohm: float = 0.0,
    r_sense_ohm: float = 0.0,
    law: int = LINEAR,
    law_parameter: float | Float64 = 0.0,
) -> tuple[Float64, Float64, NDArray[np.int64]]:
    """Output currents (batch, col), cell voltages (batch, row, col), iterations (batch,)."""
    import numba

    g = np.ascontiguousarray(conductance_s, dtype=np.float64)
    drive = np.ascontiguousarray(voltage_v, dtype=np.float64)
    rows, cols = g.shape
    a = np.ascontiguousarray(np.broadcast_to(np.asarray(law_parameter, dtype=np.float64), g.shape))
    row_s, col_s = np.full((rows, cols), 1 / r_row_ohm), np.full((rows, cols), 1 / r_col_ohm)
    row_s[:, 0] = 1 / (r_row_ohm + r_driver_ohm)
    col_s[-1] = 1 / (r_col_ohm + r_sense_ohm)
    batch = drive.shape[0]
    w, b = np.empty((batch, rows, cols)), np.empty((batch, rows, cols))
    current, iterations = np.empty((batch, cols)), np.empty(batch, dtype=np.int64)
    threads = max(1, min(batch, numba.get_num_threads()))
    _solve_all(law, g, a, drive, row_s, col_s, w, b, current, iterations, threads)
    if np.any(iterations < 0) or not np.all(np.isfinite(current)):
        raise RuntimeError("the line solver did not converge")
    return current, w - b, iterations
