"""Columns of 1T1R cells between a bit line and a source line, read at a low word-line voltage.

A cell is the resistor 1/G at the bit line (``rc_<i>_<c>``) and an n-channel transistor (``mc`` or,
for a library of subcircuits, ``xmc``) between it and the source line; bulks at ground. Nodes of
row i and column c are ``b_<i>_<c>``, ``m_<i>_<c>`` (between the two) and ``s_<i>_<c>``. The bit
line is fed by ``vread`` (node ``read``) through one segment before row 0; the source line leaves
through one segment beyond the last row (or, with ``sense_end = "same"``, before row 0), then the
clamp resistor ``rclamp_<c>`` and the ammeter ``vsense_<c>`` to ground, its current positive out of
the array. The last ``bias_rows`` rows are the extra bias: their gates are at ``vbias``.

Static: every other row has a word-line source ``vwl_<i>``. Pulsed: the active rows hang on one
source ``vwl``, which is high in the second half of each period, and the others on ground.

No element has 0 ohm: an ideal line is one node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.technology import Technology
from imccircuit.circuits.text import current_vectors
from imccircuit.errors import UsageError

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

Floats = NDArray[np.float64]
EDGE_S = 20e-12


@dataclass(frozen=True)
class IrcColumn:
    """What the generator needs to know; arrays are (row, column), bias rows last.

    Attributes
    ----------
    technology : transistors.
    conductance_s : of the resistors in S, positive.
    delta_vth_v : threshold shift of each transistor in V.
    mobility : factor on each transistor's mobility.
    w_m, l_m : gate size in m.
    read_v : voltage of the bit line's source in V.
    r_bit_ohm, r_source_ohm : of one segment of bit line and source line in ohm.
    r_clamp_ohm : between source line and ammeter in ohm.
    bias_rows : how many of the last rows are extra bias.
    sense_end : whether the source line leaves at the far end from the bit line's source.
    c_bit_f, c_source_f, c_word_f : wire capacitance of one segment of each line in F; the word
        line's is that of one cell. Of no effect on an operating point.
    """

    technology: Technology
    conductance_s: Floats
    delta_vth_v: Floats
    mobility: Floats
    w_m: float
    l_m: float
    read_v: float
    r_bit_ohm: float
    r_source_ohm: float
    r_clamp_ohm: float
    bias_rows: int = 0
    sense_end: Literal["opposite", "same"] = "opposite"
    c_bit_f: float = 0.0
    c_source_f: float = 0.0
    c_word_f: float = 0.0

    def __post_init__(self) -> None:
        shape = self.conductance_s.shape
        if len(shape) != 2 or not np.all(self.conductance_s > 0):
            raise UsageError("conductance_s must be (row, column) and above 0 S")
        for name in ("delta_vth_v", "mobility"):
            if getattr(self, name).shape != shape:
                raise UsageError(f"{name} must be of shape {shape}")
        if not 0 <= self.bias_rows < shape[0]:
            raise UsageError(f"{self.bias_rows} bias rows of {shape[0]} rows")

    @property
    def rows(self) -> int:
        """Rows that carry weights."""
        return int(self.conductance_s.shape[0]) - self.bias_rows

    @property
    def cols(self) -> int:
        """Number of columns."""
        return int(self.conductance_s.shape[1])


@dataclass(frozen=True)
class Pulse:
    """Word lines that rise and fall together.

    Attributes
    ----------
    active : (row,) which weight rows rise.
    high_v : their high level in V.
    width_s : half a period: low for as long, then high for as long, in s.
    """

    active: NDArray[np.bool_]
    high_v: float
    width_s: float


def irc_column(column: IrcColumn, drive: Pulse | None = None) -> Circuit:
    """Build the columns, with a source a word line or, with ``drive``, with pulsed word lines.

    Sources that a bench alters: ``vwl_<i>`` (static), ``vbias`` (there are bias rows) and the
    resistors ``rc_<i>_<c>``.

    Raises
    ------
    UsageError : ``drive.active`` does not fit; mismatch with a library of subcircuits.
    """
    from PySpice.Spice.Netlist import Circuit

    if drive is not None and drive.active.shape != (column.rows,):
        raise UsageError(f"drive.active must be ({column.rows},), not {drive.active.shape}")
    circuit = Circuit(f"1T1R columns, {column.rows} rows, {column.cols} columns")
    lines = [column.technology.include_line]
    for c in range(column.cols):
        lines += _column(column, c, _gates(column, drive))
    circuit.raw_spice = "\n".join(lines) + "\n"
    ground = circuit.gnd
    circuit.V("read", "read", ground, column.read_v)
    for c in range(column.cols):
        circuit.V(f"sense_{c}", f"out_{c}", ground, 0)
    if column.bias_rows:
        circuit.V("bias", "bias", ground, 0)
        _load(circuit, "bias", column.bias_rows * column.cols * column.c_word_f)
    if drive is None:
        for i in range(column.rows):
            circuit.V(f"wl_{i}", f"wl_{i}", ground, 0)
    else:
        width, edge = drive.width_s, EDGE_S
        times = f"{width!r} {edge!r} {edge!r} {width - edge!r} {2 * width!r}"
        circuit.V("wl", "wl", ground, f"pulse(0 {drive.high_v!r} {times})")
        _load(circuit, "wl", int(drive.active.sum()) * column.cols * column.c_word_f)
    return circuit


def column_current_vectors(cols: int) -> tuple[str, ...]:
    """Vectors of the column currents, positive out of the array: (column,)."""
    return current_vectors(f"vsense_{c}" for c in range(cols))


def _gates(column: IrcColumn, drive: Pulse | None) -> list[str]:
    if drive is None:
        rows = [f"wl_{i}" for i in range(column.rows)]
    else:
        rows = ["wl" if active else "0" for active in drive.active.tolist()]
    return rows + ["bias"] * column.bias_rows


def _load(circuit: Circuit, node: str, farad: float) -> None:
    if farad > 0:
        circuit.C(f"wire_{node}", node, circuit.gnd, farad)


def _column(column: IrcColumn, c: int, gates: list[str]) -> list[str]:
    """Element lines of one column: wires, cells, wire capacitors, clamp."""
    total = len(gates)
    last = f"e_{c}" if column.r_clamp_ohm > 0 else f"out_{c}"
    bit = [f"b_{i}_{c}" if column.r_bit_ohm > 0 else "read" for i in range(total)]
    source = [f"s_{i}_{c}" if column.r_source_ohm > 0 else last for i in range(total)]
    lines = []
    if column.r_bit_ohm > 0:
        ends = zip(["read", *bit[:-1]], bit, strict=True)
        lines += [f"rb_{i}_{c} {a} {b} {column.r_bit_ohm!r}" for i, (a, b) in enumerate(ends)]
    if column.r_source_ohm > 0:
        opposite = column.sense_end == "opposite"
        after = [*source[1:], last] if opposite else [last, *source[:-1]]
        ends = zip(source, after, strict=True)
        lines += [f"rs_{i}_{c} {a} {b} {column.r_source_ohm!r}" for i, (a, b) in enumerate(ends)]
    if column.r_clamp_ohm > 0:
        lines.append(f"rclamp_{c} {last} out_{c} {column.r_clamp_ohm!r}")
    for i, gate in enumerate(gates):
        lines.append(f"rc_{i}_{c} {bit[i]} m_{i}_{c} {float(1 / column.conductance_s[i, c])!r}")
        nodes = (f"m_{i}_{c}", gate, source[i], "0")
        lines.append(
            column.technology.line(
                f"c_{i}_{c}", "nmos", nodes, column.w_m, column.l_m,
                delta_vth_v=float(column.delta_vth_v[i, c]),
                mobility=float(column.mobility[i, c]),
            )
        )  # fmt: skip
    for kind, nodes_of, farad in (("cb", bit, column.c_bit_f), ("cs", source, column.c_source_f)):
        if farad > 0:
            lines += [f"{kind}_{i}_{c} {node} 0 {farad!r}" for i, node in enumerate(nodes_of)]
    return lines
