"""Static figures of an analogue-to-digital converter, from its transition levels.

A converter of B bits has 2^B - 1 transition levels T[k], k = 1 ... 2^B - 1, on the last axis of
every array here: the code is at least k exactly when the input is above T[k]. The end codes 0 and
2^B - 1 are open to one side and have no width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

Method = Literal["end-point", "best-fit"]

MISSING_CODE_DNL_LSB = -0.9
"""A code this narrow or narrower is counted as missing."""

NO_CODE = -1
"""Stands where a code is asked of a chip or an input that is not a number."""

MAX_BITS = 20


@dataclass(frozen=True, eq=False)
class Linearity:
    """INL, DNL, offset and gain of one or many converters; made by `compute_inl_dnl`.

    The reference line is T_line[k] = offset_v + k·q_v. Where ``good`` is False (a level is not
    finite, or the line does not rise) every float is NaN, every code is `NO_CODE`, and
    ``missing_codes`` and ``monotonic`` are False.

    Attributes
    ----------
    method : ``"end-point"`` (line through first and last level) or ``"best-fit"`` (least squares).
    inl_lsb : (…, 2^B - 1) (T[k] - T_line[k]) / q_v in LSB, k = 1 … 2^B - 1.
    dnl_lsb : (…, 2^B - 2) (T[k+1] - T[k]) / q_v - 1 in LSB, of the codes 1 … 2^B - 2.
    q_v : (…) slope of the line, the average code width (1 LSB), in V.
    offset_v : (…) the line at k = 0 in V; the ideal converter has 0 there.
    offset_lsb : (…) offset_v / q_v in LSB.
    gain_error : (…) q_v / (full scale / 2^B) - 1, no unit; NaN if no full scale was given.
    missing_codes : (…, 2^B - 2) True where a code's DNL is -0.9 LSB or less.
    missing_count : (…) number of missing codes.
    monotonic : (…) True where no level is below the one before it. Levels that went through
        `compute_tree_levels` always are: there, a DAC out of order shows as missing codes.
    worst_inl_code, worst_dnl_code : (…) code k with the largest absolute INL, DNL.
    worst_inl_lsb, worst_dnl_lsb : (…) its INL, DNL with sign, in LSB.
    good : (…) True where the figures mean something.
    """

    method: Method
    inl_lsb: NDArray[np.float64]
    dnl_lsb: NDArray[np.float64]
    q_v: NDArray[np.float64]
    offset_v: NDArray[np.float64]
    offset_lsb: NDArray[np.float64]
    gain_error: NDArray[np.float64]
    missing_codes: NDArray[np.bool_]
    missing_count: NDArray[np.float64]
    monotonic: NDArray[np.bool_]
    worst_inl_code: NDArray[np.int64]
    worst_inl_lsb: NDArray[np.float64]
    worst_dnl_code: NDArray[np.int64]
    worst_dnl_lsb: NDArray[np.float64]
    good: NDArray[np.bool_]


def compute_inl_dnl(
    levels_v: ArrayLike, *, full_scale_v: ArrayLike | None = None, method: Method = "end-point"
) -> Linearity:
    """INL, DNL, offset, gain and missing codes of converters.

    Parameters
    ----------
    levels_v : (…, 2^B - 1) transition levels T[k] in V, B ≥ 2.
    full_scale_v : full scale in V, broadcast over the leading axes; needed for the gain error.
    method : ``"end-point"`` or ``"best-fit"``.

    Raises
    ------
    UsageError : the last axis is no 2^B - 1, the full scale is not positive or does not fit the
        leading axes, or the method is unknown.

    Notes
    -----
    End-point: q = (T[2^B-1] - T[1]) / (2^B - 2), and the line goes through T[1]. Best-fit: the
    least-squares line over all k. Either way the levels are described, as in IEEE Std 1241, by
    T[k] = offset + (1 + gain error)·T_ideal[k] + INL[k]·q, so a pure gain has no offset and a pure
    shift no gain error.

    T_ideal[k] = k·FS / 2^B is the level of a binary-weighted capacitor array with dummy: C_k = 2^k
    units and one dummy unit make Σ C_k + C_dummy = 2^B units, of which code d switches d to the
    reference. The first level is thus a whole LSB, not half of one, above zero.
    """
    if method not in get_args(Method):
        raise UsageError(f"INL method {method!r} is unknown; there are: end-point, best-fit")
    raw = _as_levels(levels_v, min_bits=2)
    count = raw.shape[-1]
    good = np.asarray(np.isfinite(raw).all(axis=-1))
    levels = np.where(good[..., None], raw, np.nan)

    slope, first = _fit_line(levels, method)
    good = np.asarray(good & (slope > 0))
    levels = np.where(good[..., None], levels, np.nan)
    q = np.where(good, slope, np.nan)
    offset = first - q

    steps = np.diff(levels, axis=-1)
    inl = (levels - first[..., None]) / q[..., None] - np.arange(count)
    dnl = steps / q[..., None] - 1.0
    missing = dnl <= MISSING_CODE_DNL_LSB
    inl_code, inl_worst = _worst(inl, good)
    dnl_code, dnl_worst = _worst(dnl, good)
    return Linearity(
        method=method,
        inl_lsb=inl,
        dnl_lsb=dnl,
        q_v=q,
        offset_v=np.asarray(offset),
        offset_lsb=np.asarray(offset / q),
        gain_error=_gain_error(q, full_scale_v, count + 1),
        missing_codes=missing,
        missing_count=np.where(good, missing.sum(axis=-1), np.nan),
        monotonic=np.asarray(good & (steps >= 0).all(axis=-1)),
        worst_inl_code=inl_code,
        worst_inl_lsb=inl_worst,
        worst_dnl_code=dnl_code,
        worst_dnl_lsb=dnl_worst,
        good=good,
    )


def compute_tree_levels(static_levels: ArrayLike, bits: int) -> NDArray[np.float64]:
    """Transition levels of a successive-approximation search over a DAC's levels.

    The search sets bit after bit, from the highest, and keeps a bit exactly when the input is
    above the level of the trial code. Where the DAC's levels are out of order, some codes cannot
    be reached; counting the DAC's levels below the input would give a wrong code there.

    Parameters
    ----------
    static_levels : (…, 2^bits - 1) level S_d at which the trial code d = 1 … 2^bits - 1 decides,
        in V (or any unit).
    bits : number of bits.

    Returns
    -------
    (…, 2^bits - 1) T[k], in the same unit: code ≥ k exactly when the input is above T[k]. Never
    falls with k; a missing code has no width. NaN where a NaN level takes part in the decision.

    Raises
    ------
    UsageError : the last axis is not 2^bits - 1.

    Notes
    -----
    Once the bits above bit b equal those of k, "code ≥ k" is decided by bit b and those below. If
    k has bit b, bit b must be kept *and* the rest decide for it: T = max(S_trial, rest). If not,
    keeping bit b is already enough: T = min(S_trial, rest). The trial code is k's bits above b,
    with bit b set. The rest of no bits at all is always true: -inf.
    """
    static = _as_levels(static_levels)
    if static.shape[-1] != 2**bits - 1:
        raise UsageError(f"{bits} bits have {2**bits - 1} levels, not {static.shape[-1]}")
    codes = np.arange(1, 2**bits)
    rest = np.full(static.shape, -np.inf)
    for bit in range(bits):
        trial = (codes >> (bit + 1) << (bit + 1)) | (1 << bit)
        decides = static[..., trial - 1]
        has_bit = (codes >> bit) & 1 == 1
        rest = np.where(has_bit, np.maximum(decides, rest), np.minimum(decides, rest))
    return rest


def compute_cdac_levels(
    bit_capacitors_f: ArrayLike,
    dummy_f: ArrayLike,
    parasitic_f: ArrayLike,
    v_ref: ArrayLike,
    offset_v: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Level at which each trial code of a charge-redistribution converter decides.

    Parameters
    ----------
    bit_capacitors_f : (…, bits) capacitor of each bit in F, lowest bit first.
    dummy_f, parasitic_f : (…) dummy capacitor and top-plate parasitic to ground in F.
    v_ref : (…) reference voltage in V.
    offset_v : (…) comparator offset in V; a positive one lowers every level.

    Returns
    -------
    (…, 2^bits - 1) S_d in V, not in order if the capacitors are not; see `compute_tree_levels`.

    Raises
    ------
    UsageError : a capacitor is negative, their sum is not positive, or shapes do not fit.

    Notes
    -----
    With the input sampled on all bottom plates, dummy included, against V_cm on the top plate, the
    charge of the top plate stays while code d is applied: (C_a + C_p)(V_x - V_cm) = C_a (S - V_in),
    with S = V_ref Σ C_k b_k / C_a and C_a = Σ C_k + C_dummy. A bit is kept if
    V_cm - V_x + V_os > 0, that is V_in > S_d = V_ref Σ C_k b_k / C_a - V_os (C_a + C_p) / C_a.
    Exact for linear capacitors.
    """
    caps = np.asarray(bit_capacitors_f, dtype=np.float64)
    if caps.ndim == 0 or not 1 <= caps.shape[-1] <= MAX_BITS:
        raise UsageError(f"bit capacitors need a last axis of 1 to {MAX_BITS} bits")
    dummy, parasitic, reference, offset = (
        np.asarray(value, dtype=np.float64) for value in (dummy_f, parasitic_f, v_ref, offset_v)
    )
    # NaN passes (a chip that failed stays one); a negative capacitor does not.
    if any(np.any(value < 0) for value in (caps, dummy, parasitic)):
        raise UsageError("capacitors must not be negative")
    bits = caps.shape[-1]
    switched = (np.arange(1, 2**bits) >> np.arange(bits)[:, None]) & 1
    try:
        array = np.asarray(caps.sum(axis=-1) + dummy)
        if np.any(array <= 0):
            raise UsageError("the capacitors of an array sum to nothing")
        shift = np.asarray(offset * (array + parasitic) / array)
        scale = np.asarray(reference / array)
        return np.asarray(scale[..., None] * (caps @ switched) - shift[..., None])
    except ValueError:
        raise UsageError(
            f"shapes do not fit: capacitors {caps.shape}, dummy {dummy.shape}, parasitic "
            f"{parasitic.shape}, reference {reference.shape}, offset {offset.shape}"
        ) from None


def compute_codes(levels_v: ArrayLike, voltage_v: ArrayLike) -> NDArray[np.int64]:
    """Codes that converters with given transition levels return.

    Parameters
    ----------
    levels_v : (…, 2^B - 1) transition levels in V, not falling.
    voltage_v : (…, conversion) input voltages in V; their leading axes are broadcast against those
        of ``levels_v``. A plain number is one conversion by every converter.

    Returns
    -------
    (…, conversion), or (…) for a plain number: the number of levels below the input, so an input
    equal to T[k] gives k - 1. `NO_CODE` (-1) where the input or a level of the chip is NaN.

    Raises
    ------
    UsageError : levels fall, or the leading axes do not fit.
    """
    levels = _as_levels(levels_v)
    known = ~np.isnan(levels).any(axis=-1)
    falls = (levels[..., 1:] < levels[..., :-1]).any(axis=-1)
    if np.any(falls & known):
        raise UsageError("levels are not sorted; a search gives compute_tree_levels(levels)")
    voltage = np.asarray(voltage_v, dtype=np.float64)
    single = voltage.ndim == 0
    voltage = np.atleast_1d(voltage)
    try:
        lead = np.broadcast_shapes(levels.shape[:-1], voltage.shape[:-1])
    except ValueError:
        raise UsageError(
            f"inputs {voltage.shape} do not fit the converters {levels.shape[:-1]}"
        ) from None
    levels = np.broadcast_to(levels, (*lead, levels.shape[-1]))
    voltage = np.broadcast_to(voltage, (*lead, voltage.shape[-1]))
    known = np.broadcast_to(known, lead)
    codes = np.full(voltage.shape, NO_CODE, dtype=np.int64)
    if levels.strides[:-1] == (0,) * len(lead):
        # One converter for everything: a single search, not one a row.
        if known.all() and codes.size:
            codes[...] = np.searchsorted(levels[(0,) * len(lead)], voltage, side="left")
    else:
        for chip in np.ndindex(lead):
            if known[chip]:
                codes[chip] = np.searchsorted(levels[chip], voltage[chip], side="left")
    codes[np.isnan(voltage)] = NO_CODE
    return codes[..., 0] if single else codes


def _as_levels(levels: ArrayLike, min_bits: int = 1) -> NDArray[np.float64]:
    array = np.asarray(levels, dtype=np.float64)
    codes = array.shape[-1] + 1 if array.ndim else 0
    if codes < 2**min_bits or codes & (codes - 1) or codes > 2**MAX_BITS:
        raise UsageError(
            f"levels need a last axis of 2^bits - 1 with {min_bits} to {MAX_BITS} bits, "
            f"not shape {array.shape}"
        )
    return array


def _fit_line(
    levels: NDArray[np.float64], method: Method
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slope of the reference line in V a code, and its value at k = 1 in V."""
    count = levels.shape[-1]
    if method == "end-point":
        first = levels[..., 0]
        return np.asarray((levels[..., -1] - first) / (count - 1)), np.asarray(first)
    # Centred on both axes: a common offset of the levels costs no digits of the slope.
    centred = np.arange(count) - (count - 1) / 2
    mean = levels.mean(axis=-1)
    slope = ((levels - mean[..., None]) * centred).sum(axis=-1) / (centred @ centred)
    return np.asarray(slope), np.asarray(mean - slope * (count - 1) / 2)


def _gain_error(
    q: NDArray[np.float64], full_scale_v: ArrayLike | None, codes: int
) -> NDArray[np.float64]:
    if full_scale_v is None:
        return np.full(q.shape, np.nan)
    full_scale = np.asarray(full_scale_v, dtype=np.float64)
    if not (np.all(np.isfinite(full_scale)) and np.all(full_scale > 0)):
        raise UsageError("the full scale must be finite and above 0 V")
    try:
        full_scale = np.broadcast_to(full_scale, q.shape)
    except ValueError:
        raise UsageError(
            f"a full scale of shape {full_scale.shape} does not fit converters {q.shape}"
        ) from None
    return np.asarray(q * codes / full_scale - 1.0)


def _worst(
    values: NDArray[np.float64], good: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Code (counted from 1) of the largest magnitude on the last axis, and its value."""
    index = np.argmax(np.abs(values), axis=-1)
    value = np.take_along_axis(values, np.asarray(index)[..., None], axis=-1)[..., 0]
    return np.where(good, index + 1, NO_CODE), np.asarray(value)
