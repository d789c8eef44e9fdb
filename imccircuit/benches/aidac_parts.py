"""Parts of a grouped-capacitor machine, measured one by one: charge path, time cells, energy."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.aidac_build import build, time_cells, wiring_of
from imccircuit.benches.aidac_cost import meter
from imccircuit.benches.aidac_parameters import AidacParameters
from imccircuit.benches.aidac_vmm import STEP_S, Conversions
from imccircuit.benches.bench import Arrays, MeasurementError, Variation
from imccircuit.benches.cost import mean_energy
from imccircuit.benches.problem import Answer, Probe, Problem, Transient
from imccircuit.circuits.aidac_time import TimeCells
from imccircuit.devices.draws import Draws
from imccircuit.metrics.grouped import compute_crossing

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

Floats = NDArray[np.float64]
_METERED = 4
# An unknown standard deviation of eight chips is known to 25 %.
_CHIPS = 8


@dataclass(frozen=True)
class PathFigures:
    """What the charge steps of the sample circuit do.

    Attributes
    ----------
    level : (level,) input over the largest.
    voltage_v : (level,) output line with all weights largest, all inputs at that level.
    zero_v : output line with all weights 0 and inputs at half scale.
    mismatched_v : (chip,) output line with drawn switches, weights largest, inputs at half scale;
        empty where they are not drawn.
    droop_v_s : (level,) loss of the output line while it is held, in V/s.
    energy : of `Meter`, mean over random operands.
    """

    level: Floats
    voltage_v: Floats
    zero_v: float
    mismatched_v: Floats
    droop_v_s: Floats
    energy: Arrays

    @property
    def span_v(self) -> float:
        """From the lowest to the highest level."""
        return float(self.voltage_v[-1] - self.voltage_v[0])

    @property
    def residual(self) -> Floats:
        """(level,) voltage less the line through its ends, over the span."""
        return np.asarray((self.voltage_v - self.voltage_v[0]) / self.span_v - self.level)

    def switch_sigma(self, rows: int, weight_bits: int) -> float:
        """σ of what the switches of one cell add, over its full scale, from those of the sample.

        The line of a sample of ``rows`` has √(Σ4^j/rows)/(2^W − 1) of it.
        """
        if len(self.mismatched_v) == 0:
            return 0.0
        units = np.sum(4.0 ** np.arange(weight_bits))
        share = np.sqrt(units / rows) / (2**weight_bits - 1)
        return float(np.std(self.mismatched_v, ddof=1) / self.span_v / share)


def measure_path(
    sample: AidacParameters, draws: Draws | None = None
) -> Generator[Problem, Answer, PathFigures]:
    """Charge path, switches and all, of the sample circuit, without spread of any kind.

    Parameters
    ----------
    draws : those of the switches of a few chips more, from which their mismatch is taken; None for
        none.
    """
    # A starved cell would load the small output line far more than that of the whole machine.
    circuit = sample.circuit.model_copy(update={"time_cell": "behavioural"})
    energy = yield from _metered(sample)
    sample = sample.model_copy(update={"circuit": circuit})
    shape, nominal = circuit.shape, Variation(Draws(0, 0))
    ones = np.ones((shape.arrays, shape.rows, shape.built), dtype=np.int64)
    most = build(sample, ones * (2**shape.weight_bits - 1), nominal)
    values = np.arange(2**shape.input_bits)
    inputs = np.broadcast_to(values[:, None, None], (len(values), shape.arrays, shape.rows))
    largest = Conversions(sample, most)
    answer = yield largest.problem(inputs, 1)
    voltage = np.array([largest.lines(run)[0, 0] for run in answer.runs])
    held = [
        np.interp([largest.launched_s, largest.ended_s], run.axis, run.values["line"][:, 0, 0])
        for run in answer.runs
    ]
    droop = np.array([first - last for first, last in held])
    none = Conversions(sample, replace(most, weights=0 * ones))
    answer = yield none.problem(inputs[len(values) // 2][None], 1)
    zero = float(none.lines(answer.runs[0])[0, 0])
    if not voltage[-1] - voltage[0] > 0:
        raise MeasurementError("the output line does not rise with the inputs")
    mismatched = []
    for chip in range(_CHIPS if draws is not None else 0):
        generator = draws.generator(f"switches of chip {chip}") if draws is not None else None
        drawn = replace(most, wiring=wiring_of(sample, generator))
        one = Conversions(sample, drawn)
        answer = yield one.problem(inputs[len(values) // 2][None], 1)
        mismatched.append(float(one.lines(answer.runs[0])[0, 0]))
    held_s = largest.ended_s - largest.launched_s
    return PathFigures(
        values / values[-1], voltage, zero, np.array(mismatched), droop / held_s, energy
    )


def _metered(sample: AidacParameters) -> Generator[Problem, Answer, Arrays]:
    """Energy of the sample circuit with every cell built, mean over random operands."""
    circuit = sample.circuit.model_copy(update={"built_outputs": None})
    every = sample.model_copy(update={"circuit": circuit})
    shape, rng = circuit.shape, np.random.default_rng(0)
    weights = rng.integers(0, 2**shape.weight_bits, (shape.arrays, shape.rows, shape.built))
    inputs = rng.integers(0, 2**shape.input_bits, (_METERED, shape.arrays, shape.rows))
    mixed = Conversions(every, build(every, weights, Variation(Draws(0, 0))))
    answer = yield mixed.problem(inputs, 2)
    begin = mixed.phases.start_s + mixed.phases.operation_s
    for run in answer.runs:
        if np.min(mixed.edges(run)) + mixed.launched_s < begin:
            raise MeasurementError(
                "an edge did not arrive within the metered operation; raise circuit.conversion_time"
            )
    window = (begin, begin + mixed.phases.operation_s)
    return mean_energy([meter(every).energy(run, window) for run in answer.runs])


@dataclass(frozen=True)
class TimeFigures:
    """What voltage-to-time cells do.

    Attributes
    ----------
    voltage_v : (level,) where they were measured.
    delay_s : (level,) of a cell without mismatch.
    spread_s : (cell, level) of cells with mismatch.
    """

    voltage_v: Floats
    delay_s: Floats
    spread_s: Floats

    @property
    def span_s(self) -> float:
        """From the lowest to the highest voltage."""
        return float(self.delay_s[-1] - self.delay_s[0])

    @property
    def residual(self) -> Floats:
        """(level,) delay less the line through its ends, over the span."""
        level = (self.voltage_v - self.voltage_v[0]) / (self.voltage_v[-1] - self.voltage_v[0])
        return np.asarray((self.delay_s - self.delay_s[0]) / self.span_s - level)

    @property
    def residual_sigma(self) -> Floats:
        """(level,) σ of the residual from cell to cell, each over its own span."""
        zero = self.spread_s[:, :1]
        span = self.spread_s[:, -1:] - zero
        return np.asarray(np.std((self.spread_s - zero) / span, axis=0, ddof=1))

    @property
    def slope_sigma(self) -> float:
        """σ of the span from cell to cell, over the mean."""
        span = self.spread_s[:, -1] - self.spread_s[:, 0]
        return float(np.std(span, ddof=1) / np.mean(span))

    @property
    def offset_sigma(self) -> float:
        """σ of the delay at the lowest voltage, over the span."""
        return float(np.std(self.spread_s[:, 0], ddof=1) / self.span_s)


def time_step_s(whole: AidacParameters) -> float:
    """Time step at which a cell's delay is right to 0.02 % of its span.

    Transistors have faster edges than the behavioural cell: at its steps their delays are off by
    up to 0.5 % of their span, to and fro from level to level.
    """
    return STEP_S if whole.circuit.time_cell == "behavioural" else STEP_S / 4


def measure_time_cells(
    whole: AidacParameters, count: int, voltage_v: Floats, generator: np.random.Generator | None
) -> Generator[Problem, Answer, TimeFigures]:
    """Delay of one cell without mismatch and of ``count`` with, at each voltage.

    Raises
    ------
    MeasurementError : an edge does not come, or the delay does not change with the voltage.
    """
    cells = (time_cells(whole, (1, 1), None), time_cells(whole, (count + 1, 1), generator))
    high, phases = wiring_of(whole).high_v, whole.phases
    stop = phases.gap_s + phases.conversion_s / whole.circuit.arrays + 2e-9
    names = tuple(f"v(k{k}_0)" for k in range(count + 1))
    step = time_step_s(whole)
    answer = yield Problem(
        circuit=_time_circuit(whole, cells, count, stop),
        analysis=Transient(stop, step, step),
        probes=(Probe("edge", names, (count + 1,), 10 * high + 2e9 * stop),),
        alterations=tuple({"vlevel": float(value)} for value in voltage_v),
        options={"method": "gear", "reltol": 1e-5, "trtol": 700},
        temperature_degc=whole.conditions.temperature,
    )
    launch = phases.gap_s + phases.edge_s / 2
    delay = np.array(
        [[compute_crossing(run.axis, one) for one in run.values["edge"].T] for run in answer.runs]
    )
    if not np.all(np.isfinite(delay)):
        raise MeasurementError("a voltage-to-time cell gave no edge; raise circuit.conversion_time")
    delay = delay.T - launch
    if abs(delay[0, -1] - delay[0, 0]) < STEP_S:
        raise MeasurementError("the delay of a voltage-to-time cell hardly changes with voltage")
    return TimeFigures(voltage_v, delay[0], delay[1:])


def _time_circuit(
    whole: AidacParameters, cells: tuple[TimeCells, TimeCells], count: int, stop_s: float
) -> Circuit:
    """Cells side by side at one voltage; the first is that without mismatch."""
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit("voltage-to-time cells")
    wiring, edge, start_s = wiring_of(whole), whole.phases.edge_s, whole.phases.gap_s
    high = wiring.high_v
    step = f"{start_s!r} {edge!r} {edge!r} {2 * stop_s!r} {4 * stop_s!r}"
    lines = [*wiring.header(), *cells[0].header(high), "Vlevel level 0 0"]
    lines += [f"Vlaunch launch 0 pulse(0 {high!r} {step})"]
    lines += [f"Vhold hold 0 pulse({high!r} 0 {start_s / 2!r} {edge!r} {edge!r} 1 2)"]
    if wiring.complements:
        lines.append(f"Vdd vdd 0 {high!r}")
    lines += cells[0].cell(0, 0, "edge", "level")
    for index in range(1, count + 1):
        lines += cells[1].cell(index, 0, "edge", "level")
    circuit.raw_spice = "\n".join(lines)
    return circuit
