"""Resistive arrays at the speed of the machine: compiled, batches of drive vectors in parallel."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import EngineError
from imccircuit.nodal.array import ResistiveArray, segments_s
from imccircuit.nodal.cells import KINDS, LINEAR, CellLaw
from imccircuit.nodal.graph import SHORT, compute_shortness
from imccircuit.nodal.lines import solve_lines
from imccircuit.nodal.sinh import solve_nonlinear
from imccircuit.nodal.solve import ArraySolution, drive_voltages, sense_voltages, solve_array
from imccircuit.threads import spread

# Vectors that one thread solves in a row, each nonlinear one from the answer before. Fixed, so
# that answers do not depend on the number of threads.
BLOCK = 16
# Cells, padding included, of the largest array whose memory is kept for the next one, at 76 bytes.
_MOST_KEPT = 2**20

if TYPE_CHECKING:
    from imccircuit.nodal.newton import Matrix, Memory

Floats = NDArray[np.float64]


def solve_fast(
    array: ResistiveArray,
    voltage_v: ArrayLike,
    law: CellLaw = LINEAR,
    sense_v: ArrayLike | None = None,
) -> ArraySolution:
    """Solve ``array`` with cells of ``law``, as `solve_array` and `solve_nonlinear` do.

    Node voltages have an error below 1e-11 of a vector's largest drive voltage, output currents
    below 1e-10 of its largest; each vector's convergence is checked, and one the compiled solver
    gives up is solved by the sparse direct one, as are arrays with ideal wires and those with a
    cell a thousand times better than its lines. Answers are the same whatever the number of
    threads. A linear vector's answer does not depend on the others; a nonlinear one's does within
    the tolerance, by at most 15 vectors before it in the batch.

    Parameters
    ----------
    array : the array.
    voltage_v : (batch, row) or (row,) drive voltages in V.
    law : what the cells are.
    sense_v : (col,) voltages in V of the bit lines' virtual grounds; None is 0 V.

    Raises
    ------
    UsageError : voltages or the law's parameter do not fit.
    EngineError : no solver converged.
    """
    voltage, sense = drive_voltages(array, voltage_v), sense_voltages(array, sense_v)
    law.check(array.shape, voltage, sense)
    if array.ideal_rows or array.ideal_cols or _shorted(array):
        return _direct(array, voltage, law, sense)
    batch, shape = len(voltage), array.shape
    row_v, col_v = np.empty((batch, *shape)), np.empty((batch, *shape))
    current, failed = _solve_compiled(array, voltage, law, sense, row_v, col_v)
    for v in np.flatnonzero(failed):
        exact = _direct(array, voltage[v], law, sense)
        row_v[v], col_v[v] = exact.row_node_v[0], exact.col_node_v[0]
        current[v] = exact.output_current_a[0]
    left = _left_over(array, voltage, law, sense, row_v, col_v)
    return ArraySolution(current, row_v - col_v, row_v, col_v, left)


def solve_currents(
    array: ResistiveArray,
    voltage_v: ArrayLike,
    law: CellLaw = LINEAR,
    sense_v: ArrayLike | None = None,
) -> Floats:
    """Output currents (batch, col) in A alone: `solve_fast` in the memory of one vector a thread.

    Raises
    ------
    UsageError : voltages or the law's parameter do not fit.
    EngineError : no solver converged.
    """
    voltage, sense = drive_voltages(array, voltage_v), sense_voltages(array, sense_v)
    law.check(array.shape, voltage, sense)
    if array.ideal_rows or array.ideal_cols:
        return _ideal_currents(array, voltage, law, sense)
    if _shorted(array):
        return _direct(array, voltage, law, sense).output_current_a
    none = np.empty((0, *array.shape))
    current, failed = _solve_compiled(array, voltage, law, sense, none, none)
    for v in np.flatnonzero(failed):
        current[v] = _direct(array, voltage[v], law, sense).output_current_a[0]
    return current


def _shorted(array: ResistiveArray) -> bool:
    """Whether a cell conducts so much better than its lines that only the direct solver sees it.

    A step in single precision knows what the two nodes of a short have in common to 6e-8 of the
    short's conductance only, and many steps do not make up for it: measured against sixty digits,
    currents are right to 5e-12 at this limit and to 2e-10 at a hundred times it.
    """
    # For nearly all arrays a bound will do, which costs less.
    rows, cols = array.shape
    lines = cols * np.max(array.r_row_ohm) + rows * np.max(array.r_col_ohm)
    lines += np.max(array.r_driver_ohm) + np.max(array.r_sense_ohm)
    if np.max(array.conductance_s) * lines <= SHORT:
        return False
    return bool(np.max(compute_shortness(array)) > SHORT)


def _solve_compiled(
    array: ResistiveArray,
    voltage: Floats,
    law: CellLaw,
    sense: Floats,
    row_v: Floats,
    col_v: Floats,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Output currents, and which vectors were in vain; node voltages where kept."""
    from imccircuit.nodal.newton import Matrix, Memory, Newton

    # Fresh arrays of one kind: the compiled functions are made for writable ones in C order.
    g, drive = np.array(array.conductance_s, order="C"), np.array(voltage, order="C")
    # Linear cells have no parameter, and any matrix will do.
    a = g if law.linear else np.array(np.broadcast_to(law.parameter, array.shape), order="C")
    wires = segments_s(array)
    matrix, memory = None, None
    if law.linear and len(drive) <= BLOCK:
        matrix, memory = _kept_memory(array.shape)
        matrix.connect(wires).update(g)
    elif law.linear:
        matrix = Matrix(array.shape).connect(wires).update(g)
    current = np.empty((len(drive), array.shape[1]))
    failed = np.zeros(len(drive), dtype=bool)

    # A thread's own, for whatever blocks it does: fresh pages cost more than a solution.
    own: dict[int, tuple[Matrix, Memory]] = {}

    def begin(memory: Memory | None) -> tuple[Matrix, Memory]:
        return matrix or Matrix(array.shape).connect(wires), memory or Memory(array.shape)

    def solve(first: int, thread: int) -> None:
        if thread not in own:
            own[thread] = begin(memory)
        newton = Newton(KINDS.index(law.kind), g, a, wires, *own[thread], sense)
        for v in range(first, min(first + BLOCK, len(drive))):
            failed[v] = not newton.solve(drive[v])
            if failed[v]:  # no guess for the next one either
                own[thread] = begin(None)
                newton = Newton(KINDS.index(law.kind), g, a, wires, *own[thread], sense)
                continue
            current[v] = newton.column
            if len(row_v):
                row_v[v], col_v[v] = newton.w, newton.b

    spread(solve, range(0, len(drive), BLOCK))
    return current, failed


_kept = threading.local()


def _kept_memory(shape: tuple[int, int]) -> tuple[Matrix, Memory]:
    """Memory of this thread's last small batch: fresh pages cost more than a solution."""
    from imccircuit.nodal.newton import Matrix, Memory
    from imccircuit.vectors import padded

    if getattr(_kept, "shape", None) == shape:
        kept: tuple[Matrix, Memory] = _kept.memory
        return kept
    fresh = Matrix(shape), Memory(shape)
    if padded(shape[0]) * padded(shape[1]) <= _MOST_KEPT:
        _kept.shape, _kept.memory = shape, fresh
    return fresh


def _direct(array: ResistiveArray, voltage: Floats, law: CellLaw, sense: Floats) -> ArraySolution:
    if law.linear:
        solution = solve_array(array, voltage, sense)
    else:
        solution = solve_nonlinear(array, law, voltage, sense)
    if not np.all(np.isfinite(solution.output_current_a)):
        raise EngineError("the nodal solver of the array found no finite currents")
    return solution


def _ideal_currents(array: ResistiveArray, voltage: Floats, law: CellLaw, sense: Floats) -> Floats:
    """Output currents of arrays with merged lines; nonlinear batches by the solver of lines."""
    shorted = _shorted(array)
    if (
        not shorted
        and array.uniform
        and (law.kind == "sinh" or (law.kind == "rise" and law.parameter.ndim == 0))
    ):
        # One that is led astray by a step too long says so, or ends in no number.
        with suppress(RuntimeError), np.errstate(all="ignore"):
            current = solve_lines(
                array.conductance_s,
                voltage,
                r_row_ohm=float(array.r_row_ohm),
                r_col_ohm=float(array.r_col_ohm),
                r_driver_ohm=float(array.r_driver_ohm),
                r_sense_ohm=float(array.r_sense_ohm),
                sense_v=sense,
                v0_v=law.parameter if law.kind == "sinh" else None,
                r_rise_ohm_per_a=float(law.parameter) if law.kind == "rise" else 0.0,
            )[0]
            if np.all(np.isfinite(current)):
                return current
    return _direct(array, voltage, law, sense).output_current_a


def _left_over(
    array: ResistiveArray,
    voltage: Floats,
    law: CellLaw,
    sense: Floats,
    row_v: Floats,
    col_v: Floats,
) -> float:
    """Largest current left over at any node in A."""
    row_s, far_w, col_s, far_b = segments_s(array)
    worst = 0.0
    for drive, w, b in zip(voltage, row_v, col_v, strict=True):
        cell = law.currents(array.conductance_s, w - b)[0]
        flow = row_s * -np.diff(w, axis=1, prepend=drive[:, None])
        after = np.append(flow[:, 1:], (far_w * (w[:, -1] - drive))[:, None], axis=1)
        below = col_s * -np.diff(b, axis=0, append=sense[None])
        above = np.append((-far_b * (b[0] - sense))[None], below[:-1], axis=0)
        left = max(np.abs(flow - after - cell).max(), np.abs(cell + above - below).max())
        worst = max(worst, float(left))
    return worst
