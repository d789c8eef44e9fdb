"""A comparator that somebody else drew, with clock, supply and inputs around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imccircuit.circuits.comparator import Clocking, add_sources
from imccircuit.circuits.foreign import Foreign

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


def dut_comparator(dut: Foreign, clocking: Clocking, supply_v: float) -> Circuit:
    """The subcircuit between the sources of `imccircuit.circuits.comparator.add_sources`.

    Parameters
    ----------
    dut : its roles are those of `NODES`.
    clocking : of the clock and the inputs.
    supply_v : supply, and amplitude of the clock, in V.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"comparator under test, {dut.subcircuit}")
    circuit.raw_spice = "\n".join([dut.library, *dut.instance(NODES)])
    add_sources(circuit, clocking, supply_v)
    return circuit
