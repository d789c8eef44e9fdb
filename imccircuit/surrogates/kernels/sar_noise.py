"""Conversions of a SAR ADC with noise in each bit decision, exact in distribution.

A search asks for bit after bit whether the input is above the level of the trial code. The charge
is sampled once, with one draw for all decisions; the comparator draws anew in each. So the
probability of a code is a product along the tree, Π Φ(±(v - S_d) / σ) over the trial codes d on
its path, and not that of one draw at the input: near a transition of a high bit the low bits still
search, and codes far from it cannot come out.

The levels are those of the trial codes themselves, before clipping through the tree: noise can
reach codes that are missing without it.

A decision whose level is farther than 9 σ from the input of every column of a group needs no draw.
That changes nothing at all, for no normal variate of the generator is larger than 6.56.

The twin is `imccircuit.surrogates.kernels.sar_twin`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.metrics.adc import NO_CODE
from imccircuit.surrogates.kernels.codes import Codes, check_voltages
from imccircuit.surrogates.kernels.noise import (
    DECISION,
    GROUP,
    SAMPLED,
    WORDS,
    ConversionNoise,
    draw_group,
)
from imccircuit.threads import spread_rows

_FAR = 9.0
# Conversions that a thread does in a row, some tenths of a millisecond.
_PART = 2**14


@njit(cache=True, nogil=True)
def sar_rows(  # type: ignore[no-untyped-def]
    level, bits, voltage, codes, first, last, sampled, decision, key, chip, first_index
):
    """Codes of rows ``first`` to ``last`` of voltages (batch, col) in V."""
    words, normals = np.empty(WORDS, np.uint32), np.empty(GROUP, np.float32)
    noisy, margin = np.empty(GROUP, voltage.dtype), np.empty(GROUP, voltage.dtype)
    code = np.empty(GROUP, np.int32)
    columns, stride = level.shape
    levels = level.ravel()
    far = voltage.dtype.type(_FAR) * decision
    for base in range(0, columns, GROUP):
        width, group = min(GROUP, columns - base), base // GROUP
        for i in range(first, last):
            vector = first_index + i
            row, out = voltage[i, base : base + width], codes[i, base : base + width]
            for j in range(width):
                code[j] = 0
                noisy[j] = row[j]
            if sampled > 0.0:
                draw_group(key, chip, SAMPLED, vector, group, words, normals)
                for j in range(width):
                    noisy[j] += sampled * normals[j]
            for bit in range(bits - 1, -1, -1):
                mask, near = np.int32(1 << bit), 0
                for j in range(width):
                    trial = np.int32(code[j] | mask)
                    at = np.uint32(np.int32(base + j) * np.int32(stride) + trial - np.int32(1))
                    margin[j] = noisy[j] - levels[at]
                    near += abs(margin[j]) < far
                if near:
                    draw_group(key, chip, DECISION + bit, vector, group, words, normals)
                    for j in range(width):
                        margin[j] += decision * normals[j]
                for j in range(width):
                    code[j] = code[j] | mask if margin[j] > 0 else code[j]
            for j in range(width):
                out[j] = code[j] if noisy[j] == noisy[j] else NO_CODE


def convert_sar(
    decision_level_v: ArrayLike, voltage_v: NDArray[Any], noise: ConversionNoise
) -> Codes:
    """Codes (batch, col) of voltages (batch, col) in V; `NO_CODE` for NaN.

    Parameters
    ----------
    decision_level_v : (col, 2^bits - 1) level in V at which each trial code decides, in any order;
        a column with a NaN level gives `NO_CODE`.
    voltage_v : float32 or float64; levels are rounded to the same type.

    Raises
    ------
    UsageError : shapes, types or the key do not fit.
    """
    levels = np.asarray(decision_level_v)
    count = levels.shape[1] + 1 if levels.ndim == 2 else 0
    bits = count.bit_length() - 1
    if count != 2**bits or count < 2 or voltage_v.dtype not in (np.float32, np.float64):
        raise UsageError("levels must be (column, 2^bits - 1) and voltages float32 or float64")
    check_voltages(voltage_v, len(levels), voltage_v.dtype)
    noise.check(*voltage_v.shape)
    real = voltage_v.dtype.type
    known = ~np.isnan(levels).any(axis=1)
    codes: Codes = np.empty(voltage_v.shape, dtype=np.int16 if bits < 16 else np.int32)
    level, voltage = np.ascontiguousarray(levels, dtype=real), np.ascontiguousarray(voltage_v)
    key = noise.key, noise.chip, noise.first_index
    sigma = real(noise.sampled_v), real(noise.decision_v)

    def convert(first: int, last: int) -> None:
        sar_rows(level, bits, voltage, codes, first, last, *sigma, *key)

    spread_rows(convert, len(codes), len(levels), _PART)
    codes[:, ~known] = NO_CODE
    return codes
