"""Noise of voltage-to-time cells of transistors, as jitter of their edge.

Three causes, from white noise of the transistors and of the capacitor:

    ramp      the current I of the ramp has the density S; after a time t its integral, over the
              slope, is √(S·t/2)/I of time
    reset     the capacitor C = I/(dv/dt) begins with √(kT/C), which is √(kT/C)/(dv/dt) of time
    decision  rms noise of the node where the decision falls, at rest in balance, over its slope

The last one is an upper bound: a node that passes its balance in less than its time constant has
not yet gathered all of its noise at rest.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.aidac_build import time_cells, wiring_of
from imccircuit.benches.aidac_parameters import AidacParameters
from imccircuit.benches.aidac_vmm import STEP_S
from imccircuit.benches.bench import MeasurementError
from imccircuit.benches.problem import (
    NOISE_VECTOR,
    Answer,
    Noise,
    OperatingPoint,
    Probe,
    Problem,
    Transient,
)
from imccircuit.circuits.aidac_time import BehaviouralTime
from imccircuit.metrics.grouped import compute_crossing, compute_jitter

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

Floats = NDArray[np.float64]

_ZERO_DEGC = 273.15
# Where transistors' noise is white: above its corner with 1/f, below what capacitors short.
_WHITE_HZ = (1.0e9, 1.01e9)
_TRANSRESISTANCE_OHM = 1e6
_STEPS = 41
_ROUNDS = 3


@dataclass(frozen=True)
class JitterFigures:
    """Jitter of one cell's edge in s, rms, cause by cause.

    Attributes
    ----------
    ramp_s, reset_s, decision_s : see above.
    current_a, density_a2_hz : of the ramp and its noise, where the decision falls.
    slope_v_s : of the ramp where the decision falls.
    charge_s : time that the ramp takes until there.
    """

    ramp_s: float
    reset_s: float
    decision_s: float
    current_a: float
    density_a2_hz: float
    slope_v_s: float
    charge_s: float

    @property
    def total_s(self) -> float:
        """All three, independent."""
        return float(np.sqrt(self.ramp_s**2 + self.reset_s**2 + self.decision_s**2))


def measure_jitter(
    parameters: AidacParameters, voltage_v: float
) -> Generator[Problem, Answer, JitterFigures | None]:
    """Jitter of a cell without mismatch that reads ``voltage_v``; None if it is behavioural.

    Raises
    ------
    MeasurementError : its decision cannot be found.
    """
    cell = time_cells(parameters, (1, 1), None)
    if isinstance(cell, BehaviouralTime):
        return None
    ramp, decision = (f"xt0_0.{node}" for node in cell.watched)
    balance_v, level_v, current_a = yield from _balance(parameters, voltage_v, ramp, decision)
    held = _deck(parameters, voltage_v, (ramp, balance_v))
    density = (yield from _noise(parameters, held, "sensed", *_WHITE_HZ)) ** 2
    density /= (_WHITE_HZ[1] - _WHITE_HZ[0]) * _TRANSRESISTANCE_OHM**2
    decision_v = yield from _noise(parameters, held, decision, 1e3, 1e13)
    charge_s, slope, decision_slope = yield from _slopes(
        parameters, voltage_v, (ramp, balance_v), (decision, level_v)
    )
    temperature_k = parameters.conditions.temperature + _ZERO_DEGC
    ramp_s, reset_s = compute_jitter(current_a, density, charge_s, slope, temperature_k)
    return JitterFigures(
        ramp_s, reset_s, decision_v / decision_slope, current_a, density, slope, charge_s
    )


def _balance(
    parameters: AidacParameters, voltage_v: float, ramp: str, decision: str
) -> Generator[Problem, Answer, tuple[float, float, float]]:
    """Voltage of the ramp and of the decision's node where the next inverter trips; the current."""
    high_v = wiring_of(parameters).high_v
    low, high = 0.0, high_v
    for _ in range(_ROUNDS):
        tried = np.linspace(low, high, _STEPS)
        answer = yield Problem(
            circuit=_deck(parameters, voltage_v, (ramp, 0.0)),
            analysis=OperatingPoint(),
            probes=(
                Probe("nodes", ("v(xt0_0.n3)", f"v({decision})"), (2,), 4 * high_v),
                Probe("current", ("i(vheld)",), (1,), 1.0),
            ),
            alterations=tuple({"vheld": float(value)} for value in tried),
            temperature_degc=parameters.conditions.temperature,
        )
        nodes = answer.final("nodes")
        above = nodes[:, 0] > high_v / 2
        (changes,) = np.nonzero(above[:-1] != above[1:])
        if len(changes) != 1:
            raise MeasurementError(
                f"a time cell that reads {voltage_v:.3g} V decides at {len(changes)} voltages of "
                "its ramp, not at one"
            )
        at = int(changes[0])
        low, high = float(tried[at]), float(tried[at + 1])
    weight = (high_v / 2 - nodes[at, 0]) / (nodes[at + 1, 0] - nodes[at, 0])
    level = nodes[at, 1] + weight * (nodes[at + 1, 1] - nodes[at, 1])
    current = abs(float(answer.final("current")[at, 0]))
    return low + float(weight) * (high - low), float(level), current


def _noise(
    parameters: AidacParameters, deck: Circuit, node: str, start_hz: float, stop_hz: float
) -> Generator[Problem, Answer, float]:
    """Rms noise of a node in V."""
    answer = yield Problem(
        circuit=deck,
        analysis=Noise(node, "vheld", start_hz, stop_hz, 20),
        probes=(Probe("rms", (NOISE_VECTOR,), (), 1e3),),
        temperature_degc=parameters.conditions.temperature,
    )
    return float(answer.final("rms")[0])


def _slopes(
    parameters: AidacParameters, voltage_v: float, ramp: tuple[str, float],
    decision: tuple[str, float],
) -> Generator[Problem, Answer, tuple[float, float, float]]:  # fmt: skip
    """Time that the ramp takes to its balance, its slope there, the decision's slope."""
    phases, high_v = parameters.phases, wiring_of(parameters).high_v
    stop = phases.gap_s + phases.conversion_s / parameters.circuit.arrays + 2e-9
    answer = yield Problem(
        circuit=_deck(parameters, voltage_v, None),
        analysis=Transient(stop, STEP_S / 4, STEP_S / 4),
        probes=(Probe("nodes", (f"v({ramp[0]})", f"v({decision[0]})"), (2,), 4 * high_v),),
        options={"method": "gear", "reltol": 1e-4},
        temperature_degc=parameters.conditions.temperature,
    )
    (run,) = answer.runs
    time_s, value = run.axis, run.values["nodes"]
    rising = value * np.sign(value[-1] - value[0])
    sign = np.sign(value[-1] - value[0])
    tenth = compute_crossing(time_s, value[:, 0] - 0.1 * ramp[1])
    full = compute_crossing(time_s, value[:, 0] - ramp[1])
    edge = compute_crossing(time_s, rising[:, 1] - sign[1] * decision[1])
    if not np.all(np.isfinite([tenth, full, edge])):
        raise MeasurementError("a voltage-to-time cell gave no edge; raise circuit.conversion_time")
    slopes = [
        float(np.interp(at, time_s, np.gradient(rising[:, k], time_s)))
        for k, at in enumerate((full, edge))
    ]
    return (full - tenth) / 0.9, slopes[0], slopes[1]


def _deck(parameters: AidacParameters, voltage_v: float, held: tuple[str, float] | None) -> Circuit:
    """One cell that reads a voltage: launched, or with the edge in and its ramp held."""
    from PySpice.Spice.Netlist import Circuit

    wiring, phases = wiring_of(parameters), parameters.phases
    high, cell = wiring.high_v, time_cells(parameters, (1, 1), None)
    circuit = Circuit("noise of a voltage-to-time cell")
    lines = [*wiring.header(), *cell.header(high), f"Vdd vdd 0 {high!r}"]
    lines.append(f"Vlevel level 0 {float(voltage_v)!r}")
    if held is None:
        step = f"{phases.gap_s!r} {phases.edge_s!r} {phases.edge_s!r} 1 2"
        lines.append(f"Vlaunch launch 0 pulse(0 {high!r} {step})")
    else:
        node, at_v = held
        lines += [
            f"Vlaunch launch 0 {high!r}",
            f"Vheld {node} 0 dc {at_v!r} ac 1",
            f"Hsensed sensed 0 Vheld {_TRANSRESISTANCE_OHM!r}",
        ]
    lines += cell.cell(0, 0, "edge", "level")
    circuit.raw_spice = "\n".join(lines)
    return circuit
