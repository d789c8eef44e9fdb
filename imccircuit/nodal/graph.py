"""A resistive array as a graph: nodes, branches and the incidence of one in the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imccircuit.nodal.array import ResistiveArray


@dataclass(frozen=True)
class ArrayGraph:
    """Nodes and branches of a `ResistiveArray`, ideal wires already merged.

    Nodes are numbered: unknown nodes first, then one source node a row, then ground. Branches:
    the cells in C order first, then word-line wires, drivers, bit-line wires, sense resistances.

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
        """Voltages of all branches (branch, batch) from those of nodes and sources, in V.

        A difference of two neighbouring floats is exact, so the current of a wire comes out of
        it with full relative accuracy; the product of matrix and node voltages has it not.
        """
        ground = np.zeros((1, source_v.shape[1]))
        every: NDArray[np.float64] = self.incidence @ np.concatenate([node_v, source_v, ground])
        return every

    def residual_a(self, branch_a: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum up what flows into each unknown node and does not leave it, (node, batch) in A."""
        residual: NDArray[np.float64] = -(self.unknown_incidence.T @ branch_a)
        return residual

    def matrix(self, conductance_s: NDArray[np.float64]) -> Any:
        """Nodal matrix of the unknown nodes (sparse, CSC) for these branch conductances in S."""
        incidence = self.unknown_incidence
        return (incidence.T @ sparse.diags(conductance_s) @ incidence).tocsc()


def array_graph(array: ResistiveArray) -> ArrayGraph:
    """Graph of ``array``: an ideal word or bit line is one node, an ideal end is none."""
    rows, cols = array.shape
    sources = np.arange(rows)[:, None]  # numbered from 0 here, moved behind the unknowns below
    row_end = array.r_row_ohm + array.r_driver_ohm
    col_end = array.r_col_ohm + array.r_sense_ohm

    row_count = rows * cols if array.r_row_ohm > 0 else rows if row_end > 0 else 0
    col_count = rows * cols if array.r_col_ohm > 0 else cols if col_end > 0 else 0
    unknowns = row_count + col_count
    ground = unknowns + rows

    if array.r_row_ohm > 0:
        row_node = np.arange(rows * cols).reshape(rows, cols)
    else:
        first = 0 if row_end > 0 else unknowns
        row_node = np.broadcast_to(first + sources, (rows, cols))
    if array.r_col_ohm > 0:
        col_node = row_count + np.arange(rows * cols).reshape(rows, cols)
    elif col_end > 0:
        col_node = np.broadcast_to(row_count + np.arange(cols), (rows, cols))
    else:
        col_node = np.broadcast_to(np.intp(ground), (rows, cols))

    branches = [(row_node, col_node, array.conductance_s)]
    if array.r_row_ohm > 0:
        branches.append(_wires(row_node[:, :-1], row_node[:, 1:], array.r_row_ohm))
    if row_end > 0:
        branches.append(_wires(unknowns + sources[:, 0], row_node[:, 0], row_end))
    if array.r_col_ohm > 0:
        branches.append(_wires(col_node[:-1], col_node[1:], array.r_col_ohm))
    if col_end > 0:
        branches.append(_wires(col_node[-1], np.full(cols, ground), col_end))

    start, end, conductance = (
        np.concatenate([np.ravel(branch[part]) for branch in branches]) for part in range(3)
    )
    index = np.arange(start.size)
    incidence = sparse.csr_array(
        (
            np.concatenate([np.ones(start.size), -np.ones(start.size)]),
            (np.concatenate([index, index]), np.concatenate([start, end])),
        ),
        shape=(start.size, ground + 1),
    )
    return ArrayGraph(unknowns, row_node, col_node, incidence, conductance)


def _wires(
    start: NDArray[np.intp], end: NDArray[np.intp], resistance_ohm: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    return start, end, np.full(start.shape, 1.0 / resistance_ohm)
