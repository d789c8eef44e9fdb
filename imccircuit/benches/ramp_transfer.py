"""Transition levels of a ramp converter with many columns, checked by whole conversions.

Levels. One transient gives all of them. T[k] is the input at which a column's comparator fires
just at the counter's edge k. A behavioural comparator is linear up to its decision, so what it
sees of the ramp at the edges is its levels, offset and delay included. One of transistors is not:
when it fires is measured at inputs across the range, and its lag behind the ramp, a smooth
function, gives the levels between them.

Closed loop. Whole conversions one after the other, neighbours with different inputs: a comparator
fires, and the edges before that are counted. Column 0 is bracketed around its checked levels; the
other columns convert the same inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_null import bracket, checked_codes, loop_codes, outside_levels
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
from imccircuit.benches.ramp_converter import RampConverter
from imccircuit.benches.ramp_design import (
    QUANTITIES,
    area_m2,
    draw_adc,
    logic_blocks,
    logic_energy_j,
    nominal_adc,
    not_modelled,
)
from imccircuit.benches.ramp_noise import RampNoise
from imccircuit.benches.ramp_parameters import LEAST_REACH, RampGates, RampParameters
from imccircuit.circuits.ramp_adc import Pole, RampAdc
from imccircuit.metrics.adc import compute_codes
from imccircuit.metrics.adc_enob import compute_static_enob

Floats = NDArray[np.float64]

_NO_NOISE = "noise of comparators of transistors: not modelled unless comparator_noise is given"
_MOST_OUTSIDE_LSB = 1.0


def _blocks(adc: RampAdc) -> tuple[str, ...]:
    return (*adc.meters, *not_modelled(adc), *logic_blocks(adc))


def _sizes(parameters: RampParameters) -> dict[str, int]:
    circuit, loop = parameters.circuit, parameters.stimulus.loop_input
    return {
        "code": 2**circuit.bits - 1,
        "column": circuit.columns,
        "loop": 2 * len(checked_codes(circuit.bits)) if loop is None else len(loop),
        "block": len(_blocks(nominal_adc(parameters))),
    }


def _variables(parameters: RampParameters) -> tuple[Variable, ...]:
    del parameters
    return (
        Variable("transition_level", ("code",), "V", "transition level T[k] of column 0"),
        Variable("column_level", ("column", "code"), "V", "transition level T[k]"),
        Variable("column_deviation", ("column", "code"), "LSB", "level less k LSB of full scale"),
        Variable("ramp_level", ("code",), "V", "ramp at the counter's edge k"),
        Variable("ramp_slope", (), "V/s", "mean slope of the ramp between first and last edge"),
        Variable("loop_input", ("loop",), "1", "closed-loop input as a fraction of full scale"),
        Variable("loop_code", ("loop",), "1", "closed-loop code of column 0", "int"),
        Variable("loop_difference", ("loop",), "LSB", "loop input outside its code's levels"),
        Variable("column_code", ("column", "loop"), "1", "closed-loop codes of all columns", "int"),
        Variable("column_difference", ("column", "loop"), "LSB", "the same for every column"),
        Variable("reference_voltage", (), "V", "full scale"),
        Variable("comparator_offset", ("column",), "V", "drawn comparator offset",
                 missing="of transistors: their offset is not drawn but simulated"),
        Variable("comparator_delay", (), "s", "of the comparators, mean"),
        Variable("ramp_noise", ("code",), "V", "noise of the ramp"),
        Variable("noise_sigma", (), "V", "noise of a conversion, rms over the levels",
                 missing=_NO_NOISE),
        Variable("static_enob", (), "1", "effective bits, from levels and noise",
                 missing=_NO_NOISE),
        *COST_VARIABLES,
    )  # fmt: skip


def _coordinates(parameters: RampParameters) -> Mapping[str, NDArray[Any] | Along]:
    sizes = _sizes(parameters)
    return {
        "code": np.arange(1, sizes["code"] + 1),
        "column": np.arange(sizes["column"]),
        "block": blocks_along(_blocks(nominal_adc(parameters))),
    }


def _measure(parameters: RampParameters, variation: Variation) -> Measurement:
    stimulus = parameters.stimulus
    adc = draw_adc(parameters, variation)
    converter = RampConverter(adc, parameters.conditions.temperature)
    levels, ramp, delay_s = yield from converter.levels()
    _check_reach(ramp, adc)
    _check_levels(levels, adc)
    if stimulus.loop_input is not None:
        inputs = stimulus.loop_input * adc.full_scale_v
        codes = yield from loop_codes(converter, inputs)
    else:
        inputs, codes = yield from bracket(converter, levels[0], stimulus.loop_tolerance)
    column_codes = converter.column_codes(inputs).T
    outside = [outside_levels(*each) for each in zip(levels, [inputs] * len(levels), column_codes,
                                                     strict=True)]  # fmt: skip
    outside_lsb = np.stack(outside) / adc.lsb_v
    _check_loop(outside_lsb)
    ramp_noise = yield from RampNoise(
        adc, parameters.conditions.temperature, stimulus.noise_conversions
    ).measure()
    noise = float(np.sqrt(np.mean(ramp_noise**2) + parameters.comparator_noise_v**2))
    metered = yield from converter.energy()
    pole = adc.comparator if isinstance(adc.comparator, Pole) else None
    return {
        "transition_level": levels[0],
        "column_level": levels,
        "column_deviation": levels / adc.lsb_v - np.arange(1, 2**adc.bits),
        "ramp_level": ramp,
        "ramp_slope": np.asarray((ramp[-1] - ramp[0]) / ((len(ramp) - 1) * adc.clock_s)),
        "loop_input": inputs / adc.full_scale_v,
        "loop_code": codes,
        "loop_difference": outside_lsb[0],
        "column_code": column_codes,
        "column_difference": outside_lsb,
        "reference_voltage": np.asarray(adc.full_scale_v),
        "comparator_offset": np.full(adc.columns, np.nan) if pole is None
        else np.asarray(pole.offset_v),
        "comparator_delay": np.asarray(delay_s),
        "ramp_noise": ramp_noise,
        "noise_sigma": np.asarray(noise),
        "static_enob": np.asarray(compute_static_enob(levels[0], noise)),
        **_cost(adc, metered, levels, delay_s),
    }  # fmt: skip


def _check_reach(ramp_v: Floats, adc: RampAdc) -> None:
    """Refuse a ramp that ends too low: its missing upper codes are no gain error any more."""
    full = adc.full_scale_v * (2**adc.bits - 1) / 2**adc.bits
    if ramp_v[-1] < LEAST_REACH * full:
        raise MeasurementError(
            f"the ramp reaches {ramp_v[-1]:.4g} V at the last edge, less than {LEAST_REACH:.0%} "
            f"of {full:.4g} V: no headroom at this supply, or too little current"
        )


def _check_levels(levels_v: Floats, adc: RampAdc) -> None:
    """Refuse a column all of whose levels lie beyond full scale: every input gives it one code."""
    for column, (first, last) in enumerate(levels_v[:, [0, -1]].tolist()):
        if first >= adc.full_scale_v or last <= 0:
            raise MeasurementError(
                f"the levels of column {column}, {first:.4g} to {last:.4g} V, lie outside the full "
                f"scale of {adc.full_scale_v:.4g} V: count_start, delay or offset is too large"
            )


def _check_loop(outside_lsb: Floats) -> None:
    """Refuse levels that whole conversions contradict: (column, loop) outside in LSB."""
    column, place = np.unravel_index(np.argmax(outside_lsb), outside_lsb.shape)
    worst = float(outside_lsb[column, place])
    if worst > _MOST_OUTSIDE_LSB:
        raise MeasurementError(
            f"a conversion by column {column} is {worst:.3g} LSB outside the levels of its code, "
            f"more than {_MOST_OUTSIDE_LSB:g} LSB: one conversion acts on the next; a longer "
            "reset_time or a faster comparator may help"
        )


def _cost(adc: RampAdc, metered: Arrays, levels: Floats, delay_s: float) -> Arrays:
    """Cost of one conversion by all columns, inputs uniform over full scale."""
    middles = (np.arange(2**adc.bits) + 0.5) * adc.lsb_v
    codes = compute_codes(levels, np.broadcast_to(middles, (adc.columns, len(middles)))).T
    logic = np.array(list(logic_energy_j(adc, codes).values()))
    return {
        "energy": np.concatenate([metered["energy"], logic]),
        "energy_returned": np.concatenate([metered["energy_returned"], 0 * logic]),
        "latency": np.asarray(adc.count_start_s + 2**adc.bits * adc.clock_s + delay_s),
        "area": np.asarray(area_m2(adc)),
    }


BENCH = Bench(
    name="ramp_transfer",
    summary="transition levels of a ramp ADC with many columns, checked by conversions",
    parameters=RampParameters,
    gates=RampGates,
    quantities=QUANTITIES,
    surrogate="ramp_adc",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    curves=(
        Curve("columns", ("column_deviation",), "code", title="Columns on one ramp"),
        Curve("noise", ("ramp_noise",), "code", title="Noise of the ramp"),
    ),
)
