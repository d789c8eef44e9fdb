"""Laws of the cells in an array: current and slope as functions of a cell's voltage."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

MAX_EXPONENT = 50.0
"""Drive over V0 beyond which the sinh law has left every measured range."""

KINDS = ("linear", "sinh", "rise")


@dataclass(frozen=True)
class CellLaw:
    """How cells conduct; G is a cell's conductance at 0 V.

    Attributes
    ----------
    kind : ``linear``: I = G·V. ``sinh``: I = G·V0·sinh(V/V0), a common fit of filamentary RRAM.
        ``rise``: V = I/G + r·I·|I|, a resistance that rises with its own current, such as that
        of a transistor in series.
    parameter : V0 in V or r in ohm/A, one number or (row, col); 0 of linear cells.
    """

    kind: str = "linear"
    parameter: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))

    @classmethod
    def sinh(cls, v0_v: ArrayLike) -> CellLaw:
        """Law of cells with V0 in V, one number or (row, col), positive."""
        v0 = np.array(v0_v, dtype=np.float64)
        if not (np.all(np.isfinite(v0)) and np.all(v0 > 0)):
            raise UsageError("v0_v must be finite and positive")
        return cls("sinh", v0)

    @classmethod
    def rise(cls, r_rise_ohm_per_a: ArrayLike) -> CellLaw:
        """Law of cells whose resistance rises, in ohm/A, one number or (row, col)."""
        rise = np.array(r_rise_ohm_per_a, dtype=np.float64)
        if not (np.all(np.isfinite(rise)) and np.all(rise >= 0)):
            raise UsageError("r_rise_ohm_per_a must be finite and not negative")
        return cls("rise", rise)

    @property
    def linear(self) -> bool:
        """Whether currents are proportional to voltages."""
        return self.kind == "linear"

    def check(
        self,
        shape: tuple[int, int],
        voltage_v: NDArray[np.float64],
        sense_v: NDArray[np.float64],
    ) -> None:
        """Refuse a parameter of another shape, and drives far beyond V0.

        Parameters
        ----------
        shape : (rows, cols) of the array.
        voltage_v : (batch, row) drive voltages in V.
        sense_v : (col,) voltages of the sense ends in V.

        Raises
        ------
        UsageError : either.
        """
        if self.parameter.shape not in ((), shape):
            name = "v0_v" if self.kind == "sinh" else "r_rise_ohm_per_a"
            what = f"must be one number or of shape {shape}, not {self.parameter.shape}"
            raise UsageError(f"{name} {what}")
        if self.kind == "sinh":
            # Two lines may be driven apart, so a cell sees at most the span of all and the ends.
            low, high = float(np.min(sense_v)), float(np.max(sense_v))
            span = np.max(voltage_v, axis=1, initial=high) - np.min(voltage_v, axis=1, initial=low)
            if np.max(span, initial=0.0) / self.parameter.min() > MAX_EXPONENT:
                raise UsageError(
                    f"drive voltages beyond {MAX_EXPONENT:g} V0 are outside the sinh law"
                )

    def currents(
        self, conductance_s: NDArray[np.float64], voltage_v: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Currents in A and slopes in S of cells, for any shapes (…, row, col) that broadcast."""
        g, a = conductance_s, self.parameter
        if self.kind == "sinh":
            return g * a * np.sinh(voltage_v / a), g * np.cosh(voltage_v / a)
        if self.kind == "rise":
            # The root of V = I/g + r·I·|I|, written so that nothing cancels.
            root = np.sqrt(1.0 + 4.0 * a * g * g * np.abs(voltage_v))
            return 2.0 * g * voltage_v / (1.0 + root), g / root
        return g * voltage_v, np.broadcast_to(g, np.broadcast_shapes(g.shape, voltage_v.shape))

    def conductance_slope(
        self, conductance_s: NDArray[np.float64], voltage_v: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Derivative of the current to a cell's conductance at constant voltage in V."""
        g, a = conductance_s, self.parameter
        if self.kind == "sinh":
            return np.asarray(a * np.sinh(voltage_v / a))
        if self.kind == "rise":
            root = np.sqrt(1.0 + 4.0 * a * g * g * np.abs(voltage_v))
            return np.asarray(2.0 * voltage_v / ((1.0 + root) * root))
        return voltage_v


LINEAR = CellLaw()
