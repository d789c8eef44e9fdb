"""Nodal analysis of arrays whose cells do not conduct in proportion, by sparse factorisations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import EngineError, UsageError
from imccircuit.nodal.array import ResistiveArray
from imccircuit.nodal.cells import CellLaw
from imccircuit.nodal.graph import ArrayGraph, array_graph
from imccircuit.nodal.solve import (
    ArraySolution,
    drive_voltages,
    factorise,
    pack_solution,
    sense_voltages,
    source_voltages,
)

_MAX_STEPS = 60
# After a Newton step of relative size s the error is of the order s²·(V/V0): far below a unit in
# the last place for the steps below this bound.
_LAST_STEP = 1e-10


def solve_sinh_array(array: ResistiveArray, v0_v: ArrayLike, voltage_v: ArrayLike) -> ArraySolution:
    """Solve ``array`` with cells of I = G·V0·sinh(V/V0), by damped Newton.

    G is the conductance at 0 V, as in the common fits of filamentary RRAM. Content is convex,
    so there is one solution and Newton with step halving finds it.

    Parameters
    ----------
    array : the array; its ``conductance_s`` are the conductances at 0 V.
    v0_v : V0 in V, one for all cells or (row, col); positive.
    voltage_v : (batch, row) or (row,) drive voltages in V.

    Raises
    ------
    UsageError : the voltages or V0 do not fit, or drive over V0 is beyond 50, where the law has
        left every measured range.
    EngineError : Newton did not converge.
    """
    shape = np.shape(v0_v)
    if shape not in ((), array.shape):
        raise UsageError(f"v0_v must be one number or of shape {array.shape}, not {shape}")
    return solve_nonlinear(array, CellLaw.sinh(v0_v), voltage_v)


def solve_nonlinear(
    array: ResistiveArray, law: CellLaw, voltage_v: ArrayLike, sense_v: ArrayLike | None = None
) -> ArraySolution:
    """Solve ``array`` with cells of ``law``, by damped Newton: `solve_sinh_array` for any law.

    Parameters
    ----------
    sense_v : (col,) voltages in V of the bit lines' virtual grounds; None is 0 V.

    Raises
    ------
    UsageError : voltages or the law's parameter do not fit.
    EngineError : Newton did not converge.
    """
    voltage, sense = drive_voltages(array, voltage_v), sense_voltages(array, sense_v)
    law.check(array.shape, voltage, sense)
    graph = array_graph(array)
    cells = CellLaw(law.kind, np.broadcast_to(law.parameter, array.shape).reshape(-1, 1))
    source_v = source_voltages(voltage, sense)
    node_v = np.zeros((graph.unknowns, source_v.shape[1]))
    if graph.unknowns:
        for k in range(source_v.shape[1]):
            node_v[:, [k]] = _newton(graph, cells, source_v[:, [k]])
    branch_v = graph.branch_voltage(node_v, source_v)
    return pack_solution(graph, node_v, source_v, _currents(graph, cells, branch_v)[0])


def _newton(
    graph: ArrayGraph, cells: CellLaw, source_v: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Node voltages (node, 1) for one vector of voltages of drivers and ends (source, 1)."""
    node_v = np.zeros((graph.unknowns, 1))
    scale = max(float(np.max(np.abs(source_v))), np.finfo(float).tiny)
    current, slope = _currents(graph, cells, graph.branch_voltage(node_v, source_v))
    residual = graph.residual_a(current)
    for _ in range(_MAX_STEPS):
        earlier = current
        step: NDArray[np.float64] = factorise(graph.matrix(slope[:, 0])).solve(residual)
        small = float(np.max(np.abs(step))) <= _LAST_STEP * scale
        before = float(np.linalg.norm(residual))
        damping = 1.0
        while True:
            trial = node_v + damping * step
            # A step too long may overflow; a residual that is not finite is refused below.
            with np.errstate(over="ignore", invalid="ignore"):
                current, slope = _currents(graph, cells, graph.branch_voltage(trial, source_v))
                residual = graph.residual_a(current)
            # Armijo on the residual; at rounding level it cannot fall, and the step is taken.
            if small or float(np.linalg.norm(residual)) <= (1 - 1e-4 * damping) * before:
                break
            damping /= 2
            if damping < 1e-10:
                raise EngineError("the nodal solver of the array found no step that helps")
        node_v = trial
        # A short's voltage may be small in any step and its current not yet right.
        if small and (graph.node_of is None or _still(current, earlier)):
            return node_v
    raise EngineError(f"the nodal solver of the array did not converge in {_MAX_STEPS} steps")


def _still(current: NDArray[np.float64], earlier: NDArray[np.float64]) -> bool:
    change = float(np.max(np.abs(current - earlier)))
    return change <= _LAST_STEP * float(np.max(np.abs(current)))


def _currents(
    graph: ArrayGraph, cells: CellLaw, branch_v: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Branch currents in A and their slopes in S, both (branch, batch)."""
    slope = np.repeat(graph.conductance_s[:, None], branch_v.shape[1], axis=1)
    current = slope * branch_v
    count = cells.parameter.size
    current[:count], slope[:count] = cells.currents(slope[:count], branch_v[:count])
    return current, slope
