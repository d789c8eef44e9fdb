"""The list of what becomes of every quantity, and of the parts that an export does not have."""

from __future__ import annotations

from imccircuit.exporters.content import DRIVER_LEVEL, Content, Fidelity
from imccircuit.exporters.target import Target

PARTS = ("cells", "wires", "front end", "converter", "DAC", "drift")
"""Parts of a system with in-memory computing that a target may model by itself."""

# What is measured of a crossbar says of drift what becomes of it.
_CELLS = frozenset({"cells", "wires", "drift"})
_OF_KIND = {
    "adc": frozenset({"converter"}),
    "cell": frozenset({"cells", "drift"}),
    "charge_column": _CELLS,
    "crossbar": _CELLS,
    "dac": frozenset({"DAC"}),
    "front_end": frozenset({"front end"}),
    "macro": _CELLS | {"front end", "converter"},
    "time_accumulator": frozenset({"front end"}),
}


def stated_fidelity(target: Target, content: Content) -> tuple[Fidelity, ...]:
    """What ``target`` keeps of every quantity of ``content``, then the parts that are absent."""
    return (*target.fidelity(content), *absent_parts(target, content))


def absent_parts(target: Target, content: Content) -> tuple[Fidelity, ...]:
    """Parts that ``content`` does not have, and what the target puts in their place."""
    there = _OF_KIND[content.kind]
    if content.kind == "crossbar" and content.numbers.get("transresistance_ohm") is not None:
        there |= {"front end"}
    found = [
        Fidelity(part, "absent", f"not in the model; {target.defaults.get(part, target.default)}")
        for part in PARTS
        if part not in there and not (part == "DAC" and DRIVER_LEVEL in content.arrays)
    ]
    if DRIVER_LEVEL in content.arrays and "DAC" in target.defaults:
        how = f"the rows' drivers are in the model, and this beside them; {target.defaults['DAC']}"
        found.append(Fidelity("DAC", "absent", how))
    return tuple(found)
