"""What a linear resistive array is, as numbers, independent of who solves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError

_LEAST_S = 1e-18
"""Below it a resistance overflows long before it conducts."""


@dataclass(frozen=True)
class ResistiveArray:
    """Resistive crossbar with wire resistance and linear cells.

    Word line i is driven at its left end through the driver resistance and one wire segment
    before the first cell; bit line j ends below the last row in one segment and the sense
    resistance, and then in a virtual ground.

    Attributes
    ----------
    conductance_s : (row, col) cell conductances in S; 0 is an open cell.
    r_row_ohm : resistance of one word-line segment in ohm; 0 merges the nodes of a word line.
    r_col_ohm : resistance of one bit-line segment in ohm; 0 merges the nodes of a bit line.
    r_driver_ohm : resistance of each word-line driver in ohm.
    r_sense_ohm : resistance between a bit line's end and the virtual ground in ohm.
    """

    conductance_s: NDArray[np.float64]
    r_row_ohm: float = 0.0
    r_col_ohm: float = 0.0
    r_driver_ohm: float = 0.0
    r_sense_ohm: float = 0.0

    def __post_init__(self) -> None:
        conductance = np.array(self.conductance_s, dtype=np.float64)
        if conductance.ndim != 2 or conductance.size == 0:
            raise UsageError(f"conductances must be (row, col), not of shape {conductance.shape}")
        if not np.all(np.isfinite(conductance)) or np.any(conductance < 0):
            raise UsageError("conductances must be finite and not negative")
        if np.any((conductance > 0) & (conductance < _LEAST_S)):
            raise UsageError(f"a conductance is 0 (open) or at least {_LEAST_S:g} S")
        for name in ("r_row_ohm", "r_col_ohm", "r_driver_ohm", "r_sense_ohm"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise UsageError(f"{name} must be finite and not negative, not {value!r}")
        conductance.setflags(write=False)
        object.__setattr__(self, "conductance_s", conductance)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        rows, cols = self.conductance_s.shape
        return rows, cols
