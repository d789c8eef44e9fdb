"""How sure a mean over trainings, chips and images is: three kinds of units that cross.

Every training is tried on every chip with every image, so answers that share a training, a chip or
an image are not independent. With m_k the means over all that share unit k of a kind, and n units,

    V = Σ over kinds of s²(m)/n,   SE = √V

contains what each kind adds, in a mean over units of the kind itself and of what it does together
with the others; the latter is counted once by each kind that takes part, so that SE errs on the
safe side. The degrees of freedom are Satterthwaite's, ν = V²/Σ (V_kind²/(n - 1)): with few chips
and trainings the interval is as wide as Student's t makes it. A kind of one unit adds nothing,
because nothing is known of it.

Not contained: that the trainings of a cross-validation share most of their images. No estimate of
that from one cross-validation is unbiased [1]_.

References
----------
.. [1] Y. Bengio, Y. Grandvalet, "No unbiased estimator of the variance of K-fold
   cross-validation", J. Mach. Learn. Res. 5, 1089, 2004. The sum over kinds: A. Owen, "The
   pigeonhole bootstrap", Ann. Appl. Stat. 1, 386, 2007. The degrees of freedom: F. Satterthwaite,
   Biometrics Bull. 2, 110, 1946.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from imccircuit.errors import UsageError


@dataclass(frozen=True)
class Estimate:
    """A mean and how sure it is, in the unit of the values.

    Attributes
    ----------
    mean : over everything.
    error : its standard error; NaN where no kind has two units.
    freedom : degrees of freedom of the error; NaN where it is 0 or NaN.
    """

    mean: float
    error: float
    freedom: float

    def bound(self, share: float) -> float:
        """Value that the true mean stays below with probability ``share`` of 0 to 1."""
        if not self.error > 0:
            return self.mean + 0.0 * self.error
        from scipy.stats import t

        return self.mean + self.error * float(t.ppf(share, self.freedom))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Ends of the two-sided interval."""
        out = 0.5 * (1.0 - confidence)
        return self.bound(out), self.bound(1.0 - out)

    def one_sided(self, confidence: float = 0.95) -> tuple[float, float]:
        """The lower end of one one-sided interval and the upper end of the other."""
        return self.bound(1.0 - confidence), self.bound(confidence)


def estimate_mean(values: ArrayLike) -> Estimate:
    """Mean over trainings, chips and images, with its standard error; see the module.

    Parameters
    ----------
    values : (seed, chip, image) of any kind of number, such as whether an answer was right, or the
        difference of two ways.

    Raises
    ------
    UsageError : not three axes, or one of them is empty.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 3 or not found.size:
        raise UsageError(f"values of shape {found.shape}; allowed: (seed, chip, image), none empty")
    parts = []
    for kind in range(3):
        of_unit = found.mean(axis=tuple(axis for axis in range(3) if axis != kind))
        if (count := len(of_unit)) > 1:
            parts.append((float(np.var(of_unit, ddof=1)) / count, count - 1))
    mean, whole = float(found.mean()), sum(part for part, _ in parts)
    if not parts:
        return Estimate(mean, float("nan"), float("nan"))
    if whole == 0:
        return Estimate(mean, 0.0, float("nan"))
    return Estimate(mean, whole**0.5, whole**2 / sum(part**2 / free for part, free in parts))
