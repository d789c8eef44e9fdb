"""Noise currents for transients: numpy draws, ngspice repeats.

White noise of one-sided density S becomes independent Gaussians of variance S/(2·Δt), one every Δt,
joined by straight lines. Their density is S·sinc⁴(f·Δt): S up to about 1/(8·Δt), half of it at
1/(3·Δt). An answer to which a current contributes by a weight that changes smoothly, with a time
constant τ, has its variance right to (Δt/τ)²/6. One that a clock cuts off, such as the voltage of
an RC at one instant, lacks Δt/(2·τ) of it, because the current at that instant is half unused.
Stairs in place of lines lack less of it, but cost ngspice three times as many time points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.circuits.text import numbers

_PAIRS_PER_LINE = 20


def draw_noise_current(
    rng: np.random.Generator, density: ArrayLike, step_s: float, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Values of a white noise current in A.

    Parameters
    ----------
    rng : generator; one Gaussian number a value.
    density : one-sided density S in A²/Hz, broadcast against ``shape``: it may change with time.
    step_s : time between values in s.
    shape : of the answer, time last.
    """
    sigma = np.sqrt(np.asarray(density, dtype=np.float64) / (2 * step_s))
    return np.asarray(sigma * rng.standard_normal(shape))


def noise_source(current_a: NDArray[np.float64], step_s: float) -> str:
    """``pwl(…)`` of a current source: value k at time (k + 1)·``step_s``, 0 A before and after.

    Parameters
    ----------
    current_a : (value,) in A.
    step_s : time between values in s.
    """
    times = numbers(np.arange(len(current_a) + 2, dtype=np.float64) * step_s)
    values = numbers(np.concatenate([[0.0], current_a, [0.0]]))
    pairs = [f"{t} {i}" for t, i in zip(times, values, strict=True)]
    rows = (" ".join(pairs[k : k + _PAIRS_PER_LINE]) for k in range(0, len(pairs), _PAIRS_PER_LINE))
    return "pwl(" + "\n+ ".join(rows) + ")"
