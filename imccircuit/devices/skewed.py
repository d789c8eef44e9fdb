"""A law with a chosen third moment: Pearson's type III, a gamma law that is shifted or mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from imccircuit.devices.laws import Floats, Value
from imccircuit.errors import UsageError

# Share below zero that is cut off. Six deviations or more away from the mean, it changes mean,
# deviation and skewness by less than 1e-6.
_CUT = 1e-9
# Below it the gamma law of shape 4/γ² is a normal one plus its first correction, to γ².
_SMALL = 1e-3


@dataclass(frozen=True)
class Skewed:
    """Mean, standard deviation and skewness as chosen; positive.

    With skewness γ, k = 4/γ² and G gamma distributed with shape k, the standardised value is
    Z = sign(γ)·(G − k)/√k, and X = mean + sd·Z. For γ > 0 no value lies below mean − 2·sd/γ, so
    X > 0 while sd/mean ≤ γ/2. Beyond that, and for γ ≤ 0, the share 1e-9 that may at most lie
    below zero is cut off; a larger sd/mean is refused (`max_cv`).

    Attributes
    ----------
    skew : γ, the third central moment over sd³; −4 to 4.
    """

    skew: float

    name: ClassVar[str] = "skewed"
    positive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not -4 <= self.skew <= 4:
            raise UsageError(f"a skewness must lie between -4 and 4, not {self.skew!r}")

    @property
    def max_cv(self) -> float:
        """Largest sd/mean at which not more than 1e-9 of the devices would be negative."""
        return float(-1 / self.standard_quantile(_CUT))

    def standard_quantile(self, u: Value) -> Floats:
        """Quantile of Z, of mean 0 and deviation 1."""
        skew = self.skew
        if abs(skew) < _SMALL:
            z = special.ndtri(u)
            return np.asarray(z + skew / 6 * (z**2 - 1))
        k = 4 / skew**2
        if skew > 0:
            return np.asarray((special.gammaincinv(k, u) - k) / np.sqrt(k))
        return np.asarray((k - special.gammainccinv(k, u)) / np.sqrt(k))

    def standard_cdf(self, z: Value) -> Floats:
        """Share of Z below ``z``."""
        skew = self.skew
        if abs(skew) < _SMALL:
            z = np.asarray(z)
            return np.asarray(special.ndtr(z - skew / 6 * (z**2 - 1)))
        k = 4 / skew**2
        g = np.maximum(k + np.sign(skew) * np.sqrt(k) * np.asarray(z), 0.0)
        return np.asarray(special.gammainc(k, g) if skew > 0 else special.gammaincc(k, g))

    def quantile(self, u: Value, mean: Value, sd: Value) -> Floats:
        """``mean + sd·Z(u)``, the part at or below zero cut off."""
        mean, sd = np.asarray(mean, dtype=np.float64), np.asarray(sd, dtype=np.float64)
        below = self._below_zero(mean, sd)
        z = self.standard_quantile(below + (1 - below) * np.asarray(u))
        # Rounding may land on zero itself.
        return np.asarray(np.where(sd == 0, mean, np.maximum(mean + sd * z, 1e-15 * mean)))

    def cdf(self, x: Value, mean: Value, sd: Value) -> Floats:
        """Share of the distribution that lies below ``x``."""
        mean, sd = np.asarray(mean, dtype=np.float64), np.asarray(sd, dtype=np.float64)
        below = self._below_zero(mean, sd)
        share = self.standard_cdf((np.asarray(x) - mean) / sd)
        return np.asarray((share - below) / (1 - below))

    def _below_zero(self, mean: Floats, sd: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return self.standard_cdf(np.where(sd > 0, -mean / sd, -np.inf))
