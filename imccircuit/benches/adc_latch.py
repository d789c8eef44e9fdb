"""Offset of a converter's latch where it is: on the array, with its kickback, with its mismatch.

The null method reads what the comparator's inputs differ by and cannot see at which difference the
latch turns. So the latch is asked: the middle code is forced, an input sampled, the latch clocked
once, and the input is halved between a yes and a no. What the comparator's inputs differ by at that
input is the latch's own offset, with its sign turned. The null method then takes it into account as
it does a drawn offset. Moving the input, not an offset source, leaves the latch at the common mode
that it has in a conversion: with 40 mV of offset that is worth 1 mV.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import numpy as np

from imccircuit.benches.adc_null import NullConverter
from imccircuit.benches.bench import MeasurementError
from imccircuit.benches.problem import Answer, Problem

# Of full scale to either side of the middle: where the input would no longer be within it.
_REACH = 0.5
_FIRST_LSB = 0.5


class LatchedConverter(NullConverter, Protocol):
    """A converter whose latch can be clocked once with a code forced."""

    def decide(self, code: int, input_v: float) -> Problem:
        """Sample an input, force a code, clock the latch."""

    def decided(self, answer: Answer) -> bool:
        """Whether the latch said yes, as the logic takes it."""


def latch_offset(
    converter: LatchedConverter, tolerance_lsb: float
) -> Generator[Problem, Answer, float]:
    """Offset of the latch in V at the middle code; positive: yes comes earlier.

    The input steps away from the code's nominal level until the answer turns, four times as far
    each time; then it is halved.

    Parameters
    ----------
    tolerance_lsb : to which the input is found.

    Raises
    ------
    MeasurementError : the latch says the same at any input, which it also does if it cannot decide.
    """
    code, lsb = 2 ** (converter.bits - 1), converter.lsb_v
    nominal, reach = code * lsb, _REACH * 2**converter.bits * lsb

    def yes(input_v: float) -> Generator[Problem, Answer, bool]:
        return converter.decided((yield converter.decide(code, input_v)))

    at_first = yield from yes(nominal)
    near, step = nominal, (-_FIRST_LSB if at_first else _FIRST_LSB) * lsb
    while (yield from yes(nominal + step)) == at_first:
        if abs(step) >= reach:
            raise MeasurementError(
                f"the comparator says the same at any input, with code {code} forced; allowed: a "
                "common mode at which its input pair conducts, wider transistors"
            )
        near, step = nominal + step, float(np.clip(4 * step, -reach, reach))
    low, high = sorted((near, nominal + step))
    while high - low > tolerance_lsb * lsb:
        middle = (low + high) / 2
        if (yield from yes(middle)):
            high = middle
        else:
            low = middle
    answer = yield converter.forced(np.array([code]), np.array([(low + high) / 2]))
    return -float(converter.decisions(answer)[0])
