"""What makes the ramp of a single-slope converter: a current into a capacitor, or a staircase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.technology import Technology

# A staircase steps this much after the counter's edge: the step a column sees at an edge is the
# one before it.
STEP_AFTER_CLOCKS = 0.1


@dataclass(frozen=True)
class CurrentSource:
    """Ideal current with an output resistance to ground, into a capacitor.

    Attributes
    ----------
    current_a, output_ohm, capacitor_f : in A, ohm, F.
    """

    current_a: float
    output_ohm: float
    capacitor_f: float


@dataclass(frozen=True)
class Mirror:
    """Mirror of transistors into a capacitor.

    Attributes
    ----------
    cell : ``ramp_mirror`` or ``ramp_cascode``.
    current_a, capacitor_f : in A and F.
    width_m, length_m : gate of each of the pair.
    cascode_length_m : gate length of both cascodes.
    mismatch : (2, 2) of input and output transistor: threshold shift in V, factor on mobility.
    """

    cell: Literal["ramp_mirror", "ramp_cascode"]
    current_a: float
    capacitor_f: float
    width_m: float
    length_m: float
    cascode_length_m: float
    mismatch: NDArray[np.float64]

    @property
    def sizes_m(self) -> list[tuple[float, float]]:
        """Width and length of every transistor."""
        pair = [(self.width_m, self.length_m)] * 2
        if self.cell == "ramp_mirror":
            return pair
        cascodes = [(self.width_m, self.cascode_length_m)] * 2
        return [*pair, *cascodes, (self.width_m, 4 * self.length_m)]


@dataclass(frozen=True)
class Ladder:
    """Staircase from an R-2R ladder.

    Attributes
    ----------
    feet_ohm : (bit,) resistors to the switches, LSB first, nominally 2R.
    rungs_ohm : (bit − 1,) resistors between the nodes, nominally R.
    end_ohm : termination of the LSB's node, nominally 2R.
    switch_ohm : of each bit's switch.
    """

    feet_ohm: Sequence[float]
    rungs_ohm: Sequence[float]
    end_ohm: float
    switch_ohm: float


@dataclass(frozen=True)
class Cdac:
    """Staircase from binary capacitors on the ramp's node, which is reset and then floats.

    Attributes
    ----------
    bit_capacitors_f : LSB first, in F.
    dummy_f : in F.
    switch_ohm : of the highest bit's switch; the others are scaled with their capacitors, so that
        all settle alike and a carry gives no glitch.
    """

    bit_capacitors_f: Sequence[float]
    dummy_f: float
    switch_ohm: float


Source = CurrentSource | Mirror | Ladder | Cdac


def source_cells(source: Source, technology: Technology) -> list[str]:
    """Texts of the cells that `source_lines` calls."""
    if isinstance(source, Mirror):
        return [technology.cell(source.cell)]
    if isinstance(source, Ladder | Cdac):
        return [technology.cell("ramp_step_sw")]
    return []


def source_lines(source: Source, bits: int, *, still: bool = False) -> list[str]:
    """Element lines that drive the node ``ramp``.

    Nodes that somebody else must drive: ``vdd`` of a mirror; ``ref`` and ``bit_<k>`` of a
    staircase. With ``still`` a staircase stands at code 0, its switches resistors to ground.
    """
    if isinstance(source, CurrentSource):
        return [
            f"Iramp 0 ramp {source.current_a!r}",
            f"Rout ramp 0 {source.output_ohm!r}",
            f"Cramp ramp 0 {source.capacitor_f!r}",
        ]
    if isinstance(source, Mirror):
        (dvt_in, mu_in), (dvt_out, mu_out) = source.mismatch.tolist()
        cascode = f" lc={source.cascode_length_m!r}" if source.cell == "ramp_cascode" else ""
        return [
            f"Xsource bias ramp vdd {source.cell} i={source.current_a!r} w={source.width_m!r} "
            f"l={source.length_m!r}{cascode} dvt_in={dvt_in!r} mu_in={mu_in!r} "
            f"dvt_out={dvt_out!r} mu_out={mu_out!r}",
            f"Cramp ramp 0 {source.capacitor_f!r}",
        ]
    scale = [2 ** (bits - 1 - bit) if isinstance(source, Cdac) else 1 for bit in range(bits)]
    lines = [_foot(bit, source.switch_ohm * scale[bit], still) for bit in range(bits)]
    if isinstance(source, Cdac):
        lines += [
            f"Cbit_{bit} ramp foot_{bit} {float(value)!r}"
            for bit, value in enumerate(source.bit_capacitors_f)
        ]
        return [*lines, f"Cdummy ramp 0 {float(source.dummy_f)!r}"]
    nodes = [f"rung_{bit}" for bit in range(bits - 1)] + ["ramp"]
    lines += [
        f"Rfoot_{bit} {node} foot_{bit} {float(value)!r}"
        for bit, (node, value) in enumerate(zip(nodes, source.feet_ohm, strict=True))
    ]
    lines += [
        f"Rrung_{bit} {nodes[bit]} {nodes[bit + 1]} {float(value)!r}"
        for bit, value in enumerate(source.rungs_ohm)
    ]
    return [*lines, f"Rend {nodes[0]} 0 {float(source.end_ohm)!r}"]


def _foot(bit: int, switch_ohm: float, still: bool) -> str:
    if still:
        return f"Rswitch_{bit} foot_{bit} 0 {switch_ohm!r}"
    return f"Xbit_{bit} foot_{bit} ref bit_{bit} ramp_step_sw ron={switch_ohm!r}"


def bit_waveforms(
    bits: int, clock_s: float, reset_s: float, period_s: float, edge_clocks: float
) -> list[str]:
    """Sources ``Vbit_<k>`` of a binary counter that drives a staircase, conversion by conversion.

    Step n begins `STEP_AFTER_CLOCKS` after edge n − 1 of a counter that starts with the release;
    the last stays until the next reset, where all bits fall.
    """
    edge = edge_clocks * clock_s
    count = np.arange(1, 2**bits)
    start = reset_s + (count - 1 + STEP_AFTER_CLOCKS) * clock_s
    lines = []
    for bit in range(bits):
        state = (count >> bit) & 1
        change = np.flatnonzero(np.diff(state, prepend=0))
        points = ["0 0"]
        for index in change:
            now = int(state[index])
            points.append(f"{float(start[index])!r} {1 - now} {float(start[index]) + edge!r} {now}")
        points.append(f"{period_s - edge!r} {int(state[-1])} {period_s!r} 0")
        lines.append(f"Vbit_{bit} bit_{bit} 0 pwl(" + "\n+ ".join(points) + ") r=0")
    return lines
