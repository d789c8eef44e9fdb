"""Macros in targets that have a place for their parts: what becomes of these, and of codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.content import Content, Fidelity

Floats = NDArray[np.float64]


def parts_fidelity(
    content: Content, of_part: Callable[[Content], Iterable[Fidelity]]
) -> tuple[Fidelity, ...]:
    """What a target keeps of every quantity of a macro.

    Parameters
    ----------
    of_part : what it keeps of the quantities of a converter or an array. What it adds to these
        stands at the end.
    """
    own = {
        f"{'array' if part == 'array' else 'converters'}: {item.quantity}": item
        for part, its in content.parts.items()
        for item in of_part(its)
    }
    found = []
    for item in content.fidelity:
        becomes = own.get(item.quantity)
        cells = own.get("array: cells and wires")
        if item.quantity == "codes" and cells is not None and cells.treatment == "approximated":
            how = (
                "of the converters, on outputs of the array's approximated cells; amount: most "
                "that a code changes by"
            )
            apart = float(_codes_apart(content, cells.amount or 0.0))
            found.append(Fidelity("codes", "approximated", how, apart, "codes"))
        elif item.quantity.endswith(": population of chips"):
            how = "the chips of the model only: their arrays are not drawn"
            found.append(replace(item, treatment="dropped", how=how))
        else:
            found.append(replace(becomes, quantity=item.quantity) if becomes else item)
    known = {item.quantity for its in content.parts.values() for item in its.fidelity}
    added = {item.quantity: item for item in own.values() if item.quantity not in known}
    return (*found, *added.values())


def levels_within(levels_v: Floats, error_v: float) -> int:
    """By how much a code changes at most where its input is off by ``error_v``; 0 at 0.

    Parameters
    ----------
    levels_v : (converter, code) in V, not falling along code.
    """
    if error_v <= 0:
        return 0
    each = np.arange(levels_v.shape[1])
    found = [np.searchsorted(level, level + error_v, side="right") - each for level in levels_v]
    return int(np.max(found))


def _codes_apart(content: Content, error_a: float) -> int:
    """By how much codes change at most where currents of the array are off by ``error_a``."""
    slope = content.parts["array"].numbers["transresistance_ohm"] or 0.0
    levels = macro_levels(content)
    return levels_within(levels.reshape(-1, levels.shape[-1]), 1.001 * abs(slope) * error_a)


def macro_levels(content: Content) -> Floats:
    """Transition levels (chip, converter, code) in V of a macro's converters."""
    converters = [its for part, its in content.parts.items() if part != "array"]
    return np.stack([its.arrays["transition_level"].values for its in converters], axis=1)
