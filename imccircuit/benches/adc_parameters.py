"""Parameters of the ADC bench: the tables of its recipes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters, Section
from imccircuit.devices.capacitor import CapacitorCard
from imccircuit.devices.cards import load_card
from imccircuit.devices.reference import CardOf
from imccircuit.units import SI, Capacitance, Resistance, SIArray, Time, Voltage


class Circuit(Section):
    """A charge-redistribution SAR ADC with ideal switches."""

    bits: int | None = Field(
        None, ge=2, le=14, description="resolution, default 8; follows bit_capacitors if given"
    )
    bit_capacitors: Annotated[NDArray[np.float64], SIArray("F", 1, least=1e-21)] | None = Field(
        None, description="capacitors of the bits, LSB first; explicit ones are not varied"
    )
    unit_capacitor: Annotated[Capacitance, Field(gt=0)] | None = Field(
        None, description="unit of the binary capacitors and of the dummy; default the card's"
    )
    capacitor_card: Annotated[CapacitorCard, CardOf("capacitor")] = Field(
        default_factory=lambda: load_card("capacitor_pessimistic", "capacitor"),
        description="card with the mismatch law of the unit capacitor",
    )
    dummy_capacitor: Capacitance | None = Field(
        None, description="completes the binary sum; default one unit"
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
    def unit_f(self) -> float:
        """Unit capacitor in F."""
        if self.unit_capacitor is not None:
            return self.unit_capacitor
        return self.capacitor_card.unit_capacitance.value

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

    @property
    def has_transistors(self) -> bool:
        """Switches and comparator are ideal."""
        return False


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
