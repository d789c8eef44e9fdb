"""Transfer of a read-out front end: a line, its bow and its third order, between two stops.

With x = (I - I_mid)/range, from -1/2 to 1/2 over the range of currents,

    V(I) = o + s·x + b·(1 - 4x²) + c·x·(1 - 4x²) + m(I)

o and s are the end-point line (s/range is the transresistance), b is the bow in the middle, c the
asymmetry of the bow: all in V, and bow and asymmetry vanish at both ends. m is what all chips have
in common besides, a piecewise cubic through the levels that bends no more than they do. Output and
input have such a curve each. Outside the range a curve goes on as a straight line; the output stops
at two voltages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Floats = NDArray[np.float64]

TERMS = 4
"""Numbers of one curve: offset, swing, bow and asymmetry, all in V."""
_CALIBRATION = 5


@dataclass(frozen=True)
class TransferLaw:
    """What the numbers of a curve mean.

    Attributes
    ----------
    current_a : (level,) ascending currents of the fit in A.
    common_v : (level,) m at these currents in V.
    """

    current_a: Floats
    common_v: Floats

    def design(self, current_a: Floats) -> Floats:
        """Matrix (current, term) with V = matrix @ numbers + m, inside the range."""
        low, high = float(self.current_a[0]), float(self.current_a[-1])
        x = (current_a - (low + high) / 2) / (high - low)
        bow = 1 - 4 * x**2
        return np.stack([np.ones_like(x), x, bow, x * bow], axis=-1)

    def fit(self, current_a: Floats, voltage_v: Floats) -> Floats:
        """Numbers (chip, term) in V by least squares of curves (chip, level) in V."""
        seen = voltage_v - self.common(current_a)
        found = np.linalg.lstsq(self.design(current_a), seen.T, rcond=None)[0]
        return np.asarray(found.T)

    def common(self, current_a: Floats) -> Floats:
        """Give m in V at currents in A, held at its ends outside the range."""
        if not np.any(self.common_v):
            return np.zeros_like(current_a)
        curve = PchipInterpolator(self.current_a, self.common_v)
        return np.asarray(curve(np.clip(current_a, self.current_a[0], self.current_a[-1])))

    def voltage(self, numbers_v: Floats, current_a: Floats) -> Floats:
        """Voltages in V at currents in A of any shape, of one curve's numbers (term,)."""
        low, high = float(self.current_a[0]), float(self.current_a[-1])
        inside = np.clip(current_a, low, high)
        value = self.design(inside) @ numbers_v + self.common(inside)
        _, s, b, c = numbers_v
        # dV/dx at x = -1/2 and 1/2: bow 4b and -4b, asymmetry -2c at both.
        slope = np.where(current_a > high, s - 4 * b - 2 * c, s + 4 * b - 2 * c) / (high - low)
        return np.asarray(value + slope * (current_a - inside))


def calibration_levels(count: int) -> NDArray[np.int64]:
    """Levels at which a held-out chip shows its own numbers: five, evenly spread."""
    return np.rint(np.linspace(0, count - 1, _CALIBRATION)).astype(np.int64)
