"""Gaussian populations of numbers that belong to one chip each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.draws import Draws
from imccircuit.surrogates.base import ModelArray, check_count

Floats = NDArray[np.float64]


def population_arrays(own: Floats, unit: str, what: str) -> dict[str, ModelArray]:
    """``population_mean`` (parameter) and ``population_covariance`` (parameter, parameter).

    Parameters
    ----------
    own : (chip, parameter) numbers of two chips or more, in ``unit``.
    what : the parameters in order, for a label.
    """
    names = ("parameter", "parameter_")
    cov = np.atleast_2d(np.cov(own, rowvar=False))
    return {
        "population_mean": ModelArray(own.mean(axis=0), unit, names[:1], f"mean of {what}"),
        "population_covariance": ModelArray(cov, f"{unit}**2", names, f"covariance of {what}"),
    }


def draw_population(mean: Floats, covariance: Floats, n: int, seed: int, name: str) -> Floats:
    """Draw ``n`` chips (chip, parameter); chip k depends on ``seed``, ``name`` and k alone.

    Raises
    ------
    UsageError : ``n`` is below 1.
    """
    check_count(n)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = [Draws(seed, k).generator(name).standard_normal(len(mean)) for k in range(n)]
    # Chip by chip: a product of all at once rounds differently for another number of chips.
    return np.stack([mean + root @ row for row in normal])


def covariance_problems(mean: Floats, covariance: Floats) -> tuple[str, ...]:
    """What makes a population none, one line each."""
    if not np.all(np.isfinite(mean)):
        return ("a mean of the population is not finite",)
    if not np.all(np.isfinite(covariance)):
        return ("the covariance of the population is not finite",)
    if np.linalg.eigvalsh(covariance)[0] < -1e-12 * np.trace(covariance):
        return ("the covariance of the population is not positive",)
    return ()
