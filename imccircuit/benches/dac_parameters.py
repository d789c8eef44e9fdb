"""Parameters of the DAC bench: the tables of its recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters, Section
from imccircuit.devices.capacitor import CapacitorCard
from imccircuit.devices.cards import load_card
from imccircuit.devices.reference import CardOf
from imccircuit.units import SI, Capacitance, Conductance, Length, Resistance, Time, Voltage

Kind = Literal["string", "r2r", "capacitor", "pulse_width"]

_IDEAL = ("switch_on_resistance", "switch_off_resistance", "driver_resistance")
_GATES = ("switch_width", "gate_length", "driver_width")
# What varies in each kind.
QUANTITIES = {
    "string": "resistors", "r2r": "resistors", "capacitor": "capacitors", "pulse_width": "driver",
}  # fmt: skip
# Keys that only some kinds have: key → kinds.
_ONLY = {
    "unit_resistor": ("string", "r2r"),
    "resistor_sigma": ("string", "r2r"),
    "unit_capacitor": ("capacitor",),
    "capacitor_card": ("capacitor",),
    "parasitic_capacitor": ("capacitor",),
    "cycle_time": ("string", "r2r", "capacitor"),
    "switch_on_resistance": ("string", "r2r", "capacitor"),
    "switch_off_resistance": ("string", "r2r", "capacitor"),
    "switch_width": ("string", "r2r", "capacitor"),
    "reference_voltage": ("string", "r2r", "capacitor"),
    "clock_time": ("pulse_width",),
    "edge_time": ("pulse_width",),
    "rise_delay": ("pulse_width",),
    "fall_delay": ("pulse_width",),
    "driver_resistance": ("pulse_width",),
    "driver_width": ("pulse_width",),
}


class Circuit(Section):
    """A digital-to-analog converter and the row that it drives."""

    kind: Kind = "string"
    bits: int = Field(6, ge=1, le=10, description="resolution")
    switches: Literal["ideal", "transistor"] = Field(
        "ideal", description="switches, or the driver of pulse_width"
    )
    reference_voltage: Annotated[Voltage, Field(gt=0)] = Field(0.5, description="full scale")
    unit_resistor: Annotated[Resistance, Field(gt=0)] = Field(
        1e3, description="each of a string; R of an R-2R ladder"
    )
    resistor_sigma: Annotated[float, SI(""), Field(ge=0, le=0.3)] = Field(
        0.01, description="standard deviation of a unit resistor over its mean"
    )
    unit_capacitor: Annotated[Capacitance, Field(gt=0)] | None = Field(
        None, description="smallest capacitor and dummy; default the card's"
    )
    capacitor_card: Annotated[CapacitorCard, CardOf("capacitor")] = Field(
        default_factory=lambda: load_card("capacitor_pessimistic", "capacitor"),
        description="mismatch law of the unit",
    )
    parasitic_capacitor: Capacitance = Field(0.0, description="top plate to ground")
    switch_on_resistance: Annotated[Resistance, Field(gt=0)] = Field(100.0)
    switch_off_resistance: Annotated[Resistance, Field(gt=0)] = Field(1e12)
    switch_width: Annotated[Length, Field(gt=0, le=1e-3)] = Field(
        480e-9, description="NMOS of a transmission gate; its PMOS is twice as wide"
    )
    gate_length: Annotated[Length, Field(gt=0, le=1e-3)] | None = Field(
        None, description="of all transistors; default the technology's"
    )
    cycle_time: Annotated[Time, Field(gt=0)] = Field(
        60e-9, description="of one operation, half of it code 0 or reset"
    )
    clock_time: Annotated[Time, Field(gt=0)] = Field(1e-9, description="pulse width of code 1")
    edge_time: Annotated[Time, Field(gt=0)] = Field(
        50e-12, description="edges at the input of the driver"
    )
    rise_delay: Time = Field(0.0, description="of the logic before the driver")
    fall_delay: Time = Field(0.0, description="of the logic before the driver")
    driver_resistance: Annotated[Resistance, Field(gt=0)] = Field(1e3, description="ideal driver")
    driver_width: Annotated[Length, Field(gt=0, le=1e-3)] = Field(
        2e-6, description="NMOS of the driver; its PMOS is twice as wide"
    )
    row_resistance: Annotated[Resistance, Field(gt=0)] = Field(200.0, description="of the row line")
    row_capacitance: Capacitance = Field(50e-15, description="of the row line")
    load_conductance: Conductance = Field(0.0, description="far end of the row to ground")

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        if self.kind == "capacitor" and self.load_conductance > 0:
            why = (
                f"load_conductance = {self.load_conductance:g} S discharges a floating row; "
                "allowed: 0 S, or another kind"
            )
            raise PydanticCustomError("load", "{why}", {"why": why})
        if self.kind == "pulse_width" and self.edge_time > self.clock_time:
            why = (
                f"edge_time = {self.edge_time:g} s is longer than clock_time = "
                f"{self.clock_time:g} s; allowed: up to that"
            )
            raise PydanticCustomError("edge", "{why}", {"why": why})
        return self

    @property
    def unit_f(self) -> float:
        """Unit capacitor in F."""
        if self.unit_capacitor is not None:
            return self.unit_capacitor
        return self.capacitor_card.unit_capacitance.value


class Stimulus(Section):
    """How energy and latency are measured."""

    energy_codes: int = Field(
        8, ge=2, le=256, description="codes, spread evenly, over which energy is averaged"
    )


class DacParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def has_transistors(self) -> bool:
        """Ideal switches have none."""
        return self.circuit.switches == "transistor"

    @property
    def has_supply(self) -> bool:
        """It is the amplitude of pulses, whatever drives them."""
        return self.has_transistors or self.circuit.kind == "pulse_width"

    def idle_keys(self) -> Mapping[str, str]:
        """What other kinds have, and other switches."""
        kind, switches = self.circuit.kind, self.circuit.switches
        found = {
            f"circuit.{key}": f'kind = "{kind}"'
            for key, kinds in _ONLY.items()
            if kind not in kinds
        }
        others = _GATES if switches == "ideal" else _IDEAL
        return found | {f"circuit.{key}": f'switches = "{switches}"' for key in others}

    def idle_quantities(self) -> Mapping[str, str]:
        """What other kinds vary, and an ideal driver."""
        kind = self.circuit.kind
        found = dict.fromkeys(QUANTITIES.values(), f'kind = "{kind}"')
        if kind != "pulse_width" or self.has_transistors:
            del found[QUANTITIES[kind]]
        else:
            found["driver"] = 'switches = "ideal"'
        if self.circuit.resistor_sigma == 0 and "resistors" not in found:
            found["resistors"] = "resistor_sigma = 0"
        return found

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of the inverters that drive pulses."""
        return ("driver",)

    @property
    def full_scale_v(self) -> float:
        """Reference, or the amplitude of the pulses, which is the supply."""
        if self.circuit.kind == "pulse_width":
            return self.supply_v
        return self.circuit.reference_voltage

    @property
    def lengths_m(self) -> tuple[float, float]:
        """Gate lengths of NMOS and PMOS in m."""
        given, card = self.circuit.gate_length, self.technology
        return given or card.nmos.length.value, given or card.pmos.length.value

    @model_validator(mode="after")
    def _inside(self) -> DacParameters:
        if self.has_transistors and self.full_scale_v > self.supply_v:
            why = (
                f"circuit.reference_voltage = {self.full_scale_v:g} V is above the supply of the "
                f"transmission gates; allowed: up to {self.supply_v:g} V"
            )
            raise PydanticCustomError("reference", "{why}", {"why": why})
        if self.stimulus.energy_codes > 2**self.circuit.bits:
            why = (
                f"stimulus.energy_codes = {self.stimulus.energy_codes} is more than the "
                f"{2**self.circuit.bits} codes there are; allowed: 2 to {2**self.circuit.bits}"
            )
            raise PydanticCustomError("codes", "{why}", {"why": why})
        return self


class DacGates(Section):
    """What the surrogate of a DAC must reach on SPICE data it never saw."""

    max_error: Annotated[float, SI("LSB"), Field(gt=0)] = Field(
        0.05, description="largest error of a level"
    )
    spread_factor: float = Field(
        1.75,
        gt=1,
        description="the spread of a chip's numbers (of a string: of its steps) is right within "
        "this factor: the 90 % interval of held-out over fitted spread lies between its inverse "
        "and itself",
    )
