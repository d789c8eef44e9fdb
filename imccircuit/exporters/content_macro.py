"""Content of an export of a macro: the contents of its parts, and how they are chained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from imccircuit.exporters.content import (
    COST_NUMBERS,
    DRIVER_LEVEL,
    Content,
    Fidelity,
    content_of,
    cost_fidelity,
    cost_numbers,
    replay_of,
)
from imccircuit.exporters.content_crossbar import offset_error
from imccircuit.surrogates.base import ModelArray
from imccircuit.surrogates.macro import MacroSurrogate
from imccircuit.surrogates.macro_lines import bends, with_lines
from imccircuit.surrogates.macro_parts import ARRAY, DRIVER

_VOLTAGES = {
    "bias_voltage": "bias_voltage_v",
    "read_voltage": "read_voltage_v",
    "on_conductance": "on_conductance_s",
    "off_conductance": "off_conductance_s",
}


def _macro(model: Any) -> Content:
    measured: MacroSurrogate = model
    macro = with_lines(measured)
    codes, of_front_ends = _of_front_ends(measured, macro)
    named = macro.parts.named().items()
    # What drivers do to the array is in it; their levels are the whole's.
    parts = {name: content_of(part) for name, part in named if name != DRIVER}
    stored = replay_of(macro)
    if stored:
        # What a target states of an array it only approximates holds for what drives the whole.
        array, vectors = parts[ARRAY], _of_the_array(macro, stored)
        error = offset_error(macro.parts.array, array.arrays, vectors)
        numbers = {**array.numbers, "offset_error_a": error}
        parts[ARRAY] = replace(array, replay=vectors, numbers=numbers)
    return Content(
        kind="macro",
        arrays=_driver_levels(macro),
        replay=_replay(macro, stored),
        fidelity=(
            codes,
            *of_front_ends,
            Fidelity("converters loading the front ends", "dropped", "not in the surrogate"),
            Fidelity(
                "several slices, signed weights, inputs bit by bit",
                "dropped",
                "arithmetic around the codes, which the export leaves to its user",
            ),
            *_of_drivers(macro),
            *_of_parts(parts),
            *cost_fidelity(macro),
        ),
        numbers={
            "converters": float(macro.converters),
            **{number: macro.value(name) for name, number in _VOLTAGES.items()},
            **cost_numbers(macro),
        },
        needs_solver=parts[ARRAY].needs_solver,
        parts=parts,
    )


def _of_front_ends(
    measured: MacroSurrogate, lines: MacroSurrogate
) -> tuple[Fidelity, tuple[Fidelity, ...]]:
    """What becomes of codes, and of front ends that are not ideal."""
    how = "converters on the array's outputs, as in the surrogate"
    if measured.parts.front is None:
        return Fidelity("codes", "exact", how), ()
    apart, codes = bends(measured, lines)
    return (
        Fidelity(
            "codes",
            "approximated",
            f"{how} with lines for front ends; amount: most that a code of the stored vectors is "
            "off by that",
            float(codes),
            "codes",
        ),
        (
            Fidelity(
                "bends of the front ends' curves",
                "approximated",
                "offsets of each, one input resistance (with the array's sense resistance) and one "
                "transresistance for all; amount: farthest of a converter's input on the stored "
                "vectors",
                apart,
                "V",
            ),
            Fidelity("stops of the front ends' outputs", "dropped", "lines go on beyond them"),
            Fidelity(
                "front ends: population of chips", "dropped", "chips are those that were measured"
            ),
            Fidelity(
                "noise of the front ends",
                "dropped",
                "not by itself: its power is in what converters sample, and shares its fate",
            ),
            Fidelity("area of the front ends", "dropped", "not by itself: in that of the whole"),
        ),
    )


def _driver_levels(macro: MacroSurrogate) -> dict[str, ModelArray]:
    """Voltages of the rows' drivers of all chips, without load; none where there are no drivers."""
    if macro.parts.driver is None:
        return {}
    levels = np.stack([macro.parts.row_levels(chip) for chip in range(macro.chips)])
    volts = macro.value("bias_voltage") + np.sign(macro.value("read_voltage")) * levels
    text = "voltage of a row's driver at each code, without load"
    return {DRIVER_LEVEL: ModelArray(volts, "V", ("chip", "row", "driver_code"), text)}


def _of_drivers(macro: MacroSurrogate) -> tuple[Fidelity, ...]:
    """What becomes of drivers in code that takes voltages of rows, or inputs of any size."""
    levels = _driver_levels(macro).get(DRIVER_LEVEL)
    if levels is None:
        return ()
    share = np.linspace(0, 1, levels.values.shape[-1])
    ideal = macro.value("bias_voltage") + macro.value("read_voltage") * share
    how = (
        "inputs drive in proportion, without the steps of codes, through the drivers' resistance; "
        "amount: farthest of a level from where its input drives"
    )
    apart = float(np.max(np.abs(levels.values - ideal)))
    return (
        Fidelity("levels of the rows' drivers", "approximated", how, apart, "V"),
        Fidelity("drivers: population of chips", "dropped", "chips are those that were measured"),
    )


def _of_parts(parts: dict[str, Content]) -> tuple[Fidelity, ...]:
    """What became of the parts; converters that say the same say it once."""
    found = {
        Fidelity(
            f"{'array' if name == ARRAY else 'converters'}: {item.quantity}",
            item.treatment,
            item.how,
        ): None
        for name, part in parts.items()
        for item in part.fidelity
        # What an operation costs is measured of the whole.
        if item.quantity not in COST_NUMBERS or item.treatment != "dropped"
    }
    return tuple(found)


def _of_the_array(macro: MacroSurrogate, stored: dict[str, ModelArray]) -> dict[str, ModelArray]:
    """The same vectors as the array's own, its drive from the bias on."""
    drive = stored["voltage"].values - macro.value("bias_voltage")
    pairs = zip(drive, stored["chip"].values, strict=True)
    outputs = [macro.parts.array.predict(voltage_v=v, chip=int(c)) for v, c in pairs]
    current, voltage = (
        np.concatenate([item[name] for item in outputs])
        for name in ("output_current_a", "output_voltage_v")
    )
    dims = ("replay", "col")
    return {
        "chip": stored["chip"],
        "voltage": replace(stored["voltage"], values=drive),
        "expected_current": ModelArray(current, "A", dims, "current of the surrogate"),
        "expected_output_voltage": ModelArray(
            voltage, "V", dims, "output of the surrogate's amplifiers"
        ),
    }


def _replay(macro: MacroSurrogate, stored: dict[str, ModelArray]) -> dict[str, ModelArray]:
    """Stored conversions of the monolithic deck; none in files of older versions."""
    if not stored:
        rows = macro.parts.array.conductance_s().shape[0]
        none = np.zeros(0, dtype=np.int64)
        stored = {
            "chip": ModelArray(none, "1", ("replay",), "none was stored"),
            "voltage": ModelArray(np.zeros((0, rows)), "V", ("replay", "row"), "none was stored"),
        }
    pairs = zip(stored["voltage"].values, stored["chip"].values, strict=True)
    found = [macro.predict(voltage_v=v, chip=int(c)) for v, c in pairs]
    dims, shape = ("replay", "converter"), (-1, macro.converters)
    code = np.array([item["output_code"] for item in found], dtype=np.int64).reshape(shape)
    voltage = np.array([item["sampled_voltage_v"] for item in found], dtype=np.float64)
    return {
        **stored,
        "expected_code": ModelArray(code, "1", dims, "code of the surrogate"),
        "expected_sampled_voltage": ModelArray(
            voltage.reshape(shape), "V", dims, "input of a converter, of the surrogate"
        ),
    }


CONTENT = _macro
