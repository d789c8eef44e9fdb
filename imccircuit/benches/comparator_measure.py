"""Decisions of any clocked comparator in its test circuit: thresholds, times, kicks, energies.

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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Arrays, Curve, MeasurementError, Variable
from imccircuit.benches.comparator_dut import BOUND_A, FINE_OPTIONS, OPTIONS
from imccircuit.benches.comparator_parameters import Decisions
from imccircuit.benches.cost import COST_VARIABLES, Meter, mean_energy
from imccircuit.benches.problem import Answer, Probe, Problem, Run, Transient
from imccircuit.circuits.comparator import Clocking
from imccircuit.metrics.comparator import compute_crossing_time, fit_regeneration

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

_OFF = "not modelled: the comparator is behavioural"
# Steps of the quiet half cycles; in the busy ones charge tolerance rules.
_STEPS_PER_CYCLE = 100
# Outputs apart by this share of the supply are a decision.
_DECIDED = 0.5
# Ends of the exponential, as shares of the supply: below, what the clock edge left still fades;
# above, the outputs saturate.
_REGENERATION = (0.03, 0.2)

DECISION_VARIABLES = (
    Variable("offset", (), "V", "input-referred offset; positive: yes comes earlier"),
    Variable("hysteresis", (), "V", "threshold after a no less threshold after a yes"),
    Variable("decision_time", ("overdrive",), "s", "clock edge to decision", missing=_OFF),
    Variable("decision_slope", (), "s", "fall of the decision time per e-fold of overdrive",
             missing=_OFF),
    Variable("regeneration_time", (), "s", "time constant of the growing output", missing=_OFF),
    Variable("regeneration_deviation", (), "1", "largest deviation of its logarithm from a line",
             missing=_OFF),
    Variable("kickback_common", (), "V", "largest common-mode kick on the inputs", missing=_OFF),
    Variable("kickback_differential", (), "V", "largest differential kick on the inputs",
             missing=_OFF),
    Variable("kickback_charge", (), "C", "largest charge into one input source", missing=_OFF),
    Variable("decision_energy", ("overdrive",), "J", "of all sources, one clock cycle",
             missing=_OFF),
    *COST_VARIABLES,
)  # fmt: skip


DECISION_CURVES = (
    Curve("decision_time", ("decision_time",), "overdrive", x_log=True,
          title="Decision time against overdrive"),
    Curve("decision_energy", ("decision_energy",), "overdrive", x_log=True,
          title="Energy of a decision against overdrive"),
)  # fmt: skip


@dataclass(frozen=True)
class Fixture:
    """A comparator in the circuit that `imccircuit.circuits.comparator.add_sources` describes.

    Attributes
    ----------
    circuit : with sources ``vfirst`` and ``vsecond``, nodes ``inp``, ``inn``, ``outp``, ``outn``.
    clocking : of the circuit.
    supply_v : what a decision is half of.
    stimulus : what is asked.
    meter : sources whose energy counts.
    temperature_degc : of everything.
    native : compiled models that the circuit calls.
    fine : options for what is read off waveforms.
    """

    circuit: Circuit
    clocking: Clocking
    supply_v: float
    stimulus: Decisions
    meter: Meter
    temperature_degc: float
    native: tuple[str, ...] = ()
    fine: Mapping[str, str | float] = field(default_factory=lambda: FINE_OPTIONS)


def measure_decisions(fixture: Fixture) -> Generator[Problem, Answer, tuple[Arrays, float]]:
    """All `DECISION_VARIABLES` but ``area``, and the mean of both thresholds in V.

    Raises
    ------
    MeasurementError : it does not decide in time, or its offset is beyond the range.
    """
    stimulus = fixture.stimulus
    after_yes, after_no = yield from find_thresholds(fixture)
    inputs = after_yes + stimulus.overdrive_v
    runs = tuple({"vfirst": stimulus.search_range, "vsecond": float(x)} for x in inputs)
    answer = yield _transient(fixture, runs, cycles=3, options=fixture.fine)
    arrays = _figures(fixture, answer)
    arrays |= {
        "offset": np.asarray(-(after_yes + after_no) / 2),
        "hysteresis": np.asarray(after_no - after_yes),
        "latency": arrays["decision_time"][0],
    }
    return arrays, (after_yes + after_no) / 2


def _transient(
    fixture: Fixture, runs: tuple[dict[str, float], ...], cycles: int = 2,
    options: Mapping[str, str | float] = OPTIONS,
) -> Problem:  # fmt: skip
    names = ("outp", "outn", "inp", "inn", "source_p", "source_n")
    # Kicks through gate capacitances lift a node above the supply, by less than the supply itself.
    bound = 2 * fixture.supply_v + fixture.stimulus.search_range
    cycle_s = fixture.clocking.cycle_s
    step = cycle_s / _STEPS_PER_CYCLE
    return Problem(
        circuit=fixture.circuit,
        analysis=Transient(cycles * cycle_s, step, step),
        probes=(
            Probe("node", tuple(f"v({name})" for name in names), (len(names),), bound),
            *fixture.meter.probes(bound, BOUND_A),
        ),
        alterations=runs,
        options=options,
        temperature_degc=fixture.temperature_degc,
        native=fixture.native,
    )


def find_thresholds(fixture: Fixture) -> Generator[Problem, Answer, tuple[float, float]]:
    """Inputs in V at which the decision turns, after a yes and after a no.

    Raises
    ------
    MeasurementError : it does not decide in time, or its offset is beyond the range.
    """
    reach, supply = fixture.stimulus.search_range, fixture.supply_v

    def ask(inputs: NDArray[np.float64]) -> Generator[Problem, Answer, NDArray[np.float64]]:
        histories = (reach, -reach)
        runs = tuple(
            {"vfirst": first, "vsecond": float(x)}
            for first, x in zip(histories, inputs, strict=True)
        )
        node = (yield _transient(fixture, runs)).final("node")
        return np.asarray(node[:, 0] - node[:, 1])

    low, high = np.full(2, -reach), np.full(2, reach)
    ends = np.stack([(yield from ask(low)), (yield from ask(high))])
    if np.any(np.abs(ends) < _DECIDED * supply):
        raise MeasurementError(
            f"no decision within {fixture.clocking.cycle_s / 2:g} s at an input of {reach:g} V or "
            "its negative; allowed: a longer circuit.cycle_time, or a common mode at which the "
            "input pair conducts"
        )
    if np.any(ends[0] > 0) or np.any(ends[1] < 0):
        raise MeasurementError(
            f"the offset is beyond {reach:g} V; allowed: a wider stimulus.search_range"
        )
    while np.max(high - low) > fixture.stimulus.offset_tolerance:
        middle = (low + high) / 2
        # So near to its threshold it may not have decided yet, but it leans to one side.
        yes = (yield from ask(middle)) > 0
        low, high = np.where(yes, low, middle), np.where(yes, middle, high)
    after_yes, after_no = (low + high) / 2
    return float(after_yes), float(after_no)


def _figures(fixture: Fixture, answer: Answer) -> Arrays:
    """Everything that the second of two identical decisions shows, at every overdrive."""
    clocking, supply = fixture.clocking, fixture.supply_v
    drives = fixture.stimulus.overdrive_v
    cycle = clocking.cycle_s
    edge_s = 2.5 * cycle + clocking.edge_s / 2
    energies = [fixture.meter.energy(run, (2 * cycle, 3 * cycle)) for run in answer.runs]
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
        [_kickback(run, 2.5 * cycle, clocking.source_ohm) for run in answer.runs], axis=0
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
