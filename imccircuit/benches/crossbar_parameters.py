"""Parameters of the crossbar bench: the tables of its recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.idle import keys_idle, keys_of_others, never_mismatched, never_spread
from imccircuit.devices.cards import load_card
from imccircuit.devices.reference import CardOf
from imccircuit.devices.rram import RramCard, SinhConduction
from imccircuit.devices.wire import WireCard
from imccircuit.units import SI, Capacitance, Current, Resistance, SIArray, Time, Voltage

_CELL_VOLTAGES_UP_TO = 65_536
_DEFAULT_SIZE = 32
# Plots of transients are kept until a deck ends; its time grows with the square of their number.
_TRANSIENTS_UP_TO = 256

_OFFSET = ("tia_offset", "tia_offset_sigma")
_READOUT_KEYS = {
    "tia": ("tia_gain", "tia_feedback_resistance", "tia_input_resistance", *_OFFSET),
    "clamp_mirror": (
        "clamp_voltage", "clamp_resistance", "clamp_keep_current", "mirror_ratio",
        "mirror_load_resistance", "mirror_load_voltage", "mirror_swing_low", *_OFFSET,
    ),
    "integrator": (
        "integrator_gain", "integrator_gain_bandwidth", "integrator_capacitance",
        "integrator_reset_resistance", "reset_time", "integration_time", *_OFFSET,
    ),
}  # fmt: skip
_CELL_KEYS = {"1r_sinh": ("sinh_voltage",), "1t1r": ("word_line_voltage",)}


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
    word_line_voltage: Voltage | None = Field(None, description="gates of 1t1r; default supply")
    wire_card: Annotated[WireCard, CardOf("wire")] = Field(
        default_factory=lambda: load_card("wire_generic", "wire"), description="wire segments"
    )
    row_segment_resistance: Resistance | None = Field(
        None, description="word line, per cell; default the wire card's"
    )
    column_segment_resistance: Resistance | None = Field(
        None, description="bit line, per cell; default the wire card's"
    )
    driver_resistance: Resistance = 0.0
    sense_resistance: Resistance = 0.0
    readout: Literal["ideal", "tia", "clamp_mirror", "integrator"] = "ideal"
    tia_gain: float = Field(1000.0, gt=0, description="open-loop gain of the amplifier")
    tia_feedback_resistance: Annotated[Resistance, Field(gt=0)] = 5e3
    tia_input_resistance: Annotated[Resistance, Field(gt=0)] = 1e9
    tia_offset: Voltage = Field(0.0, description="input-referred, of any read-out but ideal")
    tia_offset_sigma: Annotated[Voltage, Field(ge=0)] = Field(
        0.0, description="standard deviation from column to column"
    )
    clamp_voltage: Voltage = Field(0.0, description="bit lines; drawn inputs start from it")
    clamp_resistance: Annotated[Resistance, Field(gt=0)] = 50.0
    clamp_keep_current: Annotated[Current, Field(ge=0)] = Field(
        10e-6, description="through the clamp at no input; negative currents end there"
    )
    mirror_ratio: float = Field(1.0, gt=0)
    mirror_load_resistance: Annotated[Resistance, Field(gt=0)] = 5e3
    mirror_load_voltage: Annotated[Voltage, Field(gt=0)] = 1.2
    mirror_swing_low: Voltage = Field(0.1, description="an output below is refused")
    integrator_gain: float = Field(1000.0, gt=0)
    integrator_gain_bandwidth: Annotated[float, SI("Hz"), Field(gt=0)] = 500e6
    integrator_capacitance: Annotated[Capacitance, Field(gt=0)] = 2e-12
    integrator_reset_resistance: Annotated[Resistance, Field(gt=0)] = 200.0
    reset_time: Annotated[Time, Field(gt=0)] = 10e-9
    integration_time: Annotated[Time, Field(gt=0)] = 20e-9

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
        drawn = self.conductances is None
        if (
            drawn
            and self.cell != "1r_sinh"
            and isinstance(self.device_card.conduction, SinhConduction)
        ):
            raise PydanticCustomError(
                "sinh", 'device_card has a sinh law; allowed: cell = "1r_sinh" with it'
            )
        return self

    @property
    def row_ohm(self) -> float:
        """Resistance of a word-line segment in ohm."""
        given = self.row_segment_resistance
        return self.wire_card.row_resistance.value if given is None else given

    @property
    def column_ohm(self) -> float:
        """Resistance of a bit-line segment in ohm."""
        given = self.column_segment_resistance
        return self.wire_card.column_resistance.value if given is None else given

    @property
    def rest_v(self) -> float:
        """Voltage of the bit lines, and of rows that drive no current, in V."""
        return self.clamp_voltage if self.readout == "clamp_mirror" else 0.0

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
        None, description="store every cell's voltage; default: up to 65536 values, no integrator"
    )
    power: bool = Field(False, description="measure the power that goes into wires and cells")


class CrossbarParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def has_transistors(self) -> bool:
        """Only the cell 1t1r has any."""
        return self.circuit.cell == "1t1r"

    @property
    def has_temperature(self) -> bool:
        """Resistors of a card that knows no other keep their value, and no noise is measured."""
        known = self.circuit.device_card.temperature_coefficient is not None
        return self.has_transistors or known

    def idle_keys(self) -> Mapping[str, str]:
        """Keys of other cells and read-outs, and what arrays of one's own leave nothing to."""
        circuit, stimulus = self.circuit, self.stimulus
        wires = circuit.row_segment_resistance, circuit.column_segment_resistance
        return {
            **keys_of_others(_READOUT_KEYS, "readout", circuit.readout),
            **keys_of_others(_CELL_KEYS, "cell", circuit.cell),
            **keys_idle(circuit.word_line_voltage is not None, "a word_line_voltage beside it",
                        "conditions.supply"),
            # Capacitances count only in a transient.
            **keys_idle(None not in wires and circuit.readout != "integrator",
                        "both segment resistances given and no transient", "circuit.wire_card"),
            **keys_idle(stimulus.voltages is not None, "stimulus.voltages given",
                        "stimulus.read_voltage"),
        }  # fmt: skip

    def idle_quantities(self) -> Mapping[str, str]:
        """Mismatch without transistors, offsets without front ends or without spread."""
        circuit = self.circuit
        return {
            **keys_idle(never_spread(circuit.device_card), "this device_card", "conductance"),
            **keys_idle(circuit.cell != "1t1r", f'cell = "{circuit.cell}"', "transistor"),
            **keys_idle(never_mismatched(self.technology.nmos), "this technology", "transistor"),
            **keys_idle(circuit.tia_offset_sigma == 0, "tia_offset_sigma = 0 V", "tia_offset"),
            **keys_idle(circuit.readout == "ideal", 'readout = "ideal"', "tia_offset"),
        }

    def unfit_engines(self) -> Mapping[str, str]:
        """The nodal solver knows linear cells and ideal ends."""
        circuit = self.circuit
        return {
            **keys_idle(circuit.readout != "ideal", f'readout = "{circuit.readout}"', "nodal"),
            **keys_idle(circuit.cell != "1r", f'cell = "{circuit.cell}"', "nodal"),
        }

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of the cells' transistors."""
        return ("transistor",)

    def spread_keys(self) -> Mapping[str, str]:
        """Keys of the spread of cells and offsets."""
        found = {"circuit.read_time": "conductance", "circuit.tia_offset_sigma": "tia_offset"}
        if self.circuit.conductances is not None and self.circuit.cell != "1r_sinh":
            found["circuit.device_card"] = "conductance"
        return found

    @model_validator(mode="after")
    def _consistent(self) -> CrossbarParameters:
        if self.has_transistors and self.technology.device != "model":
            raise PydanticCustomError(
                "mos", 'cell 1t1r takes transistors that are models; allowed: device = "model"'
            )
        if self.circuit.readout == "integrator" and self.batch > _TRANSIENTS_UP_TO:
            why = (
                f"readout = integrator takes a transient a vector, and {self.batch} are asked for; "
                f"allowed: stimulus.batch up to {_TRANSIENTS_UP_TO}"
            )
            raise PydanticCustomError("readout", "{why}", {"why": why})
        voltages = self.stimulus.voltages
        largest = self.stimulus.read_voltage
        if voltages is not None:
            largest = float(np.max(np.abs(voltages - self.circuit.rest_v)))
        card = self.circuit.device_card
        if self.circuit.conductances is None and largest > card.max_voltage.value:
            why = (
                f"inputs of {largest:g} V are beyond the law of device_card; allowed: up to "
                f"{card.max_voltage.value:g} V, or conductances of your own"
            )
            raise PydanticCustomError("voltage", "{why}", {"why": why})
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
        if self.circuit.readout == "integrator":
            return False
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
