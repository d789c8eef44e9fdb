"""What a linear resistive array is, as numbers, independent of who solves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError

_LEAST_S = 1e-18
"""Below it a resistance overflows long before it conducts."""

Ohms = float | NDArray[np.float64]
Wires = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class ResistiveArray:
    """Resistive crossbar with wire resistance and linear cells.

    Word line i is driven at its left end through the driver resistance and one wire segment
    before the first cell; bit line j ends below the last row in one segment and the sense
    resistance, and then in a virtual ground. Lines may have a second, far end: behind the last
    cell of a word line the same drive voltage, above the first cell of a bit line the same
    virtual ground, so that the output current is that of both ends of the bit line.

    Attributes
    ----------
    conductance_s : (row, col) cell conductances in S; 0 is an open cell.
    r_row_ohm : resistance of one word-line segment in ohm, or (row, col) those of the segments
        before each cell; 0 merges the nodes of all word lines.
    r_col_ohm : resistance of one bit-line segment in ohm, or (row, col) those of the segments
        behind each cell; 0 merges the nodes of all bit lines.
    r_driver_ohm : resistance of each word-line driver in ohm, one number or (row,).
    r_sense_ohm : resistance between a bit line's end and the virtual ground in ohm, an amplifier's
        input resistance included, one number or (col,).
    r_driver_far_ohm : resistance from the last cell of a word line to its second driver in ohm,
        the wire between included, one number or (row,); infinite where there is none.
    r_sense_far_ohm : likewise from the first cell of a bit line to its second virtual ground, one
        number or (col,).
    """

    conductance_s: NDArray[np.float64]
    r_row_ohm: Ohms = 0.0
    r_col_ohm: Ohms = 0.0
    r_driver_ohm: Ohms = 0.0
    r_sense_ohm: Ohms = 0.0
    r_driver_far_ohm: Ohms = np.inf
    r_sense_far_ohm: Ohms = np.inf

    def __post_init__(self) -> None:
        conductance = np.array(self.conductance_s, dtype=np.float64)
        if conductance.ndim != 2 or conductance.size == 0:
            raise UsageError(f"conductances must be (row, col), not of shape {conductance.shape}")
        if not np.all(np.isfinite(conductance)) or np.any(conductance < 0):
            raise UsageError("conductances must be finite and not negative")
        if np.any((conductance > 0) & (conductance < _LEAST_S)):
            raise UsageError(f"a conductance is 0 (open) or at least {_LEAST_S:g} S")
        conductance.setflags(write=False)
        object.__setattr__(self, "conductance_s", conductance)
        rows, cols = conductance.shape
        for name, shape in (
            ("r_row_ohm", (rows, cols)),
            ("r_col_ohm", (rows, cols)),
            ("r_driver_ohm", (rows,)),
            ("r_sense_ohm", (cols,)),
            ("r_driver_far_ohm", (rows,)),
            ("r_sense_far_ohm", (cols,)),
        ):
            object.__setattr__(self, name, _resistance(name, getattr(self, name), shape))

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        rows, cols = self.conductance_s.shape
        return rows, cols

    @property
    def uniform(self) -> bool:
        """Whether each kind of resistance is one number and no line has a far end."""
        resistances = (self.r_row_ohm, self.r_col_ohm, self.r_driver_ohm, self.r_sense_ohm)
        return all(isinstance(r, float) for r in resistances) and not self.far_ends

    @property
    def far_ends(self) -> bool:
        """Whether any line has a far end."""
        far = (self.r_driver_far_ohm, self.r_sense_far_ohm)
        return any(bool(np.any(np.isfinite(r))) for r in far)

    @property
    def ideal_rows(self) -> bool:
        """Whether word lines have no wire resistance."""
        return isinstance(self.r_row_ohm, float) and self.r_row_ohm == 0

    @property
    def ideal_cols(self) -> bool:
        """Whether bit lines have no wire resistance."""
        return isinstance(self.r_col_ohm, float) and self.r_col_ohm == 0


def segments_s(array: ResistiveArray) -> Wires:
    """Conductances in S of an array whose wires all have a resistance.

    Returns
    -------
    (row, col) that before each cell on the word lines, drivers included; (row,) from the last
    cells to the far drivers; (row, col) behind each cell on the bit lines, sense resistances
    included; (col,) from the first cells to the far virtual grounds.
    """
    rows, cols = array.shape
    row_ohm, col_ohm = array.r_row_ohm, array.r_col_ohm
    row_s, col_s = np.empty(array.shape), np.empty(array.shape)
    far_w, far_b = np.empty(rows), np.empty(cols)
    row_s[:], col_s[:] = 1.0 / row_ohm, 1.0 / col_ohm
    row_s[:, 0] = 1.0 / (
        (row_ohm if isinstance(row_ohm, float) else row_ohm[:, 0]) + array.r_driver_ohm
    )
    col_s[-1] = 1.0 / ((col_ohm if isinstance(col_ohm, float) else col_ohm[-1]) + array.r_sense_ohm)
    far_w[:], far_b[:] = 1.0 / array.r_driver_far_ohm, 1.0 / array.r_sense_far_ohm
    return row_s, far_w, col_s, far_b


def _resistance(name: str, given: Ohms, shape: tuple[int, ...]) -> Ohms:
    """Number, or read-only array of ``shape``."""
    far = name.endswith("_far_ohm")
    try:
        value = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be a number or of shape {shape}, not {given!r}") from None
    if value.shape not in ((), shape):
        raise UsageError(f"{name} must be a number or of shape {shape}, not {value.shape}")
    if far:
        if not np.all(value > 0):
            raise UsageError(f"{name} must be positive, or infinite where there is no far end")
    elif not (np.all(np.isfinite(value)) and np.all(value >= 0)):
        what = f", not {given!r}" if value.ndim == 0 else ""
        raise UsageError(f"{name} must be finite and not negative{what}")
    if value.ndim == 0:
        return float(value)
    if value.ndim == 2 and not np.all(value > 0):
        raise UsageError(f"{name}: segments that differ must all be positive")
    value.setflags(write=False)
    return value
