"""Charge-domain array: columns of SRAM bits with product capacitors that share their charge.

One operation has three phases. *Reset*: the column lines go to ground. *Sample*: the row drivers
put the inputs on the rows, and each cell charges its own capacitor C_i to the supply where the
product of input and stored bit is one, to ground where it is not. *Share*: all cells of a column
connect their capacitors to its line, which then is at

    V = VDD·Σ p_i·C_i / (Σ C_i + C_line).

The phases do not overlap. An operation begins with the charge of the one before shared on its
columns, so all that a column can remember is one voltage: `ChargeArray` starts from any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.cells import read_cell
from imccircuit.circuits.charge_mismatch import ChargeMismatch
from imccircuit.circuits.technology import Technology
from imccircuit.circuits.text import numbers

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

Floats = NDArray[np.float64]
Product = Literal["and", "xnor"]
Switches = Literal["sw", "transmission_gate"]
Storage = Literal["static", "6t"]

# Of a phase: the gap between two controls that must not overlap, and how long an edge takes.
_GAP, _EDGE = 0.05, 0.02
# With ideal switches all controls between two phases move together, for every edge costs time
# points and a long one costs fewest. Switches that open do so a quarter into the edge, those that
# close at three quarters: a gap lies between them.
_IDEAL_EDGE = 2 * _GAP
_CLOSED_V, _CLOSED_NOT_V = 0.75, -0.25
_NEVER_S = 1.0


@dataclass(frozen=True)
class ChargeArray:
    """What the generator needs to know.

    Attributes
    ----------
    capacitors_f : (row, col) product capacitors in F.
    stored : (row, col) stored bits, 0 or 1.
    line_f : capacitance of a column line to ground, evenly along its rows, in F.
    product : ``and``, or ``xnor`` (then rows are pairs).
    switches : ideal ones, or transmission gates of ``technology``.
    storage : stored bits as fixed voltages, or in six-transistor cells.
    technology : transistors, corner and supply; the supply drives the rows in either case.
    phase_s : length of reset and of sample in s.
    share_s : length of share in s.
    r_on_ohm, r_off_ohm : ideal switches.
    reset_width : the reset switch in units of a cell's switch.
    driver_width : the row drivers in units of a cell's switch.
    row_ohm, row_f : row wire of one cell, in ohm and F; 0 ohm is an ideal wire.
    column_ohm : column wire of one cell in ohm; 0 ohm is an ideal wire.
    mismatch : of the transistors, where they vary.
    """

    capacitors_f: Floats
    stored: NDArray[np.int64]
    line_f: float
    product: Product
    switches: Switches
    storage: Storage
    technology: Technology
    phase_s: float
    share_s: float
    r_on_ohm: float
    r_off_ohm: float
    reset_width: float
    driver_width: float
    row_ohm: float
    row_f: float
    column_ohm: float
    mismatch: ChargeMismatch | None = None

    @property
    def rows(self) -> int:
        """Number of inputs."""
        return int(self.capacitors_f.shape[0])

    @property
    def cols(self) -> int:
        """Number of outputs."""
        return int(self.capacitors_f.shape[1])

    @property
    def supply_v(self) -> float:
        """Voltage of a product that is one, in V."""
        return self.technology.supply_v

    @property
    def cycle_s(self) -> float:
        """One operation in s."""
        return 2 * self.phase_s + self.share_s

    @property
    def output_nodes(self) -> tuple[str, ...]:
        """Ends of the column lines, where they are read and reset."""
        return tuple(f"line_{col}" for col in range(self.cols))


def energy_sources(switches: Switches) -> dict[str, tuple[str, str]]:
    """Block → (source, node) of every source that gives energy; ideal switches cost none."""
    found = {"row_driver": ("vdrive", "drive")}
    if switches == "transmission_gate":
        found["supply"] = ("vsupply", "vdd")
        for name in ("reset", "sample", "sampleb", "share", "shareb"):
            found[f"{name}_clock"] = (f"v{name}", name)
        found["row_gates"] = ("vlogic", "logic")
    return found


def charge_array(array: ChargeArray) -> Circuit:
    """The array with its row drivers and phase controls.

    Nodes: ``line_<col>``. Sources that a bench alters: ``ix_<row>``, 0 or 1 A, the input bit, and
    ``vstart``, the voltage of all lines and capacitors before the first operation.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(f"charge-domain array, {array.rows} x {array.cols}, {array.product}")
    ground = circuit.gnd
    circuit.V("drive", "drive", ground, array.supply_v)
    circuit.V("start", "start", ground, 0)
    transistors = array.switches == "transmission_gate"
    lines = _transistor_head(circuit, array) if transistors else _ideal_head(circuit, array)
    lines += _starts(array)
    lines += _rows(array, transistors)
    lines += _columns(array)
    lines += _cells(array, transistors)
    circuit.raw_spice = "\n".join(lines)
    return circuit


def _control(
    circuit: Circuit, array: ChargeArray, name: str, levels: tuple[float, float], when: Floats
) -> None:
    """A voltage that goes from the first level to the second and back once an operation."""
    rise, fall = (float(value) for value in when)
    edge = _edge_s(array)
    times = f"{rise!r} {edge!r} {edge!r} {fall - rise - edge!r} {array.cycle_s!r}"
    circuit.V(name, name, circuit.gnd, f"pulse({levels[0]!r} {levels[1]!r} {times})")


def _edge_s(array: ChargeArray) -> float:
    """How long an edge of a control takes, in s."""
    return (_IDEAL_EDGE if array.switches == "sw" else _EDGE) * array.phase_s


def _windows(array: ChargeArray) -> dict[str, Floats]:
    """When each control leaves its level at rest and when it comes back, in s."""
    phase, gap = array.phase_s, _GAP * array.phase_s
    if array.switches == "sw":
        active = np.array([phase, 2 * phase])
        return {
            "share": np.array([0.0, 2 * phase]),
            "reset": np.array([0.0, phase]),
            "active": active,
            "sample": active,
        }
    return {
        "share": np.array([gap, 2 * phase + 3 * gap]),
        "reset": np.array([2 * gap, phase]),
        "active": np.array([phase + gap, 2 * phase + gap]),
        "sample": np.array([phase + gap, 2 * phase]),
    }


def _ideal_head(circuit: Circuit, array: ChargeArray) -> list[str]:
    when = _windows(array)
    _control(circuit, array, "share", (1.0, 0.0), when["share"])
    _control(circuit, array, "reset", (0.0, 1.0), when["reset"])
    _control(circuit, array, "active", (0.0, 1.0), when["active"])
    _control(circuit, array, "idle", (1.0, 0.0), when["active"])
    _control(circuit, array, "sample", (0.0, 1.0), when["sample"])
    _control(circuit, array, "nsample", (1.0, 0.0), when["sample"])
    circuit.V("one", "one", circuit.gnd, 1)
    switch = f"vh=0 ron={array.r_on_ohm!r} roff={array.r_off_ohm!r})"
    return [
        *map(read_cell, (f"sram_bit_{array.product}_sw", "row_driver_sw")),
        f".model charge_switch sw(vt={_CLOSED_V} {switch}",
        f".model charge_switch_not sw(vt={_CLOSED_NOT_V} {switch}",
        f".model reset_switch sw(vt={_CLOSED_V} vh=0 ron={array.r_on_ohm / array.reset_width!r} "
        f"roff={array.r_off_ohm!r})",
        *(f"Sreset_{col} line_{col} 0 reset 0 reset_switch" for col in range(array.cols)),
    ]


def _transistor_head(circuit: Circuit, array: ChargeArray) -> list[str]:
    when, vdd, technology = _windows(array), array.supply_v, array.technology
    circuit.V("supply", "vdd", circuit.gnd, vdd)
    circuit.V("logic", "logic", circuit.gnd, vdd)
    for name, rest in (("share", vdd), ("reset", 0.0), ("sample", 0.0)):
        _control(circuit, array, name, (rest, vdd - rest), when[name])
        if name != "reset":
            _control(circuit, array, f"{name}b", (vdd - rest, rest), when[name])
    # A number for ideal logic, not a gate's voltage.
    _control(circuit, array, "active", (0.0, 1.0), when["active"])
    cells = [f"sram_bit_{array.product}_tg", "row_driver_tg"]
    if array.storage == "6t":
        cells.append("sram_6t")
    return [
        technology.include_line,
        *map(technology.cell, cells),
        *(_reset_transistor(array, col) for col in range(array.cols)),
    ]


def _reset_transistor(array: ChargeArray, col: int) -> str:
    drawn = array.mismatch
    if drawn is None:
        return reset_transistor(array, col, "reset")
    shift, factor = float(drawn.reset_vth_v[col]), float(drawn.reset_mobility[col])
    return reset_transistor(array, col, "reset", delta_vth_v=shift, mobility=factor)


def reset_transistor(
    array: ChargeArray, col: int, gate: str, *, delta_vth_v: float = 0.0, mobility: float = 1.0
) -> str:
    """Write the reset switch of a column, its gate at a node, with its mismatch."""
    w, length = array.technology.size("nmos", array.reset_width)
    return array.technology.line(
        f"reset_{col}", "nmos", (f"line_{col}", gate, "0", "0"), w, length,
        delta_vth_v=delta_vth_v, mobility=mobility,
    )  # fmt: skip


def cell_sizes(technology: Technology) -> str:
    """Gate sizes at the end of a cell's line, with a blank before them."""
    wn, length = technology.size("nmos")
    wp, lp = technology.size("pmos")
    return f" wn={wn!r} wp={wp!r} l={length!r} lp={lp!r}"


def _starts(array: ChargeArray) -> list[str]:
    """Before the first operation: all lines, and with them all capacitors, at one voltage."""
    edge = _edge_s(array)
    # Together with the end of the share before: every further edge costs time points.
    begin = float(_windows(array)["share"][0])
    off = f"{begin!r} {edge!r} {edge!r} {_NEVER_S} {2 * _NEVER_S}"
    return [
        f"Vbegin begin 0 pulse(1 0 {off})",
        f".model start_switch sw(vt={_CLOSED_V} vh=0 ron=1 roff=1e12)",
        *(f"Sstart_{col} line_{col} start begin 0 start_switch" for col in range(array.cols)),
    ]


def _rows(array: ChargeArray, transistors: bool) -> list[str]:
    """Drivers, and wires if they resist."""
    # A current into an ohm is one unknown less than a voltage.
    lines = [f"Ix_{row} 0 x_{row} 0\nRx_{row} x_{row} 0 1" for row in range(array.rows)]
    if array.product == "xnor" and transistors:
        lines += [f"Bnx_{row} nx_{row} 0 V=1-v(x_{row})" for row in range(array.rows)]
    if transistors:
        wn, length = array.technology.size("nmos", array.driver_width)
        # The p transistor carries about half the current of the n.
        wp, lp = array.technology.size("pmos", 2 * array.driver_width)
        tail = f" logic row_driver_tg wn={wn!r} wp={wp!r} l={length!r} lp={lp!r}"
        controls = {"in": "x_{} active", "inb": "nx_{} active"}
    else:
        tail = " row_driver_sw"
        # High while the first is above the second: the complement needs no input of its own.
        controls = {"in": "x_{} idle", "inb": "active x_{}"}
    for wire in _wires(array):
        for row in range(array.rows):
            first = f"{wire}_{row}" if array.row_ohm == 0 else f"{wire}_{row}_drive"
            lines.append(f"X{wire}_{row} {first} drive {controls[wire].format(row)}{tail}")
            if array.row_ohm > 0:
                lines += _segments(array, f"{wire}_{row}")
            elif array.row_f > 0:
                lines.append(f"Cwire_{wire}_{row} {first} 0 {array.cols * array.row_f!r}")
    return lines


def _wires(array: ChargeArray) -> tuple[str, ...]:
    """Kinds of row wire."""
    return ("in",) if array.product == "and" else ("in", "inb")


def _segments(array: ChargeArray, wire: str) -> list[str]:
    """A row wire from its driver through one segment before each cell."""
    nodes = [f"{wire}_drive", *(f"{wire}_{col}" for col in range(array.cols))]
    lines = []
    for col in range(array.cols):
        lines.append(f"Rwire_{wire}_{col} {nodes[col]} {nodes[col + 1]} {array.row_ohm!r}")
        if array.row_f > 0:
            lines.append(f"Cwire_{wire}_{col} {nodes[col + 1]} 0 {array.row_f!r}")
    return lines


def _columns(array: ChargeArray) -> list[str]:
    """Column lines: one node with the whole capacitance, or a node a row with its share of it."""
    lines = []
    for col in range(array.cols):
        if array.column_ohm == 0:
            lines.append(f"Cline_{col} line_{col} 0 {array.line_f!r}")
            continue
        nodes = [*(_tap(array, row, col) for row in range(array.rows)), f"line_{col}"]
        for row in range(array.rows):
            name = f"{col}_{row}"
            lines.append(f"Rline_{name} {nodes[row]} {nodes[row + 1]} {array.column_ohm!r}")
            lines.append(f"Cline_{name} {nodes[row]} 0 {array.line_f / array.rows!r}")
    return lines


def _tap(array: ChargeArray, row: int, col: int) -> str:
    """Node of a column line at a cell; the line is read one segment below its last row."""
    return f"line_{col}" if array.column_ohm == 0 else f"line_{col}_{row}"


def _cells(array: ChargeArray, transistors: bool) -> list[str]:
    """One line a cell, made from text, for there are many."""
    suffix = "tg" if transistors else "sw"
    tail = "sample nsample share"
    size = stored_size = ""
    if transistors:
        wn, length = array.technology.size("nmos")
        lp = array.technology.size("pmos")[1]
        tail = "sample sampleb share shareb vdd"
        size = cell_sizes(array.technology)
        # Pull-down transistors of one and a half widths, the others by the cell's own ratios.
        stored_size = f"wn={1.5 * wn!r} l={length!r} lp={lp!r}"
    cell = f"sram_bit_{array.product}_{suffix}"
    capacitors = numbers(array.capacitors_f)
    tails = [size] * len(capacitors)
    if array.mismatch is not None:
        tails = [size + drawn for drawn in array.mismatch.cell_tails()]
    lines, nodesets = [], []
    for row in range(array.rows):
        for col in range(array.cols):
            place = f"{row}_{col}"
            end = place if array.row_ohm > 0 else f"{row}"
            rows = " ".join(f"{wire}_{end}" for wire in _wires(array))
            bit = int(array.stored[row, col])
            stored = ("one" if bit else "0") if not transistors else ("vdd 0" if bit else "0 vdd")
            if array.storage == "6t":
                stored = f"q_{place} qb_{place}"
                lines.append(f"Xbit_{place} {stored} vdd sram_6t {stored_size}")
                high, low = ("q", "qb") if bit else ("qb", "q")
                nodesets.append(f".nodeset v({high}_{place})={array.supply_v!r} v({low}_{place})=0")
            lines.append(
                f"Xcell_{place} {_tap(array, row, col)} {rows} {stored} {tail} {cell} "
                f"c={capacitors[row * array.cols + col]}{tails[row * array.cols + col]}"
            )
    return lines + nodesets
