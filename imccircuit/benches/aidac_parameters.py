"""Parameters of the grouped-capacitor bench: the tables of its recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.aidac_idle import (
    idle_circuit_keys,
    idle_circuit_quantities,
    spread_circuit_keys,
    transistor_circuit_quantities,
)
from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.idle import keys_idle
from imccircuit.circuits.aidac_shape import AidacPhases, AidacShape
from imccircuit.devices.capacitor import CapacitorCard
from imccircuit.devices.cards import load_card
from imccircuit.devices.reference import CardOf
from imccircuit.errors import UsageError
from imccircuit.metrics.grouped import GroupedGains
from imccircuit.units import SI, Capacitance, Current, Resistance, SIArray, Time, Voltage

Share = Annotated[float, SI(""), Field(ge=0, lt=1)]

# The behavioural cell's edge is a tanh of 40 ps; its ramp must start from nothing.
_LEAST_OFFSET_S = 0.4e-9


class Circuit(Section):
    """Arrays of grouped capacitors, their row drivers and column time accumulators."""

    switches: Literal["ideal", "transistor"] = Field(
        "ideal", description="ideal switches, or transmission gates of the technology"
    )
    time_cell: Literal["behavioural", "starved", "ramp"] = Field(
        "behavioural",
        description="voltage-to-time cell: a formula, current-starved inverters, or a ramp with a "
        "comparator",
    )
    arrays: int = Field(2, ge=1, le=64, description="arrays in cascade, whose delays add")
    rows: int = Field(8, ge=1, le=4096, description="inputs of one array")
    outputs: int = Field(4, ge=1, le=4096, description="outputs of one array")
    built_outputs: int | None = Field(
        None, ge=1, description="outputs built as cells, the first ones; default all"
    )
    input_bits: int = Field(4, ge=1, le=10)
    weight_bits: int = Field(4, ge=1, le=10)
    dummy_units: int = Field(
        1, ge=0, le=1024, description="discharged units on an output line: divides by 2^W − 1 + it"
    )
    unit_capacitor: Annotated[Capacitance, Field(gt=0)] | None = Field(
        None, description="of a cell; default the card's"
    )
    capacitor_card: Annotated[CapacitorCard, CardOf("capacitor")] = Field(
        default_factory=lambda: load_card("capacitor_28nm", "capacitor"),
        description="card with the mismatch law of the unit capacitor",
    )
    row_line_capacitance: Annotated[Capacitance, Field(ge=0)] = Field(
        0.2e-15, description="wire of a row, for each of its 2^input_bits units"
    )
    bit_line_capacitance: Annotated[Capacitance, Field(ge=0)] = Field(
        0.2e-15, description="wire of a bit column, for each cell"
    )
    output_line_capacitance: Annotated[Capacitance, Field(ge=0)] = Field(
        2e-15, description="wire of an output line and input of its voltage-to-time cell"
    )
    junction_capacitance: Annotated[Capacitance, Field(ge=0)] = Field(
        0.0, description="voltage-dependent part of a cell's plate, at 0 V"
    )
    junction_potential: Annotated[Voltage, Field(gt=0)] = Field(
        0.8, description="built-in potential of that part"
    )
    precharge_voltage: Annotated[Voltage, Field(gt=0)] | None = Field(
        None, description="of an input bit that is 1; default the supply"
    )
    row_drivers: int = Field(
        0, ge=0, le=64, description="drivers between a row's DAC and the cells; 0 in a first array"
    )
    row_driver: Literal["behavioural", "ota"] = Field(
        "behavioural", description="gain and offset, or five-transistor amplifiers in unity gain"
    )
    driver_gain: float = Field(1.0, gt=0, le=4)
    driver_gain_sigma: Share = Field(0.0, description="standard deviation, driver to driver")
    driver_offset: Voltage = Field(0.0, description="input-referred, common to all")
    driver_offset_sigma: Annotated[Voltage, Field(ge=0)] = Field(
        0.0, description="standard deviation, driver to driver"
    )
    driver_resistance: Annotated[Resistance, Field(gt=0)] = Field(100.0, description="output")
    driver_current: Annotated[Current, Field(gt=0)] = Field(
        80e-6, description="of the tail of one amplifier"
    )
    driver_width: float = Field(
        40.0, gt=0, le=10_000, description="of its pair and tail, in default widths"
    )
    driver_load_width: float = Field(80.0, gt=0, le=10_000, description="of its load")
    driver_low_supply: Annotated[Voltage, Field(le=0, ge=-2)] = Field(
        -0.35, description="lower rail of these: at 0 V they do not follow an input near 0 V"
    )
    driver_length: float = Field(2.0, ge=1, le=100, description="of all of it, default lengths")
    switch_on_resistance: Annotated[Resistance, Field(gt=0)] = Field(
        2e3, description="of the ideal switch of one unit"
    )
    switch_off_resistance: Annotated[Resistance, Field(gt=0)] = Field(
        1e14, description="of the same: what leaks while a voltage is held"
    )
    switch_width: float = Field(
        1.0, gt=0, le=100, description="of the transistors of one unit, in default widths"
    )
    discharge_dummy: float = Field(
        0.0,
        ge=0,
        le=100,
        description="p-channel transistor on each plate that takes back what the "
        "discharge injects, in default widths; 0 for none",
    )
    phase_time: Annotated[Time, Field(gt=0)] = Field(1e-9, description="of each charge phase")
    conversion_time: Annotated[Time, Field(gt=0)] | None = Field(
        None, description="from launch to the end; default what full scale needs and a tenth more"
    )
    time_offset: Annotated[Time, Field(ge=_LEAST_OFFSET_S)] = Field(
        0.5e-9, description="delay of a behavioural cell at 0 V, 0.4 ns or more"
    )
    time_slope: Annotated[float, SI("s/V"), Field(gt=0)] = Field(
        1e-9, description="its delay for each volt"
    )
    time_curvature: Annotated[float, Field(gt=-1, lt=1)] = Field(
        0.0, description="its departure from a line: −1/4 of it at half of full scale"
    )
    time_offset_sigma: Annotated[Time, Field(ge=0)] = Field(
        0.0, description="standard deviation, cell to cell"
    )
    time_slope_sigma: Share = Field(0.0, description="standard deviation, cell to cell")
    starved_load: Annotated[Capacitance, Field(gt=0)] = Field(
        16e-15, description="what the starved current charges"
    )
    starved_width: float = Field(
        1.0, gt=0, le=100, description="of the transistor that reads the voltage, default widths"
    )
    starved_length: float = Field(16.0, ge=1, le=100, description="of the same, default lengths")
    constant_width: float = Field(
        1.0, gt=0, le=100, description="of the transistor in parallel that always conducts"
    )
    constant_length: float = Field(5.0, ge=1, le=100, description="of the same")
    ramp_current: Annotated[Current, Field(gt=0)] = Field(
        20e-6, description="of the ramp, and of the tail of the comparator"
    )
    ramp_capacitor: Annotated[Capacitance, Field(gt=0)] = Field(
        20e-15, description="what it charges"
    )
    ramp_source_width: float = Field(
        33.0, gt=0, le=1000, description="of its current source and of the tail, default widths"
    )
    ramp_pair_width: float = Field(
        16.0, gt=0, le=1000, description="of the side of the comparator that reads the voltage"
    )
    ramp_load_width: float = Field(33.0, gt=0, le=1000, description="of its load")
    output_bits: int = Field(8, ge=1, le=16, description="of the time-to-digital conversion")

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        try:
            _ = self.shape
        except UsageError as error:
            raise PydanticCustomError("array", "{why}", {"why": str(error)}) from None
        chosen = {"time_cell": self.time_cell, "row_driver": self.row_driver}
        for key, value in chosen.items():
            if value != "behavioural" and self.switches == "ideal":
                why = (
                    f'{key} = "{value}" needs a supply that also drives the switches; allowed: '
                    'switches = "transistor" with it'
                )
                raise PydanticCustomError(key, "{why}", {"why": why})
        return self

    @property
    def shape(self) -> AidacShape:
        """How many of what."""
        return AidacShape(
            self.arrays, self.rows, self.outputs, self.built_outputs or self.outputs,
            self.input_bits, self.weight_bits,
        )  # fmt: skip

    @property
    def unit_f(self) -> float:
        """Unit capacitor in F."""
        if self.unit_capacitor is not None:
            return self.unit_capacitor
        return self.capacitor_card.unit_capacitance.value

    @property
    def gains(self) -> GroupedGains:
        """Nominal gains of the steps, linear parasitics included."""
        return GroupedGains(
            unit_f=self.unit_f,
            row_line_f=self.row_line_capacitance,
            bit_line_f=self.bit_line_capacitance,
            output_f=self.output_line_capacitance + self.dummy_units * self.unit_f,
            input_bits=self.input_bits,
            weight_bits=self.weight_bits,
        )


class Stimulus(Section):
    """Inputs and weights, whole numbers."""

    inputs: Annotated[NDArray[np.float64], SIArray("", 3, least=0.0)] | None = Field(
        None, description="(vector, array, row); default drawn, all values equally often"
    )
    weights: Annotated[NDArray[np.float64], SIArray("", 3, least=0.0)] | None = Field(
        None, description="(array, row, built output); default drawn likewise"
    )
    vectors: int | None = Field(None, ge=1, le=256, description="default 8; follows inputs")
    calibration: Literal["nominal", "end-points"] | None = Field(
        None,
        description="what full scale is: the nominal gains of all steps, or two more conversions "
        "with all weights largest; default end-points where there are transistors",
    )


class AidacParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def has_transistors(self) -> bool:
        """Only if the switches are."""
        return self.circuit.switches == "transistor"

    @property
    def has_supply(self) -> bool:
        """Also with ideal switches: input bits are precharged to it, and the counter has it."""
        given = self.circuit.precharge_voltage is not None
        return self.has_transistors or not given or self.technology.logic is not None

    def idle_keys(self) -> Mapping[str, str]:
        """What the chosen switches, time cells and drivers leave nothing to."""
        idle = keys_idle(not self.has_supply, "ideal switches and no logic counted", "technology")
        return {**idle_circuit_keys(self.circuit), **idle}

    def idle_quantities(self) -> Mapping[str, str]:
        """Spread of what is not there, and spread of zero."""
        return idle_circuit_quantities(self.circuit, self.technology)

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of switches, and of drivers and time cells of transistors."""
        return transistor_circuit_quantities(self.circuit)

    def spread_keys(self) -> Mapping[str, str]:
        """Standard deviations, and a card that gives no unit."""
        return spread_circuit_keys(self.circuit)

    @property
    def precharge_v(self) -> float:
        """Voltage of an input bit that is 1, in V."""
        given = self.circuit.precharge_voltage
        return self.supply_v if given is None else given

    @property
    def calibration(self) -> str:
        """What full scale is."""
        return self.stimulus.calibration or ("end-points" if self.has_transistors else "nominal")

    @property
    def vectors(self) -> int:
        """Number of input vectors."""
        if self.stimulus.inputs is not None:
            return len(self.stimulus.inputs)
        return 8 if self.stimulus.vectors is None else self.stimulus.vectors

    @property
    def full_scale_v(self) -> float:
        """Voltage of an output line if every input and weight is the largest, in V; nominal."""
        circuit = self.circuit
        gain = circuit.driver_gain if circuit.row_driver == "behavioural" else 1.0
        return float(self.precharge_v * circuit.gains.full_scale * gain**circuit.row_drivers)

    @property
    def phases(self) -> AidacPhases:
        """Times of an operation."""
        circuit = self.circuit
        if circuit.conversion_time is not None:
            return AidacPhases(circuit.phase_time, circuit.conversion_time)
        if circuit.time_cell != "behavioural":
            return AidacPhases(circuit.phase_time, 2e-9 * circuit.arrays)
        longest = circuit.time_offset + circuit.time_slope * self.full_scale_v
        return AidacPhases(circuit.phase_time, 1.1 * circuit.arrays * longest + 0.2e-9)

    @model_validator(mode="after")
    def _fits(self) -> AidacParameters:
        shape, stimulus = self.circuit.shape, self.stimulus
        wrong = ""
        inputs, weights = stimulus.inputs, stimulus.weights
        if inputs is not None:
            wrong = _describe_wrong("inputs", inputs, (shape.arrays, shape.rows), shape.input_bits)
            if stimulus.vectors not in (None, len(inputs)):
                wrong = f"stimulus.vectors is {stimulus.vectors}, inputs has {len(inputs)}"
        if weights is not None and not wrong:
            wrong = _describe_wrong(
                "weights", weights[None], (shape.arrays, shape.rows, shape.built),
                shape.weight_bits,
            )  # fmt: skip
        if self.calibration == "nominal" and self.circuit.time_cell != "behavioural":
            wrong = (
                'stimulus.calibration = "nominal" needs a slope, a cell of transistors has none; '
                'allowed: "end-points"'
            )
        if wrong:
            raise PydanticCustomError("stimulus", "{why}", {"why": wrong})
        return self


def _describe_wrong(
    name: str, values: NDArray[np.float64], shape: tuple[int, ...], bits: int
) -> str:
    """What is wrong about whole numbers of so many bits; empty if nothing is."""
    if values.shape[1:] != shape:
        last = " x ".join(map(str, values.shape[1:]))
        return f"stimulus.{name} is … x {last}; allowed: {' x '.join(map(str, shape))} at the end"
    outside = values[(values != np.rint(values)) | (values > 2**bits - 1)]
    if outside.size:
        return (
            f"stimulus.{name} has an entry {outside[0]:g}; allowed: whole numbers from 0 to "
            f"{2**bits - 1}, for {bits} bits"
        )
    return ""


class AidacGates(Section):
    """What the surrogate of column time accumulators must reach on SPICE data it never saw."""

    max_error: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.05, description="largest error of an output's delay; LSB: one output code"
    )
    spread_factor: float = Field(
        1.75,
        gt=1,
        description="the spread of cells is right within this factor: the 90 % interval of "
        "held-out over fitted spread lies between its inverse and itself",
    )
