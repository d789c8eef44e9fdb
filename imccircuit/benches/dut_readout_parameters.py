"""Parameters of the bench for a read-out front end of one's own: the tables of its recipes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.dut_ports import Nodes, calls_technology, check_corner, connect
from imccircuit.benches.readout_parameters import Stimulus
from imccircuit.devices.netlist import NetlistCard
from imccircuit.devices.reference import NetlistOf
from imccircuit.units import SI, Capacitance, Voltage

ROLES = ("input", "output", "supply", "reference", "ground", "open")


class Circuit(Section):
    """A front end that somebody else drew."""

    dut: Annotated[NetlistCard, NetlistOf()] = Field(
        description="path:SUBCKT of the netlist, such as my_tia.spice:TIA"
    )
    ports: dict[str, str] = Field(
        description="pin of the subcircuit → what the bench connects to it"
    )
    transresistance: Annotated[float, SI("ohm")] = Field(
        description="R_t of V = V_0 - R_t·I that is meant; of an inverting front end positive"
    )
    zero_voltage: Voltage | None = Field(
        None, description="output that is meant for no current; default reference_voltage"
    )
    reference_voltage: Voltage = Field(0.6, description="of the port reference")
    load_capacitance: Capacitance = Field(50e-15, description="at the output")

    _nodes: Nodes = PrivateAttr(default_factory=dict)

    @property
    def nodes(self) -> Nodes:
        """Pin, in lower case → role, or a voltage in V to be held there."""
        return self._nodes

    @property
    def kind(self) -> Literal["dut"]:
        """It rests and follows its input, like all but an integrator."""
        return "dut"

    @model_validator(mode="after")
    def _ports_fit(self) -> Circuit:
        if self.transresistance == 0:
            why = "transresistance = 0 ohm is no gain; allowed: not 0 ohm"
            raise PydanticCustomError("readout", "{why}", {"why": why})
        once = ("input", "output")
        self._nodes.update(connect(self.dut, self.ports, ROLES, once, ", ".join(ROLES)))
        return self


class DutReadoutParameters(Parameters):
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
    def _corner_counts(self) -> DutReadoutParameters:
        check_corner(self, self.circuit.dut)
        return self
