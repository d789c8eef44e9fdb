"""Noise circuits of a charge-domain column: one for each phase, closed switches as resistors.

SPICE's noise analysis is linear about an operating point and knows no phases; ``sw`` switches are
open in it. So each phase is a circuit of its own, and the phases' variances add. The level of an
integrated kT/C does not depend on the resistance, which only decides where the band lies.

Transistors have capacitances of their own, which lower kT/C. Their models' thermal noise misses
kT/C (BSIM4's by up to 9 %: its noise and its conductance are two formulas), so it is not used:
equipartition needs only capacitances, and those a resistor's noise tells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imccircuit.circuits.charge_column import ChargeArray, cell_sizes, reset_transistor

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

# A node that only capacitors reach has no operating point. This leak gives it one; its own noise
# lies below the start of the band.
_LEAK_OHM = 1e18
# The ends of the band, in corner frequencies of what is inside: each misses 2/π·1e-5 of a variance.
_BAND = 1e5
# Feeds the line so hard that nothing behind a closed transistor counts, shared by the cells; the
# least that every ngspice takes as it stands.
_FEED_OHM, _LEAST_OHM = 1.0, 1e-3


@dataclass(frozen=True)
class ChargeColumn:
    """Nominal column.

    Attributes
    ----------
    rows : number of product capacitors.
    unit_f : each of them in F.
    line_f : line to ground in F.
    cell_ohm : closed switches of a cell in ohm.
    reset_ohm : closed reset switch in ohm.
    """

    rows: int
    unit_f: float
    line_f: float
    cell_ohm: float
    reset_ohm: float


@dataclass(frozen=True)
class NoiseCircuit:
    """A circuit whose noise at one node is wanted.

    Attributes
    ----------
    circuit : has a source ``vquiet`` with an AC value.
    node : where the noise is observed.
    start_hz, stop_hz : band that holds all of it.
    """

    circuit: Circuit
    node: str
    start_hz: float
    stop_hz: float


def sampling_noise(column: ChargeColumn) -> NoiseCircuit:
    """Reset and sample: every capacitor behind its closed switch.

    The node ``shared`` is what sharing would make of the voltages, Σ C·v/Σ C, summed by ideal
    amplifiers: the noise that is frozen when the switches open.
    """
    whole = column.rows * column.unit_f + column.line_f
    branches = [(column.reset_ohm, column.line_f)]
    branches += [(column.cell_ohm, column.unit_f)] * column.rows
    lines, below = ["Vquiet quiet 0 dc 0 ac 1"], "0"
    for index, (resistance, capacitance) in enumerate(branches):
        above = "shared" if index == column.rows else f"sum_{index}"
        lines += [
            f"Rclosed_{index} quiet plate_{index} {resistance!r}",
            f"C_{index} plate_{index} 0 {capacitance!r}",
            f"Eshare_{index} {above} {below} plate_{index} 0 {capacitance / whole!r}",
        ]
        below = above
    corners = [1 / (2 * math.pi * r * c) for r, c in branches]
    return _noise_circuit("reset and sample", lines, "shared", min(corners), max(corners))


def sharing_noise(column: ChargeColumn) -> NoiseCircuit:
    """Share: the line, and every capacitor behind a closed switch to it."""
    lines = [
        "Vquiet quiet 0 dc 0 ac 1",
        f"Rleak quiet line {_LEAK_OHM!r}",
        f"Cline line 0 {column.line_f!r}",
    ]
    for index in range(column.rows):
        lines += [
            f"Rclosed_{index} line plate_{index} {column.cell_ohm!r}",
            f"C_{index} plate_{index} 0 {column.unit_f!r}",
        ]
    total = column.rows * column.unit_f
    series = total * column.line_f / (total + column.line_f)
    corner = column.rows / (2 * math.pi * column.cell_ohm * series)
    return _noise_circuit("share", lines, "line", corner, corner)


def gates_noise(array: ChargeArray, unit_f: float, bias_v: float, *, shared: bool) -> NoiseCircuit:
    """Share, with transistors: kT/C of the line, told by a resistor that feeds it.

    Parameters
    ----------
    array : its row count, line, sizes and technology; all cells are taken as nominal.
    unit_f : nominal product capacitor in F.
    bias_v : voltage of line and plates in V, for capacitances of transistors depend on it.
    shared : C of line and plates together, joined without a switch; else of the line alone, at
        frequencies that do not pass the share switches.
    """
    technology = array.technology
    feed_ohm = max(_FEED_OHM / array.rows, _LEAST_OHM)
    cell = f"sram_bit_{array.product}_tg"
    rows = "0" if array.product == "and" else "0 0"
    lines = [
        technology.include_line,
        technology.cell(cell),
        f"Vquiet quiet 0 dc {bias_v!r} ac 1",
        f"Vsupply vdd 0 {array.supply_v!r}",
        f"Rfeed quiet line_0 {feed_ohm!r}",
        f"Cline line_0 0 {array.line_f!r}",
        reset_transistor(array, 0, "0"),
        # All cells of a column as one, for they are alike.
        f"Xcell line_0 {rows} vdd 0 0 vdd vdd 0 vdd {cell} c={unit_f!r}{cell_sizes(technology)} "
        f"m={array.rows}",
    ]
    if shared:
        lines.append("Vjoin line_0 xcell.plate 0")
    total_f = array.line_f + (array.rows * unit_f if shared else 0.0)
    corner = 1 / (2 * math.pi * feed_ohm * total_f)
    return _noise_circuit("share, transistors", lines, "line_0", corner, corner)


def _noise_circuit(
    phase: str, lines: list[str], node: str, lowest_hz: float, highest_hz: float
) -> NoiseCircuit:
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"noise of a charge-domain column, {phase}")
    circuit.raw_spice = "\n".join(lines)
    return NoiseCircuit(circuit, node, lowest_hz / _BAND, highest_hz * _BAND)
