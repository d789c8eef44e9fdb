"""Digital-to-analog converters that drive a row: resistor string, R-2R, capacitors, pulse width.

Common to all: ``row`` is the far end of the row line, ``out`` its near end. Where a code is
switched, source ``vbit_<k>`` (0 or 1, LSB is 0) holds it; in a transient the phase ``go`` applies
it in the second half of every cycle and code 0 in the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from imccircuit.circuits.cells import read_cell
from imccircuit.circuits.technology import Technology

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

# Sections of the row line: a distributed line to 1 % of its delay.
_SECTIONS = 10
_EDGE = 0.002
# The top plate lets go so long before the bits are applied, in cycles.
_RESET_ENDS, _RESET_BEGINS = 0.45, 0.0


@dataclass(frozen=True)
class Switches:
    """Ideal switches, or transmission gates of a technology.

    Attributes
    ----------
    technology : None for ideal ones.
    r_on_ohm, r_off_ohm : of the ideal ones.
    width_n_m, width_p_m, length_m, length_p_m : gate sizes of the transmission gates.
    """

    technology: Technology | None
    r_on_ohm: float
    r_off_ohm: float
    width_n_m: float
    width_p_m: float
    length_m: float
    length_p_m: float

    @property
    def high_v(self) -> float:
        """Control voltage of an open gate."""
        return 1.0 if self.technology is None else self.technology.supply_v

    def cells(self) -> list[str]:
        """Texts that a deck needs once."""
        if self.technology is None:
            return [read_cell("switch_sw")]
        return [self.technology.include_line, self.technology.cell("transmission_gate")]

    def line(self, name: str, a: str, b: str, control: str, inverse: str) -> str:
        """Write one switch between a and b, closed while ``control`` is high."""
        if self.technology is None:
            values = f"ron={self.r_on_ohm!r} roff={self.r_off_ohm!r}"
            return f"X{name} {a} {b} {control} switch_sw {values}"
        sizes = f"wn={self.width_n_m!r} wp={self.width_p_m!r} l={self.length_m!r}"
        sizes += f" lp={self.length_p_m!r}"
        return f"X{name} {a} {b} {control} {inverse} vdd 0 transmission_gate {sizes}"


@dataclass(frozen=True)
class Row:
    """What the converter drives.

    Attributes
    ----------
    resistance_ohm, capacitance_f : of the whole row line.
    load_s : conductance from its far end to ground.
    """

    resistance_ohm: float
    capacitance_f: float
    load_s: float

    def lines(self) -> list[str]:
        """Elements from ``out`` to ``row``."""
        nodes = ["out", *(f"row_{k}" for k in range(1, _SECTIONS)), "row"]
        lines = []
        for k, (a, b) in enumerate(pairwise(nodes)):
            lines.append(f"Rrow_{k} {a} {b} {self.resistance_ohm / _SECTIONS!r}")
            if self.capacitance_f > 0:
                lines.append(f"Crow_{k} {b} 0 {self.capacitance_f / _SECTIONS!r}")
        if self.load_s > 0:
            lines.append(f"Rload row 0 {1 / self.load_s!r}")
        return lines


@dataclass(frozen=True)
class Drive:
    """How a code is applied.

    Attributes
    ----------
    v_ref : full scale in V.
    cycle_s : of one operation; None for a static code.
    """

    v_ref: float
    cycle_s: float | None

    def phase(self, name: str, begins: float, ends: float) -> str:
        """Write a 0 to 1 V phase, high from ``begins`` to ``ends``, in cycles; static: high."""
        if self.cycle_s is None:
            return f"V{name} {name} 0 1"
        cycle, edge = self.cycle_s, _EDGE * self.cycle_s
        width = (ends - begins) * cycle - edge
        return (
            f"V{name} {name} 0 pulse(0 1 {begins * cycle!r} {edge!r} {edge!r} {width!r} {cycle!r})"
        )


def _circuit(title: str, switches: Switches, drive: Drive, lines: Sequence[str]) -> Circuit:
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(title)
    circuit.raw_spice = "\n".join([*switches.cells(), *lines])
    circuit.V("ref", "ref", circuit.gnd, drive.v_ref)
    if switches.technology is not None:
        circuit.V("dd", "vdd", circuit.gnd, switches.technology.supply_v)
    return circuit


def _controls(bits: int, switches: Switches, drive: Drive) -> list[str]:
    """Control lines ``on_<k>`` and ``off_<k>`` of the bits, and the phase that applies them."""
    lines = [drive.phase("go", 0.5, 1.0)]
    for k in range(bits):
        high = f"{switches.high_v!r}"
        lines += [
            f"Vbit_{k} bit_{k} 0 0",
            f"Bon_{k} on_{k} 0 V={high}*v(go)*v(bit_{k})",
            f"Boff_{k} off_{k} 0 V={high}*(1-v(go)*v(bit_{k}))",
        ]
    return lines


def string_dac(
    resistors_ohm: Sequence[float], switches: Switches, row: Row, drive: Drive
) -> Circuit:
    """2^B resistors from ground to the reference, and a tree of switches that picks a tap."""
    count = len(resistors_ohm)
    bits = int(np.log2(count))
    lines = [*_controls(bits, switches, drive), *row.lines()]
    taps = ["0", *(f"tap_{k}" for k in range(1, count)), "ref"]
    for k, value in enumerate(resistors_ohm):
        lines.append(f"Rstring_{k} {taps[k]} {taps[k + 1]} {float(value)!r}")
    before = taps[:-1]
    for bit in range(bits):
        after = [f"tree_{bit}_{j}" for j in range(len(before) // 2)] if bit < bits - 1 else ["out"]
        for j, node in enumerate(after):
            low, high = before[2 * j], before[2 * j + 1]
            lines.append(switches.line(f"l{bit}_{j}", low, node, f"off_{bit}", f"on_{bit}"))
            lines.append(switches.line(f"h{bit}_{j}", high, node, f"on_{bit}", f"off_{bit}"))
        before = after
    return _circuit(f"resistor string, {bits} bit", switches, drive, lines)


def r2r_dac(resistors_ohm: Sequence[float], switches: Switches, row: Row, drive: Drive) -> Circuit:
    """R-2R ladder whose legs are switched between ground and the reference.

    Parameters
    ----------
    resistors_ohm : leg of every bit (2R, LSB first), terminator (2R), then the B − 1 rungs (R).
    """
    bits = len(resistors_ohm) // 2
    lines = [*_controls(bits, switches, drive), *row.lines()]
    lines += ladder_lines(resistors_ohm, switches, "", "out", ("0", "ref"))
    return _circuit(f"R-2R ladder, {bits} bit", switches, drive, lines)


def ladder_lines(
    resistors_ohm: Sequence[float], switches: Switches, own: str, out: str, rails: tuple[str, str]
) -> list[str]:
    """Elements of an R-2R ladder: legs ``leg_<own><k>``, switched by ``on_…`` and ``off_…``.

    Parameters
    ----------
    resistors_ohm : as of `r2r_dac`.
    own : what the names of one ladder of several have before the number of the bit.
    out : its output.
    rails : nodes of code 0 and of full scale.
    """
    bits = len(resistors_ohm) // 2
    legs, terminator, rungs = (
        resistors_ohm[:bits], resistors_ohm[bits], resistors_ohm[bits + 1 :],
    )  # fmt: skip
    low, high = rails
    nodes = [*(f"rung_{own}{k}" for k in range(bits - 1)), out]
    lines = [f"Rend{own.removesuffix('_')} {nodes[0]} {low} {float(terminator)!r}"]
    for k in range(bits):
        leg, on, off = (f"{name}_{own}{k}" for name in ("leg", "on", "off"))
        lines.append(f"Rleg_{own}{k} {nodes[k]} {leg} {float(legs[k])!r}")
        lines.append(switches.line(f"h{own}{k}", high, leg, on, off))
        lines.append(switches.line(f"l{own}{k}", low, leg, off, on))
    for k, value in enumerate(rungs):
        lines.append(f"Rrung_{own}{k} {nodes[k]} {nodes[k + 1]} {float(value)!r}")
    return lines


def capacitor_dac(
    capacitors_f: Sequence[float], parasitic_f: float, switches: Switches, row: Row, drive: Drive
) -> Circuit:
    """Group of capacitors on a floating top plate, which is the row.

    While the code is away the top plate is held at ground; it lets go, then the bottom plates of
    the set bits go to the reference.

    Parameters
    ----------
    capacitors_f : bits (LSB first), then the dummy, in F.
    parasitic_f : top plate to ground in F.
    """
    bits = len(capacitors_f) - 1
    high = f"{switches.high_v!r}"
    lines = [
        *_controls(bits, switches, drive), *row.lines(),
        drive.phase("reset", _RESET_BEGINS, _RESET_ENDS),
        f"Bclear clear 0 V={high}*v(reset)", f"Bnclear nclear 0 V={high}*(1-v(reset))",
        switches.line("reset", "out", "0", "clear", "nclear"),
    ]  # fmt: skip
    if parasitic_f > 0:
        lines.append(f"Cparasitic out 0 {parasitic_f!r}")
    for k in range(bits):
        lines.append(f"Cbit_{k} out plate_{k} {float(capacitors_f[k])!r}")
        lines.append(switches.line(f"h{k}", "ref", f"plate_{k}", f"on_{k}", f"off_{k}"))
        lines.append(switches.line(f"l{k}", "0", f"plate_{k}", f"off_{k}", f"on_{k}"))
    if capacitors_f[-1] > 0:
        lines.append(f"Cdummy out 0 {float(capacitors_f[-1])!r}")
    return _circuit(f"capacitor group, {bits} bit", switches, drive, lines)


@dataclass(frozen=True)
class Pulses:
    """Pulses of every code, one after another.

    Attributes
    ----------
    codes : in the order in which they come.
    clock_s : width of code 1.
    edge_s : rise and fall time at the driver's input.
    rise_delay_s, fall_delay_s : of the logic before the driver.
    gap_s : from the end of a pulse to the start of the next.
    """

    codes: Sequence[int]
    clock_s: float
    edge_s: float
    rise_delay_s: float
    fall_delay_s: float
    gap_s: float

    def starts_s(self) -> list[float]:
        """Time at which each pulse would begin without delay."""
        widths = np.asarray(self.codes) * self.clock_s + self.gap_s
        return [float(value) for value in self.gap_s + np.append(0.0, np.cumsum(widths)[:-1])]

    @property
    def stop_s(self) -> float:
        """End of the last gap."""
        return self.starts_s()[-1] + self.codes[-1] * self.clock_s + self.gap_s

    def source(self, low: float, high: float) -> str:
        """``pwl(…)`` of all pulses, edges centred on their times."""
        pairs = [f"0 {low!r}"]
        for code, start in zip(self.codes, self.starts_s(), strict=True):
            if code == 0:
                continue
            rise = start + self.rise_delay_s
            fall = start + code * self.clock_s + self.fall_delay_s
            for middle, before, after in ((rise, low, high), (fall, high, low)):
                half = self.edge_s / 2
                pairs += [f"{middle - half!r} {before!r}", f"{middle + half!r} {after!r}"]
        rows = (" ".join(pairs[k : k + 16]) for k in range(0, len(pairs), 16))
        return "pwl(" + "\n+ ".join(rows) + ")"


def pulse_width_dac(
    pulses: Pulses, row: Row, v_ref: float, driver: Literal["ideal", "transistor"],
    technology: Technology | None, *, resistance_ohm: float = 0.0,
    widths_m: tuple[float, float] = (0.0, 0.0), lengths_m: tuple[float, float] = (0.0, 0.0),
    delta_vth_v: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
) -> Circuit:  # fmt: skip
    """Driver of a row that is high for code·t_clk.

    Parameters
    ----------
    v_ref : amplitude; with transistors the supply of the driver.
    resistance_ohm : of the ideal driver.
    widths_m, lengths_m : gates of the second inverter (N, P); the first has a quarter of them.
    delta_vth_v : threshold shifts, NMOS and PMOS of the first inverter, then of the second.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"pulse-width driver, {driver}")
    lines = row.lines()
    if technology is None:
        lines.append(f"Vpulse pulse 0 {pulses.source(0.0, v_ref)}")
        lines.append(f"Rdriver pulse out {resistance_ohm!r}")
    else:
        lines = [technology.include_line, *lines, f"Vpulse pulse 0 {pulses.source(0.0, v_ref)}"]
        circuit.V("dd", "vdd", circuit.gnd, v_ref)
        for stage, (gate, drain, scale) in enumerate(
            (("pulse", "middle", 0.25), ("middle", "out", 1.0))
        ):
            for kind, rail, width, length, shift in (
                ("nmos", "0", widths_m[0], lengths_m[0], delta_vth_v[2 * stage]),
                ("pmos", "vdd", widths_m[1], lengths_m[1], delta_vth_v[2 * stage + 1]),
            ):
                nodes = (drain, gate, rail, rail)
                size = (scale * width, length)
                lines.append(
                    technology.line(f"{kind}{stage}", kind, nodes, *size, delta_vth_v=shift)
                )
    circuit.raw_spice = "\n".join(lines)
    return circuit
