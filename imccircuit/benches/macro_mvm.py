"""Codes of a whole macro, drivers to converters in one deck, and of the same chip's parts alone.

The monolithic deck is what a surrogate of the macro is judged by: there the converters load the
front ends and share a reference. The parts are measured in decks of their own, by the benches of
the parts: open voltages and resistances of the rows' drivers, currents and outputs of array and
front ends at rest behind such a resistance, levels of each converter by the null method. Front
ends that are not ideal are measured one by one, and the array without them; see `macro_front`.
Both are of the same chip: the same drawn conductances, offsets, transistors and capacitors.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_cost import (
    BLOCKS,
    all_costs,
    costs,
    energy_inputs,
    not_measured,
    two_conversions,
)
from imccircuit.benches.adc_latch import latch_offset
from imccircuit.benches.adc_noise import sampling_noise, total_noise_v
from imccircuit.benches.adc_null import null_levels
from imccircuit.benches.adc_sar import SarConverter, draw_adc
from imccircuit.benches.bench import (
    Along,
    Arrays,
    Bench,
    Measurement,
    MeasurementError,
    Variable,
    Variation,
)
from imccircuit.benches.cost import NOT_MODELLED, blocks_along
from imccircuit.benches.crossbar_mvm import BENCH as CROSSBAR
from imccircuit.benches.macro_front import (
    Fronts,
    front_coordinates,
    front_sizes,
    front_variables,
    measure_fronts,
)
from imccircuit.benches.macro_parameters import QUANTITIES, MacroGates, MacroParameters
from imccircuit.benches.macro_rows import Rows, drive_rows
from imccircuit.benches.problem import Answer, Probe, Problem
from imccircuit.circuits.crossbar import output_current_vectors
from imccircuit.circuits.crossbar_parts import Cell, LinearCell, SinhCell, TiaReadout
from imccircuit.circuits.macro import MacroWiring, bit_vectors, macro, sampled_vectors
from imccircuit.metrics.adc import compute_tree_levels
from imccircuit.nodal.array import ResistiveArray

Floats = NDArray[np.float64]

# A time point of the sampling edge is exact but for rounding.
_EDGE_SHARE = 1e-6
# At the default reltol a sinh array stands 0.01 LSB from its operating point.
_RELTOL_NONLINEAR = 1e-5
_AT_REST = 0.01


def _sizes(parameters: MacroParameters) -> dict[str, int]:
    bits = parameters.circuit.converter.resolution
    return {
        "batch": parameters.batch,
        "row": parameters.rows,
        "col": parameters.cols,
        "converter": parameters.converters,
        "code": 2**bits - 1,
        "bit": bits,
        "block": len(BLOCKS),
        "driver_code": 2 ** (parameters.circuit.driver.bits or 0),
        **front_sizes(parameters),
    }


_POWER = Variable("array_power", ("batch",), "W", "power into wires and cells, array alone")
_DRIVER_VARIABLES = (
    Variable("input_code", ("batch", "row"), "1", "codes of the rows' drivers", "int"),
    Variable("driver_level", ("row", "driver_code"), "V", "output of a driver, without array"),
    Variable("driver_resistance", ("row", "driver_code"), "ohm", "its output resistance"),
)


def _variables(parameters: MacroParameters) -> tuple[Variable, ...]:
    each = ("batch", "converter")
    drivers = () if parameters.circuit.driver.bits is None else _DRIVER_VARIABLES
    return (
        *drivers,
        *front_variables(parameters),
        *(() if parameters.stimulus.energy_inputs == 0 else (_POWER,)),
        Variable("output_code", each, "1", "codes of the whole macro", "int"),
        Variable("sampled_voltage", each, "V", "converter's input as it is sampled, whole macro"),
        Variable("sampled_current", ("batch", "col"), "A", "column current then, whole macro"),
        Variable("row_voltage", ("batch", "row"), "V", "drive voltage, without array"),
        Variable("conductance", ("row", "col"), "S", "conductance of this chip's cells"),
        Variable("output_current", ("batch", "col"), "A", "column current, array alone"),
        Variable("output_voltage", ("batch", "col"), "V", "output of the front end, array alone"),
        Variable("tia_offset", ("col",), "V", "drawn offset of the front ends, with the bias",
                 missing="none: the front ends are not ideal"),
        Variable("transition_level", ("converter", "code"), "V", "level T[k], converter alone"),
        Variable("forced_level", ("converter", "code"), "V", "likewise, before tree clipping"),
        Variable("latch_offset", ("converter",), "V", "offset of the latch with its kickback",
                 missing="none: the comparator is behavioural"),
        Variable("null_residual", ("converter",), "LSB", "largest move in the last null pass"),
        Variable("reference_voltage", (), "V", "full scale"),
        Variable("bit_capacitor", ("converter", "bit"), "F", "drawn capacitors, LSB first"),
        Variable("comparator_offset", ("converter",), "V", "drawn comparator offset"),
        Variable("conversion_time", (), "s", "from the inputs to the codes"),
        Variable("converter_energy", ("converter", "block"), "J",
                 "energy of a conversion, converter alone",
                 missing=f"{NOT_MODELLED}, or energy_inputs is 0"),
        Variable("converter_noise", ("converter",), "V",
                 "noise of a conversion at the converter's input"),
        Variable("converter_latency", ("converter",), "s", "latency, converter alone"),
        Variable("converter_area", ("converter",), "m**2", "area of a converter, counted",
                 missing="not modelled: the technology card has no layout, or a block is "
                 "behavioural"),
    )  # fmt: skip


def _coordinates(parameters: MacroParameters) -> Mapping[str, NDArray[Any] | Along]:
    sizes = _sizes(parameters)
    found = {name: np.arange(sizes[name]) for name in ("row", "col", "converter", "bit")}
    return {
        **found,
        "code": np.arange(1, sizes["code"] + 1),
        "block": blocks_along(BLOCKS),
        **front_coordinates(parameters),
    }


def _measure(parameters: MacroParameters, variation: Variation) -> Measurement:
    rows = yield from drive_rows(parameters, variation)
    arrays, fronts = yield from _array_alone(parameters, variation, rows)
    converters = {
        j: SarConverter(
            draw_adc(parameters.converter_parameters(j), variation),
            parameters.conditions.temperature,
        )
        for j in range(parameters.converters)
    }
    alone = []
    for converter in converters.values():
        found = yield from _alone(parameters, converter)
        alone.append(found)
    whole = yield from _whole(parameters, arrays, rows, fronts, converters)
    adcs = [converter.adc for converter in converters.values()]
    return {
        **arrays,
        **rows.arrays,
        **whole,
        **{name: np.stack([found[name] for found in alone]) for name in alone[0]},
        "reference_voltage": np.asarray(adcs[0].v_ref),
        "bit_capacitor": np.stack([np.asarray(adc.bit_capacitors_f) for adc in adcs]),
        "comparator_offset": np.array([adc.offset_v for adc in adcs]),
        "conversion_time": np.asarray(adcs[0].loop_stop_s),
    }  # fmt: skip


def _array_alone(
    parameters: MacroParameters, variation: Variation, rows: Rows
) -> Generator[Problem, Answer, tuple[Arrays, Fronts | None]]:
    """Array with ideal front ends, or array and drawn front ends each alone and both together."""
    ideal, bias = parameters.circuit.front_end.is_ideal, parameters.circuit.bias_voltage
    alone = parameters.array_parameters(
        rows.voltage_v - (0.0 if ideal else bias), rows.resistance_ohm
    )
    arrays = yield from CROSSBAR.measure(alone, variation)
    names = ("row_voltage", "conductance", "output_current", "output_voltage", "tia_offset",
             "array_power")  # fmt: skip
    found = {name: arrays[name] for name in names if name in arrays}
    if ideal:
        return found, None
    fronts = yield from measure_fronts(parameters, variation)
    together = yield from fronts.with_array(
        _resistors(parameters, found["conductance"], rows.resistance_ohm),
        rows.voltage_v,
        _cell(parameters),
    )
    found |= {
        "row_voltage": rows.voltage_v,
        "array_current": arrays["output_current"],
        "tia_offset": np.full(parameters.cols, np.nan),
    }
    return found | fronts.arrays | together, fronts


def _resistors(
    parameters: MacroParameters, conductance_s: Floats, driver_ohm: float = 0.0
) -> ResistiveArray:
    part = parameters.circuit.array
    return ResistiveArray(
        conductance_s,
        r_row_ohm=part.row_ohm,
        r_col_ohm=part.column_ohm,
        r_driver_ohm=part.driver_resistance + driver_ohm,
        r_sense_ohm=part.sense_resistance,
    )


def _alone(
    parameters: MacroParameters, converter: SarConverter
) -> Generator[Problem, Answer, Arrays]:
    """Levels of a converter in decks of its own, and what a conversion costs."""
    adc, stimulus = converter.adc, parameters.stimulus
    own, static = np.nan, converter
    if adc.latch is not None:
        own = yield from latch_offset(converter, stimulus.null_tolerance)
        static = converter.with_offset(own)
    forced, residual = yield from null_levels(static, stimulus.null_tolerance)
    answer = yield sampling_noise(adc, parameters.conditions.temperature)
    noise = total_noise_v(
        adc, float(answer.final("noise")[0]), parameters.circuit.converter.comparator_noise
    )
    card, found = parameters.technology, not_measured()
    if stimulus.energy_inputs > 0:
        answer = yield two_conversions(converter, energy_inputs(adc, stimulus.energy_inputs))
        found = costs(converter, card, parameters.supply_v, answer)
    cost = all_costs(found, adc, card)
    return {
        "forced_level": forced,
        "transition_level": compute_tree_levels(forced, adc.bits),
        "latch_offset": np.asarray(own),
        "null_residual": np.asarray(residual),
        "converter_noise": np.asarray(noise),
        **{f"converter_{name}": cost[name] for name in ("energy", "latency", "area")},
    }


def _cell(parameters: MacroParameters) -> Cell:
    array = parameters.circuit.array
    return SinhCell(array.v0_v) if array.cell == "1r_sinh" else LinearCell()


def _whole(
    parameters: MacroParameters,
    arrays: Arrays,
    rows: Rows,
    fronts: Fronts | None,
    converters: Mapping[int, SarConverter],
) -> Generator[Problem, Answer, Arrays]:
    """Codes of the whole macro, and its voltages and currents as they are sampled."""
    circuit, part = parameters.circuit, parameters.circuit.array
    adcs = {j: converter.adc for j, converter in converters.items()}
    first = converters[0]
    bits = first.bits
    wiring = MacroWiring(circuit.output_resistance, circuit.reference_resistance)
    array = _resistors(parameters, arrays["conductance"])
    readout = (
        fronts.amplifiers
        if fronts is not None
        else TiaReadout(
            gain=part.tia_gain,
            r_feedback_ohm=part.tia_feedback_resistance,
            r_in_ohm=part.tia_input_resistance,
            offset_v=arrays["tia_offset"],
        )
    )
    # Twice what the array alone gives, with a floor: kicks of the converters are far below.
    current = 2 * float(np.max(np.abs(arrays["output_current"]))) + 1e-4
    output = 2 * float(np.max(np.abs(arrays["output_voltage"]))) + first.bound_v
    options = dict(first.clocked_options)
    if part.cell != "1r" or fronts is not None:
        options["reltol"] = _RELTOL_NONLINEAR
    count = len(adcs)
    answer = yield Problem(
        circuit=macro(
            array,
            rows.voltage_v[0] if rows.ladders is None else rows.ladders,
            readout,
            adcs,
            cell=_cell(parameters),
            wiring=wiring,
        ),
        analysis=first.transient(first.adc.loop_stop_s),
        probes=(
            Probe("bit", bit_vectors(adcs), (count, bits), first.bound_v),
            Probe("sampled", sampled_vectors(adcs, wiring), (count,), output),
            Probe("current", output_current_vectors(parameters.cols), (parameters.cols,), current),
        ),
        alterations=rows.alterations(),
        options=options,
        temperature_degc=parameters.conditions.temperature,
    )
    return {
        "output_code": _codes(answer, bits),
        "sampled_voltage": _as_sampled(answer, "sampled", first.adc.sampled_s),
        "sampled_current": _as_sampled(answer, "current", first.adc.sampled_s),
    }


def _codes(answer: Answer, bits: int) -> NDArray[np.int64]:
    """Codes (run, converter) at the end; `MeasurementError` if a bit is neither 0 nor 1."""
    level = answer.final("bit")
    if np.any(np.minimum(np.abs(level), np.abs(level - 1)) > _AT_REST):
        raise MeasurementError("a bit is not at rest at the end of the conversion")
    return np.asarray((level > 0.5) @ (1 << np.arange(bits)), dtype=np.int64)


def _as_sampled(answer: Answer, name: str, time_s: float) -> Floats:
    """A probe (run, …) at the last time point up to the sampling edge."""
    until = time_s * (1 + _EDGE_SHARE)
    return np.stack([run.values[name][np.searchsorted(run.axis, until) - 1] for run in answer.runs])


BENCH = Bench(
    name="macro_mvm",
    summary="codes of array, front ends and converters in one deck, and the same chip's parts",
    parameters=MacroParameters,
    gates=MacroGates,
    quantities=QUANTITIES,
    surrogate="macro",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
)
