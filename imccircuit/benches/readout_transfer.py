"""A read-out front end characterised like a converter.

Three measurements on one front end. The transfer curve is taken with a current source and no bit
line (operating points; of an integrator, whole operations). Settling and energy come from two
operations at which the rows of an array step through all cells of a column, with the bit line's
capacitance. Noise comes from small-signal analyses with the same bit line, of an integrator one a
phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import (
    Along,
    Arrays,
    Bench,
    Curve,
    Measurement,
    MeasurementError,
    Variable,
    Variation,
)
from imccircuit.benches.cost import COST_VARIABLES, blocks_along
from imccircuit.benches.readout_front import area_m2, draw_front, pair_sigma_v
from imccircuit.benches.readout_parameters import ReadoutGates, ReadoutParameters
from imccircuit.benches.readout_problems import (
    STEP_POINTS,
    Fixture,
    edge_names,
    phase_names,
)
from imccircuit.circuits.readout_parts import FrontEnd, nominal_gain_ohm, zero_output_v
from imccircuit.devices.draws import Draws
from imccircuit.metrics.transfer import compute_best_fit, compute_end_point, compute_linear_range

Floats = NDArray[np.float64]

_BEYOND = "not reached: linear as far as was looked"
_BEHAVIOURAL = "no transistors"
_ALONE = "not measured: stimulus.currents asks for the transfer alone"
_TRANSFER = ("output_voltage", "input_voltage", "driven_output")
# Of the gain that is meant: an amplifier whose own gain is one half still has a third of it.
_LEAST_GAIN = 0.25


def _nominal(parameters: ReadoutParameters) -> Fixture:
    return Fixture(parameters, draw_front(parameters, Variation(Draws(0, 0))))


def _sizes(parameters: ReadoutParameters) -> dict[str, int]:
    levels = parameters.stimulus.inside
    return {
        "level": levels,
        "drive": levels + 2 * parameters.stimulus.beyond,
        "edge": len(edge_names(parameters)),
        "phase": len(phase_names(parameters)),
        "time": STEP_POINTS,
        "block": len(_nominal(parameters).meter.blocks),
    }


def _variables(parameters: ReadoutParameters) -> tuple[Variable, ...]:
    found = _whole_curve()
    if parameters.stimulus.currents is None:
        return found
    return tuple(
        variable if variable.name in _TRANSFER else replace(variable, missing=_ALONE)
        for variable in found
    )


def _whole_curve() -> tuple[Variable, ...]:
    return (
        Variable("output_voltage", ("level",), "V", "output voltage"),
        Variable("input_voltage", ("level",), "V", "input voltage"),
        Variable("inl_end_point", ("level",), "LSB", "INL, end-point line"),
        Variable("inl_best_fit", ("level",), "LSB", "INL, best-fit line"),
        Variable("driven_output", ("drive",), "V", "output voltage"),
        Variable("gain", (), "ohm", "slope of the best-fit line, minus the transresistance"),
        Variable("gain_error", (), "1", "gain over that with an ideal amplifier, less 1"),
        Variable("lsb", (), "V", "range of the output over 2**resolution"),
        Variable("offset_current", (), "A", "input-referred: output = zero + gain*(I + this)"),
        Variable("offset_voltage", (), "V", "input at no current less its reference"),
        Variable("input_resistance", (), "ohm", "slope of the input voltage"),
        Variable("linear_low", (), "A", "current below which the output leaves its line",
                 missing=_BEYOND),
        Variable("linear_high", (), "A", "current above which the output leaves its line",
                 missing=_BEYOND),
        Variable("swing_low", (), "V", "output at linear_low", missing=_BEYOND),
        Variable("swing_high", (), "V", "output at linear_high", missing=_BEYOND),
        Variable("step_response", ("time",), "V", "output voltage"),
        Variable("settling_time", ("edge",), "s", "until within half an LSB",
                 missing="not defined: the output did not move by half an LSB"),
        Variable("noise_part", ("phase",), "V", "rms noise of the output from one phase"),
        Variable("noise_sigma", (), "V", "rms noise of the output"),
        Variable("noise_current", (), "A", "rms noise referred to the input"),
        Variable("pair_offset_sigma", (), "V", "A_VT*sqrt(2/(W*L)) of the input pair",
                 missing=_BEHAVIOURAL),
        *COST_VARIABLES,
    )  # fmt: skip


def _coordinates(parameters: ReadoutParameters) -> Mapping[str, NDArray[Any] | Along]:
    fixture, beyond = _nominal(parameters), parameters.stimulus.beyond
    currents = parameters.stimulus.currents_a
    label = "current into the input"
    return {
        "level": Along(currents[beyond : len(currents) - beyond], "A", label),
        "drive": Along(currents, "A", label),
        "edge": Along(np.array(edge_names(parameters), dtype=object), "", "what settles"),
        "phase": Along(np.array(phase_names(parameters), dtype=object), "", "phase"),
        "time": Along(np.linspace(0.0, fixture.slot_s, STEP_POINTS), "s", "time"),
        "block": blocks_along(fixture.meter.blocks),
    }


def _measure(parameters: ReadoutParameters, variation: Variation) -> Measurement:
    front = draw_front(parameters, variation)
    fixture = Fixture(parameters, front)
    output, at_input = fixture.read_transfer((yield fixture.transfer()))
    if parameters.stimulus.currents is not None:
        return _alone(parameters, output, at_input)
    arrays = transfer_figures(parameters, front, fixture.currents_a(), output, at_input)
    rest = _rest_v(parameters, arrays)
    answer = yield fixture.operations(rest)
    arrays |= fixture.read_cost(answer)
    arrays |= fixture.read_step(answer, float(arrays["lsb"]), _swing_v(parameters, arrays))
    parts = []
    for phase in phase_names(parameters):
        answer = yield fixture.noise(rest, float(arrays["input_resistance"]), phase)
        parts.append(float(answer.final("noise")[0]))
    sigma = float(np.sqrt(np.sum(np.square(parts))))
    latency = float(np.max(arrays["settling_time"]))
    if parameters.circuit.kind == "integrator":
        latency += parameters.circuit.integration_time
    return arrays | {
        "noise_part": np.array(parts),
        "noise_sigma": np.asarray(sigma),
        "noise_current": np.asarray(sigma / abs(float(arrays["gain"]))),
        "pair_offset_sigma": np.asarray(pair_sigma_v(front)),
        "latency": np.asarray(latency),
        "area": np.asarray(area_m2(parameters, front)),
    }


def _alone(parameters: ReadoutParameters, output_v: Floats, input_v: Floats) -> Arrays:
    sizes = _sizes(parameters)
    arrays = {
        variable.name: np.full([sizes[dim] for dim in variable.dims], np.nan)
        for variable in _whole_curve()
    }
    return arrays | dict(zip(_TRANSFER, (output_v, input_v, output_v), strict=True))


def transfer_figures(
    parameters: ReadoutParameters,
    front: FrontEnd,
    currents_a: Floats,
    output_v: Floats,
    input_v: Floats,
) -> Arrays:
    """What a transfer curve says.

    Parameters
    ----------
    currents_a, output_v, input_v : (drive,) the curve, beyond the range too.

    Raises
    ------
    MeasurementError : the output is saturated within the range.
    """
    stimulus = parameters.stimulus
    inside = slice(stimulus.beyond, stimulus.beyond + stimulus.inside)
    current, output, at_input = currents_a[inside], output_v[inside], input_v[inside]
    fit, ends = compute_best_fit(current, output), compute_end_point(current, output)
    nominal = nominal_gain_ohm(front)
    slope = np.diff(output) / np.diff(current) / nominal
    if np.min(slope) < max(0.5 * fit.slope / nominal, _LEAST_GAIN):
        at = current[int(np.argmin(slope))]
        raise MeasurementError(
            f"the output is saturated within the range: near {at:.4g} A it moves by "
            f"{np.min(slope) * nominal:.4g} ohm where {nominal:.4g} ohm are meant"
        )
    lsb = abs(fit.slope) * stimulus.range_a / 2**stimulus.resolution
    low, high = compute_linear_range(currents_a, output_v, fit, stimulus.linearity_limit * lsb)
    zero = zero_output_v(front)
    seen = compute_best_fit(current, at_input)
    return {
        "output_voltage": output,
        "input_voltage": at_input,
        "inl_end_point": (output - ends(current)) / lsb,
        "inl_best_fit": (output - fit(current)) / lsb,
        "driven_output": output_v,
        "gain": np.asarray(fit.slope),
        "gain_error": np.asarray(fit.slope / nominal - 1),
        "lsb": np.asarray(lsb),
        "offset_current": np.asarray((fit.at_zero - zero) / fit.slope),
        "offset_voltage": np.asarray(seen.at_zero - front.reference_v),
        "input_resistance": np.asarray(seen.slope),
        "linear_low": np.asarray(low[0]),
        "linear_high": np.asarray(high[0]),
        "swing_low": np.asarray(low[1]),
        "swing_high": np.asarray(high[1]),
    }


def _swing_v(parameters: ReadoutParameters, arrays: Arrays) -> float:
    """Change of the output when the rows step by the whole range through their cells."""
    stimulus = parameters.stimulus
    given_way = 1 + stimulus.cell_conductance * float(arrays["input_resistance"])
    return float(arrays["gain"]) * stimulus.range_a / given_way


def _rest_v(parameters: ReadoutParameters, arrays: Arrays) -> float:
    """Voltage of the rows at which the lowest current of the range flows into the input."""
    stimulus = parameters.stimulus
    drop = stimulus.current_low / stimulus.cell_conductance
    return float(arrays["input_voltage"][0]) + drop


BENCH = Bench(
    name="readout_transfer",
    summary="transfer, offset, input resistance, settling, noise of a read-out front end",
    parameters=ReadoutParameters,
    gates=ReadoutGates,
    quantities=("offset", "transistor"),
    surrogate="front_end",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    curves=(
        Curve("transfer", ("driven_output",), "drive"),
        Curve("input", ("input_voltage",), "level"),
        Curve("inl", ("inl_end_point", "inl_best_fit"), "level"),
        Curve("step", ("step_response",), "time"),
    ),
)
