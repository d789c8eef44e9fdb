"""Two populations of chips compared: σ of each code, and all parameters together.

Both functions compare fresh chips with a population that a model states. Neither needs the chips
that the model was fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]

_REPLICATES = 1000
_SEED = 20_260_711
# Numbers drawn at a time: bounds the memory, not the answer.
_BLOCK = 2_000_000


@dataclass(frozen=True, eq=False)
class SigmaRatios:
    """σ of fresh chips over σ of a model, code by code; no unit, 1 is perfect.

    Attributes
    ----------
    ratio : (code,) σ(fresh) / σ(model).
    low, high : (code,) interval that holds for all codes together with ``confidence``.
    pooled, pooled_low, pooled_high : the same for the rms of σ over the codes.
    confidence : level of both intervals.
    """

    ratio: Floats
    low: Floats
    high: Floats
    pooled: float
    pooled_low: float
    pooled_high: float
    confidence: float


@dataclass(frozen=True)
class PopulationTest:
    """Likelihood-ratio test of mean and covariance.

    Attributes
    ----------
    statistic : see `compute_population_test`; no unit.
    p_value : share of simulated pairs of groups of one population that are at least as far apart.
    parameters, fresh_chips, fitted_chips : sizes.
    """

    statistic: float
    p_value: float
    parameters: int
    fresh_chips: int
    fitted_chips: int


def compute_sigma_ratios(
    fresh: Floats, model_sigma: Floats, *, confidence: float = 0.95
) -> SigmaRatios:
    """Ratios of σ by code, with bootstrap intervals.

    The model's σ is taken as it stands; chance is in the fresh chips only, which are drawn anew
    with replacement (Efron, 1979). Intervals are of the logarithm. That of the codes is
    simultaneous: with d the largest over the codes of |log σ* - log σ| / se, it is
    log σ ± d(confidence)·se, so a code outside the band is not merely the worst of many.

    Parameters
    ----------
    fresh : (chip, code) figure of each fresh chip, such as INL in LSB.
    model_sigma : (code,) the model's σ in the same unit, above 0.

    Raises
    ------
    UsageError : fewer than three chips, a σ of the model that is not above 0, or chips that do
        not differ.
    """
    chips, codes = fresh.shape
    if chips < 3 or model_sigma.shape != (codes,):
        raise UsageError(f"σ of {codes} codes cannot be compared on {chips} chips; allowed: 3 on")
    if not np.all(model_sigma > 0):
        raise UsageError("a ratio to a σ of the model that is not above 0 means nothing")
    centred = fresh - fresh.mean(axis=0)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(_SEED)))
    share = generator.multinomial(chips, np.full(chips, 1 / chips), _REPLICATES) / chips
    bessel = chips / (chips - 1)
    variance = bessel * np.mean(centred**2, axis=0)
    drawn = bessel * (share @ centred**2 - (share @ centred) ** 2)
    if not (np.all(variance > 0) and np.all(drawn > 0)):
        raise UsageError("chips that do not differ have no σ to compare")
    log_sigma, log_drawn = np.log(variance) / 2, np.log(drawn) / 2
    error = log_drawn.std(axis=0)
    farthest = np.max(np.abs(log_drawn - log_sigma) / error, axis=1)
    half = float(np.quantile(farthest, confidence)) * error
    log_ratio = log_sigma - np.log(model_sigma)
    of_model = np.sum(model_sigma**2)
    pooled = float(np.sqrt(variance.sum() / of_model))
    tail = (1 - confidence) / 2
    ends = np.quantile(np.log(drawn.sum(axis=1) / of_model) / 2, [tail, 1 - tail])
    return SigmaRatios(
        ratio=np.exp(log_ratio),
        low=np.exp(log_ratio - half),
        high=np.exp(log_ratio + half),
        pooled=pooled,
        pooled_low=float(np.exp(ends[0])),
        pooled_high=float(np.exp(ends[1])),
        confidence=confidence,
    )


def compute_population_test(
    fresh: Floats, mean: Floats, covariance: Floats, fitted_chips: int
) -> PopulationTest:
    """Test whether fresh chips come from a Gaussian population known from few chips.

    The statistic is -2 log of the likelihood ratio of N(mean, covariance) to the free Gaussian,
    per chip (Anderson, An Introduction to Multivariate Statistical Analysis, section 10.8):

        tr(Σ⁻¹S) - log det(Σ⁻¹S) - p + (x̄ - µ)ᵀ Σ⁻¹ (x̄ - µ) .

    It does not change with the units or the correlations of the parameters. Its distribution for
    a right model therefore depends on the three sizes only, and is simulated: two groups of one
    population, mean and covariance estimated from the first. So the model is not blamed for what
    ``fitted_chips`` cannot tell.

    Parameters
    ----------
    fresh : (chip, parameter).
    mean, covariance : of the model, estimated from ``fitted_chips`` with divisor n - 1.

    Raises
    ------
    UsageError : not more chips than parameters in both groups, or a covariance without inverse.
    """
    chips, count = fresh.shape
    if min(chips, fitted_chips) <= count + 1:
        raise UsageError(
            f"{chips} fresh and {fitted_chips} fitted chips are too few for {count} parameters; "
            f"allowed: {count + 2} on, each"
        )
    try:
        statistic = float(_statistics(fresh[None], mean[None], covariance[None])[0])
    except np.linalg.LinAlgError:
        raise UsageError("the covariance of the model has no inverse") from None
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(_SEED)))
    block = max(1, _BLOCK // ((chips + fitted_chips) * count))
    as_far = 0
    for start in range(0, _REPLICATES, block):
        drawn = generator.standard_normal(
            (min(block, _REPLICATES - start), fitted_chips + chips, count)
        )
        first = drawn[:, :fitted_chips]
        centre = first.mean(axis=1)
        of_first = _moments(first - centre[:, None]) * (fitted_chips / (fitted_chips - 1))
        found = _statistics(drawn[:, fitted_chips:], centre, of_first)
        as_far += int(np.count_nonzero(found >= statistic))
    p_value = (as_far + 1) / (_REPLICATES + 1)
    return PopulationTest(statistic, p_value, count, chips, fitted_chips)


def _statistics(fresh: Floats, mean: Floats, covariance: Floats) -> Floats:
    """Statistic (replicate,) of groups (replicate, chip, parameter)."""
    # In units of the model's σ: weights and offset differ by a hundred, their squares by more.
    unit = np.sqrt(np.einsum("rpp->rp", covariance))
    root = np.linalg.cholesky(covariance / (unit[:, :, None] * unit[:, None]))
    scaled = (fresh - mean[:, None]) / unit[:, None]
    white = np.swapaxes(np.linalg.solve(root, np.swapaxes(scaled, 1, 2)), 1, 2)
    centre = white.mean(axis=1)
    spread = _moments(white - centre[:, None])
    trace = np.einsum("rpp->r", spread)
    log_det = np.linalg.slogdet(spread)[1]
    return np.asarray(trace - log_det - fresh.shape[2] + np.sum(centre**2, axis=1))


def _moments(centred: Floats) -> Floats:
    """Second moments (replicate, parameter, parameter)."""
    return np.asarray(np.swapaxes(centred, 1, 2) @ centred / centred.shape[1])
