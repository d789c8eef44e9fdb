"""Single-slope converter: one ramp, shared by columns, each with a comparator and a held input.

A conversion is a reset and a run. When the reset ends the ramp is released; the counter's edge k
comes ``count_start + k·clock`` later. A column's code is the number of edges before its comparator
fires, which it does where ramp = input + offset. So T[k] is the highest that the ramp, as the
comparator sees it, has been up to edge k, less the offset.

The generator writes any number of conversions in a row, each with an input of its own; the counter
is left to whoever reads the waveforms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.ramp_parts import (
    Cdac,
    CurrentSource,
    Ladder,
    Mirror,
    bit_waveforms,
    source_cells,
    source_lines,
)
from imccircuit.circuits.technology import Technology

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

# Edges of control voltages, in clocks: a ramp moves 0.001 LSB in one. Those of a staircase, whose
# levels do not depend on them, are longer, and easier on the solver.
EDGE_CLOCKS, STAIRCASE_EDGE_CLOCKS = 1e-3, 0.02
SENSE_OHM = 1e6
"""Volts an ampere at the node ``sense`` of `ramp_current_circuit`."""
_TRIPS_LOW = 8.0
# Gates of the comparator's amplifier, in multiples of the technology's own width and length.
_OTA_MULTIPLES = {
    "tail": ("pmos", 64.0, 8.0),
    "in": ("pmos", 32.0, 3.0),
    "ramp": ("pmos", 32.0, 3.0),
    "load": ("nmos", 32.0, 3.0),
    "out": ("nmos", 32.0, 3.0),
}


@dataclass(frozen=True)
class Pole:
    """Behavioural comparators: an offset, and one pole.

    Attributes
    ----------
    offset_v : (column,) in V; positive lowers every level.
    delay_s : time constant in s.
    """

    offset_v: Sequence[float]
    delay_s: float


@dataclass(frozen=True)
class Amplifier:
    """Comparators of transistors: five-transistor amplifier and inverter.

    Attributes
    ----------
    tail_a : tail current of each column in A.
    mismatch : (column, 4, 2) of input, ramp, load and output transistor: threshold shift in V and
        factor on the mobility.
    """

    tail_a: float
    mismatch: NDArray[np.float64]


@dataclass(frozen=True)
class RampAdc:
    """What the generator needs to know.

    Attributes
    ----------
    bits : resolution.
    clock_s, count_start_s, reset_s : clock period; from the ramp's release to the counter's start;
        length of the reset; in s.
    full_scale_v : in V.
    source : what makes the ramp.
    line_f : capacitance of the line that carries the ramp to the columns, to ground, in F.
    reset : ``sw`` or ``transmission_gate``, from the ramp to ground.
    r_on_ohm, r_off_ohm : of switches of kind ``sw``.
    comparator : `Pole` or `Amplifier`; says how many columns there are.
    technology : of all transistors; its supply also drives the transmission gate.
    """

    bits: int
    clock_s: float
    count_start_s: float
    reset_s: float
    full_scale_v: float
    source: CurrentSource | Mirror | Ladder | Cdac
    line_f: float
    reset: Literal["sw", "transmission_gate"]
    r_on_ohm: float
    r_off_ohm: float
    comparator: Pole | Amplifier
    technology: Technology

    @property
    def columns(self) -> int:
        """Number of columns on the ramp."""
        if isinstance(self.comparator, Pole):
            return len(self.comparator.offset_v)
        return len(self.comparator.mismatch)

    @property
    def period_s(self) -> float:
        """Length of a conversion: reset and run."""
        return float(self.reset_s + self.count_start_s + 2**self.bits * self.clock_s)

    @property
    def is_staircase(self) -> bool:
        """Whether the ramp moves in steps, once a clock."""
        return isinstance(self.source, Ladder | Cdac)

    @property
    def lsb_v(self) -> float:
        """Full scale over 2^bits, in V."""
        return float(self.full_scale_v / 2**self.bits)

    def release_s(self, conversion: int) -> float:
        """Time at which the ramp of a conversion starts."""
        return conversion * self.period_s + self.reset_s

    def edges_s(self, conversion: int) -> NDArray[np.float64]:
        """Times of the counter's edges 1 … 2^bits − 1."""
        start = self.release_s(conversion) + self.count_start_s
        return np.asarray(start + np.arange(1, 2**self.bits) * self.clock_s)

    @property
    def decision_nodes(self) -> tuple[str, ...]:
        """Output of each column's comparator: falls through `threshold_v` where it fires."""
        return tuple(f"decision_{column}" for column in range(self.columns))

    @property
    def threshold_v(self) -> float:
        """Decision at which a comparator counts as fired."""
        return 0.0 if isinstance(self.comparator, Pole) else self.technology.supply_v / 2

    @property
    def has_transistors(self) -> bool:
        """Whether anything here is of transistors."""
        return (
            isinstance(self.source, Mirror)
            or isinstance(self.comparator, Amplifier)
            or self.reset == "transmission_gate"
        )

    @property
    def meters(self) -> dict[str, tuple[str, str]]:
        """Sources that deliver energy: block → (source, its plus node)."""
        found = {}
        if isinstance(self.source, Mirror):
            found["ramp_supply"] = ("vdd", "vdd")
        if self.is_staircase:
            found["staircase_reference"] = ("vref", "ref")
        if self.reset == "transmission_gate":
            found["reset_driver"] = ("vreset", "reset")
            found["reset_driver_inverted"] = ("vresetb", "resetb")
            found["reset_bulk"] = ("vbulk", "bulk")
        if isinstance(self.comparator, Amplifier):
            found["comparator_supply"] = ("vcmp", "vcmp")
            found["input"] = ("vin", "input")
        return found


def ramp_adc(adc: RampAdc, inputs_v: Sequence[float]) -> Circuit:
    """The converter, through one conversion for each of ``inputs_v`` (V), the same in all columns.

    Nodes: ``ramp``, ``input`` and `RampAdc.decision_nodes`. Source ``vnoise`` (0 V) stands for
    noise analyses.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"ramp ADC, {adc.bits} bit, {adc.columns} columns")
    lines = [adc.technology.include_line] if adc.has_transistors else []
    lines += _cells(adc)
    lines += source_lines(adc.source, adc.bits)
    lines += _inputs(adc, inputs_v)
    lines += _reset(adc)
    if adc.is_staircase:
        lines += bit_waveforms(adc.bits, adc.clock_s, adc.reset_s, adc.period_s,
                               STAIRCASE_EDGE_CLOCKS)  # fmt: skip
    if adc.line_f > 0:
        lines.append(f"Cline ramp 0 {adc.line_f!r}")
    lines += _columns(adc)
    if isinstance(adc.source, Mirror):
        lines.append(f"Vdd vdd 0 {adc.technology.supply_v!r}")
    if adc.is_staircase:
        lines.append(f"Vref ref 0 {adc.full_scale_v!r}")
    circuit.raw_spice = "\n".join(lines)
    return circuit


def ramp_noise_circuit(adc: RampAdc, load_ohm: float) -> Circuit:
    """The circuit under reset, for ``.noise``: source into ``load_ohm`` and its capacitors."""
    lines = [f"Cline ramp 0 {adc.line_f!r}"] if adc.line_f > 0 else []
    lines += [f"Rload ramp load {load_ohm!r}", "Vnoise load 0 dc 0 ac 1"]
    return _still(adc, "reset", lines)


def ramp_current_circuit(adc: RampAdc) -> Circuit:
    """The ramp's source at half of full scale, for ``.noise`` of its current.

    A voltage source holds the ramp, so no capacitor counts; node ``sense`` shows the current into
    it as ``SENSE_OHM`` volts an ampere, without noise.
    """
    lines = [
        f"Vnoise ramp 0 dc {adc.full_scale_v / 2!r} ac 1",
        f"Hsense sense 0 vnoise {SENSE_OHM!r}",
    ]
    return _still(adc, "current", lines)


def _still(adc: RampAdc, what: str, around: list[str]) -> Circuit:
    """The ramp's source, standing still, and what is around it."""
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"ramp ADC, noise of the {what}")
    lines = [adc.technology.include_line] if isinstance(adc.source, Mirror) else []
    lines += source_cells(adc.source, adc.technology)
    lines += source_lines(adc.source, adc.bits, still=True)
    if isinstance(adc.source, Mirror):
        lines.append(f"Vdd vdd 0 {adc.technology.supply_v!r}")
    circuit.raw_spice = "\n".join([*lines, *around])
    return circuit


def _cells(adc: RampAdc) -> list[str]:
    technology = adc.technology
    names = ["switch_sw" if adc.reset == "sw" else "transmission_gate"]
    if isinstance(adc.comparator, Pole):
        names += ["comparator_behavioural", "ramp_comparator"]
    else:
        names += ["inverter", "ramp_comparator_ota"]
    return [technology.cell(name) for name in names] + source_cells(adc.source, technology)


def _inputs(adc: RampAdc, inputs_v: Sequence[float]) -> list[str]:
    """Held inputs: each steps to its level when the reset of its conversion begins."""
    edge = EDGE_CLOCKS * adc.clock_s
    points = [f"0 {float(inputs_v[0])!r}"]
    for conversion in range(1, len(inputs_v)):
        start = conversion * adc.period_s
        before, after = (float(v) for v in inputs_v[conversion - 1 : conversion + 1])
        points.append(f"{start!r} {before!r} {start + edge!r} {after!r}")
    return ["Vin input 0 pwl(" + "\n+ ".join(points) + ")"]


def _reset(adc: RampAdc) -> list[str]:
    edge = EDGE_CLOCKS * adc.clock_s
    width = adc.period_s - adc.reset_s - edge
    timing = f"{adc.reset_s - edge / 2!r} {edge!r} {edge!r} {width!r} {adc.period_s!r}"
    if adc.reset == "sw":
        switch = f"ron={adc.r_on_ohm!r} roff={adc.r_off_ohm!r}"
        return [f"Vreset reset 0 pulse(1 0 {timing})", f"Xreset ramp 0 reset switch_sw {switch}"]
    # A real gate cannot switch within a thousandth of a clock, and its injection depends on it.
    edge = min(0.05 * adc.clock_s, 0.05 * adc.reset_s)
    width = adc.period_s - adc.reset_s - edge
    timing = f"{adc.reset_s - edge / 2!r} {edge!r} {edge!r} {width!r} {adc.period_s!r}"
    high = adc.technology.supply_v
    return [
        f"Vbulk bulk 0 {high!r}",
        f"Vreset reset 0 pulse({high!r} 0 {timing})",
        f"Vresetb resetb 0 pulse(0 {high!r} {timing})",
        "Xreset ramp 0 reset resetb bulk 0 transmission_gate "
        + _words(zip(("wn", "l", "wp", "lp"), sum(gate_sizes_m(adc.technology), ()), strict=True)),
    ]


def _words(values: Iterable[tuple[str, float]]) -> str:
    return " ".join(f"{name}={value!r}" for name, value in values)


def _columns(adc: RampAdc) -> list[str]:
    comparator, lines = adc.comparator, []
    if isinstance(comparator, Pole):
        for column, (node, offset) in enumerate(
            zip(adc.decision_nodes, comparator.offset_v, strict=True)
        ):
            lines += [
                f"Voffset_{column} offset_{column} 0 {float(offset)!r}",
                f"Xcompare_{column} input ramp offset_{column} {node} ramp_comparator "
                f"delay={comparator.delay_s!r}",
            ]
        return lines
    device = adc.technology
    supply = device.supply_v
    lines = [
        f"Vcmp vcmp 0 {supply!r}",
        f"Btail tail_bias 0 I={comparator.tail_a!r}*tanh(v(tail_bias)/0.05)",
        device.line("tail", "pmos", ("tail_bias", "tail_bias", "vcmp", "vcmp"),
                    *ota_sizes_m(device)["tail"]),
    ]  # fmt: skip
    sizes = _ota_words(device)
    for column, node in enumerate(adc.decision_nodes):
        shifts = " ".join(
            f"dvt_{name}={shift!r} mu_{name}={mobility!r}"
            for name, (shift, mobility) in zip(
                ("in", "ramp", "load", "out"), comparator.mismatch[column].tolist(), strict=True
            )
        )
        lines.append(
            f"Xcompare_{column} input ramp {node} tail_bias vcmp ramp_comparator_ota {sizes} "
            f"{shifts}"
        )
    return lines


def _ota_words(technology: Technology) -> str:
    """Sizes of all gates of ``ramp_comparator_ota``."""
    ota = ota_sizes_m(technology)
    sizes = (*ota["in"], *ota["tail"], *ota["load"], *sum(ota_inverter_m(technology), ()))
    names = ("w", "l", "wt", "lt", "wload", "lload", "w_n", "l_n", "w_p", "l_p")
    return _words(zip(names, sizes, strict=True))


def ota_sizes_m(technology: Technology) -> dict[str, tuple[float, float]]:
    """Analogue gates of ``ramp_comparator_ota``: width and length in m.

    The diode that sets the tail currents of all columns has the gate of a tail.
    """
    return {name: technology.size(*multiples) for name, multiples in _OTA_MULTIPLES.items()}


def ota_inverter_m(technology: Technology) -> tuple[tuple[float, float], tuple[float, float]]:
    """Gates of its inverter, n and p, in m: eight widths to one, so that it trips low."""
    return technology.size("nmos", _TRIPS_LOW), technology.size("pmos")


def gate_sizes_m(technology: Technology) -> tuple[tuple[float, float], tuple[float, float]]:
    """Gates of the reset's ``transmission_gate``, n and p, in m: two and four widths."""
    return technology.size("nmos", 2.0), technology.size("pmos", 4.0)
