"""A macro at rest: its rows drive, its front ends answer, and no converter samples yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.macro_front import FrontEnds, checked_array, given_numbers

if TYPE_CHECKING:
    from imccircuit.surrogates.macro import MacroSurrogate

Floats = NDArray[np.float64]

IDEAL = ("input_offset_v", "output_offset_v")
"""Inputs of `MacroSurrogate.predict` that are numbers of ideal front ends."""
CURVES = ("output_coefficient_v", "input_coefficient_v")
"""Likewise, of others."""


def outputs_at_rest(
    macro: MacroSurrogate,
    drive_v: Floats,
    others: Mapping[str, ArrayLike | None],
    chip: int = 0,
    conductance_s: ArrayLike | None = None,
    *,
    strict: bool = False,
) -> tuple[Floats, Floats]:
    """Column currents in A and front ends' outputs in V, (batch, col).

    Parameters
    ----------
    drive_v : (batch, row) drive voltages in V, from the bias on.
    others : numbers of other front ends, by their name as an input of `predict`; without one they
        are those of ``chip``.
    conductance_s, strict : as of `predict`.

    Raises
    ------
    UsageError : shapes do not fit, or numbers are of another kind of front ends.
    """
    array, front = macro.parts.array, macro.parts.front
    foreign = CURVES if front is None else IDEAL
    if any(others.get(name) is not None for name in foreign):
        which = "ideal" if front is None else "not ideal"
        raise UsageError(f"{' and '.join(foreign)} do not fit: the front ends are {which}")
    if front is None:
        given, out = (others.get(name) for name in IDEAL)
        found = array.predict(
            voltage_v=drive_v, chip=chip, conductance_s=conductance_s,
            input_offset_v=given, output_offset_v=out,
        )  # fmt: skip
        return found["output_current_a"], found["output_voltage_v"]
    curves = {name: others.get(name) for name in CURVES}
    numbers = given_numbers(macro.parts.front_numbers_v(chip), curves)
    g = array.conductance_s(chip) if conductance_s is None else conductance_s
    ends = FrontEnds(front, numbers, macro.value("bias_voltage"))
    current = ends.currents(array, checked_array(g, drive_v, len(numbers)), drive_v)
    macro.check_domain("output_current_a", current, strict=strict)
    return current, ends.output_v(current)
