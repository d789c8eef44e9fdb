"""Netlists of memory cells side by side: for their I-V curves, and for reading them by pulses.

Names. Cell ``k`` is ``rc_<k>`` (a resistor) or ``xc_<k>`` (``netlists/cell_1r_sinh.subckt``); with
a transistor it ends in the drain node ``m_<k>``, and ``mc_<k>`` leads from there to the source
line ``s_<k>``. The ammeter ``vsense_<k>`` holds the source line at 0 V; its current is positive
into ground.

For curves (`cells_dc`) all cells hang on the two sources ``vbl`` (bit line, node ``bl``) and
``vwl`` (word line, node ``wl``). For reads (`cells_read`) every cell has lines of its own: source
``vbl_<k>`` at ``in_bl_<k>``, a driver and a wire as one resistor ``rbl_<k>`` with half of the
wire's capacitance on either side, the cell at the far end ``bl_<k>``; ``wl`` likewise, with the
gates of the word line's other cells at the far end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.cells import read_cell
from imccircuit.circuits.technology import Technology
from imccircuit.circuits.text import numbers
from imccircuit.errors import UsageError

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AccessTransistors:
    """The n-channel transistor of each cell.

    Attributes
    ----------
    technology : models, corner and supply.
    w_m, l_m : gate width and length in m.
    delta_vth_v, mobility : (cell,) threshold shift in V and factor on the mobility.
    """

    technology: Technology
    w_m: float
    l_m: float
    delta_vth_v: Floats
    mobility: Floats


@dataclass(frozen=True)
class CellSet:
    """Cells of one chip.

    Attributes
    ----------
    conductance_s : (cell,) of the resistive element at 0 V, in S, above 0.
    v0_v : V0 of I = G·V0·sinh(V/V0) in V; None for a linear element.
    transistors : in series with the elements; None where there are none.
    """

    conductance_s: Floats
    v0_v: float | None = None
    transistors: AccessTransistors | None = None

    def __post_init__(self) -> None:
        g = self.conductance_s
        if g.ndim != 1 or g.size == 0 or not (np.all(np.isfinite(g)) and np.all(g > 0)):
            raise UsageError("conductances of cells must be a list of numbers above 0 S")
        if self.v0_v is not None and not 0 < self.v0_v < np.inf:
            raise UsageError(f"v0_v must be finite and positive, not {self.v0_v!r}")
        if self.transistors is not None:
            for name in ("delta_vth_v", "mobility"):
                if getattr(self.transistors, name).shape != g.shape:
                    raise UsageError(f"{name} must have one value for each of {len(g)} cells")

    def __len__(self) -> int:
        """Number of cells."""
        return len(self.conductance_s)


@dataclass(frozen=True)
class Lines:
    """What drives one cell of an array, seen from the cell.

    Attributes
    ----------
    bit_ohm, word_ohm : driver and wire in series, in ohm; 0 makes the line ideal.
    bit_f, word_f : capacitance of the wire in F.
    gates : other cells of the word line, whose gates load it.
    """

    bit_ohm: float
    bit_f: float
    word_ohm: float
    word_f: float
    gates: int


@dataclass(frozen=True)
class ReadPulse:
    """Reads of equal length, one after the other.

    Attributes
    ----------
    bit_v, word_v : voltages of the pulses in V.
    width_s : from the start of the rising to the start of the falling edge, in s.
    edge_s : of each edge, in s.
    """

    bit_v: float
    word_v: float
    width_s: float
    edge_s: float

    @property
    def period_s(self) -> float:
        """One read: as long at rest as at its voltage."""
        return 2 * self.width_s

    @property
    def second_s(self) -> tuple[float, float]:
        """Start and end of the second read, in s."""
        return self.period_s, 2 * self.period_s


def cells_dc(cells: CellSet, *, title: str = "cells") -> Circuit:
    """All cells between one bit line, one word line and ground; both sources at 0 V.

    Returns
    -------
    PySpice ``Circuit``; see the module for its names.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(" ".join(title.split()))
    lines = [*_library(cells)]
    for k in range(len(cells)):
        lines += _cell(cells, k, "bl", "wl")
    circuit.raw_spice = "\n".join(lines) + "\n"
    circuit.V("bl", "bl", circuit.gnd, 0)
    if cells.transistors is not None:
        circuit.V("wl", "wl", circuit.gnd, 0)
    _ammeters(circuit, len(cells))
    return circuit


def cells_read(cells: CellSet, lines: Lines, pulse: ReadPulse, *, title: str = "read") -> Circuit:
    """Each cell at the far end of its own lines, read by pulses on both at once.

    Returns
    -------
    PySpice ``Circuit``; see the module for its names.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(" ".join(title.split()))
    text = [*_library(cells)]
    for k in range(len(cells)):
        bit = _line(circuit, f"bl_{k}", pulse.bit_v, lines.bit_ohm, lines.bit_f, pulse, text)
        word = ""
        if cells.transistors is not None:
            word = _line(circuit, f"wl_{k}", pulse.word_v, lines.word_ohm, lines.word_f, pulse,
                         text)  # fmt: skip
            text += _other_gates(cells.transistors, k, word, lines.gates)
        text += _cell(cells, k, bit, word)
    circuit.raw_spice = "\n".join(text) + "\n"
    _ammeters(circuit, len(cells))
    return circuit


def _library(cells: CellSet) -> list[str]:
    """Cells and models that the element lines refer to."""
    text = [] if cells.v0_v is None else [read_cell("cell_1r_sinh")]
    if cells.transistors is not None:
        text.append(cells.transistors.technology.include_line)
    return text


def _cell(cells: CellSet, k: int, bit: str, word: str) -> list[str]:
    access = cells.transistors
    far = f"s_{k}" if access is None else f"m_{k}"
    if cells.v0_v is None:
        (ohm,) = numbers(1.0 / cells.conductance_s[k : k + 1])
        lines = [f"rc_{k} {bit} {far} {ohm}"]
    else:
        (g,) = numbers(cells.conductance_s[k : k + 1])
        lines = [f"xc_{k} {bit} {far} cell_1r_sinh g={g} v0={float(cells.v0_v)!r}"]
    if access is not None:
        lines.append(
            access.technology.line(
                f"c_{k}",
                "nmos",
                (far, word, f"s_{k}", "0"),
                access.w_m,
                access.l_m,
                delta_vth_v=float(access.delta_vth_v[k]),
                mobility=float(access.mobility[k]),
            )
        )
    return lines


def _line(
    circuit: Circuit, name: str, voltage_v: float, ohm: float, farad: float, pulse: ReadPulse,
    text: list[str],
) -> str:  # fmt: skip
    """Pulse source, resistance and capacitance of one line; the node at its far end."""
    near = f"in_{name}" if ohm > 0 else name
    times = " ".join(repr(float(t)) for t in (0.0, pulse.edge_s, pulse.edge_s,
                                              pulse.width_s - pulse.edge_s,
                                              pulse.period_s))  # fmt: skip
    circuit.V(name, near, circuit.gnd, f"dc 0 pulse(0 {float(voltage_v)!r} {times})")
    if ohm > 0:
        text.append(f"r{name} {near} {name} {float(ohm)!r}")
        if farad > 0:
            text += [f"cn{name} {near} 0 {farad / 2!r}", f"cf{name} {name} 0 {farad / 2!r}"]
    elif farad > 0:
        text.append(f"cf{name} {name} 0 {farad!r}")
    return name


def _other_gates(access: AccessTransistors, k: int, word: str, count: int) -> list[str]:
    """Gates of the other cells of a word line, their bit and source lines at rest."""
    if count == 0:
        return []
    tech = access.technology
    if tech.card.device != "model":
        # A subcircuit has no multiplicity that every kit knows: they stand one by one.
        return [tech.line(f"g_{k}_{i}", "nmos", ("0", word, "0", "0"), access.w_m, access.l_m)
                for i in range(count)]  # fmt: skip
    line = tech.line(f"g_{k}", "nmos", ("0", word, "0", "0"), access.w_m, access.l_m)
    return [f"{line} m={count}"]


def _ammeters(circuit: Circuit, count: int) -> None:
    for k in range(count):
        circuit.V(f"sense_{k}", f"s_{k}", circuit.gnd, 0)
