"""Gradients of a loss of an array's output currents, by one adjoint solve a vector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.nodal.array import ResistiveArray
from imccircuit.nodal.cells import LINEAR, CellLaw
from imccircuit.nodal.fast import solve_fast
from imccircuit.nodal.solve import drive_voltages, turned

# Vectors at a time, which bounds the memory.
_CHUNK = 16

Floats = NDArray[np.float64]


def conductance_gradient(
    array: ResistiveArray,
    voltage_v: ArrayLike,
    current_gradient: ArrayLike,
    law: CellLaw = LINEAR,
    sense_v: ArrayLike | None = None,
) -> Floats:
    """Gradient of a loss with respect to the cells' conductances, summed over the batch.

    A change dG of a cell is a current source dI = (∂I/∂G)·dG across it. By reciprocity, what of it
    leaves through the sense ends, weighted with the loss's gradient y there, is dI times the
    voltage between the cell's bit line and its word line in the same array, linearised, with the
    drivers at 0 V and y volts at the sense ends. (Director and Rohrer, "The generalized adjoint
    network and network sensitivities", IEEE Trans. Circuit Theory 16, 1969.)

    Parameters
    ----------
    array : the array; ``conductance_s`` are the conductances at 0 V.
    voltage_v : (batch, row) or (row,) drive voltages in V.
    current_gradient : (batch, col) or (col,) derivative of the loss to each output current, in
        units of the loss over A.
    law : what the cells are.
    sense_v : (col,) voltages in V of the bit lines' virtual grounds; None is 0 V.

    Returns
    -------
    (row, col) derivative of the loss, in units of the loss over S; also of open cells.

    Raises
    ------
    UsageError : voltages, gradients or the law's parameter do not fit.
    EngineError : no solver converged.
    """
    voltage = drive_voltages(array, voltage_v)
    weight = np.atleast_2d(np.asarray(current_gradient, dtype=np.float64))
    wanted = (len(voltage), array.shape[1])
    if weight.shape != wanted:
        raise UsageError(f"current_gradient must be of shape {wanted}, not {weight.shape}")
    if not np.all(np.isfinite(weight)):
        raise UsageError("current_gradient must be finite")
    gradient = np.zeros(array.shape)
    for start in range(0, len(voltage), _CHUNK):
        part = slice(start, start + _CHUNK)
        cell_v = solve_fast(array, voltage[part], law, sense_v).cell_voltage_v
        adjoint_v = _adjoint_v(array, cell_v, weight[part], law)
        gain = law.conductance_slope(array.conductance_s, cell_v)
        gradient += np.einsum("bij,bij->ij", gain, adjoint_v)
    return gradient


def _adjoint_v(array: ResistiveArray, cell_v: Floats, weight: Floats, law: CellLaw) -> Floats:
    """Voltages (batch, row, col) of bit line over word line with ``weight`` V at the sense ends."""
    if law.linear:
        across = solve_fast(turned(array), weight[:, ::-1]).cell_voltage_v
    else:
        slope = law.currents(array.conductance_s, cell_v)[1]
        across = np.concatenate(
            [
                solve_fast(turned(replace(array, conductance_s=s)), y[::-1]).cell_voltage_v
                for s, y in zip(slope, weight, strict=True)
            ]
        )
    return across[:, ::-1, ::-1].swapaxes(1, 2)
