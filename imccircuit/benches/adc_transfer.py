"""Transition levels of a SAR ADC: null method for every code, closed loop as the check.

How levels are found stands in `adc_null`; here is what a SAR converter's results consist of.
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
from imccircuit.benches.adc_null import (
    bracket,
    checked_codes,
    loop_codes,
    null_levels,
    outside_levels,
    static_against_loop,
)
from imccircuit.benches.adc_parameters import AdcGates, AdcParameters
from imccircuit.benches.adc_sar import SarConverter, draw_adc
from imccircuit.benches.bench import Along, Arrays, Bench, Measurement, Variable, Variation
from imccircuit.benches.cost import COST_VARIABLES, blocks_along
from imccircuit.benches.problem import Answer, Problem
from imccircuit.metrics.adc import compute_tree_levels
from imccircuit.metrics.adc_enob import compute_sine_fit, compute_static_enob

__all__ = ["BENCH", "checked_codes"]


def _sizes(parameters: AdcParameters) -> dict[str, int]:
    bits = parameters.circuit.resolution
    loop = parameters.stimulus.loop_input
    sizes = {
        "code": 2**bits - 1,
        "bit": bits,
        "loop": 2 * len(checked_codes(bits)) if loop is None else len(loop),
        "block": len(BLOCKS),
    }
    if parameters.stimulus.sine_samples is not None:
        sizes["sine"] = parameters.stimulus.sine_samples
    return sizes


def _variables(parameters: AdcParameters) -> tuple[Variable, ...]:
    variables = (
        Variable("transition_level", ("code",), "V", "transition level T[k]"),
        Variable("forced_level", ("code",), "V", "level of the forced code, before tree clipping"),
        Variable("latch_offset", (), "V", "offset of the latch with its kickback",
                 missing="none: the comparator is behavioural"),
        Variable("null_residual", (), "LSB", "largest move of a level in the last null pass"),
        Variable("loop_input", ("loop",), "1", "closed-loop input as a fraction of full scale"),
        Variable("loop_code", ("loop",), "1", "closed-loop code", "int"),
        Variable("loop_difference", ("loop",), "LSB", "loop input outside its code's levels"),
        Variable("static_against_loop", (), "LSB", "static levels against closed loop",
                 missing="not measured: loop_input given"),
        Variable("reference_voltage", (), "V", "full scale"),
        Variable("bit_capacitor", ("bit",), "F", "drawn capacitors, LSB first"),
        Variable("dummy_capacitor", (), "F", "drawn dummy capacitor"),
        Variable("comparator_offset", (), "V", "drawn comparator offset"),
        Variable("noise_sigma", (), "V", "noise of a conversion, at the input"),
        Variable("static_enob", (), "1", "effective bits, from levels and noise"),
        Variable("bit_settling", (), "s", "longest settling of a bit to half an LSB",
                 missing="not measured, or not settled when the comparator decides"),
        *COST_VARIABLES,
    )  # fmt: skip
    if parameters.stimulus.sine_samples is None:
        return variables
    return (
        *variables,
        Variable("sine_code", ("sine",), "1", "closed-loop codes of a sine of full scale", "int"),
        Variable("enob", (), "1", "effective bits, from the sine fit"),
    )


def _coordinates(parameters: AdcParameters) -> Mapping[str, NDArray[Any] | Along]:
    sizes = _sizes(parameters)
    return {
        "code": np.arange(1, sizes["code"] + 1),
        "bit": np.arange(sizes["bit"]),
        "block": blocks_along(BLOCKS),
    }


def _measure(parameters: AdcParameters, variation: Variation) -> Measurement:
    stimulus, circuit = parameters.stimulus, parameters.circuit
    adc = draw_adc(parameters, variation)
    converter = SarConverter(adc, parameters.conditions.temperature)
    own = np.nan
    static = converter
    if adc.latch is not None:
        own = yield from latch_offset(converter, stimulus.null_tolerance)
        static = converter.with_offset(own)
    forced, residual = yield from null_levels(static, stimulus.null_tolerance)
    levels = compute_tree_levels(forced, adc.bits)
    if stimulus.loop_input is not None:
        inputs = stimulus.loop_input * adc.v_ref
        codes = yield from loop_codes(converter, inputs)
        apart = np.nan
    else:
        inputs, codes = yield from bracket(converter, levels, stimulus.loop_tolerance)
        apart = static_against_loop(levels, inputs) / converter.lsb_v
    answer = yield sampling_noise(adc, parameters.conditions.temperature)
    sampling = float(answer.final("noise")[0])
    noise = total_noise_v(adc, sampling, circuit.comparator_noise)
    found = not_measured()
    if stimulus.energy_inputs > 0:
        answer = yield two_conversions(converter, energy_inputs(adc, stimulus.energy_inputs))
        found = costs(converter, parameters.technology, parameters.supply_v, answer)
    arrays = {
        "transition_level": levels,
        "forced_level": forced,
        "latch_offset": np.asarray(own),
        "null_residual": np.asarray(residual),
        "loop_input": inputs / adc.v_ref,
        "loop_code": codes,
        "loop_difference": outside_levels(levels, inputs, codes) / converter.lsb_v,
        "static_against_loop": np.asarray(apart),
        "reference_voltage": np.asarray(adc.v_ref),
        "bit_capacitor": np.asarray(adc.bit_capacitors_f),
        "dummy_capacitor": np.asarray(adc.dummy_f),
        "comparator_offset": np.asarray(adc.offset_v),
        "noise_sigma": np.asarray(noise),
        "static_enob": np.asarray(compute_static_enob(levels, noise)),
        **all_costs(found, adc, parameters.technology),
    }
    if stimulus.sine_samples is not None:
        arrays |= yield from _sine(converter, stimulus.sine_samples)
    return arrays


def sine_cycles(samples: int) -> int:
    """Periods in a record: near an eighth of the samples, and prime to them."""
    return next(n for n in range(max(1, samples // 8), 0, -1) if np.gcd(n, samples) == 1)


def _sine(converter: SarConverter, samples: int) -> Generator[Problem, Answer, Arrays]:
    """Closed-loop codes of a sine of nearly full scale, and the fit to them."""
    cycles, full = sine_cycles(samples), converter.adc.v_ref
    amplitude = (full - converter.lsb_v) / 2
    angle = 2 * np.pi * cycles * np.arange(samples) / samples
    codes = yield from loop_codes(converter, full / 2 + amplitude * np.sin(angle))
    enob = compute_sine_fit(codes, cycles, converter.bits).enob
    return {"sine_code": codes, "enob": np.asarray(enob)}


BENCH = Bench(
    name="adc_transfer",
    summary="transition levels of an ADC by the null method, checked by closed-loop conversions",
    parameters=AdcParameters,
    gates=AdcGates,
    quantities=("bit_capacitors", "comparator_offset", "comparator_transistors"),
    surrogate="adc",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
)
