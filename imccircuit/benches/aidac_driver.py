"""Row drivers of transistors, measured: transfer of a chain, gain, offset, spread, settling."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.aidac_build import ota_drivers, wiring_of
from imccircuit.benches.aidac_parameters import AidacParameters
from imccircuit.benches.bench import MeasurementError
from imccircuit.benches.problem import Answer, OperatingPoint, Probe, Problem, Transient
from imccircuit.metrics.energy import compute_settling_time

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

Floats = NDArray[np.float64]

DRIVER_LEVELS = 13
"""Voltages at which drivers are measured."""
_LEAST_GAIN = 0.5
_LEAST_CURRENT = 0.7
_STEP_SHARE = 1e-3
_WINDOWS = 40


@dataclass(frozen=True)
class DriverFigures:
    """What row drivers do at rest.

    Attributes
    ----------
    input_v : (level,) voltages of the row DAC, even steps from 0 to its largest.
    output_v : (level, driver) behind each driver of a chain without mismatch.
    spread_v : (level, driver) outputs of single drivers with mismatch, all at the same input.
    power_w : of one driver, both rails, mean over the levels.
    """

    input_v: Floats
    output_v: Floats
    spread_v: Floats
    power_w: float

    @property
    def gain(self) -> float:
        """Of one driver, from end to end of the range."""
        first = self.output_v[:, 0]
        return float((first[-1] - first[0]) / (self.input_v[-1] - self.input_v[0]))

    @property
    def offset_v(self) -> float:
        """Output of one driver less its input, in the middle of the range: systematic."""
        middle = len(self.input_v) // 2
        return float(self.output_v[middle, 0] - self.input_v[middle])

    @property
    def chain(self) -> Floats:
        """(level,) output of the chain from 0 to 1 between its ends."""
        last = self.output_v[:, -1]
        return np.asarray((last - last[0]) / (last[-1] - last[0]))

    @property
    def zero(self) -> float:
        """0 V below what the chain makes of it, over the chain's span."""
        last = self.output_v[:, -1]
        return float(-last[0] / (last[-1] - last[0]))

    @property
    def residual(self) -> Floats:
        """(level,) departure of the chain from a line, over its span."""
        return np.asarray(self.chain - np.linspace(0, 1, len(self.input_v)))

    @property
    def gain_sigma(self) -> float:
        """σ of the gain of one driver, relative."""
        span = self.spread_v[-1] - self.spread_v[0]
        return float(np.std(span, ddof=1) / np.mean(span))

    @property
    def offset_sigma_v(self) -> float:
        """σ of the offset of one driver in the middle of the range, in V."""
        return float(np.std(self.spread_v[len(self.input_v) // 2], ddof=1))


def largest_row_v(parameters: AidacParameters) -> float:
    """Voltage of a row DAC at its largest input, in V; nominal."""
    return float(parameters.precharge_v * parameters.circuit.gains.row)


def measure_driver(
    parameters: AidacParameters, count: int, generator: np.random.Generator | None
) -> Generator[Problem, Answer, DriverFigures]:
    """A chain without mismatch and ``count`` single drivers with it, at rest.

    Raises
    ------
    MeasurementError : a driver saturates: its output follows by less than a half, or its tail has
        less than 0.7 of its current.
    """
    hops = parameters.circuit.row_drivers
    input_v = np.linspace(0, largest_row_v(parameters), DRIVER_LEVELS)
    outputs = [_after(hop) for hop in range(hops)] + [f"s{k}" for k in range(1, count + 1)]
    high_v = wiring_of(parameters).high_v
    answer = yield Problem(
        circuit=_circuit(parameters, count, generator, "0"),
        analysis=OperatingPoint(),
        probes=(
            Probe("output", tuple(f"v({node})" for node in outputs), (len(outputs),), 4 * high_v),
            Probe("rails", ("i(vdrv)", "i(vdrvlow)"), (2,), 1.0),
        ),
        alterations=tuple({"vlevel": float(value)} for value in input_v),
        temperature_degc=parameters.conditions.temperature,
    )
    output = answer.final("output")
    rails_v = np.array([high_v, parameters.circuit.driver_low_supply])
    power = -answer.final("rails") @ rails_v
    figures = DriverFigures(
        input_v, output[:, :hops], output[:, hops:], float(np.mean(power)) / (hops + count + 1)
    )
    # A tail that is out of its saturation lets a driver still follow, but no longer drive.
    tails_a = np.abs(answer.final("rails")[:, 1]) / (hops + count)
    slopes = np.diff(figures.output_v[:, 0]) / np.diff(input_v)
    if (
        np.min(slopes[DRIVER_LEVELS // 2 :]) < _LEAST_GAIN
        or np.min(tails_a) < _LEAST_CURRENT * parameters.circuit.driver_current
    ):
        raise MeasurementError(
            f"a row driver does not drive up to {input_v[-1]:.3g} V, its input at full scale; "
            "lower circuit.precharge_voltage"
        )
    return figures


def measure_driver_settling(
    parameters: AidacParameters, tolerance: float
) -> Generator[Problem, Answer, float]:
    """Time in s until the chain's output is settled after a step to full scale.

    Every driver is loaded with a row of units and its wire.

    Parameters
    ----------
    tolerance : of the chain's output, over its step.

    Raises
    ------
    MeasurementError : it does not settle within forty phases.
    """
    circuit, phases = parameters.circuit, parameters.phases
    hops, start, stop = circuit.row_drivers, phases.gap_s, _WINDOWS * phases.phase_s
    step = _STEP_SHARE * stop
    edge = phases.edge_s
    rise = f"pulse(0 {largest_row_v(parameters)!r} {start!r} {edge!r} {edge!r} 1 2)"
    last = (f"v({_after(hops - 1)})",)
    answer = yield Problem(
        circuit=_circuit(parameters, 0, None, rise),
        analysis=Transient(stop, step, step),
        probes=(Probe("output", last, (1,), 4 * wiring_of(parameters).high_v),),
        options={"method": "gear", "reltol": 1e-4},
        temperature_degc=parameters.conditions.temperature,
    )
    (run,) = answer.runs
    volt = run.values["output"][:, 0]
    tolerance_v = tolerance * abs(volt[-1] - volt[0])
    late = run.axis > start + 0.9 * (stop - start)
    if np.ptp(volt[late]) > tolerance_v / 2:
        raise MeasurementError(
            "a chain of row drivers does not settle; raise circuit.driver_current"
        )
    return compute_settling_time(run.axis, volt, tolerance_v, start_s=start)


def _after(hop: int) -> str:
    return f"c{hop}"


def _circuit(
    parameters: AidacParameters, count: int, generator: np.random.Generator | None, level: str
) -> Circuit:
    """A chain, ``count`` single drivers beside it, and what a row loads each of the chain with."""
    from PySpice.Spice.Netlist import Circuit

    circuit, gains = Circuit("row drivers"), parameters.circuit.gains
    hops = parameters.circuit.row_drivers
    drivers = ota_drivers(parameters, (1, count + 1, hops), generator)
    if drivers.delta_vth_v is not None and drivers.mobility is not None:
        # Row 0 is the chain without mismatch.
        drivers.delta_vth_v[:, 0], drivers.mobility[:, 0] = 0.0, 1.0
    lines = [drivers.technology.include_line, *drivers.header(), f"Vlevel level 0 {level}"]
    load = 2**gains.input_bits * (gains.unit_f + gains.row_line_f)
    before = "level"
    for hop in range(hops):
        after = _after(hop)
        lines += [*drivers.driver((0, 0, hop), before, after), f"C{after} {after} 0 {load!r}"]
        before = after
    for k in range(1, count + 1):
        lines += drivers.driver((0, k, 0), "level", f"s{k}")
    circuit.raw_spice = "\n".join(lines)
    return circuit
