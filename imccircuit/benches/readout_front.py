"""From the parameters of the read-out bench to one drawn front end, and its area."""

from __future__ import annotations

import numpy as np

from imccircuit.benches.bench import Variation
from imccircuit.benches.dut_readout_parameters import DutReadoutParameters
from imccircuit.benches.readout_parameters import ReadoutParameters
from imccircuit.circuits.readout_parts import (
    Amplifier,
    ClampMirror,
    ForeignFront,
    FrontEnd,
    Integrator,
    LinearAmplifier,
    Tia,
    TransistorAmplifier,
)
from imccircuit.circuits.technology import Technology, check_mismatch


def draw_front(
    parameters: ReadoutParameters | DutReadoutParameters, variation: Variation
) -> FrontEnd:
    """One manufactured front end.

    Raises
    ------
    UsageError : ``transistor`` varies in a technology that takes no mismatch from outside.
    """
    if isinstance(parameters, DutReadoutParameters):
        return _foreign(parameters)
    if not parameters.has_transistors:
        return _front(parameters, _linear(parameters, variation))
    nominal = _transistors(parameters, {})
    generator = variation.generator("transistor")
    if generator is None:
        return _front(parameters, nominal)
    check_mismatch(parameters.technology)
    drawn: dict[str, tuple[float, float]] = {}
    for name, size in _front(parameters, nominal).transistors().items():
        kind, width, length = size
        delta, ratio = nominal.technology.device(kind).draw_mismatch(generator, width, length, ())
        drawn[name] = (float(delta), float(ratio))
    return _front(parameters, _transistors(parameters, drawn))


def _foreign(parameters: DutReadoutParameters) -> ForeignFront:
    circuit = parameters.circuit
    technology = Technology(parameters.technology, parameters.corner, parameters.supply_v)
    zero = circuit.zero_voltage
    return ForeignFront(
        text=circuit.dut.text,
        subcircuit=circuit.dut.subcircuit,
        pins=circuit.dut.pins,
        nodes=circuit.nodes,
        include_line=technology.include_line if parameters.uses_technology else "",
        native=tuple(map(str, circuit.dut.native)),
        supply_v=parameters.supply_v,
        reference_v=circuit.reference_voltage,
        gain_ohm=-circuit.transresistance,
        zero_v=circuit.reference_voltage if zero is None else zero,
    )


def pair_sigma_v(front: FrontEnd) -> float:
    """Estimate by hand of the offset of an input pair: A_VT·√(2/(W·L)) in V; NaN without one.

    The card's coefficient is that of one transistor; load and second stage are left out.
    """
    if not isinstance(front.amplifier, TransistorAmplifier):
        return float("nan")
    kind, width, length = front.transistors()["p1"]
    device = front.amplifier.technology.device(kind)
    return float(device.a_vt.value * np.sqrt(2 / (width * length)))


def area_m2(parameters: ReadoutParameters | DutReadoutParameters, front: FrontEnd) -> float:
    """Area of transistors, capacitors and resistors in m²; NaN if it is not modelled."""
    layout, amplifier = parameters.technology.layout, front.amplifier
    if layout is None or isinstance(front, ForeignFront):
        return float("nan")
    if not isinstance(amplifier, TransistorAmplifier):
        return float("nan")
    area = sum(
        layout.transistor_area_m2(w, length) for _, w, length in front.transistors().values()
    )
    capacitance, resistance = amplifier.cc_f, 0.0
    if isinstance(front, ClampMirror):
        resistance += front.r_load_ohm
    else:
        capacitance += front.c_feedback_f
        resistance += amplifier.rz_ohm
    if isinstance(front, Tia):
        resistance += front.r_feedback_ohm
    squares = resistance / layout.sheet_resistance.value
    return float(
        area
        + capacitance / layout.capacitance_density.value
        + squares * layout.resistor_square.value
    )


def _linear(parameters: ReadoutParameters, variation: Variation) -> LinearAmplifier:
    given = parameters.circuit.amplifier
    offset = given.offset
    generator = variation.generator("offset")
    if generator is not None:
        offset += given.offset_sigma * float(generator.standard_normal())
    return LinearAmplifier(
        gain=given.gain,
        gbw_hz=given.gain_bandwidth,
        r_in_ohm=given.input_resistance,
        offset_v=offset,
        low_v=given.swing_low,
        high_v=given.swing_high,
        noise_ohm=given.noise_resistance,
    )


def _transistors(
    parameters: ReadoutParameters, mismatch: dict[str, tuple[float, float]]
) -> TransistorAmplifier:
    given = parameters.circuit.transistors
    return TransistorAmplifier(
        technology=Technology(parameters.technology, parameters.corner, parameters.supply_v),
        bias_a=given.bias_current,
        pair=given.pair_widths,
        load=given.load_widths,
        bias=given.bias_widths,
        lengths=given.lengths,
        load_lengths=given.load_lengths,
        tail_ratio=given.tail_ratio,
        output_ratio=given.output_ratio,
        cc_f=given.compensation_capacitance,
        rz_ohm=given.compensation_resistance,
        clamp=given.clamp_widths,
        mirror=given.mirror_widths,
        mirror_lengths=given.mirror_lengths,
        switch=given.switch_widths,
        mismatch=mismatch,
    )


def _front(parameters: ReadoutParameters, amplifier: Amplifier) -> FrontEnd:
    circuit = parameters.circuit
    if circuit.kind == "tia":
        return Tia(amplifier, circuit.reference_v, circuit.feedback_resistance, circuit.feedback_f)
    if circuit.kind == "integrator":
        return Integrator(
            amplifier,
            circuit.reference_v,
            circuit.feedback_f,
            reset_s=circuit.reset_time,
            integration_s=circuit.integration_time,
            r_reset_ohm=circuit.amplifier.reset_resistance,
        )
    return ClampMirror(
        amplifier,
        circuit.reference_v,
        ratio=circuit.mirror_ratio,
        r_load_ohm=circuit.load_resistance,
        top_v=parameters.top_v,
        keep_a=circuit.keep_current,
        transconductance_s=circuit.amplifier.transconductance,
    )
