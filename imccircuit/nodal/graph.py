"""A resistive array as a graph: nodes, branches and the incidence of one in the other.

A cell that conducts far better than its lines leaves a voltage that two node voltages do not
resolve: its current would lose as many digits as it conducts better. So the unknown at one node of
such a cell is the cell's own voltage, and the node's is the other node's plus that (a congruent
matrix, with the cell's conductance at one place of the diagonal). No digit is lost then, however
well the cell conducts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.nodal.array import Ohms, ResistiveArray

SHORT = 1e3
"""Conductance of a cell, times the resistance of its lines, above which its voltage is an unknown.

Below it the rounding of two node voltages is less than 1e3 × 1e-16 of the current through it.
"""
_MOST_MERGED = 1e5
"""The same of cells between lines that are one node each, which are no unknowns: less than 1e-11.
"""

# Nodes in which branches start, those in which they end, and their conductances in S.
Branches = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]


@dataclass(frozen=True)
class ArrayGraph:
    """Nodes and branches of a `ResistiveArray`, ideal wires already merged.

    Nodes are numbered: unknown nodes first, then one source node a row, then the end of each bit
    line. The unknown of a node is its voltage, or at one node of a short the short's. Branches:
    the cells in C order first, then word-line wires, drivers, far drivers, bit-line wires, sense
    resistances, far ones.

    Attributes
    ----------
    unknowns : number of nodes whose voltage is not given.
    row_node : (row, col) node at the word-line side of each cell.
    col_node : (row, col) node at the bit-line side of each cell.
    node_of : (node, node) sparse matrix that takes the unknowns, then the voltages of sources and
        ends, to the voltages of all nodes; None where these are the same.
    incidence : (branch, node) sparse matrix that takes them to voltages of branches: +1 where a
        branch starts and -1 where it ends, in nodes whose unknown is their voltage.
    conductance_s : (branch,) conductances in S; those of the cells come first.
    """

    unknowns: int
    row_node: NDArray[np.intp]
    col_node: NDArray[np.intp]
    node_of: Any
    incidence: Any
    conductance_s: NDArray[np.float64]

    @cached_property
    def unknown_incidence(self) -> Any:
        """(branch, unknown node) part of the incidence matrix."""
        return self.incidence[:, : self.unknowns].tocsr()

    def node_voltage(
        self, unknown_v: NDArray[np.float64], source_v: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Voltages of all nodes (node, batch) from the unknowns, and those of sources and ends."""
        every = np.concatenate([unknown_v, source_v])
        return every if self.node_of is None else np.asarray(self.node_of @ every)

    def branch_voltage(
        self, node_v: NDArray[np.float64], source_v: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Voltages of all branches (branch, batch) from unknowns, and of sources and ends.

        A difference of two neighbouring floats is exact, so the current of a wire comes out of
        it with full relative accuracy; the product of matrix and node voltages has it not.
        """
        every: NDArray[np.float64] = self.incidence @ np.concatenate([node_v, source_v])
        return every

    def residual_a(self, branch_a: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum up what flows into each unknown node and does not leave it, (node, batch) in A."""
        residual: NDArray[np.float64] = -(self.unknown_incidence.T @ branch_a)
        return residual

    def matrix(self, conductance_s: NDArray[np.float64]) -> Any:
        """Nodal matrix of the unknown nodes (sparse, CSC) for these branch conductances in S."""
        # Not above: worker processes that solve nothing here would start later for it.
        from scipy import sparse

        incidence = self.unknown_incidence
        return (incidence.T @ sparse.diags(conductance_s) @ incidence).tocsc()


def array_graph(array: ResistiveArray) -> ArrayGraph:
    """Graph of ``array``: an ideal word or bit line is one node, an ideal end is none.

    Raises
    ------
    UsageError : merged lines some of whose ends are ideal and some not, or a cell between two lines
        without wire resistance conducts too well for their ends.
    """
    rows, cols = array.shape
    sources = np.arange(rows)[:, None]  # numbered from 0 here, moved behind the unknowns below
    row_end = _end(array.r_row_ohm, 0, array.r_driver_ohm, rows)
    col_end = _end(array.r_col_ohm, -1, array.r_sense_ohm, cols)
    row_free, col_free = _free(row_end, "r_driver_ohm"), _free(col_end, "r_sense_ohm")

    row_count = 0 if not row_free else rows if array.ideal_rows else rows * cols
    col_count = 0 if not col_free else cols if array.ideal_cols else rows * cols
    unknowns = row_count + col_count
    ends = unknowns + rows + np.arange(cols)

    if not array.ideal_rows:
        row_node = np.arange(rows * cols).reshape(rows, cols)
    else:
        first = 0 if row_free else unknowns
        row_node = np.broadcast_to(first + sources, (rows, cols))
    if not array.ideal_cols:
        col_node = row_count + np.arange(rows * cols).reshape(rows, cols)
    elif col_free:
        col_node = np.broadcast_to(row_count + np.arange(cols), (rows, cols))
    else:
        col_node = np.broadcast_to(ends, (rows, cols))

    source = unknowns + sources[:, 0]
    branches: list[Branches] = [(row_node, col_node, array.conductance_s)]
    if not array.ideal_rows:
        segment = np.broadcast_to(array.r_row_ohm, array.shape)[:, 1:]
        branches.append((row_node[:, :-1], row_node[:, 1:], 1.0 / segment))
    if row_free:
        branches.append((source, row_node[:, 0], 1.0 / row_end))
        branches.append(_far(source, row_node[:, -1], array.r_driver_far_ohm))
    if not array.ideal_cols:
        segment = np.broadcast_to(array.r_col_ohm, array.shape)[:-1]
        branches.append((col_node[:-1], col_node[1:], 1.0 / segment))
    if col_free:
        branches.append((col_node[-1], ends, 1.0 / col_end))
        branches.append(_far(col_node[0], ends, array.r_sense_far_ohm))

    from scipy import sparse

    start, end, conductance = (
        np.concatenate([np.ravel(branch[part]) for branch in branches]) for part in range(3)
    )
    index = np.arange(start.size)
    incidence = sparse.csr_array(
        (
            np.concatenate([np.ones(start.size), -np.ones(start.size)]),
            (np.concatenate([index, index]), np.concatenate([start, end])),
        ),
        shape=(start.size, unknowns + rows + cols),
    )
    node_of = None
    dependent = _dependent(array, row_free, col_free)
    if unknowns and np.any(dependent):
        node_of = _node_of(array, row_node[dependent], col_node[dependent], incidence.shape[1])
        incidence = (incidence @ node_of).tocsr()
        # What a short's two nodes have in common is no voltage of it: exactly none.
        incidence.eliminate_zeros()
    return ArrayGraph(unknowns, row_node, col_node, node_of, incidence, conductance)


def compute_shortness(array: ResistiveArray) -> NDArray[np.float64]:
    """Conductance (row, col) of each cell times the resistance of its lines up to their near ends.

    That is how many times the voltage across a cell is less than that between its lines' ends,
    and so how many times more its current is uncertain than node voltages are.
    """
    row = np.cumsum(np.broadcast_to(array.r_row_ohm, array.shape), axis=1)
    col = np.cumsum(np.broadcast_to(array.r_col_ohm, array.shape)[::-1], axis=0)[::-1]
    ends = np.reshape(array.r_driver_ohm, (-1, 1)) + np.asarray(array.r_sense_ohm)
    return np.asarray(array.conductance_s * (row + col + ends))


def _dependent(array: ResistiveArray, row_free: bool, col_free: bool) -> NDArray[np.bool_]:
    """Cells (row, col) whose voltage stands for that of a node: no two of them at one node.

    Raises
    ------
    UsageError : all lines are merged and none is ideal, so that there may be no such nodes.
    """
    shortness = compute_shortness(array)
    short = shortness > SHORT
    if not (array.ideal_rows and array.ideal_cols) or not np.any(short):
        return short
    if row_free and col_free:
        i, j = np.unravel_index(np.argmax(shortness), array.shape)
        if shortness[i, j] > _MOST_MERGED:
            own = array.conductance_s[i, j]
            raise UsageError(
                f"conductances[{i}, {j}] = {own:g} S is too good for r_driver_ohm and r_sense_ohm "
                f"of lines without wire resistance; allowed: up to "
                f"{own * _MOST_MERGED / shortness[i, j]:.3g} S there, or a wire resistance"
            )
        return np.zeros_like(short)
    # Of each line that is a node of its own the best cell; the others differ from it by sources.
    axis = 0 if col_free else 1
    best = np.zeros_like(short)
    np.put_along_axis(best, np.expand_dims(np.argmax(shortness, axis=axis), axis), True, axis=axis)
    return short & best


def _node_of(
    array: ResistiveArray, row_node: NDArray[np.intp], col_node: NDArray[np.intp], nodes: int
) -> Any:
    """Sparse matrix (node, node) from unknowns to node voltages, for cells between these nodes."""
    from scipy import sparse

    unknowns = nodes - sum(array.shape)
    # The word line's node is the cell's alone, or the bit line's is.
    own_rows = not array.ideal_rows or (array.ideal_cols and bool(np.all(row_node < unknowns)))
    own, other = (row_node, col_node) if own_rows else (col_node, row_node)
    sign = np.ones(nodes)
    sign[own] = 1.0 if own_rows else -1.0
    every = np.arange(nodes)
    return sparse.csr_array(
        (
            np.concatenate([sign, np.ones(own.size)]),
            (np.concatenate([every, own]), np.concatenate([every, other])),
        ),
        shape=(nodes, nodes),
    )


def _end(segment_ohm: Ohms, end: int, end_ohm: Ohms, lines: int) -> NDArray[np.float64]:
    """Resistance (line,) between each line's first or last cell and its near end in ohm."""
    wire = np.asarray(segment_ohm)
    if wire.ndim == 2:
        wire = wire[:, end] if end == 0 else wire[end]
    return np.broadcast_to(wire + np.asarray(end_ohm), (lines,))


def _free(end_ohm: NDArray[np.float64], name: str) -> bool:
    """Whether the lines' ends are nodes of their own."""
    if np.any(end_ohm > 0) and not np.all(end_ohm > 0):
        raise UsageError(f"{name}: on lines without wire resistance all are 0 or none is")
    return bool(np.all(end_ohm > 0))


def _far(start: NDArray[np.intp], end: NDArray[np.intp], far_ohm: Ohms) -> Branches:
    there = np.broadcast_to(np.isfinite(far_ohm), start.shape)
    return start[there], end[there], 1.0 / np.broadcast_to(far_ohm, start.shape)[there]
