"""Transition levels of a converter that only converts: bisection of whole conversions."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from imccircuit.benches.adc_null import Codes, Floats, LoopConverter, loop_codes
from imccircuit.benches.bench import MeasurementError
from imccircuit.benches.problem import Answer, Problem

_MARGIN_LSB = 4.0


def search_levels(
    converter: LoopConverter, tolerance_lsb: float
) -> Generator[Problem, Answer, Floats]:
    """Levels of all codes in V, each the middle of a bracket narrower than the tolerance.

    One conversion in the middle of every nominal code, and four LSB beyond both ends; then every
    bracket that is still too wide is halved, all codes at once, and each conversion serves all
    codes that it tells something about. A code that is never reached has no level and makes the
    measurement fail; a code that is skipped has the level of the next one.

    Parameters
    ----------
    tolerance_lsb : largest distance of a level from the middle of its bracket.

    Raises
    ------
    MeasurementError : not all codes can be reached, or a higher input gives a lower code by more
        than the tolerance, so that there is no such thing as a level.
    """
    lsb, codes = converter.lsb_v, np.arange(1, 2**converter.bits)
    asked = (np.arange(2**converter.bits) + 0.5) * lsb
    asked = np.concatenate([[-_MARGIN_LSB * lsb], asked, [(2**converter.bits + _MARGIN_LSB) * lsb]])
    inputs = np.zeros(0)
    found: Codes = np.zeros(0, dtype=np.int64)
    while True:
        new = yield from loop_codes(converter, asked)
        inputs, found = np.concatenate([inputs, asked]), np.concatenate([found, new])
        order = np.argsort(inputs, kind="stable")
        inputs, found = inputs[order], found[order]
        low, high = _brackets(inputs, found, codes, tolerance_lsb * lsb)
        wide = high - low > 2 * tolerance_lsb * lsb
        if not np.any(wide):
            return (low + high) / 2
        asked = np.unique((low[wide] + high[wide]) / 2)


def _brackets(
    inputs_v: Floats, found: Codes, codes: Codes, tolerance_v: float
) -> tuple[Floats, Floats]:
    """Highest input below and lowest input above the level of each code, in V."""
    low, high = np.empty(len(codes)), np.empty(len(codes))
    for index, code in enumerate(codes):
        reached = np.flatnonzero(found >= code)
        below = np.flatnonzero(found < code)
        if len(reached) == 0 or len(below) == 0:
            word = "never reached" if len(reached) == 0 else "reached by every input"
            raise MeasurementError(
                f"code {code} is {word} between {inputs_v[0]:.4g} and {inputs_v[-1]:.4g} V"
            )
        first, last = reached[0], below[-1]
        if inputs_v[last] - inputs_v[first] > 2 * tolerance_v:
            raise MeasurementError(
                f"code {found[last]} at {inputs_v[last]:.6g} V but code {found[first]} at "
                f"{inputs_v[first]:.6g} V: the converter is not monotonic"
            )
        # Reversed within the tolerance, the two still enclose the level.
        low[index], high[index] = sorted((inputs_v[last], inputs_v[first]))
    return low, high
