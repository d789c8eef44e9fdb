"""Transition levels of any converter: null method for every code, closed loop around some.

Null method (static). The converter samples v_s near the nominal level of code d, then code d is
forced and the comparator's input-referred voltage c is read. It falls to zero at the level of the
code, and dc/dv_s = s is measured by moving v_s, so S_d = v_s − c/s. That is exact for linear
capacitors; where it is not, the measurement asks again at the level it found until the level
moves by less than a tolerance. Levels of codes are then to be clipped through the binary search
tree, because a code whose level is out of order is missing.

Closed loop (whole conversions with clock, logic and comparator). Around the level of each checked
code one input a tolerance below and one above is converted. If the code does not change between
the two, the inputs move until it does. Static against loop is stored, not assumed.

What a converter must offer stands in `LoopConverter` (whole conversions) and `NullConverter`
(forced codes as well). Nothing here knows what it is made of.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import MeasurementError
from imccircuit.benches.problem import Answer, Problem

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_MAX_PASSES = 4
# ngspice keeps the plots of a deck, and its time grows with the square of their number.
_RUNS_PER_DECK = 256
_SLOPE_STEP_LSB = 2.0
_WIDEST_SEARCH_LSB = 16.0


class LoopConverter(Protocol):
    """A converter whose whole conversions can be simulated."""

    @property
    def bits(self) -> int:
        """Resolution."""

    @property
    def lsb_v(self) -> float:
        """Nominal width of a code in V; code d has its nominal level at d times that."""

    def loop(self, inputs_v: Floats) -> Problem:
        """Convert each input (V) once, one run each."""

    def codes(self, answer: Answer) -> Codes:
        """Codes (run,) of a `loop` answer; `MeasurementError` if an output is neither 0 nor 1."""


class NullConverter(LoopConverter, Protocol):
    """A converter whose code can be forced as well, and whose comparator's input can be read."""

    def forced(self, codes: Codes, inputs_v: Floats) -> Problem:
        """Sample each input (V), force its code, one run each."""

    def decisions(self, answer: Answer) -> Floats:
        """Comparator's input (run,) of a `forced` answer in V, above 0 if it would say yes."""


def checked_codes(bits: int) -> Codes:
    """Codes whose level is checked in closed loop: both ends, the major carries, three quarters."""
    last = 2**bits - 1
    powers = 2 ** np.arange(bits)
    codes = np.concatenate([[1, 2, last - 1, last], powers, powers - 1, 3 * powers // 2])
    return np.unique(codes[(codes >= 1) & (codes <= last)]).astype(np.int64)


def null_levels(
    converter: NullConverter, tolerance_lsb: float
) -> Generator[Problem, Answer, tuple[Floats, float]]:
    """Levels of all codes in V and how far, in LSB, those of the last pass moved in it.

    Raises
    ------
    MeasurementError : the comparator does not see the input, or the levels do not come to rest.
    """
    bits, lsb = converter.bits, converter.lsb_v
    codes = np.arange(1, 2**bits)
    nominal = codes * lsb
    some = checked_codes(bits)
    moved = nominal[some - 1] + np.where(some < 2 ** (bits - 1), 1, -1) * _SLOPE_STEP_LSB * lsb
    decision = yield from _decisions(
        converter, np.concatenate([codes, some]), np.concatenate([nominal, moved])
    )
    change = decision[len(codes) :] - decision[some - 1]
    slope_some = change / (moved - nominal[some - 1])
    if np.any(slope_some <= 0):
        raise MeasurementError("the comparator's input does not rise with the converter's input")
    # Between the checked codes the slope is smooth: only voltage-dependent parasitics change it.
    slope = np.interp(codes, some, slope_some)
    levels = nominal - decision[: len(codes)] / slope
    which = some
    for _ in range(_MAX_PASSES):
        asked = levels[which - 1]
        decision = yield from _decisions(converter, which, asked)
        found = asked - decision / slope[which - 1]
        residual = float(np.max(np.abs(found - asked))) / lsb
        levels[which - 1] = found
        if residual <= tolerance_lsb:
            return levels, residual
        which = codes
    raise MeasurementError(
        f"levels still move by {residual:.3g} LSB after {_MAX_PASSES} passes: the array does not "
        "settle; allowed: a longer circuit.cycle_time, wider switches, more supply"
    )


def loop_codes(converter: LoopConverter, inputs_v: Floats) -> Generator[Problem, Answer, Codes]:
    """Codes of whole conversions of inputs in V."""
    found = []
    for start in range(0, len(inputs_v), _RUNS_PER_DECK):
        answer = yield converter.loop(inputs_v[start : start + _RUNS_PER_DECK])
        found.append(converter.codes(answer))
    return np.concatenate(found)


def bracket(
    converter: LoopConverter, levels: Floats, tolerance_lsb: float, checked: Codes | None = None
) -> Generator[Problem, Answer, tuple[Floats, Codes]]:
    """Closed-loop inputs just below and above the levels of the checked codes, and their codes.

    Parameters
    ----------
    levels : where they are expected, (2^bits − 1,) in V.
    tolerance_lsb : the two inputs of a level end up at most twice that apart.
    checked : codes to look at; default `checked_codes`.

    Returns
    -------
    inputs_v, codes : (2·checked,) in V; below and above in turn.

    Raises
    ------
    MeasurementError : a level is nowhere near.
    """
    lsb = converter.lsb_v
    checked = checked_codes(converter.bits) if checked is None else checked
    step = np.full(len(checked), tolerance_lsb * lsb)
    low, high = levels[checked - 1] - step, levels[checked - 1] + step
    both = yield from loop_codes(converter, np.concatenate([low, high]))
    low_code, high_code = np.split(both, 2)
    while True:
        down, up = low_code >= checked, high_code < checked
        wide = high - low > 2.001 * tolerance_lsb * lsb
        todo = np.flatnonzero(down | up | wide)
        if len(todo) == 0:
            inputs = np.stack([low, high], axis=1).ravel()
            return inputs, np.stack([low_code, high_code], axis=1).ravel()
        # Not bracketed: step out, eight times as far each time. Bracketed but wide: halve.
        if np.any(step[down | up] >= _WIDEST_SEARCH_LSB * lsb):
            raise MeasurementError(
                f"closed loop: code {checked[np.argmax(step * (down | up))]} has no level within "
                f"{_WIDEST_SEARCH_LSB:g} LSB of its static one"
            )
        farther = np.minimum(8 * step, _WIDEST_SEARCH_LSB * lsb)
        step = np.where(down | up, farther, step)
        asked = np.where(down, low - step, np.where(up, high + step, (low + high) / 2))
        codes = yield from loop_codes(converter, asked[todo])
        for index, code in zip(todo, codes, strict=True):
            # An end that lies on the wrong side of the level is a good other end.
            if down[index]:
                high[index], high_code[index] = low[index], low_code[index]
            if up[index]:
                low[index], low_code[index] = high[index], high_code[index]
            if down[index] or (not up[index] and code < checked[index]):
                low[index], low_code[index] = asked[index], code
            else:
                high[index], high_code[index] = asked[index], code


def outside_levels(levels: Floats, inputs_v: Floats, codes: Codes) -> Floats:
    """How far each input is outside the interval that the levels give to its code, in V."""
    edges = np.concatenate([[-np.inf], levels, [np.inf]])
    outside = np.maximum(edges[codes] - inputs_v, inputs_v - edges[codes + 1])
    return np.asarray(np.maximum(0.0, outside))


def static_against_loop(levels: Floats, inputs_v: Floats, checked: Codes | None = None) -> float:
    """Largest distance in V of a closed loop's level, the middle of its bracket, from a static one.

    Parameters
    ----------
    levels : static ones, (2^bits − 1,) in V.
    inputs_v, checked : what `bracket` gave and was given; it is sure to its tolerance.
    """
    bits = (len(levels) + 1).bit_length() - 1
    checked = checked_codes(bits) if checked is None else checked
    middle = (inputs_v[0::2] + inputs_v[1::2]) / 2
    return float(np.max(np.abs(middle - levels[checked - 1])))


def _decisions(
    converter: NullConverter, codes: Codes, inputs_v: Floats
) -> Generator[Problem, Answer, Floats]:
    """Comparator's input in V of every forced code, in decks of a bounded number of runs."""
    found = []
    for start in range(0, len(codes), _RUNS_PER_DECK):
        part = slice(start, start + _RUNS_PER_DECK)
        answer = yield converter.forced(codes[part], inputs_v[part])
        found.append(converter.decisions(answer))
    return np.concatenate(found)
