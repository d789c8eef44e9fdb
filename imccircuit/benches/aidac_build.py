"""From parameters and draws to the grouped-capacitor circuit of one chip."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.aidac_parameters import AidacParameters
from imccircuit.benches.bench import Variation
from imccircuit.circuits.aidac import Aidac
from imccircuit.circuits.aidac_driver import (
    OTA_TRANSISTORS,
    LinearDrivers,
    OtaDrivers,
    RowDrivers,
)
from imccircuit.circuits.aidac_ramp import RAMP_TRANSISTORS, RampTime
from imccircuit.circuits.aidac_shape import AidacCapacitors
from imccircuit.circuits.aidac_time import BehaviouralTime, StarvedTime, TimeCells
from imccircuit.circuits.aidac_wiring import (
    IdealWiring,
    SwitchMismatch,
    TransistorWiring,
    Wiring,
)
from imccircuit.circuits.technology import Technology, check_mismatch
from imccircuit.devices.draws import Draws

Whole = NDArray[np.int64]
Block = TypeVar("Block", OtaDrivers, RampTime)


def draw_inputs(parameters: AidacParameters, entropy: int) -> Whole:
    """(vector, array, row) inputs: given, or a pattern that is the same for all chips."""
    if parameters.stimulus.inputs is not None:
        return parameters.stimulus.inputs.astype(np.int64)
    shape = parameters.circuit.shape
    generator = Draws(entropy, 0).generator("stimulus")
    size = (parameters.vectors, shape.arrays, shape.rows)
    return generator.integers(0, 2**shape.input_bits, size)


def draw_weights(parameters: AidacParameters, entropy: int) -> Whole:
    """(array, row, built output) weights, likewise."""
    if parameters.stimulus.weights is not None:
        return parameters.stimulus.weights.astype(np.int64)
    shape = parameters.circuit.shape
    generator = Draws(entropy, 0).generator("pattern")
    return generator.integers(0, 2**shape.weight_bits, (shape.arrays, shape.rows, shape.built))


def build(parameters: AidacParameters, weights: Whole, variation: Variation) -> Aidac:
    """The circuit of this chip."""
    circuit = parameters.circuit
    return Aidac(
        shape=circuit.shape,
        capacitors=_capacitors(parameters, variation),
        phases=parameters.phases,
        wiring=wiring_of(parameters, variation.generator("switches")),
        time_cells=time_cells(
            parameters,
            (circuit.shape.built + 1, circuit.arrays),
            variation.generator("time_cells"),
        ),
        weights=weights,
        precharge_v=parameters.precharge_v,
        drivers=row_drivers_of(
            parameters,
            (circuit.arrays, circuit.rows, circuit.row_drivers),
            variation.generator("row_drivers"),
        ),
    )


def technology_of(parameters: AidacParameters) -> Technology:
    """Transistors at the corner and supply of these parameters."""
    return Technology(parameters.technology, parameters.corner, parameters.supply_v)


def wiring_of(parameters: AidacParameters, generator: np.random.Generator | None = None) -> Wiring:
    """Switches, ideal or of transistors, the latter with mismatch where there is a generator."""
    circuit = parameters.circuit
    if circuit.switches == "transistor":
        technology = technology_of(parameters)
        mismatch = None if generator is None else SwitchMismatch(technology, generator)
        return TransistorWiring(technology, circuit.switch_width, circuit.discharge_dummy, mismatch)
    shape = circuit.shape
    largest = max(shape.heaviest, shape.row_units, shape.rows)
    return IdealWiring(circuit.switch_on_resistance, circuit.switch_off_resistance, largest)


def _capacitors(parameters: AidacParameters, variation: Variation) -> AidacCapacitors:
    circuit = parameters.circuit
    shape, unit = circuit.shape, circuit.unit_f
    rest = shape.group_units if circuit.row_drivers else shape.rest
    units = (
        np.ones((shape.arrays, shape.rows, shape.cells), dtype=np.int64),
        np.broadcast_to(rest, (shape.arrays, shape.rows, len(rest))),
        np.full((shape.arrays, shape.built), circuit.dummy_units),
    )
    generator = variation.generator("unit_capacitors")
    if generator is None:
        drawn = [np.asarray(count * unit, dtype=np.float64) for count in units]
    else:
        drawn = [circuit.capacitor_card.draw_capacitors(generator, n, unit) for n in units]
    cell, lumped, dummy = drawn
    return AidacCapacitors(
        cell=cell,
        lumped=lumped,
        dummy=dummy,
        row_line=circuit.row_line_capacitance,
        bit_line=circuit.bit_line_capacitance,
        output_line=circuit.output_line_capacitance,
        junction=circuit.junction_capacitance,
        junction_potential_v=circuit.junction_potential,
        row_unit=unit,
    )


def row_drivers_of(
    parameters: AidacParameters, size: tuple[int, int, int], generator: np.random.Generator | None
) -> RowDrivers | None:
    """Chains of row drivers (array, row, driver), with mismatch where there is a generator."""
    circuit = parameters.circuit
    if size[2] == 0:
        return None
    if circuit.row_driver == "ota":
        return ota_drivers(parameters, size, generator)
    gain, offset = np.full(size, circuit.driver_gain), np.full(size, circuit.driver_offset)
    if generator is not None:
        gain = gain * (1 + circuit.driver_gain_sigma * generator.standard_normal(size))
        offset = offset + circuit.driver_offset_sigma * generator.standard_normal(size)
    return LinearDrivers(gain, offset, circuit.driver_resistance)


def ota_drivers(
    parameters: AidacParameters, size: tuple[int, int, int], generator: np.random.Generator | None
) -> OtaDrivers:
    """The same of transistors."""
    circuit = parameters.circuit
    nominal = OtaDrivers(
        technology_of(parameters), size[2], circuit.driver_current, circuit.driver_width,
        circuit.driver_load_width, circuit.driver_length, circuit.driver_low_supply,
    )  # fmt: skip
    return _mismatched(nominal, parameters, OTA_TRANSISTORS, size, generator)


def time_cells(
    parameters: AidacParameters, size: tuple[int, int], generator: np.random.Generator | None
) -> TimeCells:
    """Voltage-to-time cells (cascade, stage), with mismatch where there is a generator."""
    circuit = parameters.circuit
    if circuit.time_cell == "starved":
        return _starved(parameters, size, generator)
    if circuit.time_cell == "ramp":
        nominal = RampTime(
            technology_of(parameters), circuit.ramp_current, circuit.ramp_capacitor,
            circuit.ramp_source_width, circuit.ramp_pair_width, circuit.ramp_load_width,
        )  # fmt: skip
        return _mismatched(nominal, parameters, RAMP_TRANSISTORS, size, generator)
    offset, slope = np.full(size, circuit.time_offset), np.full(size, circuit.time_slope)
    if generator is not None:
        offset = offset + circuit.time_offset_sigma * generator.standard_normal(size)
        slope = slope * (1 + circuit.time_slope_sigma * generator.standard_normal(size))
    return BehaviouralTime(offset, slope, circuit.time_curvature, parameters.full_scale_v)


def _mismatched(
    nominal: Block, parameters: AidacParameters, names: tuple[str, ...], size: tuple[int, ...],
    generator: np.random.Generator | None,
) -> Block:  # fmt: skip
    """The same block with mismatch of its transistors ``names`` along the last axis."""
    if generator is None:
        return nominal
    technology = parameters.technology
    check_mismatch(technology)
    sizes, drawn = nominal.sizes(), []
    for name in names:
        kind, width_m, length_m = sizes[name]
        device = technology.nmos if kind == "nmos" else technology.pmos
        drawn.append(device.draw_mismatch(generator, width_m, length_m, size))
    return replace(
        nominal,
        delta_vth_v=np.stack([vth for vth, _ in drawn], axis=-1),
        mobility=np.stack([beta for _, beta in drawn], axis=-1),
    )


def _starved(
    parameters: AidacParameters, size: tuple[int, int], generator: np.random.Generator | None
) -> StarvedTime:
    circuit, device = parameters.circuit, parameters.technology.pmos
    gates = (
        (circuit.starved_width, circuit.starved_length),
        (circuit.constant_width, circuit.constant_length),
    )
    delta = ratio = None
    if generator is not None:
        check_mismatch(parameters.technology)
        drawn = [
            device.draw_mismatch(
                generator, widths * device.width.value, lengths * device.length.value, size
            )
            for widths, lengths in gates
        ]
        delta = np.stack([vth for vth, _ in drawn], axis=-1)
        ratio = np.stack([beta for _, beta in drawn], axis=-1)
    return StarvedTime(
        technology_of(parameters), circuit.starved_load, *gates[0], *gates[1], delta, ratio
    )
