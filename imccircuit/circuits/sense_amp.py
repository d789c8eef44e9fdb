"""A sense amplifier that compares two column currents, with everything that drives it.

An operation is a reset and an evaluation, each one phase long; two of them follow each other, and
the currents may change at the second reset. Nodes: ``inp``, ``inm`` (inputs), ``out``, ``outb``
(opposite levels once decided, both high otherwise), ``reset``, ``vdd``. Sources that a bench
alters: ``vplus`` and ``vminus`` for the currents of the second operation, ``vplus_before`` and
``vminus_before`` for those of the first (1 V stands for `AMPERE_PER_VOLT`). The column currents
pass the ammeters ``vcolumn_plus`` and ``vcolumn_minus``, from the input to the column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imccircuit.circuits.cells import read_cell
from imccircuit.circuits.technology import Technology, check_mismatch

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

AMPERE_PER_VOLT = 1e-4
EDGE_S = 20e-12
_NEVER_S = 1.0
MATCHED = ("dp", "dm", "mp", "mm", "lp", "lm")
"""Transistors whose mismatch decides: input diodes, mirrors, latch; plus and minus side."""


@dataclass(frozen=True)
class LatchSizes:
    """Gate sizes in m of the cell ``sense_amp_latch``.

    Attributes
    ----------
    wm, lm : mirrors. wl, ll : latch. wr : reset switches. wn, wp : inverters.
    l, lp : length of reset switches and inverters, lp of p-channel transistors.
    """

    wm: float
    lm: float
    wl: float
    ll: float
    wr: float
    wn: float
    wp: float
    l: float  # noqa: E741 the cell's own name
    lp: float

    def transistors(self) -> tuple[tuple[float, float], ...]:
        """Width and length of every transistor of the cell."""
        return (
            *[(self.wm, self.lm)] * 4,
            *[(self.wl, self.ll)] * 2,
            *[(self.wr, self.l)] * 2,
            *[(self.wn, self.l), (self.wp, self.lp)] * 2,
        )


@dataclass(frozen=True)
class Latch:
    """Transistor level.

    Attributes
    ----------
    sizes : gate sizes.
    delta_vth_v, mobility : of the transistors in `MATCHED`; those not named are nominal.
    """

    sizes: LatchSizes
    delta_vth_v: Mapping[str, float] = field(default_factory=dict)
    mobility: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Behavioural:
    """A stated offset and range; input voltage and range in V and A.

    Attributes
    ----------
    input_v : voltage at which both inputs are held.
    offset_a : added to the current of the plus input.
    low_a, high_a : range of the mean of the two currents.
    """

    input_v: float
    offset_a: float
    low_a: float
    high_a: float


@dataclass(frozen=True)
class SenseAmp:
    """What the generator needs to know.

    Attributes
    ----------
    technology : models and supply.
    core : transistors, or a behavioural amplifier.
    input_f : capacitance of each column at its input in F.
    phase_s : length of a reset and of an evaluation in s.
    """

    technology: Technology
    core: Latch | Behavioural
    input_f: float
    phase_s: float

    @property
    def stop_s(self) -> float:
        """End of the second operation."""
        return 4 * self.phase_s


def sense_amp(amplifier: SenseAmp) -> Circuit:
    """Build the amplifier with its supply, its reset and two column currents.

    Raises
    ------
    UsageError : mismatch with a library of subcircuits.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit, technology, core = Circuit("sense amplifier"), amplifier.technology, amplifier.core
    ports = ("inp", "inm", "reset", "out", "outb", "vdd", circuit.gnd)
    if isinstance(core, Latch):
        if core.delta_vth_v or core.mobility:
            check_mismatch(technology.card)
        circuit.raw_spice = f"{technology.include_line}\n{technology.cell('sense_amp_latch')}\n"
        mismatch = {f"d{name}": value for name, value in core.delta_vth_v.items()}
        mismatch |= {f"u{name}": value for name, value in core.mobility.items()}
        circuit.X("amp", "sense_amp_latch", *ports, **vars(core.sizes), **mismatch)
    else:
        circuit.raw_spice = f"{read_cell('sense_amp_behavioural')}\n"
        circuit.X("amp", "sense_amp_behavioural", *ports, vin=core.input_v, ios=core.offset_a,
                  ilow=core.low_a, ihigh=core.high_a)  # fmt: skip
    _drive(circuit, amplifier)
    return circuit


def _drive(circuit: Circuit, amplifier: SenseAmp) -> None:
    ground, phase, edge = circuit.gnd, amplifier.phase_s, EDGE_S
    supply = amplifier.technology.supply_v
    circuit.V("dd", "vdd", ground, supply)
    times = f"{phase!r} {edge!r} {edge!r} {phase - edge!r} {2 * phase!r}"
    circuit.V("reset", "reset", ground, f"pulse({supply!r} 0 {times})")
    second = f"{2 * phase!r} {edge!r} {edge!r} {_NEVER_S} {2 * _NEVER_S}"
    circuit.V("second", "second", ground, f"pulse(0 1 {second})")
    for name, node in (("plus", "inp"), ("minus", "inm")):
        circuit.V(name, name, ground, 0)
        circuit.V(f"{name}_before", f"{name}_before", ground, 0)
        circuit.V(f"column_{name}", node, f"column_{name}", 0)
        level = f"v(second)*v({name})+(1-v(second))*v({name}_before)"
        current = f"{AMPERE_PER_VOLT!r}*({level})"
        circuit.raw_spice += f"Bcolumn_{name} column_{name} 0 I={current}\n"
        if amplifier.input_f > 0:
            circuit.C(f"input_{name}", node, ground, amplifier.input_f)
