"""What a read of a 1T1R column costs: energy of each source, time to settle, area."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from imccircuit.benches.bench import Arrays, MeasurementError
from imccircuit.benches.cost import Meter, mean_energy
from imccircuit.benches.irc_drawn import Cells, column_of
from imccircuit.benches.irc_parameters import IrcParameters
from imccircuit.benches.problem import Answer, Probe, Problem, Transient
from imccircuit.circuits.irc_column import EDGE_S, Pulse, column_current_vectors, irc_column
from imccircuit.metrics.energy import compute_settling_time

_SHARES = (0.125, 0.375, 0.625, 0.875)
_LATEST_SETTLED = 0.9
# The currents settle within tens of picoseconds of a 20 ps edge, however long the pulse: steps of
# 10 ps make the latency 50 % too long; with 2.5 ps it is 5 % off.
_LARGEST_STEP_S = 2.5e-12
_STEPS = 200


def cost_meter(parameters: IrcParameters) -> Meter:
    """Sources of the pulsed column: bit line, word lines, extra bias."""
    sources = {"read": ("vread", "read"), "word_lines": ("vwl", "wl")}
    if parameters.circuit.bias_rows:
        sources["bias_lines"] = ("vbias", "bias")
    return Meter(sources)


def cost(
    parameters: IrcParameters, cells: Cells, *, cell_current_a: float
) -> Generator[Problem, Answer, Arrays]:
    """``energy``, ``energy_returned``, ``latency`` and ``area`` of one column.

    Every second active row is low-resistive, and every second other one. A read is one period:
    word lines low, then high. Energy is the mean over 1/8, 3/8, 5/8 and 7/8 of the rows active: the
    midpoint rule for numbers of active rows that are all equally likely. Latency counts from the
    word lines' edge, to half the current of one low-resistive cell, for the slowest of the four.

    Raises
    ------
    MeasurementError : the current has not settled within the pulse.
    """
    rows, width = parameters.circuit.rows, parameters.stimulus.pulse_width
    meter = cost_meter(parameters)
    # Charging gates and wires within an edge draws far more than the read current.
    spike_a = 1.0
    step = min(width / _STEPS, _LARGEST_STEP_S)
    energies, latency = [], 0.0
    for share in _SHARES:
        active = np.zeros(rows, dtype=bool)
        count = round(share * rows)
        active[((np.arange(count) + 0.5) * rows / max(count, 1)).astype(int)] = True
        # Not every second row: evenly placed active rows would all fall on the same kind.
        low = np.zeros(rows, dtype=bool)
        for part in (active, ~active):
            low[np.flatnonzero(part)[1::2]] = True
        column = column_of(parameters, cells, low[None])
        bound_a = 2 * column.read_v * float(column.conductance_s.sum()) + 1e-6
        answer = yield Problem(
            circuit=irc_column(column, Pulse(active, parameters.gate_v, width)),
            analysis=Transient(4 * width, step, step),
            probes=(
                *meter.probes(2 * max(parameters.gate_v, column.read_v), spike_a),
                Probe("current", column_current_vectors(1), (1,), bound_a + spike_a),
            ),
            alterations=({"vbias": parameters.gate_v} if column.bias_rows else {},),
            # Trapezoidal integration rings in the current of gates between ideal lines.
            options={"method": "gear"},
            temperature_degc=parameters.conditions.temperature,
        )
        (run,) = answer.runs
        energies.append(meter.energy(run, (2 * width, 4 * width)))
        high = (run.axis >= 3 * width) & (run.axis <= 4 * width - EDGE_S)
        settled = compute_settling_time(
            run.axis[high], run.values["current"][high, 0], cell_current_a / 2, start_s=3 * width
        )
        if not settled <= _LATEST_SETTLED * width:
            raise MeasurementError(
                f"the column's current has not settled within {width:g} s: lengthen "
                "stimulus.pulse_width"
            )
        latency = max(latency, settled)
    return {
        **mean_energy(energies),
        "latency": np.asarray(latency or np.nan),
        "area": np.asarray(_area_m2(parameters)),
    }


def _area_m2(parameters: IrcParameters) -> float:
    """Cells of one column; a transistor that outgrows the layout's cell counts by itself."""
    layout = parameters.technology.layout
    if layout is None:
        return float("nan")
    width, length = parameters.width_m, parameters.length_m
    cell = max(layout.memory_cell.value, layout.transistor_area_m2(width, length))
    return (parameters.circuit.rows + parameters.circuit.bias_rows) * cell
