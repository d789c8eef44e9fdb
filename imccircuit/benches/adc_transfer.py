"""Transition levels of a SAR ADC: null method for every code, closed loop as the check.

Null method (static). The converter samples v_s near the nominal level of code d, then code d is
forced and the comparator's input-referred voltage c is read. It falls to zero at the level of the
code, and dc/dv_s = s is measured by moving v_s, so S_d = v_s − c/s. That is exact for linear
capacitors; where it is not, the measurement asks again at the level it found until the level
moves by less than a tolerance. Levels of codes are then clipped through the binary search tree,
because a code whose level is out of order is missing.

Closed loop (whole conversions with clock, logic and comparator). Around the level of each checked
code one input a tolerance below and one above is converted. If the code does not change between
the two, the inputs move until it does. Static against loop is stored, not assumed.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import (
    Bench,
    Measurement,
    MeasurementError,
    Parameters,
    Section,
    Variable,
    Variation,
)
from imccircuit.benches.problem import Answer, Probe, Problem, Transient
from imccircuit.circuits.sar_adc import SarAdc, sar_adc
from imccircuit.devices.capacitor import CapacitorCard
from imccircuit.devices.cards import load_card
from imccircuit.devices.reference import CardOf
from imccircuit.metrics.adc import compute_tree_levels
from imccircuit.units import SI, Capacitance, Resistance, SIArray, Time, Voltage

# Trapezoidal integration loses charge on a floating node: 0.14 LSB in the middle of 8 bits.
_OPTIONS: Mapping[str, str | float] = {"method": "gear"}
_MAX_PASSES = 4
_SLOPE_STEP_LSB = 2.0
_WIDEST_SEARCH_LSB = 16.0


class Circuit(Section):
    """A charge-redistribution SAR ADC with ideal switches."""

    bits: int | None = Field(
        None, ge=2, le=14, description="resolution, default 8; follows bit_capacitors if given"
    )
    bit_capacitors: Annotated[NDArray[np.float64], SIArray("F", 1, least=1e-21)] | None = Field(
        None, description="capacitors of the bits, LSB first; explicit ones are not varied"
    )
    unit_capacitor: Annotated[Capacitance, Field(gt=0)] = Field(
        2e-15, description="unit of the binary capacitors where they are not explicit"
    )
    capacitor_card: Annotated[CapacitorCard, CardOf("capacitor")] = Field(
        default_factory=lambda: load_card("capacitor_pessimistic", "capacitor"),
        description="card with the mismatch law of the unit capacitor",
    )
    dummy_capacitor: Capacitance | None = Field(
        None, description="completes the binary sum; default one unit, or the smallest bit"
    )
    parasitic_capacitor: Capacitance = Field(40e-15, description="top plate to ground")
    reference_voltage: Annotated[Voltage, Field(gt=0)] = Field(1.0, description="full scale")
    common_mode_voltage: Voltage = Field(0.5, description="top plate while sampling")
    comparator_offset: Voltage = Field(0.0, description="positive lowers every level")
    comparator_offset_sigma: Annotated[Voltage, Field(ge=0)] = Field(
        0.0, description="standard deviation of the offset from chip to chip"
    )
    cycle_time: Annotated[Time, Field(gt=0)] = Field(10e-9, description="of each bit")
    switch_on_resistance: Annotated[Resistance, Field(gt=0)] = Field(100.0)
    switch_off_resistance: Annotated[Resistance, Field(gt=0)] = Field(1e12)

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        given = self.bit_capacitors
        if given is not None and not 2 <= len(given) <= 14:
            text = f"bit_capacitors has {len(given)} entries; allowed: 2 to 14"
            raise PydanticCustomError("sizes", "{why}", {"why": text})
        return self

    @property
    def resolution(self) -> int:
        """Number of bits."""
        if self.bit_capacitors is not None:
            return len(self.bit_capacitors)
        return 8 if self.bits is None else self.bits


class Stimulus(Section):
    """How the levels are measured and checked."""

    loop_input: Annotated[NDArray[np.float64], SIArray("", 1)] | None = Field(
        None,
        description="inputs of the closed-loop conversions as fractions of full scale; default: "
        "two around the level of each checked code",
    )
    loop_tolerance: Annotated[float, SI("LSB"), Field(gt=0, le=1)] = Field(
        0.01, description="distance of those two inputs from the level"
    )
    null_tolerance: Annotated[float, SI("LSB"), Field(gt=0, le=1)] = Field(
        0.001, description="a level that moves by less between two passes is found"
    )


class AdcParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)


class AdcGates(Section):
    """What the surrogate of an ADC must reach on SPICE data it never saw."""

    max_error: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.05, description="largest error of a level"
    )
    spread_factor: float = Field(
        1.75,
        gt=1,
        description="the spread of bit weights over chips is right within this factor: the 90 % "
        "interval of held-out over drawn spread lies between its inverse and itself",
    )
    offset_spread_factor: float = Field(
        4.0, gt=1, description="the same for the offset; wider, for a chip has but one offset"
    )


def checked_codes(bits: int) -> NDArray[np.int64]:
    """Codes whose level is checked in closed loop: both ends, the major carries, three quarters."""
    last = 2**bits - 1
    powers = 2 ** np.arange(bits)
    codes = np.concatenate([[1, 2, last - 1, last], powers, powers - 1, 3 * powers // 2])
    return np.unique(codes[(codes >= 1) & (codes <= last)]).astype(np.int64)


def _sizes(parameters: AdcParameters) -> dict[str, int]:
    bits = parameters.circuit.resolution
    loop = parameters.stimulus.loop_input
    return {
        "code": 2**bits - 1,
        "bit": bits,
        "loop": 2 * len(checked_codes(bits)) if loop is None else len(loop),
    }


def _variables(parameters: AdcParameters) -> tuple[Variable, ...]:
    del parameters
    return (
        Variable("transition_level", ("code",), "V", "transition level T[k]"),
        Variable("forced_level", ("code",), "V", "level of the forced code, before tree clipping"),
        Variable("null_residual", (), "LSB", "largest move of a level in the last null pass"),
        Variable("loop_input", ("loop",), "1", "closed-loop input as a fraction of full scale"),
        Variable("loop_code", ("loop",), "1", "closed-loop code", "int"),
        Variable("loop_difference", ("loop",), "LSB", "loop input outside its code's levels"),
        Variable("reference_voltage", (), "V", "full scale"),
        Variable("bit_capacitor", ("bit",), "F", "drawn capacitors, LSB first"),
        Variable("dummy_capacitor", (), "F", "drawn dummy capacitor"),
        Variable("comparator_offset", (), "V", "drawn comparator offset"),
    )  # fmt: skip


def _coordinates(parameters: AdcParameters) -> Mapping[str, NDArray[Any]]:
    sizes = _sizes(parameters)
    return {"code": np.arange(1, sizes["code"] + 1), "bit": np.arange(sizes["bit"])}


def _draw(circuit: Circuit, variation: Variation) -> SarAdc:
    bits = circuit.resolution
    nominal = circuit.unit_capacitor
    if circuit.bit_capacitors is not None:
        capacitors = circuit.bit_capacitors
        nominal = float(capacitors[0])
        dummy = nominal
    else:
        units = np.append(2 ** np.arange(bits), 1)
        generator = variation.generator("bit_capacitors")
        if generator is None:
            drawn = units * nominal
        else:
            drawn = circuit.capacitor_card.draw_capacitors(generator, units, nominal)
        capacitors, dummy = drawn[:-1], float(drawn[-1])
    offset = circuit.comparator_offset
    generator = variation.generator("comparator_offset")
    if generator is not None:
        offset += circuit.comparator_offset_sigma * float(generator.standard_normal())
    return SarAdc(
        bit_capacitors_f=[float(value) for value in capacitors],
        dummy_f=dummy if circuit.dummy_capacitor is None else circuit.dummy_capacitor,
        parasitic_f=circuit.parasitic_capacitor,
        v_ref=circuit.reference_voltage,
        v_cm=circuit.common_mode_voltage,
        offset_v=offset,
        cycle_s=circuit.cycle_time,
        r_on_ohm=circuit.switch_on_resistance,
        r_off_ohm=circuit.switch_off_resistance,
    )


class _Converter:
    """Problems on one drawn converter."""

    def __init__(self, adc: SarAdc, temperature_degc: float) -> None:
        self.adc = adc
        self.temperature_degc = temperature_degc
        self.lsb_v = adc.v_ref / 2**adc.bits
        self._bits = np.arange(adc.bits)
        # Node voltages stay within the supplies but for charge kicks, which double them at most.
        self._bound_v = 4 * (abs(adc.v_ref) + abs(adc.v_cm)) + abs(adc.offset_v)

    def _transient(self, stop_s: float) -> Transient:
        # Gear damps with steps of many RC: at steps of a whole cycle 10 bits are 4e-4 LSB off, at a
        # tenth of one 2e-7.
        return Transient(stop_s, self.adc.cycle_s / 10, self.adc.cycle_s / 10)

    def forced(self, codes: NDArray[np.int64], inputs_v: NDArray[np.float64]) -> Problem:
        """Sample each input, force its code, read the comparator's core."""
        bits = (codes[:, None] >> self._bits) & 1
        alterations = tuple(
            {**{f"vbit_{k}": float(bit) for k, bit in enumerate(row)}, "vin": float(voltage)}
            for row, voltage in zip(bits, inputs_v, strict=True)
        )
        return Problem(
            circuit=sar_adc(self.adc, "forced"),
            analysis=self._transient(self.adc.forced_stop_s),
            probes=(Probe("decision", ("v(decision)",), (), self._bound_v),),
            alterations=alterations,
            options=_OPTIONS,
            temperature_degc=self.temperature_degc,
        )

    def loop(self, inputs_v: NDArray[np.float64]) -> Problem:
        """Convert each input with clock and logic."""
        names = tuple(f"v(bit_{k})" for k in self._bits)
        return Problem(
            circuit=sar_adc(self.adc, "loop"),
            analysis=self._transient(self.adc.loop_stop_s),
            probes=(Probe("bit", names, (self.adc.bits,), self._bound_v),),
            alterations=tuple({"vin": float(voltage)} for voltage in inputs_v),
            options=_OPTIONS,
            temperature_degc=self.temperature_degc,
        )

    def codes(self, answer: Answer) -> NDArray[np.int64]:
        """Codes of a `loop` answer.

        Raises
        ------
        MeasurementError : a bit is neither 0 nor 1 at the end of the conversion.
        """
        level = answer.final("bit")
        if np.any(np.abs(level - np.round(level)) > 0.01) or np.any(np.abs(level - 0.5) > 0.51):
            raise MeasurementError("a bit is not at rest at the end of the conversion")
        return np.asarray((level > 0.5) @ (1 << self._bits), dtype=np.int64)


def _measure(parameters: AdcParameters, variation: Variation) -> Measurement:
    converter = _Converter(_draw(parameters.circuit, variation), parameters.conditions.temperature)
    stimulus = parameters.stimulus
    forced, residual = yield from _null_levels(converter, stimulus.null_tolerance)
    levels = compute_tree_levels(forced, converter.adc.bits)
    if stimulus.loop_input is not None:
        inputs = stimulus.loop_input * converter.adc.v_ref
        codes = converter.codes((yield converter.loop(inputs)))
    else:
        inputs, codes = yield from _bracket(converter, levels, stimulus.loop_tolerance)
    return {
        "transition_level": levels,
        "forced_level": forced,
        "null_residual": np.asarray(residual),
        "loop_input": inputs / converter.adc.v_ref,
        "loop_code": codes,
        "loop_difference": _difference(levels, inputs, codes) / converter.lsb_v,
        "reference_voltage": np.asarray(converter.adc.v_ref),
        "bit_capacitor": np.asarray(converter.adc.bit_capacitors_f),
        "dummy_capacitor": np.asarray(converter.adc.dummy_f),
        "comparator_offset": np.asarray(converter.adc.offset_v),
    }


def _null_levels(
    converter: _Converter, tolerance_lsb: float
) -> Generator[Problem, Answer, tuple[NDArray[np.float64], float]]:
    """Levels of all codes in V and how far, in LSB, the checked ones moved in the last pass."""
    bits, lsb = converter.adc.bits, converter.lsb_v
    codes = np.arange(1, 2**bits)
    nominal = codes * lsb
    some = checked_codes(bits)
    moved = nominal[some - 1] + np.where(some < 2 ** (bits - 1), 1, -1) * _SLOPE_STEP_LSB * lsb
    answer = yield converter.forced(np.concatenate([codes, some]), np.concatenate([nominal, moved]))
    decision = answer.final("decision")
    change = decision[len(codes) :] - decision[some - 1]
    slope_some = change / (moved - nominal[some - 1])
    if np.any(slope_some <= 0):
        raise MeasurementError("the comparator's input does not rise with the converter's input")
    # Between the checked codes the slope is smooth: only voltage-dependent parasitics change it.
    slope = np.interp(codes, some, slope_some)
    levels = nominal - decision[: len(codes)] / slope
    which = some
    for _ in range(_MAX_PASSES):
        asked = levels[which - 1]
        answer = yield converter.forced(which, asked)
        found = asked - answer.final("decision") / slope[which - 1]
        residual = float(np.max(np.abs(found - asked))) / lsb
        levels[which - 1] = found
        if residual <= tolerance_lsb:
            return levels, residual
        which = codes
    raise MeasurementError(f"levels still move by {residual:.3g} LSB after {_MAX_PASSES} passes")


def _bracket(
    converter: _Converter, levels: NDArray[np.float64], tolerance_lsb: float
) -> Generator[Problem, Answer, tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Closed-loop inputs just below and above the levels of the checked codes, and their codes."""
    lsb = converter.lsb_v
    checked = checked_codes(converter.adc.bits)
    step = np.full(len(checked), tolerance_lsb * lsb)
    low, high = levels[checked - 1] - step, levels[checked - 1] + step
    answer = yield converter.loop(np.concatenate([low, high]))
    low_code, high_code = np.split(converter.codes(answer), 2)
    while True:
        down, up = low_code >= checked, high_code < checked
        wide = high - low > 2.001 * tolerance_lsb * lsb
        todo = np.flatnonzero(down | up | wide)
        if len(todo) == 0:
            inputs = np.stack([low, high], axis=1).ravel()
            return inputs, np.stack([low_code, high_code], axis=1).ravel()
        # Not bracketed: step out, eight times as far each time. Bracketed but wide: halve.
        if np.any(step[down | up] >= _WIDEST_SEARCH_LSB * lsb):
            raise MeasurementError(
                f"closed loop: code {checked[np.argmax(step)]} has no level within "
                f"{_WIDEST_SEARCH_LSB:g} LSB of its static one"
            )
        farther = np.minimum(8 * step, _WIDEST_SEARCH_LSB * lsb)
        step = np.where(down | up, farther, step)
        asked = np.where(down, low - step, np.where(up, high + step, (low + high) / 2))
        codes = converter.codes((yield converter.loop(asked[todo])))
        for index, code in zip(todo, codes, strict=True):
            # An end that lies on the wrong side of the level is a good other end.
            if down[index]:
                high[index], high_code[index] = low[index], low_code[index]
            if up[index]:
                low[index], low_code[index] = high[index], high_code[index]
            if down[index] or (not up[index] and code < checked[index]):
                low[index], low_code[index] = asked[index], code
            else:
                high[index], high_code[index] = asked[index], code


def _difference(
    levels: NDArray[np.float64], inputs_v: NDArray[np.float64], codes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How far each input is outside the interval that the levels give to its code, in V."""
    edges = np.concatenate([[-np.inf], levels, [np.inf]])
    outside = np.maximum(edges[codes] - inputs_v, inputs_v - edges[codes + 1])
    return np.asarray(np.maximum(0.0, outside))


BENCH = Bench(
    name="adc_transfer",
    summary="transition levels of an ADC by the null method, checked by closed-loop conversions",
    parameters=AdcParameters,
    gates=AdcGates,
    quantities=("bit_capacitors", "comparator_offset"),
    surrogate="adc",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
)
