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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_parameters import AdcGates, AdcParameters, Circuit
from imccircuit.benches.bench import (
    Bench,
    Measurement,
    MeasurementError,
    Variable,
    Variation,
)
from imccircuit.benches.problem import Answer, Probe, Problem, Transient
from imccircuit.circuits.sar_adc import SarAdc, sar_adc
from imccircuit.metrics.adc import compute_tree_levels

# Trapezoidal integration loses charge on a floating node: 0.14 LSB in the middle of 8 bits.
_OPTIONS: Mapping[str, str | float] = {"method": "gear"}
_MAX_PASSES = 4
_STEPS_PER_CYCLE = 40
# ngspice keeps the plots of a deck, and its time grows with the square of their number.
_RUNS_PER_DECK = 256
_SLOPE_STEP_LSB = 2.0
_WIDEST_SEARCH_LSB = 16.0


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
    nominal = circuit.unit_f
    if circuit.bit_capacitors is not None:
        capacitors, dummy = circuit.bit_capacitors, nominal
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
        # Gear damps badly with steps of many RC: 10 bits are 0.03 LSB off at steps of a tenth of a
        # cycle, 1e-8 at a fortieth.
        step = self.adc.cycle_s / _STEPS_PER_CYCLE
        return Transient(stop_s, step, step)

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
        """Codes of a `loop` answer, one for each run.

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
        codes = yield from _loop_codes(converter, inputs)
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


def _decisions(
    converter: _Converter, codes: NDArray[np.int64], inputs_v: NDArray[np.float64]
) -> Generator[Problem, Answer, NDArray[np.float64]]:
    """Comparator's input in V of every forced code, in decks of a bounded number of runs."""
    found = []
    for start in range(0, len(codes), _RUNS_PER_DECK):
        part = slice(start, start + _RUNS_PER_DECK)
        answer = yield converter.forced(codes[part], inputs_v[part])
        found.append(answer.final("decision"))
    return np.concatenate(found)


def _loop_codes(
    converter: _Converter, inputs_v: NDArray[np.float64]
) -> Generator[Problem, Answer, NDArray[np.int64]]:
    """Codes of whole conversions, in decks of a bounded number of runs."""
    found = []
    for start in range(0, len(inputs_v), _RUNS_PER_DECK):
        answer = yield converter.loop(inputs_v[start : start + _RUNS_PER_DECK])
        found.append(converter.codes(answer))
    return np.concatenate(found)


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
        decision = yield from _decisions(converter, which, asked)
        found = asked - decision / slope[which - 1]
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
    both = yield from _loop_codes(converter, np.concatenate([low, high]))
    low_code, high_code = np.split(both, 2)
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
                f"closed loop: code {checked[np.argmax(step * (down | up))]} has no level within "
                f"{_WIDEST_SEARCH_LSB:g} LSB of its static one"
            )
        farther = np.minimum(8 * step, _WIDEST_SEARCH_LSB * lsb)
        step = np.where(down | up, farther, step)
        asked = np.where(down, low - step, np.where(up, high + step, (low + high) / 2))
        codes = yield from _loop_codes(converter, asked[todo])
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
