"""Linearity of digital-to-analog converters, by the conventions of ADCs (IEEE Std 1658)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.metrics.adc import MAX_BITS, Method

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DacLinearity:
    """Figures of converters from their output of every code.

    The reference line is output[d] = offset + d·q. Where ``good`` is False (an output is not
    finite, or the line does not rise) every float is NaN and ``monotonic`` is False.

    Attributes
    ----------
    method : ``"end-point"`` (line through first and last output) or ``"best-fit"``.
    inl_lsb : (…, 2^B) (output[d] − line[d])/q in LSB, d = 0 … 2^B − 1.
    dnl_lsb : (…, 2^B − 1) (output[d + 1] − output[d])/q − 1 in LSB.
    q : (…) slope of the line, 1 LSB, in the unit of the outputs.
    offset : (…) the line at code 0, in the unit of the outputs.
    gain_error : (…) q/(full scale/2^B) − 1, no unit; NaN if no full scale was given.
    monotonic : (…) True where no output is below the one before it.
    good : (…) True where the figures mean something.
    """

    method: Method
    inl_lsb: Floats
    dnl_lsb: Floats
    q: Floats
    offset: Floats
    gain_error: Floats
    monotonic: NDArray[np.bool_]
    good: NDArray[np.bool_]


def compute_dac_inl_dnl(
    outputs: ArrayLike, *, full_scale: float | None = None, method: Method = "end-point"
) -> DacLinearity:
    """INL, DNL, offset and gain of digital-to-analog converters.

    Parameters
    ----------
    outputs : (…, 2^B) output of the codes 0 … 2^B − 1 in V, A or s.
    full_scale : output of a code 2^B, were there one, in the same unit; for the gain error.
    method : ``"end-point"`` or ``"best-fit"``.

    Raises
    ------
    UsageError : the last axis is no 2^B with B ≥ 1, the full scale is not above 0, or the method
        is unknown.

    Notes
    -----
    End-point: q = (output[2^B − 1] − output[0])/(2^B − 1). A converter has an output for each code,
    not a level between two, so there are 2^B of them and code 0 counts.
    """
    if method not in get_args(Method):
        raise UsageError(f"INL method {method!r} is unknown; there are: end-point, best-fit")
    values = np.asarray(outputs, dtype=np.float64)
    count = values.shape[-1] if values.ndim else 0
    if count < 2 or count & (count - 1) or count > 2**MAX_BITS:
        raise UsageError(f"outputs need a last axis of 2^bits with 1 to {MAX_BITS} bits")
    if full_scale is not None and not 0 < full_scale < np.inf:
        raise UsageError(f"the full scale must be finite and above 0, not {full_scale!r}")
    good = np.asarray(np.isfinite(values).all(axis=-1))
    values = np.where(good[..., None], values, np.nan)
    codes = np.arange(count)
    if method == "end-point":
        q, offset = (values[..., -1] - values[..., 0]) / (count - 1), values[..., 0]
    else:
        centred = codes - (count - 1) / 2
        mean = values.mean(axis=-1)
        q = ((values - mean[..., None]) * centred).sum(axis=-1) / (centred @ centred)
        offset = mean - q * (count - 1) / 2
    good = np.asarray(good & (q > 0))
    q, offset = np.where(good, q, np.nan), np.where(good, offset, np.nan)
    steps = np.diff(values, axis=-1)
    gain = np.full(q.shape, np.nan) if full_scale is None else q * count / full_scale - 1
    return DacLinearity(
        method=method,
        inl_lsb=np.asarray((values - offset[..., None]) / q[..., None] - codes),
        dnl_lsb=np.asarray(steps / q[..., None] - 1),
        q=np.asarray(q),
        offset=np.asarray(offset),
        gain_error=np.asarray(gain),
        monotonic=np.asarray(good & (steps >= 0).all(axis=-1)),
        good=good,
    )
