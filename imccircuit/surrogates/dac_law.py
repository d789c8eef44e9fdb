"""Levels of digital-to-analog converters from a few numbers of a chip.

The level of code d is L_d = m_d + Σ a_p D_dp with numbers a of the chip and m common to all chips.

``weights`` (capacitor group, R-2R ladder): a weight for each bit and an offset, D the bits of d.
That holds for any linear network, whatever its values; m holds what its switches inject.
``pulse`` (pulse width): an offset and the clock; D is 1 and d for every d but 0, whose pulse is
none. ``steps`` (resistor string): every level is a number of its own, for every step has its own
resistor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Design = Literal["weights", "pulse", "steps"]

DESIGNS: dict[str, Design] = {
    "capacitor": "weights", "r2r": "weights", "pulse_width": "pulse", "string": "steps",
}  # fmt: skip
"""Design of every kind of converter of the bench."""
_PULSES_SHOWN = 5
_STEPS_BETWEEN = 4


@dataclass(frozen=True)
class DacLaw:
    """What the numbers of a chip mean.

    Attributes
    ----------
    design : see the module.
    bits : resolution.
    common : (code,) m, in the unit of the levels.
    """

    design: Design
    bits: int
    common: Floats

    @property
    def codes(self) -> Codes:
        """All codes."""
        return np.arange(2**self.bits)

    def matrix(self, codes: Codes) -> Floats:
        """D (code, number)."""
        if self.design == "steps":
            return np.eye(2**self.bits)[codes]
        if self.design == "pulse":
            return np.stack([codes > 0, codes], axis=1).astype(np.float64)
        bits = (codes[:, None] >> np.arange(self.bits)) & 1
        return np.column_stack([bits, np.ones(len(codes))]).astype(np.float64)

    def fit(self, levels: Floats, codes: Codes) -> Floats:
        """Numbers (chip, number) from the levels of ``codes``.

        Least squares; of ``steps`` straight lines between the codes, which is what a string of
        independent resistors of one spread makes most likely.

        Parameters
        ----------
        levels : (chip, code) of all codes; only ``codes``, ascending, are looked at.
        """
        left = levels[:, codes] - self.common[codes]
        if self.design == "steps":
            return np.stack([np.interp(self.codes, codes, row) for row in left])
        return np.asarray(np.linalg.lstsq(self.matrix(codes), left.T, rcond=None)[0].T)

    def levels(self, numbers: Floats) -> Floats:
        """Levels (chip, code) of chips with these numbers."""
        return np.asarray(self.common + numbers @ self.matrix(self.codes).T)

    def shown(self) -> Codes:
        """Codes at which a held-out chip shows its numbers."""
        last = 2**self.bits - 1
        if self.design == "pulse":
            return np.unique(np.rint(np.linspace(1, last, _PULSES_SHOWN)).astype(np.int64))
        if self.design == "steps":
            return np.unique(np.append(np.arange(0, last, _STEPS_BETWEEN), last))
        powers = 2 ** np.arange(self.bits)
        return np.unique(np.concatenate([[0, last], powers, powers - 1]))

    def residual(self, levels: Floats) -> Floats:
        """Mean m (code,) over chips of what the numbers leave."""
        plain = DacLaw(self.design, self.bits, np.zeros(2**self.bits))
        if self.design == "steps":
            return np.asarray(levels.mean(axis=0))
        numbers = plain.fit(levels, self._own_codes())
        return np.asarray((levels - plain.levels(numbers)).mean(axis=0))

    def _own_codes(self) -> Codes:
        return self.codes[1:] if self.design == "pulse" else self.codes


def step_variance(levels: Floats) -> tuple[float, int]:
    """Variance of a step of a string about its mean over chips, and its degrees of freedom.

    The reference fixes the sum of all N = 2^bits steps, of which N - 1 are seen; each has the
    variance s²(1 - 1/N) with s² that of independent steps, which is returned.

    Parameters
    ----------
    levels : (chip, code) of two chips or more.
    """
    steps = np.diff(levels, axis=1)
    count = levels.shape[1]
    freedom = (len(levels) - 1) * (count - 1)
    squares = float(np.sum((steps - steps.mean(axis=0)) ** 2))
    return squares / (freedom * (1 - 1 / count)), freedom


def bridge(normal: Floats, sigma: float) -> Floats:
    """Deviations (code,) of a string's levels from standard normal numbers, one a step.

    W_d = σ(S_d - d/N·S_N) with S_d the sum of the first d of N numbers: covariance
    σ²(min(i, j) - i·j/N).
    """
    count = len(normal)
    walk = np.concatenate([[0.0], np.cumsum(normal)])
    return np.asarray(sigma * (walk[:-1] - np.arange(count) / count * walk[-1]))
