"""Parameters of the bench for a converter of one's own: the tables of its recipes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.adc_parameters import AdcGates
from imccircuit.benches.bench import Parameters, Section
from imccircuit.devices.netlist import NetlistCard
from imccircuit.devices.reference import NetlistOf
from imccircuit.units import SI, SIArray, Time, Voltage, parse_quantity

__all__ = ["AdcGates", "Circuit", "DutAdcParameters", "Stimulus"]

ROLES = ("input", "clock", "start", "supply", "reference", "common_mode", "ground", "open")


class Circuit(Section):
    """A converter that somebody else drew."""

    dut: Annotated[NetlistCard, NetlistOf()] = Field(
        description="path:SUBCKT of the netlist, such as my_adc.spice:SAR8"
    )
    ports: dict[str, str] = Field(
        description="pin of the subcircuit → what the bench connects to it"
    )
    bits: int = Field(8, ge=1, le=12, description="resolution")
    reference_voltage: Annotated[Voltage, Field(gt=0)] = Field(1.0, description="full scale")
    common_mode_voltage: Voltage = Field(0.5, description="of the port common_mode")
    clock_period: Annotated[Time, Field(gt=0)] = Field(10e-9, description="of the port clock")
    start_time: Annotated[Time, Field(gt=0)] = Field(
        15e-9, description="the port start is high until then"
    )
    conversion_time: Annotated[Time, Field(gt=0)] = Field(
        96e-9, description="when the bits are read"
    )

    _nodes: dict[str, str | float] = PrivateAttr(default_factory=dict)

    @property
    def nodes(self) -> dict[str, str | float]:
        """Pin, in lower case → node of the fixture, or a voltage in V to be held there."""
        return self._nodes

    @model_validator(mode="after")
    def _ports_fit(self) -> Circuit:
        why = self._wrong_ports()
        if why:
            raise PydanticCustomError("ports", "{why}", {"why": f"circuit.ports: {why}"})
        return self

    def _wrong_ports(self) -> str:
        pins, bits = self.dut.pins, [f"bit_{k}" for k in range(self.bits)]
        given = {pin.lower(): role for pin, role in self.ports.items()}
        missing = [pin for pin in pins if pin not in given]
        if missing:
            return (
                f"misses the pin(s) {', '.join(missing)} of {self.dut.subcircuit}; allowed: every "
                f"pin to one of {', '.join(ROLES)}, bit_0 … bit_{self.bits - 1}, or a voltage"
            )
        unknown = [pin for pin in given if pin not in pins]
        if unknown:
            return f"{self.dut.subcircuit} has no pin {unknown[0]!r}; allowed: {', '.join(pins)}"
        for pin, role in given.items():
            if role in ROLES or role in bits:
                self._nodes[pin] = role
                continue
            try:
                self._nodes[pin] = parse_quantity(role, "V")
            except ValueError:
                allowed = f"{', '.join(ROLES)}, bit_0 … bit_{self.bits - 1}, or a voltage"
                return f"{pin} = {role!r}: no such port; allowed: {allowed}"
        for role in ("input", *bits):
            count = list(given.values()).count(role)
            if count != 1:
                return f"{role} is connected to {count} pins; allowed: to exactly one"
        return ""


class Stimulus(Section):
    """How the levels are found."""

    search_tolerance: Annotated[float, SI("LSB"), Field(gt=0, le=0.5)] = Field(
        0.01, description="of the bisection that finds every level"
    )
    loop_input: Annotated[NDArray[np.float64], SIArray("", 1)] | None = Field(
        None,
        description="inputs of the conversions that judge, as fractions of full scale; default: "
        "two around the level of each checked code",
    )
    loop_tolerance: Annotated[float, SI("LSB"), Field(gt=0, le=1)] = Field(
        0.02, description="distance of those two inputs from the level"
    )


class DutAdcParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit
    stimulus: Stimulus = Field(default_factory=Stimulus)

    @property
    def uses_technology(self) -> bool:
        """Whether the netlist calls the technology's transistors, which are then brought in."""
        card = self.technology
        return any(self.circuit.dut.uses(device.model) for device in (card.nmos, card.pmos))

    @property
    def has_transistors(self) -> bool:
        """Whether corner or supply of the recipe reach the circuit."""
        return self.uses_technology or "supply" in self.circuit.nodes.values()

    @model_validator(mode="after")
    def _corner_counts(self) -> DutAdcParameters:
        if self.conditions.corner is not None and not self.uses_technology:
            why = (
                "conditions.corner would change nothing, the netlist calls no model of the "
                "technology; allowed: leave it out, or name its card as technology"
            )
            raise PydanticCustomError("technology", "{why}", {"why": why})
        return self
