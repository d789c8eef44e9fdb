"""Successive-approximation ADC with a charge-redistribution DAC (single-ended).

Sampling puts the input on all bottom plates, the dummy's included, with the top plate at the
common mode. Then the top plate floats, the bottom plates go to the reference or to ground by their
bits, and the comparator sees V_cm − V_top + V_os: a bit stays if that is positive.

The DAC is binary, or split by a bridge capacitor into two of fewer bits. Switches are ideal or
transistors with their drivers (`sar_transistors`), the comparator is behavioural or a StrongARM
latch, the logic is XSPICE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imccircuit.circuits.cells import read_cell
from imccircuit.circuits.sar_transistors import (
    SarLatch,
    SarLoad,
    SarSwitches,
    latch,
    phase_drivers,
    supplies,
    transistor_bit,
    transistor_cells,
    transistor_top,
)

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

# Fractions of a cycle: the top switch opens first (bottom-plate sampling), then the input
# switches, and only then the bits are connected.
_INPUT_ARRIVES, _TOP_OPENS, _INPUT_OPENS = 0.01, 1.00, 1.05
_EDGE = 0.01
HOLD_DELAY = 0.10
"""Fraction of a cycle from the clock edge of the first bit until it is connected."""
_HOLD_BEGINS = _TOP_OPENS + HOLD_DELAY
_NEVER_S = 1.0
# The smallest capacitors' switches are wider than their share: so is the replica's, by as much as
# centres what the latch's kick leaves: +0.06 to -0.02 LSB over the codes without, half of it with.
_REPLICA_WIDER = 1.1
# Cycles behind the last decision at which a converter that goes on lets go of its bits, and
# samples again; the next conversion begins at 2.
_HOLD_ENDS, _SAMPLES_AGAIN = 1.20, 1.25

# As a part the capacitors begin at their bits' ends, as a conversion before has left them.
_PART_LETS_GO, _PART_SAMPLES = 0.005, 0.02

Control = Literal["forced", "decide", "loop", "twice", "part"]
# The code comes from outside; "decide" clocks the latch once, "forced" leaves it at rest.
_WITHOUT_LOGIC = ("forced", "decide")


@dataclass(frozen=True)
class SarSplit:
    """A bridge capacitor between the lower and the upper bits.

    Attributes
    ----------
    lower_bits : number of bits below it; the dummy is there as well.
    bridge_f : bridge capacitor in F.
    parasitic_f : from the lower bits' top plate to ground, in F.
    """

    lower_bits: int
    bridge_f: float
    parasitic_f: float


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
    r_on_ohm, r_off_ohm : ideal switches.
    split : None for a binary array.
    switches : None for ideal ones.
    latch : None for the behavioural comparator.
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
    split: SarSplit | None = None
    switches: SarSwitches | None = None
    latch: SarLatch | None = None

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

    @property
    def sampled_s(self) -> float:
        """Time at which the top plate is let go, and with it the input is sampled."""
        return _TOP_OPENS * self.cycle_s

    @property
    def period_s(self) -> float:
        """Time from one conversion to the next of a converter that goes on."""
        return (self.bits + 2) * self.cycle_s

    @property
    def second_s(self) -> tuple[float, float]:
        """Start and end of the second of two conversions, sampling included."""
        begins = (self.bits + _SAMPLES_AGAIN) * self.cycle_s
        return begins, begins + self.period_s

    @property
    def has_transistors(self) -> bool:
        """Whether switches or comparator are made of any."""
        return self.switches is not None or self.latch is not None

    def top_of(self, bit: int | None) -> str:
        """Node of the top plate of a bit (None: of the dummy)."""
        lower = 0 if self.split is None else self.split.lower_bits
        return "lower" if lower > 0 and (bit is None or bit < lower) else "top"


def sar_adc(adc: SarAdc, control: Control) -> Circuit:
    """The converter: code forced from outside, in closed loop, converting twice, or as a part.

    Forced, the latch (if any) is at rest, and what its inputs differ by is ``decision``; with
    "decide" it decides once, in the second half of the bit cycle, on that and on its own offset.
    Nodes: ``input``, ``top``, ``decision``, ``bit_<k>`` (LSB is 0), with a bridge ``lower``, with
    a latch ``outp`` and ``outn``. Sources that a bench alters: ``vin`` and, where the code is
    forced, ``vbit_<k>`` (0 or 1 V). A converter that converts twice keeps its input; its sources
    are ``vin``, ``vref``, ``vcm`` and, with transistors, ``vdd`` and ``vdd_latch``. A part converts
    once, and what drives its nodes ``input`` and ``ref`` is the caller's; see `sar_part`.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"SAR ADC, {adc.bits} bit, {control}")
    circuit.raw_spice = "" if control == "part" else "\n".join(_library(adc, control))
    _sources(circuit, adc, control)
    supplies(circuit, adc.switches, adc.latch)
    _cdac(circuit, adc)
    _comparator(circuit, adc, control)
    if control not in _WITHOUT_LOGIC:
        _logic(circuit, adc, control)
    else:
        for bit in range(adc.bits):
            circuit.V(f"bit_{bit}", f"bit_{bit}", circuit.gnd, 0)
    return circuit


def sar_part(adc: SarAdc, name: str) -> tuple[list[str], str]:
    """The converter as a subcircuit of a deck that holds more than it.

    Returns
    -------
    The cells it refers to, which a deck with several converters needs once, and the subcircuit of
    that name with the ports ``input`` and ``ref``. Its bits are the nodes ``bit_<k>`` within. The
    conversion's phases are those of "loop"; before, its capacitors hold 0 V at the input.
    """
    _, _, body = str(sar_adc(adc, "part")).partition("\n")
    return _library(adc, "part"), f".subckt {name} input ref\n{body.rstrip()}\n.ends {name}"


def _library(adc: SarAdc, control: Control) -> list[str]:
    """Texts of the cells of a converter."""
    cells = ["sar_bit_sw", "switch_sw", "comparator_behavioural"]
    if control not in _WITHOUT_LOGIC:
        cells.append("sar_logic_xspice")
    return [read_cell(cell) for cell in cells] + transistor_cells(adc.switches, adc.latch)


def _step(
    circuit: Circuit, name: str, adc: SarAdc, first: int, at: float, back: float | None = None
) -> None:
    """A control voltage that changes once, from ``first`` to the other level, at ``at`` cycles.

    With ``back`` it returns at that many cycles, and so on, once a period.
    """
    edge, when = _EDGE * adc.cycle_s, at * adc.cycle_s
    width, period = _NEVER_S, 2 * _NEVER_S
    if back is not None:
        width, period = (back - at - _EDGE) * adc.cycle_s, adc.period_s
    times = f"{when!r} {edge!r} {edge!r} {width!r} {period!r}"
    circuit.V(name, name, circuit.gnd, f"pulse({first} {1 - first} {times})")


def _sources(circuit: Circuit, adc: SarAdc, control: Control) -> None:
    ground = circuit.gnd
    if control != "part":
        circuit.V("ref", "ref", ground, adc.v_ref)
    circuit.V("cm", "cm", ground, adc.v_cm)
    circuit.V("offset", "offset", ground, adc.offset_v)
    if control == "twice":
        circuit.V("in", "input", ground, 0)
        again, ends = adc.bits + _SAMPLES_AGAIN, adc.bits + _HOLD_ENDS
        _step(circuit, "track", adc, 1, _TOP_OPENS, again)
        _step(circuit, "sample", adc, 1, _INPUT_OPENS, again)
        _step(circuit, "hold", adc, 0, _HOLD_BEGINS, ends)
        return
    if control == "part":
        _step(circuit, "track", adc, 1, _TOP_OPENS)
        _step(circuit, "hold", adc, 1, _PART_LETS_GO, _HOLD_BEGINS)
        _step(circuit, "sample", adc, 0, _PART_SAMPLES, _INPUT_OPENS)
        return
    circuit.V("in", "level", ground, 0)
    # An operating point would find the capacitors charged to the input already. So sampling starts
    # from the end of the range that is farther away, and the input steps to its level.
    _step(circuit, "arrive", adc, 0, _INPUT_ARRIVES)
    far = f"(v(level)<{adc.v_ref / 2!r} ? {float(adc.v_ref)!r} : 0)"
    circuit.raw_spice += f"\nBinput input 0 V=v(arrive)*v(level)+(1-v(arrive))*{far}"
    _step(circuit, "track", adc, 1, _TOP_OPENS)
    _step(circuit, "sample", adc, 1, _INPUT_OPENS)
    _step(circuit, "hold", adc, 0, _HOLD_BEGINS)


def _cdac(circuit: Circuit, adc: SarAdc) -> None:
    ground = circuit.gnd
    switch = {"ron": adc.r_on_ohm, "roff": adc.r_off_ohm}
    if adc.switches is None:
        circuit.X("top", "switch_sw", "top", "cm", "track", **switch)
        if adc.split is not None:
            circuit.X("lower", "switch_sw", "lower", "cm", "track", **switch)
    else:
        phase_drivers(circuit, adc.switches)
        transistor_top(circuit, adc.switches, "top", "top")
        if adc.split is not None:
            transistor_top(circuit, adc.switches, "lower", "lower")
    if adc.parasitic_f > 0:
        circuit.C("parasitic", "top", ground, adc.parasitic_f)
    if adc.split is not None:
        circuit.C("bridge", "top", "lower", adc.split.bridge_f)
        if adc.split.parasitic_f > 0:
            circuit.C("lower_parasitic", "lower", ground, adc.split.parasitic_f)
    elements: list[tuple[str, int | None, float]] = [
        (f"bit_{bit}", bit, float(value)) for bit, value in enumerate(adc.bit_capacitors_f)
    ]
    if adc.dummy_f > 0:
        elements.append(("dummy", None, adc.dummy_f))
    for name, bit, capacitor in elements:
        bottom = name.replace("bit_", "bottom_") if bit is not None else "bottom_dummy"
        control = ground if bit is None else name
        circuit.C(name, adc.top_of(bit), bottom, capacitor)
        if adc.switches is None:
            ports = (bottom, "input", "ref", ground, "sample", "hold", control)
            circuit.X(name, "sar_bit_sw", *ports, **switch)
        else:
            share = capacitor / max(value for _, _, value in elements)
            transistor_bit(circuit, adc.switches, name, bottom, control, share)


def _comparator(circuit: Circuit, adc: SarAdc, control: Control) -> None:
    plus = "cm"
    if adc.latch is not None:
        plus = latch(circuit, adc.latch, adc.switches, top_load(adc))
        if control == "forced":
            circuit.V("latch_clock", "latch_clock", circuit.gnd, 0)
        else:
            # The latch decides in the second half of a cycle, and is reset behind the logic's edge.
            cycle, edge = adc.cycle_s, _EDGE * adc.cycle_s
            times = f"{1.5 * cycle!r} {edge!r} {edge!r} {0.53 * cycle!r} {cycle!r}"
            circuit.V("latch_clock", "latch_clock", circuit.gnd, f"pulse(0 1 {times})")
    if adc.latch is None or control == "forced":
        circuit.X("compare", "comparator_behavioural", plus, "top", "offset", "decision")
    else:
        circuit.raw_spice += "\nBdecision decision 0 V=v(outp)-v(vdd_latch)/2"


def top_load(adc: SarAdc) -> SarLoad:
    """Top plate as the comparator sees it, with the bridge and what is below as one capacitor."""
    values = [*enumerate(adc.bit_capacitors_f), (None, adc.dummy_f)]
    upper = [float(value) for bit, value in values if adc.top_of(bit) == "top"]
    array = sum(upper)
    if adc.split is not None:
        below = sum(float(value) for bit, value in values if adc.top_of(bit) == "lower")
        below += adc.split.parasitic_f
        array += adc.split.bridge_f * below / (adc.split.bridge_f + below)
    widths = _REPLICA_WIDER * array / max(upper)
    return SarLoad(array, adc.parasitic_f, widths, adc.r_on_ohm)


def _logic(circuit: Circuit, adc: SarAdc, control: Control) -> None:
    cycle, edge = adc.cycle_s, _EDGE * adc.cycle_s
    circuit.V(
        "clock",
        "clock",
        circuit.gnd,
        f"pulse(0 1 {cycle!r} {edge!r} {edge!r} {cycle / 2!r} {cycle!r})",
    )
    _step(circuit, "start", adc, 1, 1.5, adc.bits + 2.1 if control == "twice" else None)
    circuit.X(
        "bridges", "sar_logic_bridges", "clock", "start", "decision",
        "d_clock", "d_start", "d_decision",
    )  # fmt: skip
    before = "d_start"
    for bit in reversed(range(adc.bits)):
        stage = f"d_stage_{bit}"
        ports = (before, "d_clock", "d_start", "d_decision", stage, f"bit_{bit}")
        circuit.X(f"logic_{bit}", "sar_logic_slice", *ports)
        before = stage
