"""Decisions of a clocked comparator: offset, delay, regeneration, kickback, energy, noise.

How, see `imccircuit.benches.comparator_measure` and `imccircuit.benches.comparator_noise`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import (
    Along,
    Bench,
    Measurement,
    MeasurementError,
    Variable,
    Variation,
)
from imccircuit.benches.comparator_dut import (
    blocks,
    draw_offset,
    draw_strongarm,
    meter,
    strongarm_clocking,
    strongarm_technology,
)
from imccircuit.benches.comparator_measure import (
    DECISION_CURVES,
    DECISION_VARIABLES,
    Fixture,
    measure_decisions,
)
from imccircuit.benches.comparator_noise import (
    NOISE_LEVELS,
    NOISE_VARIABLES,
    measure_behavioural_noise,
    measure_strongarm_noise,
)
from imccircuit.benches.comparator_parameters import ComparatorGates, ComparatorParameters
from imccircuit.benches.cost import blocks_along
from imccircuit.benches.problem import Answer, OperatingPoint, Probe, Problem
from imccircuit.circuits.comparator import (
    StrongArm,
    comparator_behavioural,
    strongarm_two_decisions,
)


def _sizes(parameters: ComparatorParameters) -> dict[str, int]:
    return {
        "overdrive": len(parameters.stimulus.overdrive_v),
        "block": len(blocks(parameters)),
        "noise_level": len(NOISE_LEVELS),
    }


def _variables(parameters: ComparatorParameters) -> tuple[Variable, ...]:
    noisy = parameters.stimulus.noise_decisions is not None
    return DECISION_VARIABLES + NOISE_VARIABLES if noisy else DECISION_VARIABLES


def _coordinates(parameters: ComparatorParameters) -> Mapping[str, NDArray[Any] | Along]:
    found: dict[str, NDArray[Any] | Along] = {
        "overdrive": Along(parameters.stimulus.overdrive_v, "V", "input beyond the threshold"),
        "block": blocks_along(blocks(parameters)),
    }
    if parameters.stimulus.noise_decisions is not None:
        found["noise_level"] = Along(
            np.array(NOISE_LEVELS), "1", "input less offset, in noise sigmas of a first look"
        )
    return found


def _measure(parameters: ComparatorParameters, variation: Variation) -> Measurement:
    if parameters.has_transistors:
        return (yield from _measure_strongarm(parameters, variation))
    return (yield from _measure_behavioural(parameters, variation))


def _measure_strongarm(parameters: ComparatorParameters, variation: Variation) -> Measurement:
    dut = draw_strongarm(parameters, variation)
    arrays, threshold_v = yield from measure_decisions(fixture_of(parameters, dut))
    layout = parameters.technology.layout
    area = np.nan
    if layout is not None:
        area = sum(layout.transistor_area_m2(w, dut.length_of(k)) for k, w in dut.transistors)
    arrays["area"] = np.asarray(area)
    if parameters.stimulus.noise_decisions is not None:
        arrays |= yield from measure_strongarm_noise(
            parameters, dut, variation, threshold_v=threshold_v,
            time_constant_s=float(arrays["regeneration_time"]),
            decision_s=float(arrays["decision_time"][0]),
        )  # fmt: skip
    return arrays


def fixture_of(parameters: ComparatorParameters, dut: StrongArm) -> Fixture:
    """A StrongARM comparator on the bench of a recipe."""
    clocking = strongarm_clocking(parameters)
    return Fixture(
        circuit=strongarm_two_decisions(dut, strongarm_technology(parameters), clocking),
        clocking=clocking,
        supply_v=parameters.supply_v,
        stimulus=parameters.stimulus,
        meter=meter(parameters),
        temperature_degc=parameters.conditions.temperature,
    )


def _measure_behavioural(parameters: ComparatorParameters, variation: Variation) -> Measurement:
    stimulus = parameters.stimulus
    offset = draw_offset(parameters, variation)
    low, high = -stimulus.search_range, stimulus.search_range
    circuit = comparator_behavioural(offset, stimulus.common_mode)
    probe = Probe("decision", ("v(decision)",), (), 10.0 + abs(offset))

    def ask(inputs: tuple[float, ...]) -> Generator[Problem, Answer, NDArray[np.bool_]]:
        answer = yield Problem(
            circuit, OperatingPoint(), (probe,), tuple({"vinput": x} for x in inputs)
        )
        return np.asarray(answer.final("decision") > 0)

    ends = yield from ask((low, high))
    if ends.tolist() != [False, True]:
        raise MeasurementError(
            f"the offset is beyond {high:g} V; allowed: a wider stimulus.search_range"
        )
    while high - low > stimulus.offset_tolerance:
        middle = (low + high) / 2
        if (yield from ask((middle,)))[0]:
            high = middle
        else:
            low = middle
    sizes = _sizes(parameters)
    arrays = {
        variable.name: np.full(tuple(sizes[dim] for dim in variable.dims), np.nan)
        for variable in _variables(parameters)
        if variable.missing
    }
    arrays |= {"offset": np.asarray(-(low + high) / 2), "hysteresis": np.asarray(0.0)}
    if stimulus.noise_decisions is not None:
        arrays |= yield from measure_behavioural_noise(
            parameters, circuit, probe, variation, threshold_v=(low + high) / 2
        )
    return arrays


BENCH = Bench(
    name="comparator_decision",
    summary="offset, decision time, regeneration, kickback, energy and noise of a comparator",
    parameters=ComparatorParameters,
    gates=ComparatorGates,
    quantities=("comparator_offset", "input_pair", "latch_pairs"),
    surrogate="",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    curves=DECISION_CURVES,
)
