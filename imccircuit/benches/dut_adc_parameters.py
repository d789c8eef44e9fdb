"""Parameters of the bench for a converter of one's own: the tables of its recipes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, model_validator

from imccircuit.benches.adc_parameters import AdcGates
from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.dut_ports import calls_technology, check_corner, connect
from imccircuit.devices.netlist import NetlistCard
from imccircuit.devices.reference import NetlistOf
from imccircuit.units import SI, SIArray, Time, Voltage

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
        bits = [f"bit_{k}" for k in range(self.bits)]
        shown = f"{', '.join(ROLES)}, bit_0 … bit_{self.bits - 1}"
        self._nodes.update(connect(self.dut, self.ports, (*ROLES, *bits), ("input", *bits), shown))
        return self


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
        return calls_technology(self, self.circuit.dut)

    @property
    def has_transistors(self) -> bool:
        """Whether corner or supply of the recipe reach the circuit."""
        return self.uses_technology or "supply" in self.circuit.nodes.values()

    @model_validator(mode="after")
    def _corner_counts(self) -> DutAdcParameters:
        check_corner(self, self.circuit.dut)
        return self
