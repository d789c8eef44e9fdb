"""Successive-approximation ADC with a binary charge-redistribution DAC (single-ended).

Sampling puts the input on all bottom plates, the dummy's included, with the top plate at the
common mode. Then the top plate floats, the bottom plates go to the reference or to ground by their
bits, and the comparator sees V_cm − V_top + V_os: a bit stays if that is positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imccircuit.circuits.cells import read_cell

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

# Fractions of a cycle: the top switch opens first (bottom-plate sampling), then the input
# switches, and only then the bits are connected.
_INPUT_ARRIVES, _TOP_OPENS, _INPUT_OPENS, _HOLD_BEGINS = 0.01, 1.00, 1.05, 1.10
_EDGE = 0.01
_NEVER_S = 1.0


@dataclass(frozen=True)
class SarAdc:
    """What the generator needs to know.

    Attributes
    ----------
    bit_capacitors_f : capacitors of the bits, LSB first, in F.
    dummy_f : capacitor that completes the binary sum, in F.
    parasitic_f : top plate to ground, in F.
    v_ref, v_cm : reference and common mode in V.
    offset_v : comparator offset in V; positive lowers every transition level.
    cycle_s : length of the sampling phase and of each bit cycle, in s.
    r_on_ohm, r_off_ohm : switches.
    """

    bit_capacitors_f: Sequence[float]
    dummy_f: float
    parasitic_f: float
    v_ref: float
    v_cm: float
    offset_v: float
    cycle_s: float
    r_on_ohm: float
    r_off_ohm: float

    @property
    def bits(self) -> int:
        """Resolution."""
        return len(self.bit_capacitors_f)

    @property
    def forced_stop_s(self) -> float:
        """Time at which a forced code has settled: one sampling and one bit cycle."""
        return 2 * self.cycle_s

    @property
    def loop_stop_s(self) -> float:
        """Time at which the code register of a whole conversion is at rest."""
        return (self.bits + 1.6) * self.cycle_s


def sar_adc(adc: SarAdc, control: Literal["forced", "loop"]) -> Circuit:
    """The converter, with its code forced from outside or in closed loop.

    Nodes: ``input``, ``top``, ``decision``, ``bit_<k>`` (LSB is 0). Sources that a bench alters:
    ``vin`` and, where the code is forced, ``vbit_<k>`` (0 or 1 V).
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"SAR ADC, {adc.bits} bit, {control}")
    cells = ["sar_bit_sw", "switch_sw", "comparator_behavioural"]
    if control == "loop":
        cells.append("sar_logic_xspice")
    circuit.raw_spice = "\n".join(read_cell(cell) for cell in cells)
    _sources(circuit, adc)
    _cdac(circuit, adc)
    circuit.X("compare", "comparator_behavioural", "cm", "top", "offset", "decision")
    if control == "loop":
        _logic(circuit, adc)
    else:
        for bit in range(adc.bits):
            circuit.V(f"bit_{bit}", f"bit_{bit}", circuit.gnd, 0)
    return circuit


def _step(circuit: Circuit, name: str, node: str, adc: SarAdc, first: int, at: float) -> None:
    """A control voltage that changes once, from ``first`` to the other level, at ``at`` cycles."""
    edge, when = _EDGE * adc.cycle_s, at * adc.cycle_s
    times = f"{when!r} {edge!r} {edge!r} {_NEVER_S} {2 * _NEVER_S}"
    circuit.V(name, node, circuit.gnd, f"pulse({first} {1 - first} {times})")


def _sources(circuit: Circuit, adc: SarAdc) -> None:
    ground = circuit.gnd
    circuit.V("ref", "ref", ground, adc.v_ref)
    circuit.V("cm", "cm", ground, adc.v_cm)
    circuit.V("offset", "offset", ground, adc.offset_v)
    circuit.V("in", "level", ground, 0)
    # An operating point would find the capacitors charged to the input already. So sampling starts
    # from the end of the range that is farther away, and the input steps to its level.
    _step(circuit, "arrive", "arrive", adc, 0, _INPUT_ARRIVES)
    far = f"(v(level)<{adc.v_ref / 2!r} ? {float(adc.v_ref)!r} : 0)"
    circuit.raw_spice += f"\nBinput input 0 V=v(arrive)*v(level)+(1-v(arrive))*{far}"
    _step(circuit, "track", "track", adc, 1, _TOP_OPENS)
    _step(circuit, "sample", "sample", adc, 1, _INPUT_OPENS)
    _step(circuit, "hold", "hold", adc, 0, _HOLD_BEGINS)


def _cdac(circuit: Circuit, adc: SarAdc) -> None:
    ground = circuit.gnd
    switch = {"ron": adc.r_on_ohm, "roff": adc.r_off_ohm}
    circuit.X("top", "switch_sw", "top", "cm", "track", **switch)
    if adc.parasitic_f > 0:
        circuit.C("parasitic", "top", ground, adc.parasitic_f)
    for bit, capacitor in enumerate(adc.bit_capacitors_f):
        circuit.C(f"bit_{bit}", "top", f"bottom_{bit}", float(capacitor))
        ports = (f"bottom_{bit}", "input", "ref", ground, "sample", "hold", f"bit_{bit}")
        circuit.X(f"bit_{bit}", "sar_bit_sw", *ports, **switch)
    if adc.dummy_f > 0:
        circuit.C("dummy", "top", "bottom_dummy", adc.dummy_f)
        ports = ("bottom_dummy", "input", "ref", ground, "sample", "hold", ground)
        circuit.X("dummy", "sar_bit_sw", *ports, **switch)


def _logic(circuit: Circuit, adc: SarAdc) -> None:
    cycle, edge = adc.cycle_s, _EDGE * adc.cycle_s
    circuit.V(
        "clock",
        "clock",
        circuit.gnd,
        f"pulse(0 1 {cycle!r} {edge!r} {edge!r} {cycle / 2!r} {cycle!r})",
    )
    _step(circuit, "start", "start", adc, 1, 1.5)
    circuit.X(
        "bridges", "sar_logic_bridges", "clock", "start", "decision",
        "d_clock", "d_start", "d_decision",
    )  # fmt: skip
    before = "d_start"
    for bit in reversed(range(adc.bits)):
        stage = f"d_stage_{bit}"
        ports = (before, "d_clock", "d_decision", stage, f"bit_{bit}")
        circuit.X(f"logic_{bit}", "sar_logic_slice", *ports)
        before = stage
