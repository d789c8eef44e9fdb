"""A resistive array as a graph: nodes, branches and the incidence of one in the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.nodal.array import Ohms, ResistiveArray

# Nodes in which branches start, those in which they end, and their conductances in S.
Branches = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]


@dataclass(frozen=True)
class ArrayGraph:
    """Nodes and branches of a `ResistiveArray`, ideal wires already merged.

    Nodes are numbered: unknown nodes first, then one source node a row, then the end of each bit
    line. Branches:
    the cells in C order first, then word-line wires, drivers, far drivers, bit-line wires, sense
    resistances, far ones.

    Attributes
    ----------
    unknowns : number of nodes whose voltage is not given.
    row_node : (row, col) node at the word-line side of each cell.
    col_node : (row, col) node at the bit-line side of each cell.
    incidence : (branch, node) sparse matrix, +1 where a branch starts and -1 where it ends.
    conductance_s : (branch,) conductances in S; those of the cells come first.
    """

    unknowns: int
    row_node: NDArray[np.intp]
    col_node: NDArray[np.intp]
    incidence: Any
    conductance_s: NDArray[np.float64]

    @cached_property
    def unknown_incidence(self) -> Any:
        """(branch, unknown node) part of the incidence matrix."""
        return self.incidence[:, : self.unknowns].tocsr()

    def branch_voltage(
        self, node_v: NDArray[np.float64], source_v: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Voltages of all branches (branch, batch) from those of nodes, and of sources and ends.

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
    UsageError : merged lines some of whose ends are ideal and some not.
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
    return ArrayGraph(unknowns, row_node, col_node, incidence, conductance)


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
