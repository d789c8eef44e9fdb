"""The network of a bundle's nonlinear crossbar, node by node, as its page writes it down.

It shares no code with the surrogate's solvers: it is what a reader of the bundle would write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import splu

Floats = NDArray[np.float64]
Nodes = NDArray[np.int64]

_STEPS = 60
# Of the largest voltage given: the next Newton step would be about the square of this.
_LAST_STEP = 1e-9


def solve_network(
    cells_s: Floats, drive_v: Floats, sense_v: Floats, numbers: Mapping[str, Any]
) -> Floats:
    """Column currents (col,) in A of one vector, by Newton's method on all nodes.

    Parameters
    ----------
    cells_s : (row, col) conductances at 0 V in S.
    drive_v : (row,) drive voltages in V.
    sense_v : (col,) voltages of the bit lines' ends in V.
    numbers : of the bundle: ``r_row_ohm`` and so on, ``v0_v`` or ``r_rise_ohm_per_a``.

    Raises
    ------
    ValueError : Newton's method does not converge.
    """
    rows, cols = cells_s.shape
    word, bit, edges = _nodes(rows, cols, numbers)
    # After the nodes of wires come the drivers' sources and the ends, whose voltages are known.
    first = 2 * rows * cols
    voltage = np.concatenate([np.zeros(first), drive_v, sense_v])
    most = float(np.max(np.abs(voltage), initial=1e-300))
    used = np.unique(np.concatenate([word.ravel(), bit.ravel()]))
    free = used[used < first]
    one, two, wire = edges
    for step in range(_STEPS):
        across = voltage[word] - voltage[bit]
        current, slope = _cell(cells_s, across, numbers)
        if not len(free):
            break
        flow = np.zeros(len(voltage))
        through = wire * (voltage[one] - voltage[two])
        for node, values in ((one, -through), (two, through), (word, -current), (bit, current)):
            np.add.at(flow, node.ravel(), values.ravel())
        ends = (np.concatenate([one, word.ravel()]), np.concatenate([two, bit.ravel()]))
        matrix = _laplacian(ends, np.concatenate([wire, slope.ravel()]), len(voltage))
        change = splu(csc_matrix(matrix[free][:, free])).solve(flow[free])
        voltage[free] += change
        if step and np.max(np.abs(change)) <= _LAST_STEP * most:
            current, _ = _cell(cells_s, voltage[word] - voltage[bit], numbers)
            break
    else:
        raise ValueError("the network of the cells does not converge")
    return np.asarray(current.sum(axis=0))


def _nodes(
    rows: int, cols: int, numbers: Mapping[str, Any]
) -> tuple[Nodes, Nodes, tuple[Nodes, Nodes, Floats]]:
    """Nodes of the cells on word and bit lines, and the segments that join nodes.

    A resistance of 0 makes one node of two. Sources are numbered behind the nodes of wires, then
    the ends of the bit lines.
    """
    r_row, r_col = float(numbers["r_row_ohm"]), float(numbers["r_col_ohm"])
    driver, sense = float(numbers["r_driver_ohm"]) + r_row, float(numbers["r_sense_ohm"]) + r_col
    count = rows * cols
    place = np.arange(count).reshape(rows, cols)
    source, ends = 2 * count + np.arange(rows), 2 * count + rows + np.arange(cols)
    word = place if r_row else np.repeat(place[:, :1], cols, axis=1)
    bit = count + (place if r_col else np.repeat(place[-1:], rows, axis=0))
    if not driver:
        word = np.repeat(source[:, None], cols, axis=1)
    if not sense:
        bit = np.repeat(ends[None], rows, axis=0)
    joints: list[tuple[Nodes, Nodes, float]] = []
    if r_row:
        joints.append((word[:, :-1], word[:, 1:], r_row))
    if r_col:
        joints.append((bit[:-1], bit[1:], r_col))
    if driver:
        joints.append((source, word[:, 0], driver))
    if sense:
        joints.append((bit[-1], ends, sense))
    none: Nodes = np.zeros(0, dtype=np.int64)
    one = np.concatenate([none, *(a.ravel() for a, _, _ in joints)])
    two = np.concatenate([none, *(b.ravel() for _, b, _ in joints)])
    wire = np.concatenate([np.zeros(0), *(np.full(a.size, 1 / r) for a, _, r in joints)])
    return word, bit, (one, two, wire)


def _cell(cells_s: Floats, across_v: Floats, numbers: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Current in A and slope in S of each cell."""
    if numbers["v0_v"] is not None:
        v0 = float(numbers["v0_v"])
        return cells_s * v0 * np.sinh(across_v / v0), cells_s * np.cosh(across_v / v0)
    # V = I/G + r·I·|I|, its root without a difference of near numbers.
    rise = 4 * float(numbers["r_rise_ohm_per_a"]) * cells_s**2
    root = np.sqrt(1 + rise * np.abs(across_v))
    return 2 * cells_s * across_v / (1 + root), cells_s / root


def _laplacian(ends: tuple[Nodes, Nodes], siemens: Floats, size: int) -> Any:
    one, two = ends
    at = np.concatenate([one, two, one, two]), np.concatenate([one, two, two, one])
    values = np.concatenate([siemens, siemens, -siemens, -siemens])
    return coo_matrix((values, at), shape=(size, size)).tocsr()
