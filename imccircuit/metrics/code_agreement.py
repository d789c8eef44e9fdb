"""How many codes of two converters may differ, if their inputs differ by a known error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def compute_differ_probability(low_v: ArrayLike, high_v: ArrayLike, sigma_v: ArrayLike) -> Floats:
    """Probability that a normal error takes an input out of its code's interval.

    P = Φ(−low/σ) + Φ(−high/σ), the two ends being exclusive.

    Parameters
    ----------
    low_v, high_v : distance in V from the input down and up to the next transition, not negative,
        infinite at the ends of the range.
    sigma_v : standard deviation of the error in V, above 0.
    """
    from scipy.special import ndtr

    sigma = np.asarray(sigma_v, dtype=np.float64)
    return np.asarray(ndtr(-np.asarray(low_v) / sigma) + ndtr(-np.asarray(high_v) / sigma))


def compute_count_interval(
    probability: ArrayLike, confidence: float = 0.95
) -> tuple[float, int, int]:
    """How many of independent events happen: the mean, and the ends of an interval.

    The law is the Poisson binomial one, exactly: its probabilities are the coefficients of
    Π (1 − p_i + p_i·z). Each tail outside the interval has at most (1 − confidence)/2.

    Parameters
    ----------
    probability : (event,) of each.

    Returns
    -------
    mean, low, high : low ≤ count ≤ high with at least that confidence.
    """
    chance = np.asarray(probability, dtype=np.float64).ravel()
    law = np.zeros(len(chance) + 1)
    law[0] = 1.0
    for k, p in enumerate(chance):
        law[1 : k + 2] = law[1 : k + 2] * (1 - p) + law[: k + 1] * p
        law[0] *= 1 - p
    tail = (1 - confidence) / 2
    below = np.cumsum(law)
    low = int(np.argmax(below > tail))
    high = int(np.argmax(below >= 1 - tail))
    return float(chance.sum()), low, high
