"""Parameters of the bench for a comparator of one's own: the tables of its recipes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PrivateAttr, model_validator

from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.comparator_parameters import Decisions, check_edge, check_stimulus
from imccircuit.benches.dut_ports import Nodes, calls_technology, check_corner, connect
from imccircuit.circuits.dut_comparator import NODES
from imccircuit.devices.netlist import NetlistCard
from imccircuit.devices.reference import NetlistOf
from imccircuit.units import Resistance, Time

_ROLES = (*NODES, "open")
_ONCE = ("input_plus", "input_minus", "clock", "output_plus", "output_minus")


class Circuit(Section):
    """A comparator that somebody else drew."""

    dut: Annotated[NetlistCard, NetlistOf()] = Field(
        description="path:SUBCKT of the netlist, such as my_latch.spice:LATCH"
    )
    ports: dict[str, str] = Field(
        description="pin of the subcircuit → what the bench connects to it"
    )
    source_resistance: Annotated[Resistance, Field(gt=0)] = Field(
        1e3, description="between each input source and the comparator"
    )
    cycle_time: Annotated[Time, Field(gt=0)] = Field(
        4e-9, description="clock period; it decides while the clock is high, the second half"
    )
    clock_edge: Annotated[Time, Field(gt=0)] = Field(20e-12, description="rise and fall time")

    _nodes: Nodes = PrivateAttr(default_factory=dict)

    @property
    def nodes(self) -> Nodes:
        """Pin, in lower case → role, or a voltage in V to be held there."""
        return self._nodes

    @model_validator(mode="after")
    def _consistent(self) -> Circuit:
        check_edge(self.clock_edge, self.cycle_time)
        self._nodes.update(connect(self.dut, self.ports, _ROLES, _ONCE, ", ".join(_ROLES)))
        return self


class DutComparatorParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit
    stimulus: Decisions = Field(default_factory=Decisions)

    @property
    def uses_technology(self) -> bool:
        """Whether the netlist calls the technology's transistors, which are then brought in."""
        return calls_technology(self, self.circuit.dut)

    @property
    def has_transistors(self) -> bool:
        """Whether corner or supply of the recipe reach the circuit: the clock has its height."""
        return True

    @model_validator(mode="after")
    def _measurable(self) -> DutComparatorParameters:
        check_corner(self, self.circuit.dut)
        check_stimulus(self.stimulus, self.supply_v)
        return self
