"""Transition levels of a converter that somebody else drew, from whole conversions alone."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_null import bracket, checked_codes, loop_codes, outside_levels
from imccircuit.benches.adc_search import search_levels
from imccircuit.benches.bench import (
    Arrays,
    Bench,
    Measurement,
    MeasurementError,
    Variable,
    Variation,
)
from imccircuit.benches.cost import COST_VARIABLES, Meter, blocks_along, mean_energy
from imccircuit.benches.dut_adc_parameters import AdcGates, DutAdcParameters
from imccircuit.benches.problem import Answer, Probe, Problem, Run, Transient
from imccircuit.circuits.dut_adc import DutAdc, dut_adc
from imccircuit.circuits.technology import Technology

_OPTIONS: Mapping[str, str | float] = {"method": "gear"}
_STEPS_PER_CLOCK = 40
# A bit is read as 0 or 1 only this near to a supply rail; anything else is no logic level.
_LOGIC_SHARE = 0.2
_LARGEST_CURRENT_A = 10.0
_SOURCES = {
    "supply": ("vsupply", "supply"),
    "reference": ("vref", "reference"),
    "common mode": ("vcm", "common_mode"),
    "clock": ("vclock", "clock"),
    "start": ("vstart", "start"),
    "input": ("binput", "input"),
}
_ENERGY_INPUTS = 16


def _meter(parameters: DutAdcParameters) -> Meter:
    """Sources of the fixture, and one for each pin that is held at a voltage of its own."""
    nodes = parameters.circuit.nodes
    held = [pin for pin in parameters.circuit.dut.pins if isinstance(nodes[pin], float)]
    return Meter(_SOURCES | {f"pin {pin}": (f"vbias_{pin}", f"bias_{pin}") for pin in held})


def _sizes(parameters: DutAdcParameters) -> dict[str, int]:
    bits, loop = parameters.circuit.bits, parameters.stimulus.loop_input
    return {
        "code": 2**bits - 1,
        "loop": 2 * len(checked_codes(bits)) if loop is None else len(loop),
        "block": len(_meter(parameters).blocks),
    }


def _variables(parameters: DutAdcParameters) -> tuple[Variable, ...]:
    del parameters
    return (
        Variable("transition_level", ("code",), "V", "transition level T[k]"),
        Variable("loop_input", ("loop",), "1", "closed-loop input as a fraction of full scale"),
        Variable("loop_code", ("loop",), "1", "closed-loop code", "int"),
        Variable("loop_difference", ("loop",), "LSB", "loop input outside its code's levels"),
        Variable("reference_voltage", (), "V", "full scale"),
        *COST_VARIABLES,
    )


def _coordinates(parameters: DutAdcParameters) -> Mapping[str, Any]:
    codes = np.arange(1, _sizes(parameters)["code"] + 1)
    return {"code": codes, "block": blocks_along(_meter(parameters).blocks)}


class DutConverter:
    """Whole conversions of the converter under test; a `LoopConverter`."""

    def __init__(self, parameters: DutAdcParameters) -> None:
        circuit = parameters.circuit
        technology = Technology(parameters.technology, parameters.corner, parameters.supply_v)
        self.bits = circuit.bits
        self.lsb_v = circuit.reference_voltage / 2**circuit.bits
        self.repeat_s = circuit.clock_period * math.ceil(
            circuit.conversion_time / circuit.clock_period - 1e-9
        )
        self._parameters = parameters
        self.meter = _meter(parameters)
        self._dut = DutAdc(
            text=circuit.dut.text,
            subcircuit=circuit.dut.subcircuit,
            pins=circuit.dut.pins,
            nodes=circuit.nodes,
            include_line=technology.include_line if parameters.uses_technology else "",
            supply_v=parameters.supply_v,
            reference_v=circuit.reference_voltage,
            common_mode_v=circuit.common_mode_voltage,
            clock_s=circuit.clock_period,
            start_s=circuit.start_time,
            repeat_s=self.repeat_s,
        )

    def loop(self, inputs_v: NDArray[np.float64]) -> Problem:
        """Convert each input once."""
        return self._problem(inputs_v, self._parameters.circuit.conversion_time)

    def twice(self, inputs_v: NDArray[np.float64]) -> Problem:
        """Convert each input twice, with every source's power measured."""
        return self._problem(inputs_v, 2 * self.repeat_s)

    def _problem(self, inputs_v: NDArray[np.float64], stop_s: float) -> Problem:
        circuit = self._parameters.circuit
        step = circuit.clock_period / _STEPS_PER_CLOCK
        bound = 10 * (self._dut.supply_v + circuit.reference_voltage)
        names = tuple(f"v(bit_{k})" for k in range(self.bits))
        return Problem(
            circuit=dut_adc(self._dut),
            analysis=Transient(stop_s, step, step),
            probes=(
                Probe("bit", names, (self.bits,), bound),
                *self.meter.probes(bound, _LARGEST_CURRENT_A),
            ),
            alterations=tuple({"vin": float(voltage)} for voltage in inputs_v),
            options=_OPTIONS,
            temperature_degc=self._parameters.conditions.temperature,
            native=tuple(map(str, circuit.dut.native)),
        )

    def codes(self, answer: Answer) -> NDArray[np.int64]:
        """Codes of a `loop` answer; `MeasurementError` if an output is no logic level."""
        level = answer.final("bit")
        supply = self._dut.supply_v
        high = level > (1 - _LOGIC_SHARE) * supply
        if not np.all(high | (level < _LOGIC_SHARE * supply)):
            bad = int(np.argmax(np.any(~(high | (level < _LOGIC_SHARE * supply)), axis=0)))
            raise MeasurementError(
                f"bit_{bad} is neither near 0 V nor near the supply of {supply:g} V when it is "
                "read; conversion_time may be too short"
            )
        return np.asarray(high @ (1 << np.arange(self.bits)), dtype=np.int64)

    def latency_s(self, run: Run) -> float:
        """Time of the last change of a bit in the first conversion of a run of `twice`."""
        first = run.axis <= self._parameters.circuit.conversion_time
        high = run.values["bit"][first] > self._dut.supply_v / 2
        changes = np.flatnonzero(np.any(high[1:] != high[:-1], axis=1))
        return float(run.axis[changes[-1] + 1]) if len(changes) else 0.0


def _cost(converter: DutConverter) -> Generator[Problem, Answer, Arrays]:
    """Energy of the second of two conversions, mean over inputs across the whole range."""
    inputs = (np.arange(_ENERGY_INPUTS) + 0.5) / _ENERGY_INPUTS * 2**converter.bits
    answer = yield converter.twice(inputs * converter.lsb_v)
    window = (converter.repeat_s, 2 * converter.repeat_s)
    energy = mean_energy([converter.meter.energy(run, window) for run in answer.runs])
    latency = max(converter.latency_s(run) for run in answer.runs)
    return {**energy, "latency": np.asarray(latency), "area": np.asarray(np.nan)}


def _measure(parameters: DutAdcParameters, variation: Variation) -> Measurement:
    del variation
    circuit, stimulus = parameters.circuit, parameters.stimulus
    converter = DutConverter(parameters)
    levels = yield from search_levels(converter, stimulus.search_tolerance)
    if stimulus.loop_input is None:
        inputs, codes = yield from bracket(converter, levels, stimulus.loop_tolerance)
    else:
        inputs = stimulus.loop_input * circuit.reference_voltage
        codes = yield from loop_codes(converter, inputs)
    cost = yield from _cost(converter)
    return {
        "transition_level": levels,
        "loop_input": inputs / circuit.reference_voltage,
        "loop_code": codes,
        "loop_difference": outside_levels(levels, inputs, codes) / converter.lsb_v,
        "reference_voltage": np.asarray(circuit.reference_voltage),
        **cost,
    }


BENCH = Bench(
    name="dut_adc",
    summary="transition levels of your own converter, by bisection of whole conversions",
    parameters=DutAdcParameters,
    gates=AdcGates,
    quantities=(),
    surrogate="adc",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
)
