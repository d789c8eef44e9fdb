"""StrongARM comparator in its test circuits: sizes, mismatch, sources around it.

Sign of the offset as everywhere: the comparator says yes where v(inp) − v(inn) + offset > 0, so a
positive offset lets it say yes at a lower input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imccircuit.circuits.cells import read_cell
from imccircuit.circuits.technology import Technology, check_mismatch

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

_NEVER_S = 1.0
# Inverters of the latch behind, in gate widths of the technology.
_HOLD_NMOS, _HOLD_PMOS = 5 / 3, 10 / 3


@dataclass(frozen=True)
class StrongArm:
    """A StrongARM comparator and the latch that holds its decision.

    Attributes
    ----------
    input_m, latch_nmos_m, latch_pmos_m, tail_m, reset_m : gate widths in m.
    hold_nmos_m, hold_pmos_m : gate widths in m of the inverters of the latch behind.
    length_m, pmos_length_m : gate lengths in m.
    mismatch : parameters ``dvt_…`` (V) and ``beta_…`` (1) of ``netlists/strongarm.subckt``.
    """

    input_m: float
    latch_nmos_m: float
    latch_pmos_m: float
    tail_m: float
    reset_m: float
    hold_nmos_m: float
    hold_pmos_m: float
    length_m: float
    pmos_length_m: float
    mismatch: Mapping[str, float] = field(default_factory=dict)

    def length_of(self, kind: str) -> float:
        """Gate length of ``nmos`` or ``pmos`` in m."""
        return self.length_m if kind == "nmos" else self.pmos_length_m

    @property
    def comparator_parameters(self) -> dict[str, float]:
        """Parameters of an instance of ``strongarm``."""
        return {
            "wn_in": self.input_m, "wn_latch": self.latch_nmos_m, "wp_latch": self.latch_pmos_m,
            "w_tail": self.tail_m, "w_reset": self.reset_m, "l": self.length_m,
            "lp": self.pmos_length_m, **self.mismatch,
        }  # fmt: skip

    @property
    def latch_parameters(self) -> dict[str, float]:
        """Parameters of an instance of ``strongarm_latch``."""
        return {"wn": self.hold_nmos_m, "wp": self.hold_pmos_m, "l": self.length_m,
                "lp": self.pmos_length_m}  # fmt: skip

    @property
    def transistors(self) -> tuple[tuple[str, float], ...]:
        """(kind, width in m) of every transistor, also those of the latch behind."""
        comparator = [("nmos", self.tail_m)]
        comparator += 2 * [("nmos", self.input_m), ("nmos", self.latch_nmos_m)]
        comparator += 2 * [("pmos", self.latch_pmos_m)] + 4 * [("pmos", self.reset_m)]
        inverters = 2 * [("nmos", self.hold_nmos_m), ("pmos", self.hold_pmos_m)]
        gates = 4 * [("nmos", self.hold_nmos_m), ("pmos", 2 * self.hold_pmos_m)]
        return tuple(comparator + inverters + gates)


def hold_widths(technology: Technology) -> tuple[float, float]:
    """Gate widths in m of the inverters of the latch behind, NMOS and PMOS."""
    return technology.size("nmos", _HOLD_NMOS)[0], technology.size("pmos", _HOLD_PMOS)[0]


@dataclass(frozen=True)
class Clocking:
    """Clock and inputs of a test circuit.

    Attributes
    ----------
    cycle_s : clock period in s; precharge in its first half, decision in its second.
    edge_s : rise and fall time of the clock in s.
    common_mode_v : of the inputs.
    source_ohm : resistance between each input source and the comparator.
    """

    cycle_s: float
    edge_s: float
    common_mode_v: float
    source_ohm: float


def _cells(technology: Technology, dut: StrongArm) -> str:
    if dut.mismatch:
        check_mismatch(technology.card)
    cells = (technology.cell("strongarm"), technology.cell("strongarm_latch"))
    return "\n".join((technology.include_line, *cells))


def add_sources(circuit: Circuit, clocking: Clocking, supply_v: float) -> None:
    """A clock cycle with one input, then cycles with another.

    Sources that a bench alters: ``vfirst`` and ``vsecond``, the differential input of the first
    cycle and of those after it in V. Nodes: ``vdd``, ``clk``, ``inp``, ``inn``. Sources whose
    energy counts: ``vdd``, ``vclk``, ``bplus`` and ``bminus`` at ``source_p`` and ``source_n``.
    """
    cycle, edge, ground = clocking.cycle_s, clocking.edge_s, circuit.gnd
    circuit.V("dd", "vdd", ground, supply_v)
    circuit.V("cm", "cm", ground, clocking.common_mode_v)
    circuit.V("first", "first", ground, 0.0)
    circuit.V("second", "second", ground, 0.0)
    times = f"{edge!r} {edge!r}"
    circuit.V("step", "step", ground, f"pulse(0 1 {cycle!r} {times} {_NEVER_S} {2 * _NEVER_S})")
    high = cycle / 2 - edge
    clock = f"pulse(0 {supply_v!r} {cycle / 2!r} {times} {high!r} {cycle!r})"
    circuit.V("clk", "clk", ground, clock)
    half = "0.5*((1-v(step))*v(first)+v(step)*v(second))"
    circuit.raw_spice += f"\nBplus source_p 0 V=v(cm)+{half}\nBminus source_n 0 V=v(cm)-{half}"
    circuit.R("source_p", "source_p", "inp", clocking.source_ohm)
    circuit.R("source_n", "source_n", "inn", clocking.source_ohm)


def strongarm_two_decisions(dut: StrongArm, technology: Technology, clocking: Clocking) -> Circuit:
    """The comparator between the sources of `add_sources`, with a latch behind it.

    Nodes besides: ``outp``, ``outn``, ``q``. The latch has a supply of its own, ``vddl``.
    """
    from PySpice.Spice.Netlist import Circuit

    supply = technology.supply_v
    circuit = Circuit("StrongARM comparator, two decisions")
    circuit.raw_spice = _cells(technology, dut)
    add_sources(circuit, clocking, supply)
    ground = circuit.gnd
    circuit.V("ddl", "vddl", ground, supply)
    pins = ("inp", "inn", "clk", "outp", "outn", "vdd")
    circuit.X("comparator", "strongarm", *pins, ground, **dut.comparator_parameters)
    pins_latch = ("outp", "outn", "q", "qb", "vddl")
    circuit.X("latch", "strongarm_latch", *pins_latch, ground, **dut.latch_parameters)
    # A latch that holds has two operating points, and each solver finds its own. From the other
    # one it flips once, and 0.4 % of its energy then goes into charge that settles for a long time.
    circuit.raw_spice += f"\n.nodeset v(q)={supply!r} v(qb)=0"
    return circuit


# Nodes of the comparator into which its transistors' noise currents flow.
NOISE_NODES = ("tail", "dp", "dn", "outp", "outn")


def strongarm_copies(
    dut: StrongArm, technology: Technology, clocking: Clocking, rise_s: float,
    inputs_v: Sequence[float], noise: Sequence[Sequence[str]],
) -> Circuit:  # fmt: skip
    """Copies of one comparator side by side, each with its own input and its own noise.

    One clock edge for all of them, at ``rise_s``; before it they are precharged, as the operating
    point finds them. The outputs of copy k are ``outp_k`` and ``outn_k``. Of the latch behind only
    the inverters are there, which are all of it that loads the outputs.

    Parameters
    ----------
    inputs_v : differential input of each copy in V.
    noise : for each copy the values of a current source (``pwl(…)``) into each of `NOISE_NODES`.
    """
    from PySpice.Spice.Netlist import Circuit

    supply, ground = technology.supply_v, "0"
    circuit = Circuit("StrongARM comparators with noise currents")
    circuit.V("dd", "vdd", circuit.gnd, supply)
    edge = clocking.edge_s
    pulse = f"{rise_s!r} {edge!r} {edge!r} {_NEVER_S} {2 * _NEVER_S}"
    circuit.V("clk", "clk", circuit.gnd, f"pulse(0 {supply!r} {pulse})")
    sizes = " ".join(f"{key}={value!r}" for key, value in dut.comparator_parameters.items())
    load = " ".join(f"{key}={value!r}" for key, value in dut.latch_parameters.items())
    # A subcircuit whose inner nodes are ports: the noise currents need them.
    cell = technology.cell("strongarm").replace("vdd vss", "vdd vss tail dp dn", 1)
    lines = [technology.include_line, cell, technology.cell("inverter")]
    for k, (value, currents) in enumerate(zip(inputs_v, noise, strict=True)):
        half = 0.5 * float(value)
        lines += [
            f"Vp{k} sp{k} 0 {clocking.common_mode_v + half!r}",
            f"Vn{k} sn{k} 0 {clocking.common_mode_v - half!r}",
            f"Rp{k} sp{k} inp{k} {clocking.source_ohm!r}",
            f"Rn{k} sn{k} inn{k} {clocking.source_ohm!r}",
            f"Xc{k} inp{k} inn{k} clk outp_{k} outn_{k} vdd {ground} tail{k} dp{k} dn{k} "
            f"strongarm {sizes}",
            f"Xlp{k} outp_{k} r{k} vdd {ground} inverter {load}",
            f"Xln{k} outn_{k} s{k} vdd {ground} inverter {load}",
        ]
        for node, current in zip(NOISE_NODES, currents, strict=True):
            name = f"{node}_{k}" if node.startswith("out") else f"{node}{k}"
            lines.append(f"Inoise_{node}_{k} 0 {name} {current}")
    circuit.raw_spice = "\n".join(lines)
    return circuit


def transistor_noise(technology: Technology, kind: str, w_m: float, l_m: float) -> Circuit:
    """One transistor between voltage sources, its drain current read as a voltage.

    Altered by a bench: ``vdrain``, ``vgate``, ``vsource``. Node ``out`` is the drain current times
    1 Mohm (a controlled source, which adds no noise); ``vgate`` has an AC value, so that ``.noise``
    can name it. The bulk is at the rail of its kind.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"noise of one {kind}")
    bulk = "0" if kind == "nmos" else "vdd"
    circuit.raw_spice = "\n".join(
        [
            technology.include_line,
            technology.line("dut", kind, ("d", "g", "s", bulk), w_m, l_m),
            "Vsense drain d 0",
            "Hout out 0 vsense 1e6",
            "Vgate g 0 dc 0 ac 1",
        ]
    )
    circuit.V("dd", "vdd", circuit.gnd, technology.supply_v)
    circuit.V("drain", "drain", circuit.gnd, 0.0)
    circuit.V("source", "s", circuit.gnd, 0.0)
    return circuit


def comparator_behavioural(offset_v: float, common_mode_v: float) -> Circuit:
    """Behavioural comparator; altered: ``vinput``, the differential input, ``vnoise`` in V."""
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit("behavioural comparator")
    circuit.raw_spice = read_cell("comparator_behavioural")
    circuit.V("minus", "minus", circuit.gnd, common_mode_v)
    circuit.V("input", "plus", "middle", 0.0)
    circuit.V("noise", "middle", "minus", 0.0)
    circuit.V("offset", "offset", circuit.gnd, offset_v)
    circuit.X("comparator", "comparator_behavioural", "plus", "minus", "offset", "decision")
    return circuit
