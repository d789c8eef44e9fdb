"""Charge steps of the grouped-capacitor array: generators of deck lines that compose by node name.

Nodes of array a: ``c<a>_<row>_<cell>`` plate of a cell, ``r<a>_<row>`` row line,
``d<a>_<row>`` row line behind the drivers (the same as ``r`` where there are none),
``g<a>_<row>_<group>`` line of a group of the row DAC, ``b<a>_<cell>`` the segment of a bit column
that takes part in the second share, ``e<a>_<cell>`` the other one, ``o<a>_<output>`` output line.
Phases are nodes as well: ``precharge``, ``reset``, ``share``, ``multiply``, ``column``, ``join``,
``weigh``. Input bits are sources ``vx<a>_<row>_<group>``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.aidac_shape import AidacCapacitors, AidacShape
from imccircuit.circuits.aidac_wiring import Lines, Wiring

_JUNCTION_MODEL = "cell_junction"


def row_dac(array: int, shape: AidacShape, caps: AidacCapacitors, wiring: Wiring,
            far: bool) -> Lines:  # fmt: skip
    """Row DAC by grouping: each group precharged by its input bit, then shared on the row line.

    Parameters
    ----------
    far : the cells of this deck are in an array behind row drivers, so that all units of the
        row DAC are lumped.
    """
    lines: Lines = []
    for row in range(shape.rows):
        line = f"r{array}_{row}"
        for group in range(shape.input_bits + 1):
            units, bits = int(shape.group_units[group]), f"g{array}_{row}_{group}"
            if group == 0:
                bits = "0"
            else:
                bit = f"x{array}_{row}_{group}"
                lines.append(f"Vx{array}_{row}_{group} {bit} 0 0")
                lines.append(wiring.steer(f"g{array}_{row}_{group}", bits, "input", bit, units))
            lumped = int(shape.rest[group] if not far else units)
            if lumped:
                name, plate = f"l{array}_{row}_{group}", f"l{array}_{row}_{group}"
                lines.append(f"C{name} {plate} 0 {float(caps.lumped[array, row, group])!r}")
                lines += _junction(name, plate, caps, lumped)
                lines.append(wiring.connect(f"p{name}", plate, bits, "precharge", lumped))
                lines.append(wiring.connect(f"r{name}", plate, line, "share", lumped))
                lines += wiring.unused(name, plate, lumped)
        if not far:
            for cell in range(shape.cells):
                group = shape.group_of(cell)
                bits = "0" if group == 0 else f"g{array}_{row}_{group}"
                name = f"{array}_{row}_{cell}"
                lines.append(wiring.connect(f"p{name}", f"c{name}", bits, "precharge", 1))
        wire = caps.row_line * shape.row_units
        if wire > 0:
            lines.append(f"C{line} {line} 0 {wire!r}")
        lines.append(wiring.pull_down(f"z{line}", line, "reset", shape.row_units))
    return lines


def cells(array: int, shape: AidacShape, caps: AidacCapacitors, wiring: Wiring,
          weights: NDArray[np.int64], far: bool) -> Lines:  # fmt: skip
    """Cells: capacitor, switch to the row line, discharge if the weight is 0, switch to the column.

    Parameters
    ----------
    weights : (array, row, output) whole numbers of ``weight_bits`` bits.
    """
    lines: Lines = []
    for row in range(shape.rows):
        line = f"{'d' if far else 'r'}{array}_{row}"
        for cell in range(shape.cells):
            output, bit = divmod(cell, shape.weight_bits)
            name = f"{array}_{row}_{cell}"
            plate = f"c{name}"
            is_zero = not (int(weights[array, row, output]) >> bit) & 1
            segment = "b" if row < 2**bit else "e"
            lines.append(f"C{plate} {plate} 0 {float(caps.cell[array, row, cell])!r}")
            lines += _junction(plate, plate, caps, 1)
            lines.append(wiring.connect(f"r{name}", plate, line, "share", 1))
            lines += wiring.zero_cell(f"m{name}", plate, "multiply", is_zero, 1)
            lines.append(wiring.connect(f"s{name}", plate, f"{segment}{array}_{cell}", "column", 1))
    return lines


def columns(array: int, shape: AidacShape, caps: AidacCapacitors, wiring: Wiring) -> Lines:
    """Bit columns in two segments, joined for the sum; that of 2^j cells goes on to weigh."""
    lines: Lines = []
    for cell in range(shape.cells):
        output, bit = divmod(cell, shape.weight_bits)
        units = 2**bit
        near, other = f"b{array}_{cell}", f"e{array}_{cell}"
        for node, count in ((near, units), (other, shape.rows - units)):
            if count == 0:
                continue
            if caps.bit_line > 0:
                lines.append(f"C{node} {node} 0 {caps.bit_line * count!r}")
            lines.append(wiring.pull_down(f"z{node}", node, "reset", count))
        if shape.rows > units:
            lines.append(wiring.connect(f"j{array}_{cell}", near, other, "join", units))
        lines.append(wiring.connect(f"w{array}_{cell}", near, f"o{array}_{output}", "weigh", units))
    for output in range(shape.built):
        node = f"o{array}_{output}"
        fixed = float(caps.dummy[array, output]) + caps.output_line
        if fixed > 0:
            lines.append(f"C{node} {node} 0 {fixed!r}")
        lines.append(wiring.pull_down(f"z{node}", node, "reset", shape.heaviest))
    return lines


def junction_model(caps: AidacCapacitors) -> Lines:
    """Model of the voltage-dependent plate capacitance, empty where there is none."""
    if caps.junction <= 0:
        return []
    return [
        f".model {_JUNCTION_MODEL} d(is=1e-30 cjo={caps.junction!r} "
        f"vj={caps.junction_potential_v!r} m=0.5)"
    ]


def _junction(name: str, plate: str, caps: AidacCapacitors, units: int) -> Lines:
    return [f"D{name} 0 {plate} {_JUNCTION_MODEL} area={units}"] if caps.junction > 0 else []
