"""Netlist of a resistive crossbar with wires, drivers and read-out.

Names. Drive source ``vin_<i>`` (node ``in_<i>``), word-line nodes ``w_<i>_<j>``, bit-line nodes
``b_<i>_<j>``, sensing node ``s_<j>``, ammeter ``vsense_<j>`` with its current positive into the
sensing node, front end's input ``tia_<j>`` and output ``out_<j>``. Cells are ``rc_<i>_<j>`` (1r),
``xc_<i>_<j>`` (1r_sinh), ``rc_<i>_<j>`` and ``mc_<i>_<j>`` (1t1r, all gates at the source
``vgate``). Wire capacitors are ``cw_<node>`` and ``cb_<node>``. The first cell of a word line is
next to its driver, the last cell of a bit line next to its sensing node.

No element has 0 ohm: an ideal word line is the one node ``w_<i>_0`` and, with an ideal driver,
the node of its source; an ideal bit line is ``b_<last>_<j>`` and, with an ideal sense path,
``s_<j>``. Use `cell_voltage_vectors` to ask for voltages by their true names. A cell of 0 S is
left out; every node still hangs on its line, and every line on its driver or sensing node.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.circuits.cells import read_cell
from imccircuit.circuits.crossbar_parts import (
    Cell,
    ClampMirrorReadout,
    IdealReadout,
    IntegratorReadout,
    LinearCell,
    OpenReadout,
    Readout,
    SinhCell,
    TiaReadout,
    TransistorCell,
)
from imccircuit.circuits.text import current_vectors, flat, numbers, voltage_vectors
from imccircuit.errors import UsageError
from imccircuit.nodal.array import ResistiveArray

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit

_Names = tuple[tuple[str, ...], ...]

# Read-out → its cells, the bit line's last; parameter of the cell → field of the read-out.
_READOUTS: dict[type, tuple[tuple[str, ...], dict[str, str]]] = {
    TiaReadout: (
        ("tia",),
        {"gain": "gain", "rf": "r_feedback_ohm", "rin": "r_in_ohm", "vos": "offset_v"},
    ),
    ClampMirrorReadout: (
        ("clamp_linear",),
        {"vclamp": "clamp_v", "rin": "r_in_ohm", "ratio": "ratio", "rload": "r_load_ohm",
         "vload": "load_v", "ikeep": "keep_a"},
    ),
    IntegratorReadout: (
        ("opamp_behavioural", "switch_sw", "integrator"),
        {"gain": "gain", "gbw": "gbw_hz", "cf": "c_feedback_f", "ron": "r_reset_ohm",
         "vos": "offset_v"},
    ),
}  # fmt: skip


def crossbar(
    array: ResistiveArray,
    voltage_v: ArrayLike | None,
    *,
    cell: Cell | None = None,
    readout: Readout | OpenReadout | None = None,
    c_row_f: float = 0.0,
    c_col_f: float = 0.0,
    title: str = "crossbar",
) -> Circuit:
    """Build the circuit of ``array`` with its cells and read-out.

    Parameters
    ----------
    array : conductances (row, physical column), wire, driver and sense resistance. For
        `SinhCell` its conductances are those at 0 V, for `TransistorCell` those of the resistor.
    voltage_v : (row,) initial values of the drive sources in V; None: there are none, and who adds
        drivers connects them to `drive_nodes`.
    cell : what a cell is; None means `LinearCell`.
    readout : what a bit line ends in; None means `IdealReadout`.
    c_row_f, c_col_f : wire capacitance to ground of one segment of a word line and of a bit line
        in F, at the segment's end next to the cell; 0 leaves it out.
    title : title of the circuit, one line.

    Returns
    -------
    PySpice ``Circuit``, to which elements may be added. What it holds is one block of text
    (``raw_spice``) made from the arrays: an object for each element takes PySpice 40 µs.

    Raises
    ------
    UsageError : voltages, capacitances or per-cell arrays do not fit, or resistances differ.
    """
    from PySpice.Spice.Netlist import Circuit

    cell = LinearCell() if cell is None else cell
    if not array.uniform:
        raise UsageError(
            "the crossbar generator takes one resistance for all segments, drivers and sense ends, "
            "and lines with one end"
        )
    rows, cols = array.shape
    for name, value in (("c_row_f", c_row_f), ("c_col_f", c_col_f)):
        if not (np.isfinite(value) and value >= 0):
            raise UsageError(f"{name} must be finite and not negative, not {value!r}")

    circuit = Circuit(" ".join(title.split()))
    blocks = [*_cell_library(cell), *filter(None, [_wires(array)]), *_cells(array, cell)]
    blocks += _capacitors(array, c_row_f, c_col_f)
    if readout is not None and not isinstance(readout, IdealReadout | OpenReadout):
        blocks = [read_cell(name) for name in _READOUTS[type(readout)][0]] + blocks
    if voltage_v is not None:
        sources = zip(drive_nodes(array), _per_line(voltage_v, rows, "voltages"), strict=True)
        blocks += [f"Vin_{i} {node} 0 {float(v)!r}" for i, (node, v) in enumerate(sources)]
    if isinstance(cell, TransistorCell):
        blocks.append(f"Vgate gate 0 {float(cell.gate_v)!r}")
    blocks += _readout(cols, IdealReadout() if readout is None else readout)
    circuit.raw_spice = "\n".join(blocks) + "\n"
    return circuit


def drive_nodes(array: ResistiveArray) -> tuple[str, ...]:
    """Nodes of the drive sources: (row,)."""
    start = "w_{}_0" if array.r_row_ohm == 0 and array.r_driver_ohm == 0 else "in_{}"
    return tuple(start.format(i) for i in range(array.shape[0]))


def drive_current_vectors(rows: int) -> tuple[str, ...]:
    """Vectors of the currents that the drive sources take: (row,)."""
    return current_vectors(f"vin_{i}" for i in range(rows))


def end_voltage_vectors(cols: int) -> tuple[str, ...]:
    """Vectors of the front ends' inputs (any read-out but `IdealReadout`): (col,)."""
    return voltage_vectors(f"tia_{j}" for j in range(cols))


def output_current_vectors(cols: int) -> tuple[str, ...]:
    """Vectors of the column currents, positive into the sensing node: (col,)."""
    return current_vectors(f"vsense_{j}" for j in range(cols))


def output_voltage_vectors(cols: int) -> tuple[str, ...]:
    """Vectors of the amplifiers' outputs (any read-out but `IdealReadout`): (col,)."""
    return voltage_vectors(f"out_{j}" for j in range(cols))


def cell_voltage_vectors(array: ResistiveArray) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Vectors on the word-line and on the bit-line side of each cell, each (row, col) in C order.

    The voltage of a cell is their difference; for `TransistorCell` it includes the transistor.
    Cells on an ideal line share a node, so a vector may occur many times.
    """
    word, bit = _nodes(array)
    return voltage_vectors(flat(word)), voltage_vectors(flat(bit))


def _nodes(array: ResistiveArray) -> tuple[_Names, _Names]:
    """Names of word-line and bit-line nodes at each cell, merged ones under one name."""
    wired = (array.r_row_ohm > 0, array.r_col_ohm > 0, array.r_sense_ohm > 0)
    return _named(array.shape, *map(bool, wired))


# Chips of one design differ in their cells only: what they share is written once.
@lru_cache(maxsize=2)
def _named(
    shape: tuple[int, int], row_wired: bool, col_wired: bool, sensed: bool
) -> tuple[_Names, _Names]:
    rows, cols = shape
    if row_wired:
        word = [[f"w_{i}_{j}" for j in range(cols)] for i in range(rows)]
    else:
        word = [[f"w_{i}_0"] * cols for i in range(rows)]
    if col_wired:
        bit = [[f"b_{i}_{j}" for j in range(cols)] for i in range(rows)]
    elif sensed:
        bit = [[f"b_{rows - 1}_{j}" for j in range(cols)]] * rows
    else:
        bit = [[f"s_{j}" for j in range(cols)]] * rows
    return tuple(map(tuple, word)), tuple(map(tuple, bit))


def _wires(array: ResistiveArray) -> str:
    resistances = (array.r_row_ohm, array.r_col_ohm, array.r_driver_ohm, array.r_sense_ohm)
    return _wire_text(array.shape, *map(float, resistances))


@lru_cache(maxsize=2)
def _wire_text(
    shape: tuple[int, int], r_row: float, r_col: float, r_driver: float, r_sense: float
) -> str:
    """Element lines of drivers, wires and sense resistances."""
    rows, cols = shape
    word, bit = _named(shape, r_row > 0, r_col > 0, r_sense > 0)
    lines: list[str] = []
    if r_driver > 0:
        near = "d_{}" if r_row > 0 else "w_{}_0"
        lines += [f"rdriver_{i} in_{i} {near.format(i)} {r_driver!r}" for i in range(rows)]
    if r_row > 0:
        start = "d" if r_driver > 0 else "in"
        for i, line in enumerate(word):
            ends = zip([f"{start}_{i}", *line[:-1]], line, strict=True)
            lines += [f"rw_{i}_{j} {a} {b} {r_row!r}" for j, (a, b) in enumerate(ends)]
    if r_col > 0:
        last = tuple(f"{'e' if r_sense > 0 else 's'}_{j}" for j in range(cols))
        for i, line in enumerate(bit):
            ends = zip(line, bit[i + 1] if i + 1 < rows else last, strict=True)
            lines += [f"rb_{i}_{j} {a} {b} {r_col!r}" for j, (a, b) in enumerate(ends)]
    if r_sense > 0:
        near = "e_{}" if r_col > 0 else f"b_{rows - 1}_{{}}"
        lines += [f"rsense_{j} {near.format(j)} s_{j} {r_sense!r}" for j in range(cols)]
    return "\n".join(lines)


def _capacitors(array: ResistiveArray, c_row_f: float, c_col_f: float) -> list[str]:
    """Wire capacitance; that of merged segments is one capacitor."""
    lines: list[str] = []
    for kind, grid, value in zip(("cw", "cb"), _nodes(array), (c_row_f, c_col_f), strict=True):
        if value > 0:
            count: dict[str, int] = {}
            for node in flat(grid):
                count[node] = count.get(node, 0) + 1
            lines += [f"{kind}_{node} {node} 0 {n * float(value)!r}" for node, n in count.items()]
    return lines


def _cell_library(cell: Cell) -> list[str]:
    """Give the circuit what its cells refer to: text for the deck, or a library by its path."""
    if isinstance(cell, SinhCell):
        return [read_cell("cell_1r_sinh")]
    if isinstance(cell, TransistorCell):
        # As text, not with PySpice's own methods: they leave a path with blanks unquoted.
        lines = [cell.lib_text] if cell.lib_text else []
        if cell.lib_path is not None and cell.section:
            lines.insert(0, f".lib '{cell.lib_path}' {cell.section}")
        elif cell.lib_path is not None:
            lines.insert(0, f".include '{cell.lib_path}'")
        return lines
    return []


def _cells(array: ResistiveArray, cell: Cell) -> list[str]:
    """Element lines of all cells that conduct."""
    wired = (array.r_row_ohm > 0, array.r_col_ohm > 0, array.r_sense_ohm > 0)
    conducts = array.conductance_s > 0
    keep = conducts.ravel().tolist()
    heads = [
        list(compress(column, keep))
        for column in _cell_heads(array.shape, *map(bool, wired), type(cell).__name__)
    ]
    conductance = array.conductance_s[conducts]
    if isinstance(cell, SinhCell):
        v0 = _per_cell(cell.v0_v, array, "v0_v")[conducts]
        parts = zip(heads[0], numbers(conductance), numbers(v0), strict=True)
        return [f"{head} cell_1r_sinh g={g} v0={v}" for head, g, v in parts]
    resistors = zip(heads[0], numbers(1.0 / conductance), strict=True)
    lines = [f"{head} {r}" for head, r in resistors]
    if isinstance(cell, LinearCell):
        return lines
    size = f"{cell.model} w={float(cell.w_m)!r} l={float(cell.l_m)!r}"
    spread = [""] * len(lines)
    for key, values in (("delvto", cell.delta_vth_v), ("mulu0", cell.mobility)):
        if values is not None:
            texts = numbers(_per_cell(values, array, key)[conducts])
            spread = [f"{old} {key}={new}" for old, new in zip(spread, texts, strict=True)]
    return [*lines, *(f"{head} {size}{own}" for head, own in zip(heads[1], spread, strict=True))]


@lru_cache(maxsize=2)
def _cell_heads(
    shape: tuple[int, int], row_wired: bool, col_wired: bool, sensed: bool, kind: str
) -> tuple[tuple[str, ...], ...]:
    """Name and nodes of the elements of each cell, in C order, for each of its elements."""
    word, bit = _named(shape, row_wired, col_wired, sensed)
    keys = [f"{i}_{j}" for i in range(shape[0]) for j in range(shape[1])]
    places = list(zip(keys, flat(word), flat(bit), strict=True))
    if kind == TransistorCell.__name__:
        resistors = tuple(f"rc_{k} {a} m_{k}" for k, a, _ in places)
        return resistors, tuple(f"mc_{k} m_{k} gate {b} 0" for k, _, b in places)
    letter = "x" if kind == SinhCell.__name__ else "r"
    return (tuple(f"{letter}c_{k} {a} {b}" for k, a, b in places),)


def _readout(cols: int, readout: Readout | OpenReadout) -> list[str]:
    """Element lines of ammeters and amplifiers."""
    if isinstance(readout, IdealReadout):
        return [f"Vsense_{j} s_{j} 0 0" for j in range(cols)]
    if isinstance(readout, OpenReadout):
        return [f"Vsense_{j} s_{j} tia_{j} 0" for j in range(cols)]
    cells, fields = _READOUTS[type(readout)]
    texts = [numbers(_per_line(getattr(readout, name), cols, name)) for name in fields.values()]
    lines, clock = [], ""
    if isinstance(readout, IntegratorReadout):
        clock = " reset"
        edge = min(readout.reset_s, readout.integration_s) / 100
        # Open, in the middle of the edge, at reset_s, and then for good.
        times = f"{readout.reset_s - edge / 2!r} {edge!r} {edge!r} 1 2"
        lines.append(f"Vreset reset 0 pulse(1 0 {times})")
    for j, values in enumerate(zip(*texts, strict=True)):
        given = " ".join(f"{key}={value}" for key, value in zip(fields, values, strict=True))
        lines.append(f"Vsense_{j} s_{j} tia_{j} 0")
        lines.append(f"Xtia_{j} tia_{j} out_{j}{clock} {cells[-1]} {given}")
    return lines


def _per_line(values: ArrayLike, count: int, what: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 and what != "voltages":
        array = np.full(count, array)
    if array.shape != (count,) or not np.all(np.isfinite(array)):
        raise UsageError(f"{what} must be {count} finite numbers, not of shape {array.shape}")
    return array


def _per_cell(values: ArrayLike, array: ResistiveArray, what: str) -> NDArray[np.float64]:
    given = np.asarray(values, dtype=np.float64)
    if given.shape not in ((), array.shape) or not np.all(np.isfinite(given)):
        raise UsageError(f"{what} must be one finite number or of shape {array.shape}")
    return np.broadcast_to(given, array.shape)
