"""Whether the spread of a fitted population agrees with chips that the fit never saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.surrogates.verdict import Gate, State, judge

CONFIDENCE = 0.90
_CONTRADICTION = 0.99
QUANTILES = np.array(
    [(1 - _CONTRADICTION) / 2, (1 - CONFIDENCE) / 2, 0.5, (1 + CONFIDENCE) / 2,
     (1 + _CONTRADICTION) / 2]
)  # fmt: skip
"""Of a statistic's distribution for a right spread: what `SpreadRatio.of` takes."""
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
    low, high : ends of its interval of 90 %: each end alone is a one-sided test at 5 %.
    is_contradicted : chance makes a right spread as far off in less than 1 % of cases.
    """

    ratio: float
    low: float
    high: float
    is_contradicted: bool

    @classmethod
    def of(cls, statistic: float, quantiles: NDArray[np.float64]) -> SpreadRatio:
        """From a spread that was found, and `QUANTILES` of it for a right one."""
        least, low, middle, high, most = (float(q) for q in quantiles)
        outside = not least <= statistic <= most
        return cls(statistic / middle, statistic / high, statistic / low, outside)

    @property
    def factor(self) -> float:
        """Factor within which the fitted spread is shown to be right: max(high, 1 / low)."""
        return max(self.high, 1.0 / self.low)

    def __str__(self) -> str:
        """Ratio with its interval."""
        return (
            f"{self.ratio:.3g} ({100 * CONFIDENCE:.0f} % interval "
            f"{self.low:.3g} to {self.high:.3g})"
        )


def judge_spreads(
    errors: Sequence[Gate], spreads: Iterable[tuple[Gate, SpreadRatio]], problems: tuple[str, ...]
) -> tuple[State, str]:
    """State and reason from gates on errors and on spreads.

    A gate on a spread that is exceeded is a failure where the spread is contradicted; else there
    are too few chips to tell, and nothing is judged.
    """
    pairs = list(spreads)
    state, reason = judge((*errors, *(gate for gate, _ in pairs)), problems)
    told = any(not gate.holds and ratio.is_contradicted for gate, ratio in pairs)
    if state == "fail" and all(gate.holds for gate in errors) and not told and not problems:
        return "not judged", f"too few chips to tell the spread: {reason}"
    return state, reason


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
    return SpreadRatio.of(q, np.quantile(np.concatenate(drawn), QUANTILES))


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
    return SpreadRatio.of(q, np.quantile(np.concatenate(drawn), QUANTILES))


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


def _root(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix R with R Rᵀ = correlation, also where that is singular."""
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
