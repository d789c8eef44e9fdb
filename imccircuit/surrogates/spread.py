"""Whether the spread of a fitted population agrees with chips that the fit never saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.90
_REPLICATES = 4000
_SEED = 20_160_101


@dataclass(frozen=True)
class SpreadRatio:
    """Spread of held-out chips over that of the fitted population.

    Attributes
    ----------
    ratio : estimate of σ(held out) / σ(fitted), no unit; 1 is perfect.
    low, high : ends of its interval.
    confidence : level of the interval, 90 %: each end alone is a one-sided test at 5 %.
    """

    ratio: float
    low: float
    high: float
    confidence: float = CONFIDENCE

    @property
    def factor(self) -> float:
        """Factor within which the fitted spread is shown to be right: max(high, 1 / low)."""
        return max(self.high, 1.0 / self.low)

    @property
    def excludes_one(self) -> bool:
        """Whether a fitted spread that is right is contradicted."""
        return not self.low <= 1.0 <= self.high

    def __str__(self) -> str:
        """Ratio with its interval."""
        return (
            f"{self.ratio:.3g} ({100 * self.confidence:.0f} % interval "
            f"{self.low:.3g} to {self.high:.3g})"
        )


def compute_spread_ratio(
    held_out: NDArray[np.float64],
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    fitted_chips: int,
) -> SpreadRatio:
    """Compare the spread of held-out chips with a fitted population.

    Every parameter is counted in units of its fitted σ, so all bits of a converter weigh the
    same although the largest is a hundred times the smallest. The statistic is

        q² = mean over chips c and parameters k of (x_ck - mean_k)² / covariance_kk .

    Its distribution for a right σ is simulated: both groups drawn from the Gaussian law with the
    fitted correlation, the population estimated anew from ``fitted_chips`` of them. So the
    interval contains both the few held-out chips and the few fitted ones.

    Parameters
    ----------
    held_out : (chip, parameter).
    mean, covariance : of the fitted population.
    fitted_chips : number of chips it was estimated from, at least 3.

    Returns
    -------
    `SpreadRatio`; its interval is [q / q(95 %), q / q(5 %)] with the simulated quantiles, its
    ratio q / q(50 %).
    """
    sigma = np.sqrt(np.diag(covariance))
    q = float(np.sqrt(np.mean(((held_out - mean) / sigma) ** 2)))
    root = _root(covariance / np.outer(sigma, sigma))
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(_SEED)))
    drawn = np.empty(_REPLICATES)
    for k in range(_REPLICATES):
        fitted = generator.standard_normal((fitted_chips, root.shape[1])) @ root.T
        others = generator.standard_normal((len(held_out), root.shape[1])) @ root.T
        scaled = (others - fitted.mean(axis=0)) / fitted.std(axis=0, ddof=1)
        drawn[k] = np.sqrt(np.mean(scaled**2))
    tail = (1 - CONFIDENCE) / 2
    high, middle, low = np.quantile(drawn, [tail, 0.5, 1 - tail])
    return SpreadRatio(q / float(middle), q / float(low), q / float(high))


def compute_quadratic_ratio(
    held_out: NDArray[np.float64],
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    fitted_chips: int,
    metric: NDArray[np.float64],
) -> SpreadRatio:
    """Compare the spread of a figure that is linear in the parameters, such as INL.

    With ``metric`` = MᵀM and M the map from parameters to the figure, the statistic is the ratio
    q² = mean over chips of (x - mean)ᵀ MᵀM (x - mean) / trace(MᵀM covariance), the figure's mean
    square over its entries, held out over fitted. Simulated as in `compute_spread_ratio`.

    Parameters
    ----------
    metric : (parameter, parameter), symmetric, not negative.
    """

    def ratio(others: NDArray[np.float64], cov: NDArray[np.float64]) -> float:
        squares = np.einsum("ci,ij,cj->c", others, metric, others)
        return float(np.sqrt(squares.mean() / np.sum(metric * cov)))

    q = ratio(held_out - mean, covariance)
    root = _root(covariance)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(_SEED)))
    drawn = np.empty(_REPLICATES)
    for k in range(_REPLICATES):
        fitted = generator.standard_normal((fitted_chips, root.shape[1])) @ root.T
        others = generator.standard_normal((len(held_out), root.shape[1])) @ root.T
        drawn[k] = ratio(others - fitted.mean(axis=0), np.cov(fitted, rowvar=False))
    tail = (1 - CONFIDENCE) / 2
    high, middle, low = np.quantile(drawn, [tail, 0.5, 1 - tail])
    return SpreadRatio(q / float(middle), q / float(low), q / float(high))


def _root(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix R with R Rᵀ = correlation, also where that is singular."""
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
