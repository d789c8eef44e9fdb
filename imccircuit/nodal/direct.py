"""Effective conductance and port admittance of linear arrays, by dense elimination row by row.

Seen from its bit lines, a word line is a dense conductance matrix ``Y = G W⁻¹ L``, with ``G`` its
cells, ``L`` its wires and drivers, and ``W = L + G``. Above row i, the array is a conductance
matrix ``P`` on the bit lines and currents ``K`` that 1 V at each driver drives out of them. Row i
is added (``A = P + Y``) and one segment S of each bit line put behind it::

    T = (A + S)⁻¹ S,   P = A T,   K = K T

so that after the last row, whose segment ends in the virtual ground, K is the effective conductance
and P the port admittance. With N rows and n columns that takes about 5 N n³ operations, all of them
products and factorisations of dense matrices, where one solve a driver takes N² n times the
iterations and is bound by memory. Only sums of like signs and products: wires a billion times
better than the cells lose nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import EngineError
from imccircuit.nodal.array import ResistiveArray, segments_s
from imccircuit.nodal.fast import solve_currents, solve_fast
from imccircuit.nodal.solve import effective_conductance as sparse_effective_conductance
from imccircuit.nodal.solve import turned

# Largest error relative to the largest current that the check of an elimination may find.
_TOLERANCE = 1e-10
# Vectors at a time where there is no elimination: bounds the memory.
_CHUNK = 32

Floats = NDArray[np.float64]


def effective_conductance(array: ResistiveArray) -> Floats:
    """Matrix (row, col) in S with output current = voltage @ matrix, wires included.

    Eliminated along the side with more lines (by reciprocity the turned array has the same matrix,
    turned), then checked: the currents for one vector of full length must be those of
    `solve_currents` within 1e-10 of the largest, or the matrix is found a driver at a time.

    Raises
    ------
    EngineError : no way converged.
    """
    rows, cols = array.shape
    if array.ideal_rows or array.ideal_cols:
        return sparse_effective_conductance(array)
    far_rows = bool(np.any(np.isfinite(array.r_driver_far_ohm)))
    far_cols = bool(np.any(np.isfinite(array.r_sense_far_ohm)))
    if not (far_rows and far_cols):
        # An elimination ends in one end of the bit lines, so they must not have another.
        turn = far_cols or (cols > rows and not far_rows)
        side = turned(array) if turn else array
        found = _eliminate(side)
        if found is not None:
            matrix = found[0][::-1, ::-1].T if turn else found[0]
            probe = np.cos(np.arange(rows))
            wanted = solve_currents(array, probe)[0]
            error = np.max(np.abs(probe @ matrix - wanted))
            if error <= _TOLERANCE * np.max(np.abs(wanted)):
                return np.ascontiguousarray(matrix)
    units = np.eye(rows)
    parts = [solve_currents(array, units[k : k + _CHUNK]) for k in range(0, rows, _CHUNK)]
    return np.concatenate(parts)


def port_admittance(array: ResistiveArray) -> Floats:
    """Matrix (col, col) in S: current that 1 V at sense j drives out of sense k.

    Raises
    ------
    EngineError : no way converged.
    """
    cols = array.shape[1]
    side = turned(array)
    if not (array.ideal_rows or array.ideal_cols or np.any(np.isfinite(array.r_sense_far_ohm))):
        found = _eliminate(array)
        if found is not None:
            probe = np.cos(np.arange(cols))
            cell = solve_fast(side, probe[::-1]).cell_voltage_v[0] * side.conductance_s
            wanted = cell.sum(axis=1)[::-1]
            error = np.max(np.abs(probe @ found[1] - wanted))
            if error <= _TOLERANCE * np.max(np.abs(wanted)):
                return found[1]
    # Turned round, bit line j is word line cols-1-j, and its current the sum of its cells'.
    admittance = np.empty((cols, cols))
    for start in range(0, cols, _CHUNK):
        cell_v = solve_fast(side, np.eye(cols)[start : start + _CHUNK]).cell_voltage_v
        admittance[start : start + _CHUNK] = np.einsum("brc,rc->br", cell_v, side.conductance_s)
    return np.ascontiguousarray(admittance[::-1, ::-1])


def _eliminate(array: ResistiveArray) -> tuple[Floats, Floats] | None:
    """Effective conductance and port admittance; None where a matrix came out not definite."""
    from scipy.linalg.lapack import dpotrf, dpotri

    rows, cols = array.shape
    row_s, far_s, col_s, _ = segments_s(array)
    seen = np.zeros((cols, cols))
    driven = np.zeros((rows, cols))
    for i in range(rows):
        load, driven[i] = _word_line(array.conductance_s[i], row_s[i], float(far_s[i]))
        seen += load
        segment = col_s[i]
        # Upper triangle in C order is the lower one in the order of the library: no copy.
        factor, failed = dpotrf((seen + np.diag(segment)).T, lower=1, overwrite_a=1)
        if failed:
            return None
        inverse, failed = dpotri(factor, lower=1, overwrite_c=1)
        if failed:
            return None
        lower = np.tril(inverse)
        passed = (lower + np.tril(lower, -1).T) * segment
        seen = seen @ passed
        seen = 0.5 * (seen + seen.T)
        driven[: i + 1] = driven[: i + 1] @ passed
    if not np.all(np.isfinite(driven)):
        return None
    return driven, seen


def _word_line(g: Floats, segment_s: Floats, far_s: float) -> tuple[Floats, Floats]:
    """Conductance matrix of one word line at its bit lines, and their currents at 1 V drive."""
    from scipy.linalg import LinAlgError, solveh_banded

    cols = g.size
    if cols == 1:
        ends = segment_s + far_s
        driven = g * ends / (g + ends)
        return driven[:, None], driven
    after = np.append(segment_s[1:], far_s)
    banded = np.zeros((2, cols))
    banded[0] = g + segment_s + after
    banded[1, :-1] = -segment_s[1:]
    wires = np.zeros((cols, cols + 1))
    np.fill_diagonal(wires, segment_s + after)
    inner = np.arange(cols - 1)
    wires[inner, inner + 1] = wires[inner + 1, inner] = -segment_s[1:]
    wires[:, cols] = 0.0
    wires[0, cols] = segment_s[0]
    wires[-1, cols] += far_s
    try:
        solved = solveh_banded(banded, wires, lower=True, check_finite=False)
    except LinAlgError:
        raise EngineError("a word line's wires and cells make no definite matrix") from None
    load = g[:, None] * solved[:, :cols]
    return 0.5 * (load + load.T), g * solved[:, cols]
