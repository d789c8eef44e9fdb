"""Laws of spread, each given by its mean and standard deviation, drawn by inversion.

Every draw is a function of one uniform number of its own: a device keeps its place in the
distribution when its nominal value or the read time changes, and no device's draw depends on what
its neighbours are programmed to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from imccircuit.devices.groups import Group
from imccircuit.devices.groups import uniform as uniform
from imccircuit.errors import UsageError

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

Floats = NDArray[np.float64]
Value = float | Floats


class Law(Protocol):
    """A family of distributions with two moments to choose."""

    @property
    def name(self) -> str:
        """Name in cards."""
        ...

    @property
    def positive(self) -> bool:
        """Whether every value is above 0; the mean must then be, too."""
        ...

    @property
    def max_cv(self) -> float:
        """Largest sd/mean that the law can have."""
        ...

    def quantile(self, u: Value, mean: Value, sd: Value) -> Floats:
        """Value below which a share ``u`` of the distribution lies."""
        ...

    def cdf(self, x: Value, mean: Value, sd: Value) -> Floats:
        """Share of the distribution that lies below ``x``."""
        ...


@dataclass(frozen=True)
class Normal:
    """Gaussian. Not positive: for quantities that may have either sign."""

    name: ClassVar[str] = "normal"
    positive: ClassVar[bool] = False
    max_cv: ClassVar[float] = np.inf

    def quantile(self, u: Value, mean: Value, sd: Value) -> Floats:
        """``mean + sd·Φ⁻¹(u)``."""
        return np.asarray(mean + np.asarray(sd) * special.ndtri(u), dtype=np.float64)

    def cdf(self, x: Value, mean: Value, sd: Value) -> Floats:
        """``Φ((x − mean)/sd)``."""
        return np.asarray(special.ndtr(np.subtract(x, mean) / sd), dtype=np.float64)


@dataclass(frozen=True)
class LogNormal:
    """exp of a Gaussian: positive, skewed to the right.

    With cv = sd/mean the Gaussian has s² = ln(1 + cv²) and mean ln(mean) − s²/2.
    """

    name: ClassVar[str] = "lognormal"
    positive: ClassVar[bool] = True
    max_cv: ClassVar[float] = np.inf

    def quantile(self, u: Value, mean: Value, sd: Value) -> Floats:
        """``mean·exp(s·Φ⁻¹(u) − s²/2)``."""
        variance = np.log1p(np.square(np.divide(sd, mean)))
        exponent = np.sqrt(variance) * special.ndtri(u) - variance / 2
        return np.asarray(mean * np.exp(exponent), dtype=np.float64)

    def cdf(self, x: Value, mean: Value, sd: Value) -> Floats:
        """``Φ((ln(x/mean) + s²/2)/s)``."""
        variance = np.log1p(np.square(np.divide(sd, mean)))
        z = (np.log(np.divide(x, mean)) + variance / 2) / np.sqrt(variance)
        return np.asarray(special.ndtr(z), dtype=np.float64)


@dataclass(frozen=True)
class Gamma:
    """Gamma law of shape 1/cv² and scale sd²/mean: positive, milder skew (2·cv) than lognormal."""

    name: ClassVar[str] = "gamma"
    positive: ClassVar[bool] = True
    # Beyond it the density piles up at zero so steeply that quantiles underflow.
    max_cv: ClassVar[float] = 4.0

    def quantile(self, u: Value, mean: Value, sd: Value) -> Floats:
        """Inverse of the regularised incomplete gamma function."""
        mean, sd = np.asarray(mean, dtype=np.float64), np.asarray(sd, dtype=np.float64)
        exact = sd == 0
        cv2 = np.square(np.where(exact, 1.0, sd) / mean)
        drawn = special.gammaincinv(1 / cv2, u) * cv2 * mean
        return np.asarray(np.where(exact, mean, drawn), dtype=np.float64)

    def cdf(self, x: Value, mean: Value, sd: Value) -> Floats:
        """Regularised incomplete gamma function of ``x``/scale."""
        cv2 = np.square(np.divide(sd, mean))
        return np.asarray(special.gammainc(1 / cv2, np.divide(x, cv2 * mean)), dtype=np.float64)


@dataclass(frozen=True)
class TruncatedNormal:
    """Gaussian cut off at zero, its location and width solved so that mean and sd are kept.

    With the cut a widths above the centre (a = −µ/σ) and h = φ(a)/(1 − Φ(a)), the mean is
    σ·(h − a) and the variance σ²·(1 − h·(h − a)). Their ratio grows with a and tends to 1 (an
    exponential law), so cv is limited.
    """

    name: ClassVar[str] = "truncated_normal"
    positive: ClassVar[bool] = True
    max_cv: ClassVar[float] = 0.98

    def quantile(self, u: Value, mean: Value, sd: Value) -> Floats:
        """``σ·(z − a)`` with z the quantile of a Gaussian above a."""
        mean, sd = np.asarray(mean, dtype=np.float64), np.asarray(sd, dtype=np.float64)
        cut, width = self.cut_and_width(mean, sd)
        z = -special.ndtri((1 - np.asarray(u)) * special.ndtr(-cut))
        # Positive already, but rounding of z may land on the cut itself.
        drawn = np.maximum(width * (z - cut), 1e-15 * mean)
        return np.asarray(np.where(sd == 0, mean, drawn), dtype=np.float64)

    def cdf(self, x: Value, mean: Value, sd: Value) -> Floats:
        """``1 − (1 − Φ(x/σ + a))/(1 − Φ(a))``."""
        cut, width = self.cut_and_width(np.asarray(mean), np.asarray(sd))
        return np.asarray(1 - special.ndtr(-cut - x / width) / special.ndtr(-cut))

    def cut_and_width(self, mean: Floats, sd: Floats) -> tuple[Floats, Floats]:
        """Return ``a`` and ``σ`` of the Gaussian before the cut."""
        cv = sd / mean
        # Below cv = 0.1 the cut is ten widths away and takes nothing that a float could hold.
        with np.errstate(divide="ignore"):
            cut = np.where(cv < _CV_FLOOR, -1 / cv, _cut_of_cv()(np.maximum(cv, _CV_FLOOR)))
        cut = np.maximum(cut, -1e12)
        return cut, mean / (_hazard(cut) - cut)


_CV_FLOOR = 0.1


def _hazard(a: Value) -> Floats:
    """φ(a)/(1 − Φ(a)), without overflow or cancellation."""
    return np.asarray(np.sqrt(2 / np.pi) / special.erfcx(np.asarray(a) / np.sqrt(2)))


@cache
def _cut_of_cv() -> CubicSpline:
    # Not above: every worker process would start later for what one law needs.
    from scipy.interpolate import CubicSpline

    cut = np.linspace(-10.5, 12, 4001)
    hazard = _hazard(cut)
    cv = np.sqrt(1 - hazard * (hazard - cut)) / (hazard - cut)
    return CubicSpline(cv, cut)


LAWS: dict[str, Law] = {
    law.name: law for law in (Normal(), LogNormal(), TruncatedNormal(), Gamma())
}


@dataclass(frozen=True)
class Spread:
    """Spread around a nominal value that is also the mean.

    Attributes
    ----------
    law : a name in `LAWS`, or a law of its own.
    sd : standard deviation, absolute (in the unit of the nominal value) or, if ``relative``,
        as a ratio to the nominal value.
    relative : see ``sd``.
    group : devices whose draws are correlated; None if none are.
    """

    law: str | Law
    sd: float
    relative: bool = True
    group: Group | None = None

    def __post_init__(self) -> None:
        if isinstance(self.law, str) and self.law not in LAWS:
            raise UsageError(f"no law of spread named {self.law!r}; there are: {', '.join(LAWS)}")
        if not 0 <= self.sd < np.inf:
            raise UsageError(f"a standard deviation must be 0 or more and finite, not {self.sd}")

    @property
    def family(self) -> Law:
        """The law itself."""
        return LAWS[self.law] if isinstance(self.law, str) else self.law

    def mean_of(self, nominal: ArrayLike) -> Floats:
        """Mean of the drawn values: the nominal value."""
        return np.asarray(nominal, dtype=np.float64)

    def sd_of(self, nominal: ArrayLike) -> Floats:
        """Return the standard deviation of the drawn values."""
        scale = np.abs(self.mean_of(nominal))
        return self.sd * (scale if self.relative else np.ones_like(scale))

    def draw(self, rng: np.random.Generator, nominal: ArrayLike) -> Floats:
        """One draw for each nominal value.

        Raises
        ------
        UsageError : a positive law with a nominal value that is not, or a cv it cannot have.
        """
        mean, sd = self.mean_of(nominal), self.sd_of(nominal)
        return draw(self.family, rng, mean, sd, self.group)

    def percentile(self, share: Floats, nominal: ArrayLike) -> Floats:
        """Values below which a share of the draws is, of the shape of ``nominal``."""
        return self.family.quantile(share, self.mean_of(nominal), self.sd_of(nominal))


def draw(
    law: Law, rng: np.random.Generator, mean: Floats, sd: Floats, group: Group | None = None
) -> Floats:
    """Array of draws of one law, one uniform number each.

    Parameters
    ----------
    law : the law.
    rng : a generator; it gives as many uniform numbers as there are values.
    mean, sd : arrays of one shape, both in the unit of the answer.
    group : devices whose draws are correlated.

    Raises
    ------
    UsageError : a positive law whose mean is not positive, or sd/mean beyond the law's reach.
    """
    u = uniform(rng, np.shape(mean)) if group is None else group.uniform(rng, np.shape(mean))
    if law.positive and np.size(mean):
        if np.min(mean) <= 0:
            raise UsageError(f"the law {law.name!r} needs values above 0, not {np.min(mean):.4g}")
        if (worst := float(np.max(sd / mean))) > law.max_cv:
            raise UsageError(
                f"the law {law.name!r} reaches sd/mean up to {law.max_cv:.4g}, not {worst:.3g}"
            )
    return law.quantile(u, mean, sd)
