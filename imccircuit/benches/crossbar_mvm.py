"""Column currents, cell voltages and read-out voltages of a crossbar for a batch of inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import (
    Bench,
    Measurement,
    Parameters,
    Section,
    Variable,
    Variation,
)
from imccircuit.benches.problem import OperatingPoint, Probe, Problem
from imccircuit.circuits.crossbar import (
    cell_voltage_vectors,
    crossbar,
    output_current_vectors,
    output_voltage_vectors,
)
from imccircuit.circuits.crossbar_parts import (
    Cell,
    IdealReadout,
    LinearCell,
    Readout,
    SinhCell,
    TiaReadout,
    TransistorCell,
    interleave_pairs,
)
from imccircuit.devices.cards import load_card
from imccircuit.devices.draws import Draws
from imccircuit.devices.mos import MosCard
from imccircuit.devices.reference import CardOf
from imccircuit.devices.rram import RramCard, SinhConduction
from imccircuit.nodal.array import ResistiveArray
from imccircuit.units import SI, Resistance, SIArray, Time, Voltage

_CELL_VOLTAGES_UP_TO = 65_536
_DEFAULT_SIZE = 32
# At the default reltol a sinh array is 1.5e-10 of its largest current off, at this one 1.5e-13.
_NONLINEAR_OPTIONS: Mapping[str, str | float] = {"reltol": 1e-6}


class Circuit(Section):
    """A resistive crossbar: cells, wires, drivers and read-out."""

    rows: int | None = Field(None, ge=1, le=4096, description="inputs; follows arrays, else 32")
    cols: int | None = Field(
        None, ge=1, le=4096, description="outputs (pairs if differential); follows arrays, else 32"
    )
    conductances: Annotated[NDArray[np.float64], SIArray("S", 2, least=0.0)] | None = Field(
        None, description="programmed conductance of each cell (row, physical column)"
    )
    weights: Annotated[NDArray[np.float64], SIArray("", 2, least=-1.0, most=1.0)] | None = Field(
        None, description="signed weights (row, col), −1 to 1, mapped on differential pairs"
    )
    differential: bool = Field(False, description="physical columns are pairs +0, −0, +1, −1 …")
    device_card: Annotated[RramCard, CardOf("rram")] = Field(
        default_factory=lambda: load_card("rram_techC", "rram"),
        description="on and off state, spread",
    )
    read_time: Time | None = Field(None, description="after programming; default the card's")
    cell: Literal["1r", "1r_sinh", "1t1r"] = "1r"
    sinh_voltage: Annotated[Voltage, Field(gt=0)] | None = Field(
        None, description="V0 of 1r_sinh; default that of the device card"
    )
    technology_card: Annotated[MosCard, CardOf("mos")] = Field(
        default_factory=lambda: load_card("mos_generic", "mos"), description="transistors of 1t1r"
    )
    word_line_voltage: Voltage | None = Field(None, description="gates of 1t1r; default supply")
    row_segment_resistance: Resistance = Field(1.0, description="word line, per cell")
    column_segment_resistance: Resistance = Field(1.0, description="bit line, per cell")
    driver_resistance: Resistance = 0.0
    sense_resistance: Resistance = 0.0
    readout: Literal["ideal", "tia"] = "ideal"
    tia_gain: float = Field(1000.0, gt=0, description="open-loop gain of the amplifier")
    tia_feedback_resistance: Annotated[Resistance, Field(gt=0)] = 5e3
    tia_input_resistance: Annotated[Resistance, Field(gt=0)] = 1e9
    tia_offset: Voltage = 0.0
    tia_offset_sigma: Annotated[Voltage, Field(ge=0)] = Field(
        0.0, description="standard deviation from column to column"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        lone = self.differential and self.conductances is None
        if self.weights is not None and not lone:
            raise PydanticCustomError(
                "array", "weights need differential = true and no conductances beside them"
            )
        given = self.physical_shape_given
        if given is not None and self.differential and given[1] % 2:
            raise PydanticCustomError("array", "differential needs an even number of columns")
        if self.cell == "1r_sinh":
            _ = self.v0_v
        return self

    @property
    def v0_v(self) -> float:
        """V0 of `1r_sinh` cells in V: given, or the card's."""
        if self.sinh_voltage is not None:
            return self.sinh_voltage
        conduction = self.device_card.conduction
        if isinstance(conduction, SinhConduction):
            return conduction.v0.value
        raise PydanticCustomError(
            "sinh",
            "cell 1r_sinh needs V0; allowed: sinh_voltage, or a device_card whose conduction law "
            "is sinh, such as rram_sinh",
        )

    @property
    def physical_shape_given(self) -> tuple[int, int] | None:
        """(rows, physical columns) of the arrays that are given, None if none is."""
        if self.conductances is not None:
            return self.conductances.shape[0], self.conductances.shape[1]
        if self.weights is not None:
            return self.weights.shape[0], 2 * self.weights.shape[1]
        return None

    @property
    def physical_shape(self) -> tuple[int, int]:
        """(rows, physical columns)."""
        given = self.physical_shape_given
        if given is not None:
            return given
        cols = self.cols or _DEFAULT_SIZE
        return self.rows or _DEFAULT_SIZE, 2 * cols if self.differential else cols


class Stimulus(Section):
    """Drive voltages."""

    voltages: Annotated[NDArray[np.float64], SIArray("V", 2)] | None = Field(
        None, description="drive voltages (batch, row); default drawn between 0 and read_voltage"
    )
    batch: int | None = Field(None, ge=1, le=1_000_000, description="vectors; follows voltages")
    read_voltage: Annotated[Voltage, Field(gt=0)] = Field(0.2, description="largest drawn input")
    cell_voltages: bool | None = Field(
        None, description="store every cell's voltage; default: up to 65536 values"
    )


class CrossbarParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Circuit()
    stimulus: Stimulus = Stimulus()

    @model_validator(mode="after")
    def _consistent(self) -> CrossbarParameters:
        voltages = self.stimulus.voltages
        if voltages is None:
            return self
        given = self.circuit.physical_shape_given
        if given is not None and voltages.shape[1] != given[0]:
            why = (
                f"stimulus.voltages has {voltages.shape[1]} voltages a vector but the array has "
                f"{given[0]} rows; allowed: shape (batch, {given[0]})"
            )
            raise PydanticCustomError("array", "{why}", {"why": why})
        return self

    @property
    def rows(self) -> int:
        """Number of inputs."""
        voltages = self.stimulus.voltages
        if voltages is not None:
            return int(voltages.shape[1])
        return self.circuit.physical_shape[0]

    @property
    def cols(self) -> int:
        """Number of physical columns."""
        return self.circuit.physical_shape[1]

    @property
    def batch(self) -> int:
        """Number of input vectors."""
        if self.stimulus.voltages is not None:
            return len(self.stimulus.voltages)
        return self.stimulus.batch or 8

    @property
    def stores_cell_voltages(self) -> bool:
        """Whether ``cell_voltage`` is among the results."""
        if self.stimulus.cell_voltages is not None:
            return self.stimulus.cell_voltages
        return self.batch * self.rows * self.cols <= _CELL_VOLTAGES_UP_TO


class CrossbarGates(Section):
    """What the surrogate of a crossbar must reach on SPICE data it never saw."""

    nrmse: Annotated[float, SI(""), Field(gt=0)] = Field(
        0.001, description="rms error over the standard deviation of the output"
    )
    max_error: Annotated[float, SI("FS"), Field(gt=0)] = Field(
        0.005, description="largest error over the largest output"
    )
    offset_spread_factor: float = Field(
        3.0,
        gt=1,
        description="the spread of amplifier offsets over chips is right within this factor: the "
        "90 % interval of held-out over fitted spread lies between its inverse and itself",
    )


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
    if parameters.circuit.differential:
        found.append(Variable("pair_current", ("batch", "pair"), "A", "difference of a pair"))
    if parameters.circuit.readout == "tia":
        found.append(Variable("output_voltage", ("batch", "col"), "V", "output of the amplifier"))
        found.append(Variable("tia_offset", ("col",), "V", "drawn offset of the amplifiers"))
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
    return parameters.stimulus.read_voltage * generator.random(shape)


def _cell(circuit: Circuit, shape: tuple[int, int], variation: Variation) -> Cell:
    if circuit.cell == "1r":
        return LinearCell()
    if circuit.cell == "1r_sinh":
        return SinhCell(circuit.v0_v)
    card, device = circuit.technology_card, circuit.technology_card.nmos
    delta, ratio = np.zeros(shape), np.ones(shape)
    generator = variation.generator("transistor")
    if generator is not None:
        delta, ratio = device.draw_mismatch(
            generator, device.width.value, device.length.value, shape
        )
    gate = circuit.word_line_voltage
    return TransistorCell(
        model=device.model,
        gate_v=card.supply.value if gate is None else gate,
        w_m=device.width.value,
        l_m=device.length.value,
        lib_path=card.library_path,
        section=card.corners[card.default_corner],
        delta_vth_v=delta,
        mobility=ratio,
    )


def _readout(circuit: Circuit, cols: int, variation: Variation) -> Readout:
    if circuit.readout == "ideal":
        return IdealReadout()
    offset = np.full(cols, circuit.tia_offset)
    generator = variation.generator("tia_offset")
    if generator is not None:
        offset = offset + circuit.tia_offset_sigma * generator.standard_normal(cols)
    return TiaReadout(
        gain=circuit.tia_gain,
        r_feedback_ohm=circuit.tia_feedback_resistance,
        r_in_ohm=circuit.tia_input_resistance,
        offset_v=offset,
    )


def _measure(parameters: CrossbarParameters, variation: Variation) -> Measurement:
    circuit = parameters.circuit
    entropy = variation.draws.entropy
    conductance = _targets(parameters, entropy)
    generator = variation.generator("conductance")
    if generator is not None:
        spread = circuit.device_card.spread_at(circuit.read_time)
        conductance = spread.draw(generator, conductance)
    inputs = _inputs(parameters, entropy)
    array = ResistiveArray(
        conductance,
        r_row_ohm=circuit.row_segment_resistance,
        r_col_ohm=circuit.column_segment_resistance,
        r_driver_ohm=circuit.driver_resistance,
        r_sense_ohm=circuit.sense_resistance,
    )
    cell = _cell(circuit, array.shape, variation)
    readout = _readout(circuit, parameters.cols, variation)
    answer = yield Problem(
        circuit=crossbar(array, inputs[0], cell=cell, readout=readout),
        analysis=OperatingPoint(),
        probes=_probes(parameters, array, inputs),
        alterations=tuple(
            {f"vin_{row}": float(value) for row, value in enumerate(vector)} for vector in inputs
        ),
        options={} if circuit.cell == "1r" else _NONLINEAR_OPTIONS,
        temperature_degc=parameters.conditions.temperature,
        array=array if circuit.cell == "1r" and circuit.readout == "ideal" else None,
        row_voltage_v=inputs,
    )
    current = answer.final("output_current")
    arrays = {"output_current": current, "row_voltage": inputs, "conductance": conductance}
    if parameters.stores_cell_voltages:
        arrays["cell_voltage"] = answer.final("row_node_voltage") - answer.final("col_node_voltage")
    if circuit.differential:
        arrays["pair_current"] = current[:, 0::2] - current[:, 1::2]
    if isinstance(readout, TiaReadout):
        arrays["output_voltage"] = answer.final("output_voltage")
        arrays["tia_offset"] = np.asarray(readout.offset_v)
    return arrays


def _probes(
    parameters: CrossbarParameters, array: ResistiveArray, inputs: NDArray[np.float64]
) -> tuple[Probe, ...]:
    circuit = parameters.circuit
    rows, cols = array.shape
    largest = float(np.max(np.abs(inputs), initial=0.0)) + abs(circuit.tia_offset)
    largest += 10 * circuit.tia_offset_sigma
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
    if circuit.readout == "tia":
        bound = 2 * circuit.tia_feedback_resistance * current + 2 * largest + 1.0
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
)
