"""From parameters and draws to one ramp converter, and what it costs beside its sources."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Variation
from imccircuit.benches.ramp_parameters import STAIRCASES, Circuit, RampParameters
from imccircuit.circuits.ramp_adc import (
    Amplifier,
    Pole,
    RampAdc,
    gate_sizes_m,
    ota_inverter_m,
    ota_sizes_m,
)
from imccircuit.circuits.ramp_parts import Cdac, CurrentSource, Ladder, Mirror, Source
from imccircuit.circuits.technology import Technology, check_mismatch
from imccircuit.devices.draws import Draws

QUANTITIES = (
    "ramp_transistors",
    "ladder_resistors",
    "staircase_capacitors",
    "comparator_offset",
    "comparator_transistors",
)

# Gates a bit: a flip-flop counts six, an exclusive-or three, a latch four.
_COUNTER_GATES, _LATCH_GATES = 9, 4
_MISMATCHED = ("in", "ramp", "load", "out")


def nominal_adc(parameters: RampParameters) -> RampAdc:
    """The converter without any spread."""
    return draw_adc(parameters, Variation(Draws(0, 0)))


def draw_adc(parameters: RampParameters, variation: Variation) -> RampAdc:
    """One manufactured converter."""
    circuit = parameters.circuit
    technology = Technology(parameters.technology, parameters.corner, parameters.supply_v)
    return RampAdc(
        bits=circuit.bits,
        clock_s=circuit.clock_period,
        count_start_s=circuit.count_start,
        reset_s=circuit.reset_time,
        full_scale_v=circuit.reference_voltage,
        source=_source(parameters, variation),
        line_f=circuit.line_capacitor,
        reset=circuit.reset_switch,
        r_on_ohm=circuit.switch_on_resistance,
        r_off_ohm=circuit.switch_off_resistance,
        comparator=_comparator(circuit, technology, variation),
        technology=technology,
    )


def _source(parameters: RampParameters, variation: Variation) -> Source:
    circuit, card = parameters.circuit, parameters.technology
    if circuit.ramp == "ideal":
        return CurrentSource(circuit.current_a, circuit.output_resistance, circuit.capacitor)
    if circuit.ramp in STAIRCASES:
        return _staircase(circuit, variation)
    mismatch = _no_mismatch((2,))
    generator = variation.generator("ramp_transistors")
    width, length, cascode_length = parameters.mirror_m
    if generator is not None:
        check_mismatch(card)
        mismatch = np.stack(card.pmos.draw_mismatch(generator, width, length, (2,)), axis=-1)
    return Mirror(
        cell="ramp_mirror" if circuit.ramp == "mirror" else "ramp_cascode",
        current_a=circuit.current_a,
        capacitor_f=circuit.capacitor,
        width_m=width,
        length_m=length,
        cascode_length_m=cascode_length,
        mismatch=mismatch,
    )


def _staircase(circuit: Circuit, variation: Variation) -> Ladder | Cdac:
    bits, switch_ohm = circuit.bits, circuit.switch_on_resistance / 10
    if circuit.ramp == "cdac":
        units = np.append(2 ** np.arange(bits), 1)
        generator = variation.generator("staircase_capacitors")
        if generator is None:
            values = units * circuit.unit_f
        else:
            values = circuit.capacitor_card.draw_capacitors(generator, units, circuit.unit_f)
        return Cdac([float(value) for value in values[:-1]], float(values[-1]), switch_ohm)
    nominal = np.append(np.full(bits + 1, 2.0), np.ones(bits - 1)) * circuit.ladder_resistance
    # A foot is its resistor and its switch, together 2R: only the resistor spreads.
    nominal[:bits] = np.maximum(nominal[:bits] - switch_ohm, 0.01 * circuit.ladder_resistance)
    generator = variation.generator("ladder_resistors")
    if generator is not None:
        # Lognormal: positive whatever the spread.
        nominal = nominal * np.exp(
            circuit.ladder_mismatch * generator.standard_normal(len(nominal))
        )
    drawn = [float(value) for value in nominal]
    return Ladder(drawn[:bits], drawn[bits + 1 :], drawn[bits], switch_ohm)


def _comparator(circuit: Circuit, technology: Technology, variation: Variation) -> Pole | Amplifier:
    columns = circuit.columns
    if circuit.comparator == "behavioural":
        offset = np.full(columns, circuit.comparator_offset)
        generator = variation.generator("comparator_offset")
        if generator is not None:
            offset = offset + circuit.comparator_offset_sigma * generator.standard_normal(columns)
        return Pole([float(value) for value in offset], circuit.comparator_delay)
    mismatch = _no_mismatch((columns, 4))
    generator = variation.generator("comparator_transistors")
    if generator is not None:
        check_mismatch(technology.card)
        sizes = ota_sizes_m(technology)
        # Column by column, so that a column is the same device whatever their number.
        for column, (place, name) in product(range(columns), enumerate(_MISMATCHED)):
            device = technology.device("pmos" if name in ("in", "ramp") else "nmos")
            mismatch[column, place] = device.draw_mismatch(generator, *sizes[name], ())
    return Amplifier(circuit.comparator_current, mismatch)


def _no_mismatch(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """No threshold shift, mobility as it is."""
    return np.stack([np.zeros(shape), np.ones(shape)], axis=-1)


def logic_blocks(adc: RampAdc) -> tuple[str, ...]:
    """Blocks whose toggles are counted."""
    return ("counter", "column_latches", *(["staircase_counter"] if adc.is_staircase else []))


def not_modelled(adc: RampAdc) -> tuple[str, ...]:
    """Behavioural blocks."""
    blocks = ["ramp_source"] if isinstance(adc.source, CurrentSource) else []
    blocks += ["staircase_switches"] if adc.is_staircase else []
    blocks += ["reset_switch"] if adc.reset == "sw" else []
    blocks += ["comparators"] if isinstance(adc.comparator, Pole) else []
    return tuple(blocks)


def logic_energy_j(adc: RampAdc, codes: NDArray[np.int64]) -> dict[str, float]:
    """Energy of each logic block, one conversion, in J.

    Toggles are counted: a Gray counter changes one bit a clock (2^bits, with the return to 0). A
    column's latches follow it up to the column's code k and, when they open again, return from
    gray(k) to 0. A staircase's binary counter changes Σ 2^bits/2^b bits.

    Parameters
    ----------
    codes : (conversion, column) that stand for the distribution.
    """
    logic = adc.technology.card.logic
    if logic is None:
        return dict.fromkeys(logic_blocks(adc), float("nan"))
    gray = codes ^ (codes >> 1)
    ones = np.sum((gray[..., None] >> np.arange(adc.bits)) & 1, axis=-1)
    toggles = {
        "counter": float(2**adc.bits),
        "column_latches": float(np.mean(np.sum(codes + ones, axis=1))),
        "staircase_counter": float(2 ** (adc.bits + 1) - 2),
    }
    ratio = adc.technology.supply_v / adc.technology.card.supply.value
    each = logic.toggle_energy.value * ratio**2
    return {block: toggles[block] * each for block in logic_blocks(adc)}


def area_m2(adc: RampAdc) -> float:
    """Area by count in m²; NaN where a block is behavioural or the card has no layout."""
    card: Any = adc.technology.card
    if not_modelled(adc) or card.layout is None or card.logic is None:
        return float("nan")
    source, layout = adc.source, card.layout
    sizes: list[tuple[float, float]] = [*source.sizes_m] if isinstance(source, Mirror) else []
    ota = ota_sizes_m(adc.technology)
    sizes += [*gate_sizes_m(adc.technology), ota["tail"]]
    sizes += [*ota.values(), *ota_inverter_m(adc.technology)] * adc.columns
    gates = adc.bits * (_COUNTER_GATES + _LATCH_GATES * adc.columns)
    capacitor = source.capacitor_f if isinstance(source, Mirror) else 0.0
    return float(
        sum(layout.transistor_area_m2(w, length) for w, length in sizes)
        + gates * card.logic.gate_area.value
        + capacitor / layout.capacitance_density.value
    )
