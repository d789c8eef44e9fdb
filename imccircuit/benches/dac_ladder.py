"""Transfer of a digital-to-analog converter that drives a row, as INL and DNL of an ADC are.

String and R-2R ladder: an operating point for every code; a transient of a few codes for energy and
settling. Capacitor group: a transient for every code, for a floating plate has no operating point.
Pulse width: one transient with the pulses of all codes one after another; the output is the time
for which the far end of the row is above half of full scale.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

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
from imccircuit.benches.cost import COST_VARIABLES, blocks_along, mean_energy
from imccircuit.benches.dac_build import (
    Built,
    dac_meter,
    draw_parts,
    part_count,
    part_unit,
)
from imccircuit.benches.dac_parameters import QUANTITIES, DacGates, DacParameters
from imccircuit.benches.problem import Answer, OperatingPoint, Probe, Problem, Run, Transient
from imccircuit.metrics.dac import compute_dac_inl_dnl
from imccircuit.metrics.energy import compute_settling_time

_RUNS_PER_DECK = 256
_STEPS_PER_CYCLE = 400
_STEPS_PER_EDGE = 5
# Charge of a row is some fF: ngspice's own chgtol of 1e-14 C would not see it. At reltol 1e-4 the
# energy of 3 ps spikes is 1.5 % low, at 1e-5 with trtol 1 it is 0.1 %.
_OPTIONS: Mapping[str, str | float] = {
    "method": "gear", "reltol": 1e-5, "chgtol": 1e-19, "trtol": 1,
}  # fmt: skip
# KLU loses digits on control nodes that only sources touch: a string of 6 bits is 10 uV off with
# it, 1 nV with Sparse.
_STATIC_OPTIONS: Mapping[str, str | float] = {"reltol": 1e-6, "vntol": 1e-10, "klu": "off"}
_BOUND_A = 1.0
# A row that moves by more in the last tenth of a cycle is not at rest.
_AT_REST_LSB = 0.01


def energy_codes(parameters: DacParameters) -> NDArray[np.int64]:
    """Codes over which energy is averaged and settling is the worst."""
    last = 2**parameters.circuit.bits - 1
    return np.unique(np.rint(np.linspace(0, last, parameters.stimulus.energy_codes)).astype(int))


def _sizes(parameters: DacParameters) -> dict[str, int]:
    count = 2**parameters.circuit.bits
    return {
        "code": count,
        "step": count - 1,
        "part": part_count(parameters.circuit),
        "block": len(dac_meter(parameters).blocks),
    }


def _variables(parameters: DacParameters) -> tuple[Variable, ...]:
    timed = parameters.circuit.kind == "pulse_width"
    unit, what = ("s", "pulse width") if timed else ("V", "output")
    return (
        Variable("output_level", ("code",), unit, f"{what} at the far end of the row"),
        Variable("inl", ("code",), "LSB", "integral nonlinearity, end-point"),
        Variable("dnl", ("step",), "LSB", "differential nonlinearity, end-point"),
        Variable("lsb", (), unit, "step of the end-point line"),
        Variable("offset", (), unit, f"{what} of code 0"),
        Variable("gain_error", (), "1", "step over its ideal, less 1"),
        Variable("part_value", ("part",), part_unit(parameters.circuit), "drawn parts"),
        *COST_VARIABLES,
    )


def _coordinates(parameters: DacParameters) -> Mapping[str, NDArray[Any] | Along]:
    sizes = _sizes(parameters)
    return {
        "code": np.arange(sizes["code"]),
        "step": np.arange(1, sizes["code"]),
        "block": blocks_along(dac_meter(parameters).blocks),
    }


def _measure(parameters: DacParameters, variation: Variation) -> Measurement:
    built = Built(parameters, draw_parts(parameters, variation))
    circuit = parameters.circuit
    codes = np.arange(2**circuit.bits)
    if circuit.kind == "pulse_width":
        levels, cost = yield from _pulse_widths(built, codes)
        full_scale = 2**circuit.bits * circuit.clock_time
    else:
        full_scale = circuit.reference_voltage
        if circuit.kind == "capacitor":
            runs = yield from _operations(built, codes)
            levels = np.array([run.values["row"][-1] for run in runs])
            chosen = [runs[code] for code in energy_codes(parameters)]
        else:
            levels = yield from _static(built, codes)
            chosen = yield from _operations(built, energy_codes(parameters))
        cost = _cost(built, chosen, full_scale / 2**circuit.bits)
    line = compute_dac_inl_dnl(levels, full_scale=full_scale)
    if not line.good:
        raise MeasurementError("the output does not rise with the code")
    return {
        "output_level": levels,
        "inl": line.inl_lsb,
        "dnl": line.dnl_lsb,
        "lsb": line.q,
        "offset": line.offset,
        "gain_error": line.gain_error,
        "part_value": built.parts,
        "area": np.asarray(built.area_m2()),
        **cost,
    }


def _bit_runs(bits: int, codes: NDArray[np.int64]) -> tuple[dict[str, float], ...]:
    return tuple({f"vbit_{k}": float(code >> k & 1) for k in range(bits)} for code in codes)


def _static(
    built: Built, codes: NDArray[np.int64]
) -> Generator[Problem, Answer, NDArray[np.float64]]:
    p = built.parameters
    found = []
    for start in range(0, len(codes), _RUNS_PER_DECK):
        answer = yield Problem(
            circuit=built.circuit(None),
            analysis=OperatingPoint(),
            probes=(Probe("row", ("v(row)",), (), 2 * p.full_scale_v),),
            alterations=_bit_runs(p.circuit.bits, codes[start : start + _RUNS_PER_DECK]),
            options=_STATIC_OPTIONS,
            temperature_degc=p.conditions.temperature,
        )
        found.append(answer.final("row"))
    return np.concatenate(found)


def _operations(built: Built, codes: NDArray[np.int64]) -> Generator[Problem, Answer, list[Run]]:
    """Two identical operations with every code."""
    p = built.parameters
    cycle = p.circuit.cycle_time
    step = cycle / _STEPS_PER_CYCLE
    bound = 4 * max(p.full_scale_v, p.supply_v)
    runs: list[Run] = []
    for start in range(0, len(codes), _RUNS_PER_DECK):
        answer = yield Problem(
            circuit=built.circuit(cycle),
            analysis=Transient(2 * cycle, step, step),
            probes=(Probe("row", ("v(row)",), (), bound), *built.meter.probes(bound, _BOUND_A)),
            alterations=_bit_runs(p.circuit.bits, codes[start : start + _RUNS_PER_DECK]),
            options=_OPTIONS,
            temperature_degc=p.conditions.temperature,
        )
        runs += answer.runs
    return runs


def _cost(built: Built, runs: list[Run], lsb_v: float) -> Arrays:
    """Energy of the second operation, averaged over the codes; the longest settling of any."""
    cycle = built.parameters.circuit.cycle_time
    settling = []
    for run in runs:
        row = np.interp([1.9 * cycle, 2 * cycle], run.axis, run.values["row"])
        part = run.axis >= 1.5 * cycle
        if abs(row[1] - row[0]) > _AT_REST_LSB * lsb_v:
            settling.append(np.nan)
            continue
        settling.append(
            compute_settling_time(
                run.axis[part], run.values["row"][part], lsb_v / 2, start_s=1.5 * cycle
            )
        )
    longest = float(np.max(settling))
    if np.isnan(longest) or longest > 0.4 * cycle:
        raise MeasurementError(
            f"the row has not settled within {0.4 * cycle:g} s; allowed: a longer "
            "circuit.cycle_time, or a row or a converter of less resistance"
        )
    energies = [built.meter.energy(run, (cycle, 2 * cycle)) for run in runs]
    return {**mean_energy(energies), "latency": np.asarray(longest)}


def _pulse_widths(
    built: Built, codes: NDArray[np.int64]
) -> Generator[Problem, Answer, tuple[NDArray[np.float64], Arrays]]:
    """Widths in s of the pulses of all codes at the far end of the row, and what they cost."""
    p = built.parameters
    # The first pulse only makes the second an equal one.
    pulses = built.pulses([int(codes[-1]), *(int(code) for code in codes)])
    step = p.circuit.edge_time * _STEPS_PER_EDGE
    bound = 4 * p.full_scale_v
    answer = yield Problem(
        circuit=built.pulse_circuit(pulses),
        analysis=Transient(pulses.stop_s, step, step),
        probes=(Probe("row", ("v(row)",), (), bound), *built.meter.probes(bound, _BOUND_A)),
        options=_OPTIONS,
        temperature_degc=p.conditions.temperature,
    )
    (run,) = answer.runs
    windows = [
        (start - pulses.gap_s / 2, start + code * pulses.clock_s + pulses.gap_s / 2)
        for code, start in zip(pulses.codes, pulses.starts_s(), strict=True)
    ][1:]
    level = p.full_scale_v / 2
    spans = [_span(run, window, level) for window in windows]
    energies = [built.meter.energy(run, windows[code]) for code in energy_codes(p)]
    cost = mean_energy(energies)
    counter = built.meter.blocks.index("counter")
    cost["energy"][counter] = built.counter_j()
    cost["energy_returned"][counter] = 0.0 * built.counter_j()
    # A code is done when its pulse has ended at the far end: the longest of all.
    cost["latency"] = np.asarray(spans[-1][1] - pulses.starts_s()[-1])
    return np.array([end - begin for begin, end in spans]), cost


def _span(run: Run, window_s: tuple[float, float], level: float) -> tuple[float, float]:
    """Times between which a pulse is above ``level``; equal ones if it never is."""
    inside = (run.axis >= window_s[0]) & (run.axis <= window_s[1])
    time, value = run.axis[inside], run.values["row"][inside]
    if np.all(value < level):
        return window_s[0], window_s[0]
    if value[0] >= level or value[-1] >= level:
        raise MeasurementError("the row does not come to rest between two pulses")
    above = np.flatnonzero(value >= level)
    return _crossing(time, value, level, above[0]), _crossing(time, value, level, above[-1] + 1)


def _crossing(
    time: NDArray[np.float64], value: NDArray[np.float64], level: float, after: int
) -> float:
    """Time of a crossing between points ``after`` − 1 and ``after``, on a smooth curve.

    A monotonic cubic: straight lines between points of a tenth of a time constant are 1 ps off.
    """
    near = slice(max(after - 4, 0), after + 4)
    place = np.unique(time[near], return_index=True)[1] + near.start
    roots = PchipInterpolator(time[place], value[place]).solve(level, extrapolate=False)
    inside = roots[(roots >= time[after - 1]) & (roots <= time[after])]
    return float(inside[0])


BENCH = Bench(
    name="dac_ladder",
    summary="transfer, INL, settling and energy of a DAC that drives a row",
    parameters=DacParameters,
    gates=DacGates,
    quantities=tuple(dict.fromkeys(QUANTITIES.values())),
    surrogate="dac",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    curves=(
        Curve("transfer", ("output_level",), "code", title="Output against code"),
        Curve("dac_inl", ("inl",), "code", title="INL, end-point"),
        Curve("dac_dnl", ("dnl",), "step", title="DNL, end-point"),
    ),
)
