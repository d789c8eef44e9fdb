"""Effective number of bits: from levels and noise, and by a sine fit to codes (IEEE Std 1241)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]


def compute_static_enob(levels_v: ArrayLike, noise_v: ArrayLike = 0.0) -> Floats:
    """Bits of an ideal noiseless converter whose error has the same power.

    Parameters
    ----------
    levels_v : (…, 2^B − 1) transition levels in V, not falling.
    noise_v : (…) standard deviation of the input-referred noise in V.

    Returns
    -------
    (…) log2(FS / (√12·rms)). NaN where a level is not finite, or no level is above the first.

    Raises
    ------
    UsageError : the last axis is no 2^B − 1.

    Notes
    -----
    The input is uniform over FS, from one average code width below T[1] to one above T[2^B − 1].
    A code stands for the best straight line o + g·k, fitted by least squares like the sine fit's
    gain and offset: an offset or gain error costs nothing. The mean square of what is left is an
    integral over pieces of constant code, taken exactly; noise adds its variance, for it does not
    correlate with the error of a uniform input. Q/√12 is what an ideal converter leaves.
    """
    levels = np.asarray(levels_v, dtype=np.float64)
    count = levels.shape[-1] if levels.ndim else 0
    if count < 3 or (count + 1) & count:
        raise UsageError(f"levels need a last axis of 2^bits - 1, not shape {levels.shape}")
    good = np.isfinite(levels).all(axis=-1) & (levels[..., -1] > levels[..., 0])
    safe = np.where(good[..., None], levels, np.arange(count, dtype=np.float64))
    width = (safe[..., -1:] - safe[..., :1]) / (count - 1)
    # In units of the average width and centred: the sums below then lose no digits.
    middle = (safe[..., :1] + safe[..., -1:]) / 2
    edges = np.concatenate([safe[..., :1] - width, safe, safe[..., -1:] + width], axis=-1)
    x = (edges - middle) / width
    code = np.arange(count + 1) - count / 2
    span = x[..., -1] - x[..., 0]
    share = np.diff(x, axis=-1) / span[..., None]
    mean_x = np.diff(x**2, axis=-1).sum(axis=-1) / 2 / span
    mean_xx = np.diff(x**3, axis=-1).sum(axis=-1) / 3 / span
    mean_k = (share * code).sum(axis=-1)
    mean_kk = (share * code**2).sum(axis=-1)
    mean_xk = (np.diff(x**2, axis=-1) * code).sum(axis=-1) / 2 / span
    covariance = mean_xk - mean_x * mean_k
    left = (mean_xx - mean_x**2) - covariance**2 / (mean_kk - mean_k**2)
    power = left + (np.asarray(noise_v, dtype=np.float64) / width[..., 0]) ** 2
    return np.asarray(np.where(good, np.log2(span / np.sqrt(12 * power)), np.nan))


@dataclass(frozen=True)
class SineFit:
    """A sine fitted to the codes of a record; made by `compute_sine_fit`.

    Attributes
    ----------
    amplitude_lsb, offset_lsb : of the fitted sine, in codes.
    phase_rad : of the cosine A·cos(2π·cycles·i/N + phase).
    rms_lsb : rms of codes minus sine: noise and distortion together.
    sinad_db : power of the sine over that of the rest.
    enob : log2(2^bits / (√12·rms_lsb)), referred to full scale whatever the amplitude.
    """

    amplitude_lsb: float
    offset_lsb: float
    phase_rad: float
    rms_lsb: float
    sinad_db: float
    enob: float


def compute_sine_fit(codes: ArrayLike, cycles: int, bits: int) -> SineFit:
    """Three-parameter sine fit of IEEE Std 1241 to a coherent record.

    Parameters
    ----------
    codes : (N,) output codes of equally spaced samples.
    cycles : whole number of periods in the record, prime to N so that no phase comes twice.
    bits : resolution.

    Raises
    ------
    UsageError : fewer than 8 samples, or ``cycles`` is not between 1 and N/2 or not prime to N.
    """
    record = np.asarray(codes, dtype=np.float64)
    n = record.size
    if record.ndim != 1 or n < 8:
        raise UsageError("a sine fit needs a record of 8 samples or more")
    if not 1 <= cycles < n / 2 or np.gcd(cycles, n) != 1:
        raise UsageError(
            f"{cycles} cycles in {n} samples; allowed: 1 to {(n - 1) // 2}, prime to N"
        )
    angle = 2 * np.pi * cycles * np.arange(n) / n
    basis = np.stack([np.cos(angle), np.sin(angle), np.ones(n)], axis=1)
    (cosine, sine, offset), *_ = np.linalg.lstsq(basis, record, rcond=None)
    rest = record - basis @ np.array([cosine, sine, offset])
    rms = float(np.sqrt(np.mean(rest**2)))
    amplitude = float(np.hypot(cosine, sine))
    with np.errstate(divide="ignore"):
        return SineFit(
            amplitude_lsb=amplitude,
            offset_lsb=float(offset),
            phase_rad=float(np.arctan2(-sine, cosine)),
            rms_lsb=rms,
            sinad_db=float(20 * np.log10(np.divide(amplitude / np.sqrt(2), rms))),
            enob=float(np.log2(np.divide(2**bits / np.sqrt(12), rms))),
        )
