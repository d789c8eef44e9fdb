"""Compiled Newton on Kirchhoff's current law, with the steps of `imccircuit.nodal.kernel`.

What is left over at each node is computed in double precision from differences of voltages, which
are exact; so the precision of a step decides how many steps are needed, and not the answer. Linear
cells are the case where Newton is iterative refinement.

A vector is done when the error that remains after a step is below 1e-11 of the drive (node
voltages) and of the largest column current. It is estimated from two steps in a row: if each is ρ
times the one before, what follows the last sums up to ρ/(1 - ρ) of it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from imccircuit.nodal.array import Wires
from imccircuit.nodal.kernel import col_factors, newton_step, row_factors
from imccircuit.vectors import LANES, padded, vector_zeros

LINEAR, SINH, RISE = 0, 1, 2

# Of a step in single precision: more would polish rounding errors, and of a step that Newton's law
# makes wrong anyway not so much.
_REDUCTION, _REDUCTION_NONLINEAR = 1e-6, 1e-4
_MOST_ITERATIONS = 2000
_MOST_STEPS = 60
_MOST_HALVINGS = 40
_GOAL = 1e-11
# A step cannot be trusted to shrink the error by more than its own precision: that of single
# precision, times how much more a segment conducts than the ends through which all must go.
_LEAST_RATE, _ROUNDING = 1e-5, 2 * 2.0**-24
# Far below every voltage in V and conductance in S that is not 0.
_TINY = 1e-30

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]


@njit(cache=True, nogil=True)
def _cell(law: int, g: float, a: float, v: float) -> tuple[float, float]:
    """Current in A and slope in S of one cell."""
    if law == SINH:
        grown = math.expm1(abs(v) / a)
        sinh = 0.5 * (grown + grown / (grown + 1.0))
        return g * a * math.copysign(sinh, v), g * math.sqrt(1.0 + sinh * sinh)
    # The root of V = I/g + a·I·|I|, written so that nothing cancels.
    root = math.sqrt(1.0 + 4.0 * a * g * g * abs(v))
    return 2.0 * g * v / (1.0 + root), g / root


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _norm(into_w: Float32, into_b: Float32, rows: int, cols: int) -> float:
    total = 0.0
    for i in range(rows):
        for j in range(cols):
            x, y = np.float64(into_w[i, j]), np.float64(into_b[i, j])
            total += x * x + y * y
    return math.sqrt(total)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _unbalance(
    law: int,
    unit: float,
    g: Float64,
    a: Float64,
    wires: Wires,
    drive: Float64,
    sense: Float64,
    w: Float64,
    b: Float64,
    slope: Float64,
    into_w: Float32,
    into_b: Float32,
    column: Float64,
    lines: Float64,
) -> float:
    """Currents left over at all nodes times ``unit``, slopes, and column currents in A.

    A column's current is the sum of its cells' or that of its ends, whichever rounds less: a
    conductance times a difference of voltages is uncertain in proportion to the conductance.
    Returned is the norm of what is left over, of nonlinear cells only.
    """
    row_s, far_w, col_s, far_b = wires
    rows, cols = g.shape
    flow, above, current, steepest = lines[0], lines[1], lines[2], lines[3]
    for j in range(cols):
        column[j] = 0.0
        steepest[j] = 0.0
        above[j] = -far_b[j] * (b[0, j] - sense[j])
    for i in range(rows):
        if law == LINEAR:
            for j in range(cols):
                current[j] = g[i, j] * (w[i, j] - b[i, j])
        else:
            for j in range(cols):
                current[j], slope[i, j] = _cell(law, g[i, j], a[i, j], w[i, j] - b[i, j])
        flow[0] = row_s[i, 0] * (drive[i] - w[i, 0])
        for j in range(1, cols):
            flow[j] = row_s[i, j] * (w[i, j - 1] - w[i, j])
        flow[cols] = far_w[i] * (w[i, cols - 1] - drive[i])
        for j in range(cols):
            into_w[i, j] = unit * (flow[j] - flow[j + 1] - current[j])
        last = i + 1 == rows
        for j in range(cols):
            below = col_s[i, j] * (b[i, j] - (sense[j] if last else b[i + 1, j]))
            into_b[i, j] = unit * (current[j] + above[j] - below)
            above[j] = below
            column[j] += current[j]
            steepest[j] = max(steepest[j], slope[i, j])
    for j in range(cols):
        if steepest[j] > max(col_s[rows - 1, j], far_b[j]):
            column[j] = above[j] + far_b[j] * (b[0, j] - sense[j])
    return _norm(into_w, into_b, rows, cols) if law != LINEAR else 0.0


@njit(cache=True, nogil=True)
def _largest(x: Float32, y: Float32, rows: int, cols: int) -> float:
    """Largest magnitude in two matrices of finite numbers."""
    # Without their signs numbers are in the order of their bits, and only of whole numbers does the
    # compiler take the largest in its vector registers.
    magnitude, largest = np.int32(0x7FFFFFFF), np.int32(0)
    x_bits, y_bits = x.view(np.int32), y.view(np.int32)
    for i in range(rows):
        for j in range(cols):
            largest = max(largest, np.int32(x_bits[i, j] & magnitude))
        for j in range(cols):
            largest = max(largest, np.int32(y_bits[i, j] & magnitude))
    found = np.int32(largest)
    return np.float64(found.view(np.float32))


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _move(w: Float64, b: Float64, step_w: Float32, step_b: Float32, share: float) -> float:
    """Go ``share`` of a step; its largest component in V, NaN if it is not finite."""
    rows, cols = w.shape
    sound = 0.0
    for i in range(rows):
        # A matrix a loop, for the compiler's vector registers.
        for j in range(cols):
            x = share * step_w[i, j]
            w[i, j] += x
            sound += x * x
        for j in range(cols):
            y = share * step_b[i, j]
            b[i, j] += y
            sound += y * y
    return abs(share) * _largest(step_w, step_b, rows, cols) if math.isfinite(sound) else math.nan


@njit(cache=True, nogil=True)
def _lower(exact, low):  # type: ignore[no-untyped-def]
    """Take a matrix in double precision into the corner of one in single precision."""
    for i in range(exact.shape[0]):
        for j in range(exact.shape[1]):
            low[i, j] = exact[i, j]


class Matrix:
    """Slopes of an array in single precision, and their factors."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        rows, cols = padded(shape[0]), padded(shape[1])
        packed = vector_zeros((2, rows // LANES, cols, LANES))
        plain = vector_zeros((5, rows, cols))
        self.low, self.rows = plain[0], (packed[0], packed[1])
        self.cols = (plain[1], plain[2])
        # Wires that end in nothing, for the padding to have factors.
        plain[3:] = 1.0
        self._segments = plain[3], plain[4]
        self._far = vector_zeros((1, rows)), vector_zeros((1, cols))
        self._turned = vector_zeros((cols, LANES)), vector_zeros((cols, LANES))
        self._leak = vector_zeros((1, cols))

    def connect(self, wires: Wires) -> Matrix:
        """Take these wires, conductances in S as of `imccircuit.nodal.array.segments_s`."""
        (row_s, col_s), (far_w, far_b) = self._segments, self._far
        lower = row_s, far_w, col_s, far_b
        for exact, low in zip(wires, lower, strict=True):
            _lower(np.atleast_2d(exact), low)
        return self

    def update(self, slope: Float64) -> Matrix:
        """Take these slopes (row, col) in S."""
        rows, cols = self._shape
        (row_s, col_s), (far_w, far_b) = self._segments, self._far
        _lower(slope, self.low)
        row_factors(self.low, row_s, far_w, *self.rows, self._turned, cols)
        col_factors(self.low, col_s, far_b, *self.cols, self._leak, rows)
        return self


class Memory:
    """What solving one vector after the other needs."""

    def __init__(self, shape: tuple[int, int]) -> None:
        rows, cols = shape
        self.work = vector_zeros((8, padded(rows), padded(cols)))
        self.buffers = vector_zeros((padded(cols), LANES)), vector_zeros((LANES, padded(cols)))
        self.lines = np.empty((4, cols + 1))
        self.w, self.b = np.zeros((rows, cols)), np.zeros((rows, cols))


class Newton:
    """Solver of one drive vector after the other, with its memory.

    Attributes
    ----------
    w, b : (row, col) node voltages in V of the last vector.
    column : (col,) its column currents in A.
    steps, iterations : how many it took, of Newton and of conjugate gradients.
    """

    def __init__(
        self,
        law: int,
        g: Float64,
        a: Float64,
        wires: Wires,
        matrix: Matrix,
        memory: Memory,
        sense: Float64 | None = None,
    ) -> None:
        """Set up.

        Parameters
        ----------
        law : `LINEAR`, `SINH` or `RISE`.
        g, a : (row, col) conductances in S and the law's parameter.
        wires : conductances in S as of `imccircuit.nodal.array.segments_s`.
        matrix : connected to these wires; of linear cells with their slopes, and many may share it.
        memory : that no other solver uses; what is left in it does not matter.
        sense : (col,) voltages in V of the sense ends; None is 0 V.
        """
        rows, cols = g.shape
        self.law, self.g, self.a, self.wires = law, g, a, wires
        self.matrix = matrix
        self.slope = g if law == LINEAR else np.empty((rows, cols))
        self.work, self.buffers, self.lines = memory.work, memory.buffers, memory.lines
        self.w, self.b, self.column = memory.w, memory.b, np.zeros(cols)
        self.sense = np.zeros(cols) if sense is None else sense
        if law != LINEAR:
            self.w[:], self.b[:] = 0.0, self.sense
        self.steepest = max(float(g.max()), _TINY)
        self.drive = np.zeros(rows)
        self.steps = self.iterations = 0
        self._least_rate = _least_rate(wires)

    def solve(self, drive: Float64) -> bool:
        """Solve for drive voltages (row,) in V; whether it converged.

        Nonlinear cells begin with the answer before; linear ones afresh, so that an answer does
        not depend on what was solved before.
        """
        if self.law == LINEAR:
            self.w[:], self.b[:] = drive[:, None], self.sense
        else:
            self.w += (drive - self.drive)[:, None]
        self.drive = drive
        self.steps = self.iterations = 0
        scale = max(float(np.abs(drive).max()), float(np.abs(self.sense).max()))
        if scale == 0.0:
            self.w[:], self.b[:], self.column[:] = 0.0, 0.0, 0.0
            return True
        # Numbers of order one, for the range of single precision.
        unit = 1.0 / (max(scale, _TINY) * self.steepest)
        last_v = last_a = math.inf
        norm = self._unbalance(unit)
        for _ in range(_MOST_STEPS):
            earlier = self.column.copy()
            largest, share, norm = self._step(unit, norm, scale)
            if not math.isfinite(largest):
                return False
            changed = float(np.abs(self.column - earlier).max())
            most = float(np.abs(self.column).max())
            if share == 1.0:
                left_v = _remaining(largest, last_v, self._least_rate)
                left_a = _remaining(changed, last_a, self._least_rate)
                # A guess that was already the answer has no step before it.
                good_v = left_v <= _GOAL * scale or largest <= 1e-2 * _GOAL * scale
                if good_v and (left_a <= _GOAL * most or changed <= 1e-2 * _GOAL * most):
                    return True
            last_v, last_a = share * largest, changed
        return False

    def _step(self, unit: float, norm: float, scale: float) -> tuple[float, float, float]:
        """Largest component of the step in V, the share of it taken, what is left over then."""
        linear, work = self.law == LINEAR, self.work
        if not linear:
            self.matrix.update(self.slope)
        m = self.matrix
        reduction = _REDUCTION if linear else _REDUCTION_NONLINEAR
        done = newton_step(
            m.low, m.rows, m.cols, work, self.buffers, self.g.shape, reduction, _MOST_ITERATIONS
        )
        self.steps, self.iterations = self.steps + 1, self.iterations + int(done)
        largest = _move(self.w, self.b, work[7], work[1], 1.0 / unit)
        if done > _MOST_ITERATIONS or not math.isfinite(largest):
            return math.nan, 0.0, norm
        share = 1.0
        step_w, step_b = work[7], work[1]
        for _ in range(_MOST_HALVINGS):
            left = self._unbalance(unit)
            # At rounding level it cannot fall, and the step is taken.
            if linear or left <= (1.0 - 1e-4 * share) * norm or largest <= 1e-6 * scale:
                return largest, share, left
            share *= 0.5
            _move(self.w, self.b, step_w, step_b, -share / unit)
        return math.nan, 0.0, norm

    def _unbalance(self, unit: float) -> float:
        return float(
            _unbalance(
                self.law, unit, self.g, self.a, self.wires, self.drive, self.sense, self.w, self.b,
                self.slope, self.work[6], self.work[0], self.column, self.lines,
            )
        )  # fmt: skip


def _least_rate(wires: Wires) -> float:
    """Share of an error that a step may leave, however small the next one is."""
    row_s, far_w, col_s, far_b = wires
    row_end, col_end = row_s[:, 0] + far_w, col_s[-1] + far_b
    stiff = max(row_s.max() / row_end.min(), col_s.max() / col_end.min())
    return float(min(max(_LEAST_RATE, _ROUNDING * stiff), 0.5))


def _remaining(step: float, before: float, least_rate: float) -> float:
    """Error left after ``step``, when the one before was ``before``."""
    if not step < 0.9 * before:
        return math.inf
    rate = max(step / before, least_rate)
    return step * rate / (1.0 - rate)
