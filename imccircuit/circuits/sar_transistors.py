"""Switches, their drivers and the comparator of a SAR ADC made of transistors.

All widths are in multiples of the technology's own; a PMOS is twice as wide as the NMOS beside
it, for it carries about half the current.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imccircuit.circuits.technology import Technology, check_mismatch

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

PMOS = 2.0
"""Width of a PMOS over that of the NMOS beside it."""


@dataclass(frozen=True)
class SarSwitches:
    """Transistor switches.

    Attributes
    ----------
    technology : of all of them.
    sample : transmission gate from the input to the bottom plate of the largest capacitor; that
        of a smaller one is as much narrower, but never narrower than 1.
    reference : likewise, the switches to reference (PMOS) and ground (NMOS).
    top : transmission gate from the top plate to the common mode.
    driver : inverters before the gates of the largest capacitor's switches, likewise; those of
        the clock phases are `PHASE` times as wide.
    """

    technology: Technology
    sample: float
    reference: float
    top: float
    driver: float

    def widths(self, share: float) -> tuple[float, float, float]:
        """Sampling, reference and driver width of a capacitor of that share of the largest one."""
        return (
            max(1.0, share * self.sample),
            max(1.0, share * self.reference),
            max(1.0, share * self.driver),
        )


@dataclass(frozen=True)
class SarLatch:
    """StrongARM comparator.

    Attributes
    ----------
    technology : of its transistors.
    scale : all widths of the cell's default proportions, in multiples of the card's own width
        for the smallest transistor.
    mismatch : parameters ``dvt_…`` (V) and ``beta_…`` (1) of ``netlists/strongarm.subckt``.
    """

    technology: Technology
    scale: float
    mismatch: Mapping[str, float] = field(default_factory=dict)

    def width_m(self, key: str) -> float:
        """Gate width in m of the transistors that a key of `LATCH` names."""
        kind = "pmos" if key in _LATCH_PMOS else "nmos"
        return self.technology.size(kind, self.scale * LATCH[key])[0]


@dataclass(frozen=True)
class SarLoad:
    """What the comparator's other input must look like: the top plate.

    Attributes
    ----------
    array_f : capacitance that goes to bottom plates, in F.
    parasitic_f : capacitance straight to ground, in F.
    widths : width of all switches of bottom plates together, in multiples of that of the largest.
    r_ohm : on resistance of ideal switches.
    """

    array_f: float
    parasitic_f: float
    widths: float
    r_ohm: float


PHASE = 4.0
LATCH = {"wn_in": 4.0, "wn_latch": 2.0, "wp_latch": 1.0, "w_tail": 4.0, "w_reset": 1.0}
"""Widths of the StrongARM's transistors in multiples of `SarLatch.scale` card widths."""
_LATCH_PMOS = ("wp_latch", "w_reset")


def transistor_cells(switches: SarSwitches | None, latch: SarLatch | None) -> list[str]:
    """Include line and cells that the parts here need; empty without transistors."""
    part = switches or latch
    if part is None:
        return []
    names = ["sar_phase"]
    if switches is not None:
        names += ["sar_bit_tg", "transmission_gate"]
    if latch is not None:
        names.append("strongarm")
    technology = part.technology
    return [technology.include_line, *(technology.cell(name) for name in names)]


def supplies(circuit: Circuit, switches: SarSwitches | None, latch: SarLatch | None) -> None:
    """Supplies, one for the drivers of switches and one for the comparator."""
    if switches is not None:
        circuit.V("dd", "vdd", circuit.gnd, switches.technology.supply_v)
    if latch is not None:
        circuit.V("dd_latch", "vdd_latch", circuit.gnd, latch.technology.supply_v)


def phase_drivers(circuit: Circuit, switches: SarSwitches) -> None:
    """Drivers of the sampling switches of all bits, and of the top plate's."""
    for phase in ("sample", "track"):
        _phase(circuit, switches.technology, phase, phase, "vdd", PHASE * switches.driver)


def transistor_top(circuit: Circuit, switches: SarSwitches, name: str, node: str) -> None:
    """Transmission gate from a node to the common mode, closed while tracking."""
    ports = (node, "cm", "track_on", "track_off", "vdd", circuit.gnd)
    wn, l_m = switches.technology.size("nmos", switches.top)
    wp, lp_m = switches.technology.size("pmos", PMOS * switches.top)
    circuit.X(name, "transmission_gate", *ports, wn=wn, wp=wp, l=l_m, lp=lp_m)


def transistor_bit(
    circuit: Circuit, switches: SarSwitches, name: str, bottom: str, control: str, share: float
) -> None:
    """Switches of one bottom plate, with drivers; ``share``: its part of the largest capacitor."""
    ground = circuit.gnd
    ports = (bottom, "input", "ref", ground, "sample_on", "sample_off", "hold", control, "vdd",
             ground)  # fmt: skip
    size = switches.technology.size
    sample, reference, driver = switches.widths(share)
    circuit.X(
        name, "sar_bit_tg", *ports,
        wn_in=size("nmos", sample)[0],
        wp_in=size("pmos", PMOS * sample)[0],
        wn_low=size("nmos", reference)[0],
        wp_high=size("pmos", PMOS * reference)[0],
        wn_drv=size("nmos", driver)[0],
        wp_drv=size("pmos", PMOS * driver)[0],
        l=size("nmos")[1],
        lp=size("pmos")[1],
    )  # fmt: skip


def latch(circuit: Circuit, latch: SarLatch, switches: SarSwitches | None, load: SarLoad) -> str:
    """Comparator between the common mode and the top plate; the node of its plus input.

    Its plus input is not the common mode itself but a replica of the top plate, charged to it by a
    switch of the same kind: what that switch injects, and what the latch kicks back, comes on both
    inputs alike. The kick is over in less than the array's RC, so the replica needs the array's
    resistance as well: its capacitance stands behind a switch that is always closed.
    """
    technology, ground = latch.technology, circuit.gnd
    _phase(circuit, technology, "latch_clock", "latch_clock", "vdd_latch", PHASE)
    if switches is None:
        circuit.X("replica", "switch_sw", "replica", "cm", "track", ron=load.r_ohm)
        circuit.R("replica", "replica_low", ground, load.r_ohm)
    else:
        transistor_top(circuit, switches, "replica", "replica")
        wide, long = switches.technology.size("nmos", load.widths * switches.reference)
        nodes = ("replica_low", "vdd", "0", "0")
        circuit.raw_spice += "\n" + switches.technology.line("replica", "nmos", nodes, wide, long)
    circuit.C("replica", "replica", "replica_low", load.array_f)
    if load.parasitic_f > 0:
        circuit.C("replica_parasitic", "replica", ground, load.parasitic_f)
    circuit.raw_spice += "\nEoffset latch_plus replica offset 0 1"
    if latch.mismatch:
        check_mismatch(technology.card)
    widths = {key: latch.width_m(key) for key in LATCH}
    ports = ("latch_plus", "top", "latch_clock_on", "outp", "outn", "vdd_latch", ground)
    lengths = {"l": technology.size("nmos")[1], "lp": technology.size("pmos")[1]}
    circuit.X("latch", "strongarm", *ports, **widths, **lengths, **latch.mismatch)
    return "replica"


def _phase(
    circuit: Circuit, technology: Technology, name: str, phase: str, vdd: str, width: float
) -> None:
    wn, l_m = technology.size("nmos", width)
    wp, lp_m = technology.size("pmos", PMOS * width)
    ports = (phase, f"{name}_on", f"{name}_off", vdd, circuit.gnd)
    circuit.X(f"phase_{name}", "sar_phase", *ports, wn=wn, wp=wp, l=l_m, lp=lp_m)
