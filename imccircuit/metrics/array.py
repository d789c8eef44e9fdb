"""Errors of a crossbar and of anything that predicts one: IR drop, column currents, NRMSE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

NO_CELL = -1
"""Stands where a cell index is asked of an array that holds NaN."""


@dataclass(frozen=True, eq=False)
class IrDrop:
    """Voltage that wires take from the cells; made by `compute_ir_drop`.

    Attributes
    ----------
    drop_v : (…, row, col) ideal minus actual cell voltage in V.
    relative : (…, row, col) drop_v / ideal, no unit: positive where a cell sees less than it
        should, whatever the sign of the drive; NaN where the ideal voltage is 0.
    worst_v : (…) the drop of largest magnitude, with sign, in V.
    worst_row, worst_col : (…) the cell it belongs to; -1 where the array holds NaN.
    """

    drop_v: NDArray[np.float64]
    relative: NDArray[np.float64]
    worst_v: NDArray[np.float64]
    worst_row: NDArray[np.int64]
    worst_col: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ColumnError:
    """Error of column currents; made by `compute_column_error`.

    Attributes
    ----------
    error_a : (…, col) actual minus ideal current in A.
    of_largest : (…, col) error_a over the largest ideal |current| of the same product (the last
        axis), no unit; NaN where all are 0.
    of_own : (…, col) error_a over the column's own ideal current, no unit; NaN where that is 0.
    """

    error_a: NDArray[np.float64]
    of_largest: NDArray[np.float64]
    of_own: NDArray[np.float64]


def compute_ir_drop(cell_voltage_v: ArrayLike, ideal_voltage_v: ArrayLike) -> IrDrop:
    """IR drop of every cell.

    Parameters
    ----------
    cell_voltage_v : (…, row, col) voltage across each cell in V.
    ideal_voltage_v : the same without wires, in V; as many axes as ``cell_voltage_v`` and
        broadcast against it. Row voltages (batch, row) are given as ``voltage_v[..., None]``.

    Raises
    ------
    UsageError : fewer than two axes, or shapes that do not fit. Too few axes are refused rather
        than broadcast: in a square array, row voltages would silently be taken for columns.
    """
    cell = np.asarray(cell_voltage_v, dtype=np.float64)
    ideal = np.asarray(ideal_voltage_v, dtype=np.float64)
    if cell.ndim < 2:
        raise UsageError(f"cell voltages must be (…, row, col), not of shape {cell.shape}")
    fits = ideal.ndim == cell.ndim and all(
        own in (1, full) for own, full in zip(ideal.shape, cell.shape, strict=True)
    )
    if not fits:
        raise UsageError(
            f"ideal voltages of shape {ideal.shape} do not fit cells {cell.shape}; "
            "give row voltages as (…, row, 1)"
        )
    drop = ideal - cell
    row, col, worst = compute_worst_cell(drop)
    return IrDrop(drop, _divide(drop, ideal), worst, row, col)


def compute_worst_cell(
    drop_v: ArrayLike,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Row, column and value of the entry of largest magnitude of each (…, row, col) map.

    Returns
    -------
    Three arrays (…): row and col, -1 where the map holds NaN, and the value with sign, NaN there.

    Raises
    ------
    UsageError : fewer than two axes, or an empty map.
    """
    drop = np.asarray(drop_v, dtype=np.float64)
    if drop.ndim < 2 or drop.shape[-1] * drop.shape[-2] == 0:
        raise UsageError(f"a map must be (…, row, col) and not empty, not of shape {drop.shape}")
    flat = drop.reshape(*drop.shape[:-2], -1)
    index = np.asarray(np.argmax(np.abs(flat), axis=-1))  # a NaN counts as largest
    value = np.asarray(np.take_along_axis(flat, index[..., None], axis=-1)[..., 0])
    known = ~np.isnan(value)
    row, col = np.divmod(index, drop.shape[-1])
    return np.where(known, row, NO_CELL), np.where(known, col, NO_CELL), value


def compute_column_error(output_current_a: ArrayLike, ideal_current_a: ArrayLike) -> ColumnError:
    """Error of column currents, in A, of the largest and of each column's own current.

    Parameters
    ----------
    output_current_a : (…, col) currents in A.
    ideal_current_a : (…, col) what they should be, in A.

    Raises
    ------
    UsageError : the shapes differ, or there is no column.
    """
    output, ideal = _same_shape(output_current_a, ideal_current_a, "output and ideal currents")
    if output.ndim == 0:
        raise UsageError("column currents need a last axis of columns")
    error = output - ideal
    largest = np.abs(ideal).max(axis=-1, keepdims=True)
    return ColumnError(error, _divide(error, largest), _divide(error, ideal))


def compute_nrmse(
    predicted: ArrayLike, truth: ArrayLike, *, axis: int | tuple[int, ...] | None = None
) -> NDArray[np.float64]:
    """Root mean square error over the standard deviation of the truth, no unit.

    Parameters
    ----------
    predicted, truth : arrays of one shape and unit.
    axis : axes to average over; None is all of them.

    Returns
    -------
    sqrt(mean((predicted - truth)²)) / σ(truth), with the σ of the population (divisor n) over the
    same axes. 0 is perfect; always answering the mean of the truth gives 1. So a small error that
    is a large part of the signal cannot hide behind a wide full scale.

    Raises
    ------
    UsageError : shapes differ, nothing to average, or the truth is constant (σ = 0).
    """
    guess, true = _same_shape(predicted, truth, "prediction and truth")
    try:
        # Rounding gives the σ of a constant a tiny value that is not 0; its range is exactly 0.
        constant = np.any(np.ptp(true, axis=axis) == 0)
    except np.exceptions.AxisError:
        raise UsageError(f"axis {axis} does not exist in shape {true.shape}") from None
    if constant:
        raise UsageError("the truth is constant, so an error cannot be normalised by its σ")
    rms = np.sqrt(np.mean((guess - true) ** 2, axis=axis))
    return np.asarray(rms / np.std(true, axis=axis))


def compute_kcl_residual(
    cell_current_a: ArrayLike, output_current_a: ArrayLike
) -> NDArray[np.float64]:
    """Sum, per bit line, of the currents from its cells less the current into its sensing node.

    Parameters
    ----------
    cell_current_a : (…, row, col) current through each cell in A, positive from word line to bit
        line; for a linear cell, its conductance times its voltage.
    output_current_a : (…, col) current into each sensing node in A.

    Returns
    -------
    (…, col) Σ_row cell current - output current in A: 0 by Kirchhoff's current law, up to what the
    solver leaves.

    Raises
    ------
    UsageError : the shapes do not fit.
    """
    cell = np.asarray(cell_current_a, dtype=np.float64)
    output = np.asarray(output_current_a, dtype=np.float64)
    if cell.ndim < 2 or output.shape != (*cell.shape[:-2], cell.shape[-1]):
        raise UsageError(f"outputs of shape {output.shape} do not fit cell currents {cell.shape}")
    return np.asarray(cell.sum(axis=-2) - output)


def _same_shape(
    first: ArrayLike, second: ArrayLike, what: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != two.shape or one.size == 0:
        raise UsageError(f"{what} must have one shape and not be empty: {one.shape}, {two.shape}")
    return one, two


def _divide(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotient, NaN where the divisor is 0."""
    answer = np.full(above.shape, np.nan)
    np.divide(above, below, out=answer, where=np.broadcast_to(below, above.shape) != 0)
    return answer
