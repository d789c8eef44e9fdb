"""Decisions of a clocked comparator: offset, delay, regeneration, kickback, energy, noise.

Offset: bisection on the comparator alone. Each probe is two clock cycles, a large input of one
sign, then the input in question, so that what the comparator remembers is part of the answer: the
threshold after a yes and the threshold after a no are found apart. Offset is minus their mean,
hysteresis their difference.

Decision time, kickback and energy: the second of two identical decisions, at inputs a list of
overdrives above the threshold after a yes. A large input goes before, so that the first of the two
does not begin from an operating point, which leaves up to a millivolt between the outputs.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
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
from imccircuit.benches.comparator_dut import (
    BOUND_A,
    FINE_OPTIONS,
    OPTIONS,
    blocks,
    draw_offset,
    draw_strongarm,
    meter,
    strongarm_clocking,
    strongarm_technology,
)
from imccircuit.benches.comparator_noise import (
    NOISE_LEVELS,
    NOISE_VARIABLES,
    measure_behavioural_noise,
    measure_strongarm_noise,
)
from imccircuit.benches.comparator_parameters import ComparatorGates, ComparatorParameters
from imccircuit.benches.cost import COST_VARIABLES, blocks_along, mean_energy
from imccircuit.benches.problem import Answer, OperatingPoint, Probe, Problem, Run, Transient
from imccircuit.circuits.comparator import (
    StrongArm,
    comparator_behavioural,
    strongarm_two_decisions,
)
from imccircuit.metrics.comparator import compute_crossing_time, fit_regeneration

_OFF = "not modelled: the comparator is behavioural"
# Steps of the quiet half cycles; in the busy ones charge tolerance rules.
_STEPS_PER_CYCLE = 100
# Outputs apart by this share of the supply are a decision.
_DECIDED = 0.5
# Ends of the exponential, as shares of the supply: below, what the clock edge left still fades;
# above, the outputs saturate.
_REGENERATION = (0.03, 0.2)

Thresholds = Generator[Problem, Answer, tuple[float, float]]


def _sizes(parameters: ComparatorParameters) -> dict[str, int]:
    return {
        "overdrive": len(parameters.stimulus.overdrive_v),
        "block": len(blocks(parameters)),
        "noise_level": len(NOISE_LEVELS),
    }


def _variables(parameters: ComparatorParameters) -> tuple[Variable, ...]:
    found: tuple[Variable, ...] = (
        Variable("offset", (), "V", "input-referred offset; positive: yes comes earlier"),
        Variable("hysteresis", (), "V", "threshold after a no less threshold after a yes"),
        Variable("decision_time", ("overdrive",), "s", "clock edge to decision", missing=_OFF),
        Variable("decision_slope", (), "s", "fall of the decision time per e-fold of overdrive",
                 missing=_OFF),
        Variable("regeneration_time", (), "s", "time constant of the growing output",
                 missing=_OFF),
        Variable("regeneration_deviation", (), "1", "largest deviation of its logarithm from a "
                 "line", missing=_OFF),
        Variable("kickback_common", (), "V", "largest common-mode kick on the inputs",
                 missing=_OFF),
        Variable("kickback_differential", (), "V", "largest differential kick on the inputs",
                 missing=_OFF),
        Variable("kickback_charge", (), "C", "largest charge into one input source", missing=_OFF),
        Variable("decision_energy", ("overdrive",), "J", "of all sources, one clock cycle",
                 missing=_OFF),
        *COST_VARIABLES,
    )  # fmt: skip
    if parameters.stimulus.noise_decisions is not None:
        found += NOISE_VARIABLES
    return found


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
    technology, stimulus = strongarm_technology(parameters), parameters.stimulus
    after_yes, after_no = yield from _thresholds(parameters, dut)
    inputs = after_yes + stimulus.overdrive_v
    runs = tuple({"vfirst": stimulus.search_range, "vsecond": float(x)} for x in inputs)
    answer = yield _transient(parameters, dut, runs, cycles=3, options=FINE_OPTIONS)
    arrays = _figures(parameters, answer)
    layout = technology.card.layout
    area = np.nan
    if layout is not None:
        area = sum(layout.transistor_area_m2(w, dut.length_of(k)) for k, w in dut.transistors)
    arrays |= {
        "offset": np.asarray(-(after_yes + after_no) / 2),
        "hysteresis": np.asarray(after_no - after_yes),
        "latency": arrays["decision_time"][0],
        "area": np.asarray(area),
    }
    if stimulus.noise_decisions is not None:
        arrays |= yield from measure_strongarm_noise(
            parameters, dut, variation, threshold_v=(after_yes + after_no) / 2,
            time_constant_s=float(arrays["regeneration_time"]),
            decision_s=float(arrays["decision_time"][0]),
        )  # fmt: skip
    return arrays


def _transient(
    parameters: ComparatorParameters, dut: StrongArm, runs: tuple[dict[str, float], ...],
    cycles: int = 2, options: Mapping[str, str | float] = OPTIONS,
) -> Problem:  # fmt: skip
    technology, clocking = strongarm_technology(parameters), strongarm_clocking(parameters)
    names = ("outp", "outn", "inp", "inn", "source_p", "source_n")
    # Kicks through gate capacitances lift a node above the supply, by less than the supply itself.
    bound = 2 * technology.supply_v + parameters.stimulus.search_range
    step = clocking.cycle_s / _STEPS_PER_CYCLE
    return Problem(
        circuit=strongarm_two_decisions(dut, technology, clocking),
        analysis=Transient(cycles * clocking.cycle_s, step, step),
        probes=(
            Probe("node", tuple(f"v({name})" for name in names), (len(names),), bound),
            *meter(parameters).probes(bound, BOUND_A),
        ),
        alterations=runs,
        options=options,
        temperature_degc=parameters.conditions.temperature,
    )


def _thresholds(parameters: ComparatorParameters, dut: StrongArm) -> Thresholds:
    """Inputs in V at which the decision turns, after a yes and after a no."""
    reach = parameters.stimulus.search_range
    supply = parameters.supply_v

    def ask(inputs: NDArray[np.float64]) -> Generator[Problem, Answer, NDArray[np.bool_]]:
        histories = (reach, -reach)
        runs = tuple(
            {"vfirst": first, "vsecond": float(x)}
            for first, x in zip(histories, inputs, strict=True)
        )
        answer = yield _transient(parameters, dut, runs)
        node = answer.final("node")
        apart = node[:, 0] - node[:, 1]
        if np.any(np.abs(apart) < _DECIDED * supply):
            raise MeasurementError(
                f"no decision within {parameters.circuit.cycle_time / 2:g} s at an input of "
                f"{inputs[np.argmin(np.abs(apart))]:.3g} V; allowed: a longer circuit.cycle_time, "
                "or a common mode at which the input pair conducts"
            )
        return np.asarray(apart > 0)

    low, high = np.full(2, -reach), np.full(2, reach)
    if (yield from ask(low)).any() or not (yield from ask(high)).all():
        raise MeasurementError(
            f"the offset is beyond {reach:g} V; allowed: a wider stimulus.search_range"
        )
    while np.max(high - low) > parameters.stimulus.offset_tolerance:
        middle = (low + high) / 2
        yes = yield from ask(middle)
        low, high = np.where(yes, low, middle), np.where(yes, middle, high)
    after_yes, after_no = (low + high) / 2
    return float(after_yes), float(after_no)


def _figures(parameters: ComparatorParameters, answer: Answer) -> Arrays:
    """Everything that the second of two identical decisions shows, at every overdrive."""
    circuit, supply = parameters.circuit, parameters.supply_v
    drives = parameters.stimulus.overdrive_v
    cycle = circuit.cycle_time
    edge_s = 2.5 * cycle + circuit.clock_edge / 2
    energies = [meter(parameters).energy(run, (2 * cycle, 3 * cycle)) for run in answer.runs]
    waves = [_after(run, edge_s) for run in answer.runs]
    times = np.array(
        [compute_crossing_time(time, apart, _DECIDED * supply) for time, apart in waves]
    )
    if np.any(np.isnan(times)):
        raise MeasurementError(
            f"no decision within {cycle / 2:g} s at an overdrive of "
            f"{drives[np.isnan(times)][0]:g} V; allowed: a longer circuit.cycle_time"
        )
    growth = fit_regeneration(*waves[0], _REGENERATION[0] * supply, _REGENERATION[1] * supply)
    kicks = np.max(
        [_kickback(run, 2.5 * cycle, circuit.source_resistance) for run in answer.runs], axis=0
    )
    return {
        "decision_time": times,
        "decision_slope": np.asarray((times[0] - times[1]) / np.log(drives[1] / drives[0])),
        "regeneration_time": np.asarray(growth.time_constant_s),
        "regeneration_deviation": np.asarray(growth.deviation),
        "kickback_common": np.asarray(kicks[0]),
        "kickback_differential": np.asarray(kicks[1]),
        "kickback_charge": np.asarray(kicks[2]),
        "decision_energy": np.array([np.sum(energy["energy"]) for energy in energies]),
        **mean_energy(energies),
    }


def _after(run: Run, edge_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Time since a clock edge and how far the outputs are apart."""
    later = run.axis >= edge_s
    node = run.values["node"][later]
    return run.axis[later] - edge_s, node[:, 0] - node[:, 1]


def _kickback(run: Run, start_s: float, source_ohm: float) -> tuple[float, float, float]:
    """Largest common-mode and differential kick in V, largest charge in C, of one decision."""
    inside = run.axis >= start_s
    node = run.values["node"][inside]
    kick = node[:, 2:4] - node[:, 4:6]
    steps = np.diff(run.axis[inside])[:, None]
    charge = np.cumsum((kick[1:] + kick[:-1]) / 2 * steps, axis=0) / source_ohm
    return (
        float(np.max(np.abs(kick.mean(axis=1)))),
        float(np.max(np.abs(kick[:, 0] - kick[:, 1]))),
        float(np.max(np.abs(charge))),
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
    curves=(
        Curve("decision_time", ("decision_time",), "overdrive", x_log=True,
              title="Decision time against overdrive"),
        Curve("decision_energy", ("decision_energy",), "overdrive", x_log=True,
              title="Energy of a decision against overdrive"),
    ),
)  # fmt: skip
