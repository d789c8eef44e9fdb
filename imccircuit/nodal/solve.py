"""Exact nodal analysis of linear resistive arrays, by a sparse direct solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.nodal.array import Ohms, ResistiveArray
from imccircuit.nodal.graph import ArrayGraph, array_graph

# Solutions held at a time while an effective matrix is built: bounds the memory, not the answer.
_CHUNK = 32


@dataclass(frozen=True)
class ArraySolution:
    """Currents and voltages of an array for a batch of drive voltages.

    Attributes
    ----------
    output_current_a : (batch, col) current of each bit line, positive into the sensing node, in
        A: the sum of its cells' currents, which is the current of its last segment without the
        cancellation of two nearly equal node voltages.
    cell_voltage_v : (batch, row, col) voltage of the word-line node over the bit-line node of
        each cell, in V; of a short with more digits than the difference of those two.
    row_node_v : (batch, row, col) voltage of the word line at each cell, in V.
    col_node_v : (batch, row, col) voltage of the bit line at each cell, in V.
    kcl_residual_a : largest current left over at any node, in A. Node voltages are rounded to
        floats, so it is about 1e-16 × drive voltage ÷ segment resistance, not 0.
    """

    output_current_a: NDArray[np.float64]
    cell_voltage_v: NDArray[np.float64]
    row_node_v: NDArray[np.float64]
    col_node_v: NDArray[np.float64]
    kcl_residual_a: float


def solve_crossbar(
    conductance_s: ArrayLike,
    voltage_v: ArrayLike,
    *,
    r_row_ohm: float = 0.0,
    r_col_ohm: float = 0.0,
    r_driver_ohm: float = 0.0,
    r_sense_ohm: float = 0.0,
) -> ArraySolution:
    """Output currents and cell voltages of a crossbar with wire resistance.

    Word line i is driven at its left end; bit line j ends below the last row in a virtual ground.

    Parameters
    ----------
    conductance_s : (row, col) cell conductances in S; 0 is an open cell.
    voltage_v : (batch, row) drive voltages in V; (row,) counts as a batch of one.
    r_row_ohm, r_col_ohm : resistance of one segment of a word line and of a bit line in ohm.
    r_driver_ohm : resistance of each word-line driver in ohm.
    r_sense_ohm : resistance between a bit line's end and its virtual ground in ohm.

    Raises
    ------
    UsageError : shapes or values that make no array.

    Examples
    --------
    >>> solve_crossbar([[1e-3]], [1.0], r_row_ohm=500, r_col_ohm=500).output_current_a
    array([[0.0005]])
    """
    array = ResistiveArray(
        _numbers(conductance_s, "conductances"), r_row_ohm, r_col_ohm, r_driver_ohm, r_sense_ohm
    )
    return solve_array(array, voltage_v)


def solve_array(
    array: ResistiveArray, voltage_v: ArrayLike, sense_v: ArrayLike | None = None
) -> ArraySolution:
    """Solve ``array`` for a batch of drive voltages, all with one factorisation.

    The answer is refined once with a residual from branch voltages. That residual knows each
    current to full relative accuracy, so the answer has an error of a few units in the last
    place of the largest node voltage, whatever the rounding of the factorised matrix. Of cells
    that conduct far better than their lines the voltage is an unknown itself, so their currents
    lose nothing either; see `imccircuit.nodal.graph`.

    Parameters
    ----------
    array : the array.
    voltage_v : (batch, row) or (row,) drive voltages in V.
    sense_v : (col,) voltages in V of the bit lines' virtual grounds; None is 0 V.

    Raises
    ------
    UsageError : the voltages do not fit the array or are not finite, or a cell between lines
        without wire resistance conducts too well for their ends.
    """
    source_v = source_voltages(drive_voltages(array, voltage_v), sense_voltages(array, sense_v))
    graph = array_graph(array)
    node_v = np.zeros((graph.unknowns, source_v.shape[1]))
    if graph.unknowns:
        factor = factorise(graph.matrix(graph.conductance_s))
        for _ in range(2):  # the solution from zero, then one refinement of it
            node_v += factor.solve(_residual(graph, node_v, source_v))
    return pack_solution(
        graph,
        node_v,
        source_v,
        graph.branch_voltage(node_v, source_v) * graph.conductance_s[:, None],
    )


def effective_conductance(array: ResistiveArray) -> NDArray[np.float64]:
    """Matrix (row, col) in S with output current = voltage @ matrix, wires included.

    By reciprocity the current into sense j from 1 V at driver i equals the current into driver i
    from 1 V at sense j, so the array is driven from whichever side has fewer lines.
    """
    rows, cols = array.shape
    if cols < rows:
        return effective_conductance(turned(array)).T[::-1, ::-1]
    parts = [
        solve_array(array, np.eye(rows)[start : start + _CHUNK]).output_current_a
        for start in range(0, rows, _CHUNK)
    ]
    return np.concatenate(parts)


def turned(array: ResistiveArray) -> ResistiveArray:
    """``array`` with drivers and sense ends exchanged: its bit lines become the word lines.

    A word line is driven before its first cell and a bit line ends after its last, so both
    orders are reversed: cell (i, j) goes to (cols - 1 - j, rows - 1 - i).
    """
    return ResistiveArray(
        _turned(array.conductance_s),
        r_row_ohm=_turned(array.r_col_ohm),
        r_col_ohm=_turned(array.r_row_ohm),
        r_driver_ohm=_turned(array.r_sense_ohm),
        r_sense_ohm=_turned(array.r_driver_ohm),
        r_driver_far_ohm=_turned(array.r_sense_far_ohm),
        r_sense_far_ohm=_turned(array.r_driver_far_ohm),
    )


@overload
def _turned(values: NDArray[np.float64]) -> NDArray[np.float64]: ...
@overload
def _turned(values: Ohms) -> Ohms: ...
def _turned(values: Ohms) -> Ohms:
    """Numbers of cells or of lines in the turned array's order."""
    return values if isinstance(values, float) else np.flip(values).T


def drive_voltages(array: ResistiveArray, voltage_v: ArrayLike) -> NDArray[np.float64]:
    """Drive voltages as a (batch, row) array in V that fits ``array``.

    Raises
    ------
    UsageError : wrong shape, no numbers, or not finite.
    """
    voltage = _numbers(voltage_v, "voltages")
    rows = array.shape[0]
    if voltage.ndim == 1:
        voltage = voltage[None, :]
    if voltage.ndim != 2 or voltage.shape[1] != rows:
        raise UsageError(
            f"voltages of shape {np.shape(voltage_v)} do not fit an array of {rows} rows; "
            f"allowed: (batch, {rows}) or ({rows},)"
        )
    if not np.all(np.isfinite(voltage)):
        raise UsageError("voltages must be finite")
    return voltage


def sense_voltages(array: ResistiveArray, sense_v: ArrayLike | None) -> NDArray[np.float64]:
    """Voltages (col,) in V of the virtual grounds, 0 V where there are none.

    Raises
    ------
    UsageError : wrong shape, no numbers, or not finite.
    """
    cols = array.shape[1]
    if sense_v is None:
        return np.zeros(cols)
    voltage = _numbers(sense_v, "voltages of the sense ends")
    if voltage.shape != (cols,) or not np.all(np.isfinite(voltage)):
        raise UsageError(f"voltages of the sense ends must be finite, of shape ({cols},)")
    return voltage


def source_voltages(
    voltage: NDArray[np.float64], sense: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Voltages (source, batch) of all drivers, then of all ends of bit lines, in V."""
    return np.concatenate([voltage.T, np.repeat(sense[:, None], len(voltage), axis=1)])


def factorise(matrix: Any) -> Any:
    """LU factors of a symmetric positive definite nodal matrix."""
    from scipy.sparse.linalg import splu

    # Positive definite: pivots on the diagonal are safe and keep the symmetric ordering's fill.
    return splu(
        matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )


def pack_solution(
    graph: ArrayGraph,
    node_v: NDArray[np.float64],
    source_v: NDArray[np.float64],
    branch_a: NDArray[np.float64],
) -> ArraySolution:
    """Solution in the array's own axes, from unknowns and branch currents (…, batch)."""
    rows, cols = graph.row_node.shape
    batch = source_v.shape[1]
    every = graph.node_voltage(node_v, source_v).T
    row_node_v, col_node_v = every[:, graph.row_node], every[:, graph.col_node]
    cell_a = branch_a[: rows * cols].T.reshape(batch, rows, cols)
    cell_v = graph.branch_voltage(node_v, source_v)[: rows * cols].T.reshape(batch, rows, cols)
    return ArraySolution(
        output_current_a=cell_a.sum(axis=1),
        cell_voltage_v=cell_v,
        row_node_v=row_node_v,
        col_node_v=col_node_v,
        kcl_residual_a=float(np.max(np.abs(graph.residual_a(branch_a)), initial=0.0)),
    )


def _residual(
    graph: ArrayGraph, node_v: NDArray[np.float64], source_v: NDArray[np.float64]
) -> NDArray[np.float64]:
    return graph.residual_a(graph.branch_voltage(node_v, source_v) * graph.conductance_s[:, None])


def _numbers(values: ArrayLike, what: str) -> NDArray[np.float64]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError):
        raise UsageError(f"{what} must be an array of numbers with rows of equal length") from None
