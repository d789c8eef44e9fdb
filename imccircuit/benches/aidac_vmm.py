"""Products of a grouped-capacitor array: output voltages, edges, codes, errors, cost.

Each input vector is one transient of one operation; four of them are run again for two operations,
of which the second is metered. Where full scale is taken from end points, the same chip with all
weights largest converts inputs that are all 0 and all largest.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.aidac_build import build, draw_inputs, draw_weights
from imccircuit.benches.aidac_cost import area_m2, counted_energy, meter
from imccircuit.benches.aidac_driver import measure_driver
from imccircuit.benches.aidac_parameters import AidacGates, AidacParameters
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
from imccircuit.benches.problem import Answer, Probe, Problem, Run, Transient
from imccircuit.circuits.aidac import Aidac, aidac
from imccircuit.metrics.energy import compute_remainder, compute_settling_time
from imccircuit.metrics.grouped import compute_crossing, compute_ideal_product

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

# The edge of a behavioural time cell is a tanh of 40 ps: steps of a third of it are exact.
STEP_S = 12e-12
_METERED = 4
_UNSETTLED = "a phase had not settled when it ended: see phase_settling"
_SETTLING = ("precharge", "share", "multiply", "sum", "weigh")


def _sizes(parameters: AidacParameters) -> dict[str, int]:
    shape = parameters.circuit.shape
    return {
        "vector": parameters.vectors,
        "output": shape.built,
        "array": shape.arrays,
        "row": shape.rows,
        "phase": len(_SETTLING),
        "block": len(_blocks(parameters)),
    }


def _variables(parameters: AidacParameters) -> tuple[Variable, ...]:
    del parameters
    return (
        Variable("product", ("vector", "output"), "FS", "measured product"),
        Variable("ideal_product", ("vector", "output"), "FS", "ideal product"),
        Variable("product_error", ("vector", "output"), "FS", "error of the product"),
        Variable("error_rms", (), "FS", "rms error of the products"),
        Variable("error_max", (), "FS", "largest error of a product"),
        Variable("output_code", ("vector", "output"), "1", "code of the time-to-digital converter"),
        Variable("output_delay", ("vector", "output"), "s", "last edge after the reference's"),
        Variable("edge_time", ("vector", "output", "array"), "s", "edge behind an array's cell"),
        Variable("output_voltage", ("vector", "output", "array"), "V", "output line, at launch"),
        Variable("zero_delay", ("output",), "s", "delay that is product 0"),
        Variable("full_delay", ("output",), "s", "delay that is product 1"),
        Variable("phase_settling", ("phase",), "s", "slowest settling within a phase, half an LSB",
                 missing="not settled when the phase ends"),
        Variable("operation_time", (), "s", "one operation with its clocked phases"),
        Variable("input", ("vector", "array", "row"), "1", "inputs", "int"),
        Variable("weight", ("array", "row", "output"), "1", "weights", "int"),
        *(replace(v, missing=_UNSETTLED) if v.name == "latency" else v for v in COST_VARIABLES),
    )  # fmt: skip


def _blocks(parameters: AidacParameters) -> tuple[str, ...]:
    return (*meter(parameters).blocks, "time to digital, counted")


def _coordinates(parameters: AidacParameters) -> Mapping[str, NDArray[Any] | Along]:
    found: dict[str, NDArray[Any] | Along] = {
        name: np.arange(size)
        for name, size in _sizes(parameters).items()
        if name not in ("phase", "block")
    }
    found["phase"] = Along(np.array(_SETTLING, dtype=object), "", "phase of an operation")
    found["block"] = blocks_along(_blocks(parameters))
    return found


class Conversions:
    """Problems on one chip with one set of weights."""

    def __init__(self, parameters: AidacParameters, part: Aidac) -> None:
        self.parameters, self.part, self.shape = parameters, part, part.shape
        self.phases = part.phases
        self.bound_v = 4 * max(part.precharge_v, part.wiring.high_v)
        self.launched_s = part.phases.start_s + part.phases.launch_s
        self.ended_s = part.phases.start_s + part.phases.operation_s

    def problem(self, inputs: Whole, operations: int) -> Problem:
        """Convert each input vector, in as many equal operations."""
        phases = self.phases
        stop = phases.start_s + operations * phases.operation_s
        probes: tuple[Probe, ...] = (
            self._probe("line", "v(o{1}_{0})", self.shape.built, self.bound_v),
            # The ramp of a cell runs on behind its edge, by 1 V a nanosecond.
            self._probe("edge", "v(k{0}_{1})", self.shape.built + 1, 10 + 2e9 * stop),
            Probe("watched", tuple(f"v({node})" for node in self._watched()), (len(_SETTLING),),
                  self.bound_v),
        )  # fmt: skip
        if operations > 1:
            probes += meter(self.parameters).probes(self.bound_v, self._bound_a())
        # Edges of transistors need halves, for delays that are right to 0.1 % of a cell's span.
        step = STEP_S if self.parameters.circuit.time_cell == "behavioural" else STEP_S / 2
        high = self.part.wiring.high_v
        groups = range(1, self.shape.input_bits + 1)
        alterations = tuple(
            {
                f"vx{a}_{i}_{g}": high * float((int(value) >> (g - 1)) & 1)
                for (a, i), value in np.ndenumerate(vector)
                for g in groups
            }
            for vector in inputs
        )
        return Problem(
            circuit=aidac(self.part),
            analysis=Transient(stop, step, step),
            probes=probes,
            alterations=alterations,
            options=self._options(metered=operations > 1),
            temperature_degc=self.parameters.conditions.temperature,
        )

    def _bound_a(self) -> float:
        """All units switched at once, each through an on-resistance or 2 mA of a transistor."""
        units = self.shape.arrays * self.shape.rows * self.shape.row_units
        ideal = self.bound_v / self.parameters.circuit.switch_on_resistance
        return units * max(2e-3, ideal)

    def _options(self, metered: bool) -> dict[str, str | float]:
        # Open switches of 1e14 ohm are below the pivots that Sparse takes by default.
        options: dict[str, str | float] = {"method": "gear", "pivtol": 1e-20, "gmin": 1e-16}
        if self.part.capacitors.junction > 0:
            # Charge of a junction is as good as Newton's iterations. Steps stay as they are.
            options |= {"reltol": 1e-6, "trtol": 7000}
        if self.parameters.has_transistors:
            # At 1e-4 and trtol 70 the edges are too coarse for what switches inject: the output
            # line stands 1 mV (0.2 % of full scale) off, at these 0.06 mV, in 1.5 x the steps.
            options |= {"gmin": 1e-14, "reltol": 1e-6, "trtol": 7}
        elif metered:
            # A plate's current is over in one or two whole steps: energy is 0.5 % too large with
            # them and settling 40 % too slow; with these 0.02 % and 3 %.
            options |= {"reltol": 1e-6, "trtol": 7, "chgtol": 1e-18}
        return options

    def _probe(self, name: str, vector: str, outputs: int, bound: float) -> Probe:
        stages = range(self.shape.arrays)
        names = tuple(vector.format(o, a) for o in range(outputs) for a in stages)
        return Probe(name, names, (outputs, len(stages)), bound)

    def _watched(self) -> tuple[str, ...]:
        """One node of the first array for each phase, whose settling stands for the phase's."""
        heaviest = self.shape.weight_bits - 1
        zero = next(
            (
                f"c0_{row}_{output * self.shape.weight_bits + bit}"
                for row in range(self.shape.rows)
                for output in range(self.shape.built)
                for bit in range(self.shape.weight_bits)
                if not (int(self.part.weights[0, row, output]) >> bit) & 1
            ),
            "c0_0_0",
        )
        group = self.shape.input_bits
        lumped = self.part.drivers is not None or self.shape.rest[group] > 0
        top = f"l0_0_{group}" if lumped else f"c0_0_{self.shape.cells - 1}"
        line = "r0_0" if self.part.drivers is None else "d0_0"
        return (top, line, zero, f"b0_{heaviest}", "o0_0")

    def lines(self, run: Run) -> Floats:
        """(output, array) voltages of the output lines at the launch, in V."""
        flat = run.values["line"].reshape(len(run.axis), -1)
        found = [np.interp(self.launched_s, run.axis, column) for column in flat.T]
        return np.reshape(found, (self.shape.built, self.shape.arrays))

    def edges(self, run: Run) -> Floats:
        """(output + 1, array) edges in s after the launch; the last row is the reference.

        Raises
        ------
        MeasurementError : an edge did not come within the operation.
        """
        flat = run.values["edge"].reshape(len(run.axis), -1)
        found = np.array([compute_crossing(run.axis, column) for column in flat.T])
        if not np.all(np.isfinite(found)):
            raise MeasurementError(
                f"{np.sum(~np.isfinite(found))} of {found.size} edges did not arrive within "
                f"{self.phases.conversion_s:.3g} s of the launch; raise circuit.conversion_time"
            )
        launch = self.launched_s + self.phases.edge_s / 2
        return found.reshape(self.shape.built + 1, self.shape.arrays) - launch

    def settling(self, run: Run, tolerance_v: float) -> Floats:
        """(phase,) time in s until the watched node of each phase is within the tolerance.

        NaN if it is still farther than that from where it is going when the phase ends.
        """
        t, found = self.phases.phase_s, []
        for phase, column in enumerate(run.values["watched"].T):
            begin = self.phases.start_s + phase * t + self.phases.gap_s
            inside = (run.axis >= begin) & (run.axis <= begin - self.phases.gap_s + t)
            time_s, volt = run.axis[inside], column[inside]
            at_rest = compute_remainder(time_s, volt, tolerance_v) <= tolerance_v
            settled = compute_settling_time(time_s, volt, tolerance_v, start_s=begin)
            found.append(settled if at_rest else np.nan)
        return np.array(found)


def _measure(parameters: AidacParameters, variation: Variation) -> Measurement:
    if parameters.circuit.row_drivers and parameters.circuit.row_driver == "ota":
        # Drivers that saturate are no drivers: refused before anything else is simulated.
        yield from measure_driver(parameters, 0, None)
    entropy = variation.draws.entropy
    inputs, weights = draw_inputs(parameters, entropy), draw_weights(parameters, entropy)
    shape = parameters.circuit.shape
    part = build(parameters, weights, variation)
    conversions = Conversions(parameters, part)
    answer = yield conversions.problem(inputs, 1)
    edges = np.stack([conversions.edges(run) for run in answer.runs])
    delay = edges[:, :-1, -1] - edges[:, -1:, -1]
    zero, full = yield from measure_full_scale(parameters, conversions)
    product = (delay - zero) / (full - zero)
    ideal = compute_ideal_product(inputs, weights, shape.input_bits, shape.weight_bits)
    codes = np.rint(product * (2**parameters.circuit.output_bits - 1))
    # Half an output LSB, of the voltage of one array and of the sum over arrays alike.
    half_lsb = 0.5 / (2**parameters.circuit.output_bits - 1)
    tolerance = half_lsb * parameters.full_scale_v
    settling, cost = yield from _cost(conversions, inputs, codes, tolerance)
    error = product - ideal
    return {
        "product": product,
        "ideal_product": ideal,
        "product_error": error,
        "error_rms": np.sqrt(np.mean(np.square(error))),
        "error_max": np.max(np.abs(error)),
        "output_code": codes,
        "output_delay": delay,
        "edge_time": edges[:, :-1],
        "output_voltage": np.stack([conversions.lines(run) for run in answer.runs]),
        "zero_delay": zero,
        "full_delay": full,
        "phase_settling": settling,
        "operation_time": np.asarray(conversions.phases.operation_s),
        "input": inputs,
        "weight": weights,
        **cost,
        "latency": np.sum(settling) + np.max(edges),
        "area": np.asarray(area_m2(parameters)),
    }


def measure_full_scale(
    parameters: AidacParameters, conversions: Conversions
) -> Generator[Problem, Answer, tuple[Floats, Floats]]:
    """Delays (output,) in s that are product 0 and product 1."""
    circuit, shape = parameters.circuit, conversions.shape
    if parameters.calibration == "nominal":
        full = circuit.arrays * circuit.time_slope * parameters.full_scale_v
        return np.zeros(shape.built), np.full(shape.built, full)
    most = np.full_like(conversions.part.weights, 2**shape.weight_bits - 1)
    ends = Conversions(parameters, replace(conversions.part, weights=most))
    vector = np.ones((shape.arrays, shape.rows), dtype=np.int64)
    answer = yield ends.problem(np.stack([0 * vector, (2**shape.input_bits - 1) * vector]), 1)
    edges = np.stack([ends.edges(run) for run in answer.runs])
    zero, full = edges[:, :-1, -1] - edges[:, -1:, -1]
    if np.any(np.abs(full - zero) < STEP_S):
        raise MeasurementError("full scale is no longer than a time step: the cells do not convert")
    return zero, full


def _cost(
    conversions: Conversions, inputs: Whole, codes: Floats, tolerance_v: float
) -> Generator[Problem, Answer, tuple[Floats, Arrays]]:
    """Settling (phase,) in s of the first of two operations, energy of the second.

    Over the first few vectors: the slowest, and the mean.
    """
    parameters, phases = conversions.parameters, conversions.phases
    answer = yield conversions.problem(inputs[:_METERED], 2)
    settling = np.max([conversions.settling(run, tolerance_v) for run in answer.runs], axis=0)
    begin = phases.start_s + phases.operation_s
    window = (begin, begin + phases.operation_s)
    measured = mean_energy([meter(parameters).energy(run, window) for run in answer.runs])
    counted = counted_energy(parameters, codes)
    return settling, {
        "energy": np.append(measured["energy"], counted),
        "energy_returned": np.append(measured["energy_returned"], 0.0 * counted),
    }


BENCH = Bench(
    name="aidac_vmm",
    summary="products of grouped-capacitor arrays with column time accumulators (AiDAC)",
    parameters=AidacParameters,
    gates=AidacGates,
    quantities=("unit_capacitors", "row_drivers", "time_cells", "switches"),
    surrogate="time_accumulator",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    curves=(Curve("error", ("product_error",), "vector", title="Error of each output"),),
)
