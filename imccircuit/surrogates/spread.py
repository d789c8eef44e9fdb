"""Whether the spread of a fitted population agrees with chips that the fit never saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.90
_REPLICATES = 2000
_SEED = 20_160_101
# Numbers drawn at a time: bounds the memory, not the answer.
_BLOCK = 1_000_000


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
    drawn = []
    for fitted, others in _draws(root, fitted_chips, len(held_out)):
        centred = others - fitted.mean(axis=1, keepdims=True)
        scaled = centred / fitted.std(axis=1, ddof=1, keepdims=True)
        drawn.append(np.sqrt(np.mean(scaled**2, axis=(1, 2))))
    return _interval(q, np.concatenate(drawn))


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

    def squares(centred: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sum((centred @ metric) * centred, axis=-1))

    q = float(np.sqrt(squares(held_out - mean).mean() / np.sum(metric * covariance)))
    drawn = []
    for fitted, others in _draws(_root(covariance), fitted_chips, len(held_out)):
        middle = fitted.mean(axis=1, keepdims=True)
        of_fitted = squares(fitted - middle).sum(axis=1) / (fitted_chips - 1)
        drawn.append(np.sqrt(squares(others - middle).mean(axis=1) / of_fitted))
    return _interval(q, np.concatenate(drawn))


def _draws(
    root: NDArray[np.float64], fitted: int, others: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Fitted and other chips (replicate, chip, parameter) of one population, a block at a time."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(_SEED)))
    size = (fitted + others) * len(root)
    block = max(1, min(_REPLICATES, _BLOCK // size))
    for start in range(0, _REPLICATES, block):
        count = min(block, _REPLICATES - start)
        drawn = generator.standard_normal((count, fitted + others, len(root))) @ root.T
        yield drawn[:, :fitted], drawn[:, fitted:]


def _interval(q: float, drawn: NDArray[np.float64]) -> SpreadRatio:
    tail = (1 - CONFIDENCE) / 2
    high, middle, low = np.quantile(drawn, [tail, 0.5, 1 - tail])
    return SpreadRatio(q / float(middle), q / float(low), q / float(high))


def _root(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix R with R Rᵀ = correlation, also where that is singular."""
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
