"""Noise that is integrated over a time, such as that of a current which charges a capacitor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import sici

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]


def compute_integrated_variance(
    frequency_hz: Floats, density: Floats, start_hz: float, time_s: Floats
) -> Floats:
    """Variance of the integral of a noise x(t) from 0 to each of some times.

    A stationary noise of one-sided density S(f) whose integral begins at 0 has

        var ∫₀ᵗ x dt = ∫ S(f)·(sin(πft)/(πf))² df,

    from ``start_hz`` on: from 0 Hz on that of 1/f noise diverges, and white noise gives S·t/2.
    Between two frequencies S is taken as W + K/f, which is exact for white and 1/f noise together;
    beyond the last as between the last two, with W at least 0. In closed form, with x = πft,

        ∫ W (sin x/(πf))² df = W·t/π·[Si(2x) − sin²x/x],
        ∫ K/f (sin x/(πf))² df = K·t²·[Ci(2x) − sin 2x/(2x) − sin²x/(2x²)],

    of which the second, from f on, is K·t²·(3/2 − γ − ln(2πft)) nearly while f·t is small.

    Parameters
    ----------
    frequency_hz : (point,) two or more, ascending, all above ``start_hz``.
    density : (point,) S there, in unit²/Hz, above 0.
    start_hz : start of the band, above 0.
    time_s : (time,) above 0.

    Returns
    -------
    (time,) in unit²·s².

    Raises
    ------
    UsageError : frequencies do not ascend from ``start_hz``, or a density or time is not above 0.
    """
    edges = np.concatenate([[start_hz], frequency_hz])
    if len(frequency_hz) < 2 or start_hz <= 0 or np.any(np.diff(edges) <= 0):
        raise UsageError(f"frequencies do not ascend from above a start of {start_hz:g} Hz")
    if np.any(density <= 0) or np.any(time_s <= 0):
        raise UsageError("noise densities and times must be above 0")
    white = np.diff(frequency_hz * density) / np.diff(frequency_hz)
    flicker = frequency_hz[:-1] * (density[:-1] - white)
    last_white = max(0.0, float(white[-1]))
    last_flicker = frequency_hz[-1] * (density[-1] - last_white)
    # The first piece goes down to the start of the band, the last one on for ever.
    edges = np.concatenate([[start_hz], frequency_hz[1:], [np.inf]])
    white = np.append(white, last_white)[:, None]
    flicker = np.append(flicker, last_flicker)[:, None]
    x = np.pi * np.multiply.outer(edges[:-1], time_s)
    sine, cosine = sici(2 * x)
    square = np.sin(x) ** 2
    of_white = np.vstack([sine - square / x, np.full(len(time_s), np.pi / 2)])
    of_flicker = np.vstack([
        cosine - np.sin(2 * x) / (2 * x) - square / (2 * x**2), np.zeros(len(time_s)),
    ])  # fmt: skip
    parts = white * time_s / np.pi * np.diff(of_white, axis=0)
    parts = parts + flicker * time_s**2 * np.diff(of_flicker, axis=0)
    return np.asarray(np.sum(parts, axis=0))
