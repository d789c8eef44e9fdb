"""A macro whose front ends are lines: what programs can take that have no place for curves.

Every front end keeps an input and an output offset of its own; all share one input resistance,
which goes behind the bit lines, and one transresistance: the means of the least-squares slopes over
the currents of the stored vectors. The front ends' noise goes to the converters' samples, to which
it adds, their energy and latency to the array, of which they are then a part. What the bends are
worth is for who uses this to say; see `bends`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.surrogates.adc_noise import SAMPLED
from imccircuit.surrogates.base import Model, ModelArray, Parameter
from imccircuit.surrogates.crossbar import AT_THE_ENDS
from imccircuit.surrogates.front_end import CURVES, FrontEndSurrogate
from imccircuit.surrogates.front_end_law import TERMS
from imccircuit.surrogates.macro import MacroSurrogate
from imccircuit.surrogates.macro_front import FRONT
from imccircuit.surrogates.macro_parts import ARRAY

Floats = NDArray[np.float64]

_POINTS = 33


def with_lines(macro: MacroSurrogate) -> MacroSurrogate:
    """The same macro with lines for front ends; itself where these are ideal.

    Its verdict remains that of ``macro``, and is not that of the lines.
    """
    front = macro.parts.front
    if front is None:
        return macro
    current = _used(macro, front)
    slopes, offsets = zip(*(_line(front, curve, current) for curve in CURVES), strict=True)
    bias, cols = macro.value("bias_voltage"), macro.parts.columns
    sense = macro.parts.array.physics.r_sense_ohm + max(slopes[1], 0.0)
    note = "mean of the front ends' slopes over the stored vectors' currents"
    added = {
        "transresistance": Parameter("transresistance", -slopes[0], "ohm", note=note),
        "r_sense_ohm": Parameter("r_sense_ohm", sense, "ohm", note=note),
    }
    dims, text = ("chip", "col"), "of a front end taken as a line"
    arrays = {
        "input_offset": (offsets[1] - bias, f"input voltage at no current {text}, less the bias"),
        "output_offset": (offsets[0], f"output at no current {text}"),
    }
    model = macro.parts.array.model
    array = replace(
        model,
        parameters={**model.parameters, **added, **_costs(macro, front)},
        arrays={
            **model.arrays,
            **{n: ModelArray(v.reshape(-1, cols), "V", dims, t) for n, (v, t) in arrays.items()},
        },
        settings={**model.settings, "readout": "tia", "input_offsets": AT_THE_ENDS},
    )
    return MacroSurrogate(_without_curves(macro.model, array, front))


def _costs(macro: MacroSurrogate, front: FrontEndSurrogate) -> dict[str, Parameter]:
    """Latency of array and front ends, and their energy where that of the whole is known."""
    settling = replace(front.model.parameters["latency"], note="settling of the front ends")
    found = {"latency": settling}
    whole = macro.model.parameters.get("energy")
    if whole is not None:
        converters = sum(part.value("energy") for part in macro.parts.converters)
        note = "array and front ends: that of the whole less the converters'"
        found["energy"] = Parameter("energy", whole.value - converters, "J", whole.sigma, note)
    return found


def bends(macro: MacroSurrogate, lines: MacroSurrogate) -> tuple[float, int]:
    """How far lines are from curves on the stored vectors: an output in V, a code in codes."""
    apart, codes = 0.0, 0
    for chip, voltage in zip(
        macro.array("replay_chip"), macro.array("replay_voltage"), strict=True
    ):
        found, taken = (
            model.predict(voltage_v=voltage, chip=int(chip)) for model in (macro, lines)
        )
        volts = found["sampled_voltage_v"] - taken["sampled_voltage_v"]
        apart = max(apart, float(np.max(np.abs(volts))))
        codes = max(codes, int(np.max(np.abs(found["output_code"] - taken["output_code"]))))
    return apart, codes


def _used(macro: MacroSurrogate, front: FrontEndSurrogate) -> Floats:
    """Currents in A, evenly over those of the stored vectors, or over all that were measured."""
    ends = front.array("level_current")[[0, -1]]
    pairs = zip(macro.array("replay_chip"), macro.array("replay_voltage"), strict=True)
    found = [macro.predict(voltage_v=v, chip=int(c))["output_current_a"] for c, v in pairs]
    if found:
        every = np.concatenate(found)
        ends = np.array([every.min(), every.max()])
    return np.linspace(ends[0], ends[1], _POINTS)


def _line(front: FrontEndSurrogate, curve: str, current_a: Floats) -> tuple[float, Floats]:
    """Mean least-squares slope in ohm of a curve, and with it the offsets (front end,) in V."""
    part = slice(0, TERMS) if curve == "output" else slice(TERMS, None)
    law = front.law(curve)
    volts = np.stack([law.voltage(own[part], current_a) for own in front.own])
    about = current_a - current_a.mean()
    slope = float((volts @ about).mean() / (about @ about))
    return slope, np.asarray((volts - slope * current_a).mean(axis=1))


def _without_curves(whole: Model, array: Model, front: FrontEndSurrogate) -> Model:
    """Model of the macro with this array and no front ends, their noise with the converters."""
    noise = front.model.parameters.get("noise")

    def kept(name: str) -> bool:
        return not name.startswith((f"{FRONT}.", f"{ARRAY}."))

    parameters = {name: item for name, item in whole.parameters.items() if kept(name)}
    for name, item in parameters.items():
        if noise is not None and name.endswith(f".{SAMPLED}"):
            total = float(np.hypot(item.value, noise.value))
            parameters[name] = replace(item, value=total, note="with that of the front ends")
    own = {f"{ARRAY}.{name}": replace(item, name=f"{ARRAY}.{name}")
           for name, item in array.parameters.items()}  # fmt: skip
    arrays = {
        f"{ARRAY}.{name}": replace(item, dims=tuple(f"{ARRAY}.{dim}" for dim in item.dims))
        for name, item in array.arrays.items()
    }
    settings = {f"{ARRAY}.{name}": text for name, text in array.settings.items()}
    packed = {
        n: t for n, t in whole.settings.items() if n in (f"{ARRAY}.verdict", f"{ARRAY}.domain")
    }
    return replace(
        whole,
        parameters={**parameters, **own},
        arrays={**{n: a for n, a in whole.arrays.items() if kept(n)}, **arrays},
        settings={**{n: t for n, t in whole.settings.items() if kept(n)}, **settings, **packed},
    )
