"""Transfer of a read-out front end: a line, its bow and its third order, between two stops.

With x = (I - I_mid)/range, from -1/2 to 1/2 over the range of currents,

    V(I) = o + s·x + b·(1 - 4x²) + c·x·(1 - 4x²) + m(I)

o and s are the end-point line (-s/range of the output is the transresistance, s/range of the input
the input resistance), b is the bow in the middle, c the asymmetry of the bow: all in V, and bow and
asymmetry vanish at both ends. m is what all chips have in common besides, a piecewise cubic through
the levels that bends no more than they do. Output and input have such a curve each. Outside the
range a curve goes on as a straight line; the output stops at two voltages.
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

    @classmethod
    def shared_by(cls, current_a: Floats, voltage_v: Floats, least_v: float) -> TransferLaw:
        """Law of chips whose curves (chip, level) in V were measured at these currents in A.

        One chip, or a common residual whose rms is not above ``least_v``: m is 0.
        """
        law = cls(current_a, np.zeros(len(current_a)))
        if len(voltage_v) == 1:
            return law
        left = voltage_v - law.fit(current_a, voltage_v) @ law.design(current_a).T
        common = left.mean(axis=0)
        return cls(current_a, common) if np.sqrt(np.mean(common**2)) > least_v else law

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


def calibration_levels(current_a: Floats) -> NDArray[np.int64]:
    """Levels at which a held-out chip shows its own numbers: five, evenly spread over the range.

    Where currents lie so unevenly that two would be the same, evenly by number instead.
    """
    count = len(current_a)
    by_number = np.linspace(0, count - 1, _CALIBRATION)
    wanted = np.linspace(current_a[0], current_a[-1], _CALIBRATION)
    # By position between neighbours, so that even currents round as numbers do.
    nearest = np.unique(np.rint(np.interp(wanted, current_a, np.arange(count)).round(9)))
    found = nearest if len(nearest) == _CALIBRATION else np.rint(by_number)
    return found.astype(np.int64)
