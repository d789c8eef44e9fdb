"""A comparator that somebody else drew, with clock, supply and inputs around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imccircuit.circuits.comparator import Clocking, add_sources

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

NODES = {
    "input_plus": "inp",
    "input_minus": "inn",
    "clock": "clk",
    "output_plus": "outp",
    "output_minus": "outn",
    "supply": "vdd",
    "ground": "0",
}
"""What a pin may be connected to, and the node of the fixture that it is then."""


@dataclass(frozen=True)
class DutComparator:
    """What the generator needs to know.

    Attributes
    ----------
    text : the netlist with the subcircuit in it.
    subcircuit : its name.
    pins : its pins in order.
    nodes : pin → one of `NODES`, ``open``, or a voltage in V to be held there.
    include_line : line that brings in a technology's models, empty for none.
    supply_v : supply, and amplitude of the clock, in V.
    """

    text: str
    subcircuit: str
    pins: tuple[str, ...]
    nodes: Mapping[str, str | float]
    include_line: str
    supply_v: float

    @property
    def held(self) -> tuple[str, ...]:
        """Pins that are held at a voltage, each by a source ``vbias_<pin>``."""
        return tuple(pin for pin in self.pins if isinstance(self.nodes[pin], float))


def dut_comparator(dut: DutComparator, clocking: Clocking) -> Circuit:
    """The subcircuit between the sources of `imccircuit.circuits.comparator.add_sources`."""
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"comparator under test, {dut.subcircuit}")
    circuit.raw_spice = "\n".join(filter(None, (dut.include_line, dut.text)))
    add_sources(circuit, clocking, dut.supply_v)
    nodes = []
    for pin in dut.pins:
        role = dut.nodes[pin]
        if isinstance(role, float):
            circuit.V(f"bias_{pin}", f"bias_{pin}", circuit.gnd, role)
            nodes.append(f"bias_{pin}")
        else:
            nodes.append(NODES.get(role, f"open_{pin}"))
    circuit.X("dut", dut.subcircuit, *nodes)
    return circuit
