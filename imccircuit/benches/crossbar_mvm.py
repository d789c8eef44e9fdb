"""Column currents, cell voltages and read-out voltages of a crossbar for a batch of inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import (
    Bench,
    Measurement,
    Variable,
    Variation,
)
from imccircuit.benches.crossbar_parameters import CrossbarGates, CrossbarParameters
from imccircuit.benches.crossbar_readout import (
    analysis_of,
    check_readout,
    draw_readout,
    largest_output_v,
    offsets_v,
)
from imccircuit.benches.problem import Answer, Probe, Problem, Transient
from imccircuit.circuits.crossbar import (
    cell_voltage_vectors,
    crossbar,
    drive_current_vectors,
    end_voltage_vectors,
    output_current_vectors,
    output_voltage_vectors,
)
from imccircuit.circuits.crossbar_parts import (
    Cell,
    LinearCell,
    SinhCell,
    TransistorCell,
    interleave_pairs,
)
from imccircuit.devices.draws import Draws
from imccircuit.nodal.array import ResistiveArray

# At the default reltol a sinh array is 1.5e-10 of its largest current off, at this one 1.5e-13.
_NONLINEAR_OPTIONS: Mapping[str, str | float] = {"reltol": 1e-6}
_CHARGE_OPTIONS: Mapping[str, str | float] = {"reltol": 1e-5, "method": "gear"}


def _sizes(parameters: CrossbarParameters) -> dict[str, int]:
    sizes = {"batch": parameters.batch, "row": parameters.rows, "col": parameters.cols}
    if parameters.circuit.differential:
        sizes["pair"] = parameters.cols // 2
    return sizes


def _variables(parameters: CrossbarParameters) -> tuple[Variable, ...]:
    found = [
        Variable("output_current", ("batch", "col"), "A", "column current into the sensing node"),
        Variable("row_voltage", ("batch", "row"), "V", "drive voltage"),
        Variable("conductance", ("row", "col"), "S", "conductance of this chip's cells"),
    ]
    if parameters.stores_cell_voltages:
        found.append(Variable("cell_voltage", ("batch", "row", "col"), "V", "voltage across cell"))
    if parameters.stimulus.power:
        found.append(Variable("array_power", ("batch",), "W", "power into wires and cells"))
    if parameters.circuit.differential:
        found.append(Variable("pair_current", ("batch", "pair"), "A", "difference of a pair"))
    if parameters.circuit.readout != "ideal":
        found.append(Variable("output_voltage", ("batch", "col"), "V", "output of the front end"))
        found.append(Variable("tia_offset", ("col",), "V", "drawn offset of the front ends"))
    return tuple(found)


def _coordinates(parameters: CrossbarParameters) -> Mapping[str, NDArray[Any]]:
    return {name: np.arange(size) for name, size in _sizes(parameters).items() if name != "batch"}


def _targets(parameters: CrossbarParameters, entropy: int) -> NDArray[np.float64]:
    """Programmed conductances: given, from weights, or a pattern that is the same for all chips."""
    circuit = parameters.circuit
    on = circuit.device_card.on_conductance.value
    off = circuit.device_card.off_conductance.value
    if circuit.conductances is not None:
        return circuit.conductances
    if circuit.weights is not None:
        plus = off + (on - off) * np.maximum(circuit.weights, 0.0)
        minus = off + (on - off) * np.maximum(-circuit.weights, 0.0)
        return interleave_pairs(plus, minus)
    generator = Draws(entropy, 0).generator("pattern")
    return off + (on - off) * generator.random((parameters.rows, parameters.cols))


def _inputs(parameters: CrossbarParameters, entropy: int) -> NDArray[np.float64]:
    if parameters.stimulus.voltages is not None:
        return parameters.stimulus.voltages
    generator = Draws(entropy, 0).generator("stimulus")
    shape = (parameters.batch, parameters.rows)
    drawn = parameters.stimulus.read_voltage * generator.random(shape)
    return np.asarray(parameters.circuit.rest_v + drawn)


def _cell(parameters: CrossbarParameters, shape: tuple[int, int], variation: Variation) -> Cell:
    circuit = parameters.circuit
    if circuit.cell == "1r":
        return LinearCell()
    if circuit.cell == "1r_sinh":
        return SinhCell(circuit.v0_v)
    card, device = parameters.technology, parameters.technology.nmos
    delta: NDArray[np.float64] | None = None
    ratio: NDArray[np.float64] | None = None
    generator = variation.generator("transistor")
    if generator is not None:
        delta, ratio = device.draw_mismatch(
            generator, device.width.value, device.length.value, shape
        )
    gate = circuit.word_line_voltage
    return TransistorCell(
        model=device.model,
        gate_v=parameters.supply_v if gate is None else gate,
        w_m=device.width.value,
        l_m=device.length.value,
        lib_path=card.library_path,
        section=card.corners[parameters.corner],
        delta_vth_v=delta,
        mobility=ratio,
    )


def _measure(parameters: CrossbarParameters, variation: Variation) -> Measurement:
    circuit = parameters.circuit
    entropy = variation.draws.entropy
    conductance = _targets(parameters, entropy)
    generator = variation.generator("conductance")
    if generator is not None:
        spread = circuit.device_card.spread_at(circuit.read_time)
        conductance = spread.draw(generator, conductance)
    conductance = conductance * circuit.device_card.temperature_factor(
        parameters.conditions.temperature
    )
    inputs = _inputs(parameters, entropy)
    array = ResistiveArray(
        conductance,
        r_row_ohm=circuit.row_ohm,
        r_col_ohm=circuit.column_ohm,
        r_driver_ohm=circuit.driver_resistance,
        r_sense_ohm=circuit.sense_resistance,
    )
    cell = _cell(parameters, array.shape, variation)
    readout = draw_readout(circuit, parameters.cols, variation)
    analysis = analysis_of(circuit, readout)
    moving = isinstance(analysis, Transient)
    wires = circuit.wire_card
    answer = yield Problem(
        circuit=crossbar(
            array,
            inputs[0],
            cell=cell,
            readout=readout,
            c_row_f=wires.row_capacitance.value if moving else 0.0,
            c_col_f=wires.column_capacitance.value if moving else 0.0,
        ),
        analysis=analysis,
        probes=_probes(parameters, array, inputs),
        alterations=tuple(
            {f"vin_{row}": float(value) for row, value in enumerate(vector)} for vector in inputs
        ),
        options=_options(parameters, moving),
        temperature_degc=parameters.conditions.temperature,
        array=array if circuit.cell == "1r" and circuit.readout == "ideal" else None,
        row_voltage_v=inputs,
    )
    current = answer.final("output_current")
    arrays = {"output_current": current, "row_voltage": inputs, "conductance": conductance}
    if parameters.stores_cell_voltages:
        arrays["cell_voltage"] = answer.final("row_node_voltage") - answer.final("col_node_voltage")
    if parameters.stimulus.power:
        arrays["array_power"] = _power(answer, inputs)
    if circuit.differential:
        arrays["pair_current"] = current[:, 0::2] - current[:, 1::2]
    if circuit.readout != "ideal":
        arrays["output_voltage"] = answer.final("output_voltage")
        arrays["tia_offset"] = offsets_v(circuit, readout)
        check_readout(circuit, current, arrays["output_voltage"])
    return arrays


def _power(answer: Answer, drive_v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power (batch,) in W: what drivers give, less what leaves at the bit lines' ends."""
    # Positive through a source from its plus to its minus node: what it takes.
    power = -np.sum(drive_v * answer.final("drive_current"), axis=1)
    if "end_voltage" in answer.runs[0].values:
        leaving = answer.final("end_voltage") * answer.final("output_current")
        power = power - np.sum(leaving, axis=1)
    return np.asarray(power)


def _options(parameters: CrossbarParameters, moving: bool) -> Mapping[str, str | float]:
    if moving:
        return _CHARGE_OPTIONS
    return {} if parameters.circuit.cell == "1r" else _NONLINEAR_OPTIONS


def _probes(
    parameters: CrossbarParameters, array: ResistiveArray, inputs: NDArray[np.float64]
) -> tuple[Probe, ...]:
    circuit = parameters.circuit
    rows, cols = array.shape
    largest = float(np.max(np.abs(inputs), initial=0.0)) + abs(circuit.tia_offset)
    largest += 10 * circuit.tia_offset_sigma + abs(circuit.rest_v)
    if circuit.cell == "1r_sinh":
        reached = circuit.v0_v * np.sinh(min(largest / circuit.v0_v, 500.0))
    else:
        reached = largest
    # A passive array cannot exceed the sum of its cells at full voltage; twice that is slack for
    # an amplifier's offset. A transistor's leakage needs a floor.
    current = 2 * reached * float(np.max(array.conductance_s.sum(axis=0))) + 1e-6
    probes = [Probe("output_current", output_current_vectors(cols), (cols,), current)]
    if parameters.stores_cell_voltages:
        word, bit = cell_voltage_vectors(array)
        bound = 2 * largest + 1e-3
        probes.append(Probe("row_node_voltage", word, (rows, cols), bound))
        probes.append(Probe("col_node_voltage", bit, (rows, cols), bound))
    if parameters.stimulus.power:
        bound = 2 * reached * float(np.max(array.conductance_s.sum(axis=1))) + 1e-6
        probes.append(Probe("drive_current", drive_current_vectors(rows), (rows,), bound))
        if circuit.readout != "ideal":
            bound = 2 * largest + 1.0
            probes.append(Probe("end_voltage", end_voltage_vectors(cols), (cols,), bound))
    if circuit.readout != "ideal":
        bound = largest_output_v(circuit, current, largest)
        probes.append(Probe("output_voltage", output_voltage_vectors(cols), (cols,), bound))
    return tuple(probes)


BENCH = Bench(
    name="crossbar_mvm",
    summary="matrix-vector products of a resistive crossbar with wires, spread and read-out",
    parameters=CrossbarParameters,
    gates=CrossbarGates,
    quantities=("conductance", "transistor", "tia_offset"),
    surrogate="crossbar",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    engines=("ngspice", "nodal"),
)
