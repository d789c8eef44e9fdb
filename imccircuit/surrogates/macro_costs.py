"""What an operation of a macro costs, from what was measured of its parts.

Amplifiers are of class A: they take their power for as long as the rows stand, whether they settle
or wait. Rows stand from their step through the front ends' settling to the end of the conversion;
ideal front ends take no time to settle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from imccircuit.benches.macro_front import PREFIX
from imccircuit.surrogates.base import Parameter
from imccircuit.surrogates.carried import block_names
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.macro_front import front_end_of
from imccircuit.surrogates.macro_parts import MacroParts, macro_parameters

_ROWS = "rows"


@dataclass(frozen=True)
class Standing:
    """How long the rows of a macro stand.

    Attributes
    ----------
    conversion_s : from the sampling's beginning to the codes, by the clock.
    settling : of the front ends, None where they are ideal.
    """

    conversion_s: float
    settling: Parameter | None

    @property
    def total_s(self) -> float:
        """Both together in s."""
        return self.conversion_s + (0.0 if self.settling is None else self.settling.value)

    def latency(self) -> Parameter:
        """``latency`` of the whole in s."""
        if self.settling is None:
            return Parameter("latency", self.total_s, "s", note="of the clock, not fitted")
        note = "of the clock, behind the settling of front ends, which were measured alone"
        return Parameter("latency", self.total_s, "s", self.settling.sigma, note)


def costs_of_parts(
    measured: Measured, parts: MacroParts
) -> tuple[MacroParts, dict[str, Parameter]]:
    """Costs of the whole: ``latency``, and ``energy`` and ``area`` where they are known.

    Returns
    -------
    The parts, of which the array has its energy now, and the costs by name.
    """
    settling = None if parts.front is None else parts.front.model.parameters["latency"]
    standing = Standing(float(measured.arrays["conversion_time"][0]), settling)
    parts = replace(parts, array=_with_energy(parts.array, standing))
    return parts, {
        "latency": standing.latency(),
        **_energy(measured, parts, standing),
        **_area(parts),
    }


def _with_energy(array: CrossbarSurrogate, standing: Standing) -> CrossbarSurrogate:
    """The same with the energy of its power while rows stand, where that was measured."""
    power = array.model.parameters.get("power")
    if power is None:
        return array
    how = "over a conversion, during which the rows stand"
    if standing.settling is not None:
        how = "while the rows stand, from the front ends' settling to the codes"
    energy, sigma = (standing.total_s * value for value in (power.value, power.sigma))
    found = Parameter("energy", energy, "J", sigma, f"{power.note}; {how}")
    parameters = {**array.model.parameters, "energy": found}
    return CrossbarSurrogate(replace(array.model, parameters=parameters))


def _energy(measured: Measured, parts: MacroParts, standing: Standing) -> dict[str, Parameter]:
    """``energy`` in J of a conversion of all columns; empty unless its parts were measured."""
    front = _front_energy(measured, standing)
    known = [part.model.parameters.get("energy") for part in (parts.array, *parts.converters)]
    found = [parameter for parameter in known if parameter is not None]
    if len(found) < len(known):
        return {}
    notes = {note for part in found[1:] for note in part.note.split("; ") if "not model" in note}
    names, absent = ["array"], [] if parts.driver is None else ["drivers"]
    extra = []
    if front is None:
        absent.append("front ends")
    else:
        names.append("front ends")
        if macro_parameters(measured).stimulus.read_voltage < 0:
            # Rows below the bias take current back: what heats the cells, an amplifier delivers.
            found[0] = replace(found[0], value=0.0, sigma=0.0)
            extra.append("the array's energy comes out of the front ends' supply and is in theirs")
        found.append(front)
    what = " and ".join([", ".join(names), "converters"])
    behind = [f"without {' and '.join(absent)}: not modelled"] if absent else []
    text = "; ".join([f"{what}, measured alone", *extra, *behind, *sorted(notes)])
    return {"energy": _sum("energy", found, "J", text)}


def _front_energy(measured: Measured, standing: Standing) -> Parameter | None:
    """Energy in J that the supplies of all front ends deliver while rows stand; None if unknown.

    What the rows deliver where a front end is alone is not its own.
    """
    parameters = macro_parameters(measured)
    alone = front_end_of(measured, parameters)
    if alone is None or not alone.parameters.has_transistors:
        return None
    names = block_names(alone)
    of_chip = measured.arrays[f"{PREFIX}energy"][..., names != _ROWS].sum(axis=(1, 2))
    slot_s = 2 * parameters.circuit.front_end.step_time
    energy = standing.total_s / slot_s * of_chip
    sigma = float(energy.std(ddof=1) / np.sqrt(len(energy))) if len(energy) > 1 else 0.0
    return Parameter("energy", float(energy.mean()), "J", sigma)


def _area(parts: MacroParts) -> dict[str, Parameter]:
    """``area`` in m² of converters and front ends, as counted; empty unless all have one."""
    found = [part.model.parameters.get("area") for part in parts.converters]
    names, others = [f"{len(found)} converters"], ["array"]
    front = None if parts.front is None else parts.front.model.parameters.get("area")
    if front is None:
        others.append("front ends")
    else:
        names.append(f"{parts.columns} front ends")
        found.append(replace(front, value=parts.columns * front.value))
    if parts.driver is not None:
        others.append("drivers")
    known = [parameter for parameter in found if parameter is not None]
    if len(known) < len(found):
        return {}
    without = " and ".join([*([", ".join(others[:-1])] if others[1:] else []), others[-1]])
    note = f"{' and '.join(names)}, counted; without {without}: not counted"
    return {"area": _sum("area", [replace(item, sigma=0.0) for item in known], "m**2", note)}


def _sum(name: str, found: Sequence[Parameter], unit: str, note: str) -> Parameter:
    sigma = float(np.sqrt(sum(parameter.sigma**2 for parameter in found)))
    return Parameter(name, sum(parameter.value for parameter in found), unit, sigma, note)
