"""Variance of integrated noise against the time domain: the integral of the autocorrelation.

For a noise of autocorrelation R the integral from 0 to t has the variance 2·∫₀ᵗ (t − τ)·R(τ) dτ. A
density K/f from f₀ on has R(τ) = ∫ K/f·cos(2πfτ) df = −K·Ci(2πf₀τ), and W has (W/2)·δ(τ).
"""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import sici

from imccircuit.errors import UsageError
from imccircuit.metrics.integrated_noise import compute_integrated_variance

TIMES = np.array([4e-9, 100e-9, 1e-6])
GRID = 4e3 * 10.0 ** np.arange(5)


def flicker(k, start, t):
    """The integral over u = ln τ, where the logarithm of Ci is no singularity."""

    def integrand(u):
        tau = np.exp(u)
        return -(t - tau) * sici(2 * np.pi * start * tau)[1] * tau

    found, _ = quad(integrand, np.log(t) - 40, np.log(t), epsrel=1e-10, epsabs=0, limit=500)
    return 2 * k * found


def test_white_noise_walks():
    found = compute_integrated_variance(GRID, np.full(5, 3e-25), 1e-3, TIMES)
    # The band begins at f₀ and not at 0: 2·f₀·t of the variance, 2e-9.
    np.testing.assert_allclose(found, 3e-25 * TIMES / 2, rtol=1e-8)


@pytest.mark.parametrize("start", [1.0, 1e3, 3e3])
def test_flicker_noise_against_its_autocorrelation(start):
    found = compute_integrated_variance(GRID, 2e-19 / GRID, start, TIMES)
    truth = [flicker(2e-19, start, t) for t in TIMES]
    # Two closed forms and a quadrature to 1e-10.
    np.testing.assert_allclose(found, truth, rtol=1e-8)


def test_flicker_noise_by_hand():
    # K·t²·(3/2 − γ − ln(2π·f₀·t)), 1 kHz and 1 us: 5.99; the next term is (πf₀t)²/6.
    found = compute_integrated_variance(GRID, 2e-19 / GRID, 1e3, np.array([1e-6]))
    wanted = 2e-19 * 1e-12 * (1.5 - 0.5772156649 - np.log(2 * np.pi * 1e-3))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_parts_add():
    both = compute_integrated_variance(GRID, 3e-25 + 2e-19 / GRID, 1e3, TIMES)
    white = compute_integrated_variance(GRID, np.full(5, 3e-25), 1e3, TIMES)
    pink = compute_integrated_variance(GRID, 2e-19 / GRID, 1e3, TIMES)
    np.testing.assert_allclose(both, white + pink, rtol=1e-10)


@pytest.mark.parametrize("exponent", [0.8, 1.2])
def test_another_exponent_is_near(exponent):
    """Densities a decade apart: the chord of f·S = f^±0.2 over a decade is off by 10 % at most."""
    found = compute_integrated_variance(GRID, 1e-19 / GRID**exponent, 1e3, TIMES[2:])

    def integrand(u):
        f = np.exp(u)
        return f * 1e-19 / f**exponent * (np.sin(np.pi * f * 1e-6) / (np.pi * f)) ** 2

    pieces = np.log(np.concatenate([[1e3], np.arange(1, 101) * 1e6]))
    truth = sum(quad(integrand, a, b, epsrel=1e-9, epsabs=0)[0] for a, b in pairwise(pieces))
    np.testing.assert_allclose(found, truth, rtol=0.1)


@pytest.mark.parametrize(
    ("frequency", "density", "start", "time"),
    [
        ([1e3, 1e4], [1, 1], 1e3, [1e-6]),
        ([1e4, 1e3], [1, 1], 1.0, [1e-6]),
        ([1e3], [1], 1.0, [1e-6]),
        ([1e3, 1e4], [1, 1], 0.0, [1e-6]),
        ([1e3, 1e4], [1, 0], 1.0, [1e-6]),
        ([1e3, 1e4], [1, 1], 1.0, [0.0]),
    ],
)
def test_refused(frequency, density, start, time):
    with pytest.raises(UsageError):
        compute_integrated_variance(*map(np.array, (frequency, density)), start, np.array(time))
