"""Netlist of a macro: row drivers, array, a front end a column, converters behind some of them.

One deck, put together from the generators of its parts. Nodes and sources of array and front ends
are those of `imccircuit.circuits.crossbar`; converter j is the subcircuit ``xadc_<j>`` with the
nodes ``bit_<k>`` within, sampling the node ``sampled_<j>``. Between that and the front end's output
``out_<j>`` lies an output resistance, so the sampling capacitors load what drives them.
All converters take their reference from the node ``ref``, which the source ``vref`` feeds through
a resistance of its own, so one converter's bits disturb the others'. Rows are driven by sources,
or by ladders as of `imccircuit.circuits.row_drivers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from imccircuit.circuits.crossbar import crossbar, drive_nodes
from imccircuit.circuits.crossbar_parts import Cell, TiaReadout
from imccircuit.circuits.row_drivers import LadderDrivers
from imccircuit.circuits.sar_adc import SarAdc, sar_part
from imccircuit.circuits.text import voltage_vectors
from imccircuit.errors import UsageError
from imccircuit.nodal.array import ResistiveArray

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit


@dataclass(frozen=True)
class MacroWiring:
    """What connects the parts.

    Attributes
    ----------
    output_ohm : between a front end and its converter's input, in ohm; 0 for a plain wire.
    reference_ohm : between the reference's source and all converters, in ohm; 0 likewise.
    """

    output_ohm: float = 0.0
    reference_ohm: float = 0.0


def macro(
    array: ResistiveArray,
    rows: ArrayLike | LadderDrivers,
    readout: TiaReadout,
    converters: Mapping[int, SarAdc],
    *,
    cell: Cell | None = None,
    wiring: MacroWiring | None = None,
) -> Circuit:
    """Array, front ends and converters in one circuit.

    Parameters
    ----------
    array, cell : as of `crossbar`.
    rows : (row,) initial values of the drive sources in V, or the rows' drivers.
    readout : one front end a column; its offset is where it holds the bit line.
    converters : column → its converter, at least one; all of one cycle and one reference.
    wiring : default plain wires.

    Raises
    ------
    UsageError : there is no converter, one of no column, or they differ in cycle or reference.
    """
    wiring = MacroWiring() if wiring is None else wiring
    adcs = list(converters.values())
    if not adcs or not set(converters) <= set(range(array.shape[1])):
        raise UsageError(f"converters of columns {sorted(converters)}, of {array.shape[1]} columns")
    if len({(adc.cycle_s, adc.v_ref, adc.bits) for adc in adcs}) > 1:
        raise UsageError("the converters differ in cycle, reference or bits")
    ladders = rows if isinstance(rows, LadderDrivers) else None
    voltage = None if isinstance(rows, LadderDrivers) else rows
    circuit = crossbar(array, voltage, cell=cell, readout=readout, title="macro")
    parts = {j: sar_part(adc, f"adc_{j}") for j, adc in converters.items()}
    cells = [text for texts, _ in parts.values() for text in texts]
    if ladders is not None:
        cells += ladders.cells()
    texts = [*dict.fromkeys(cells), *(block for _, block in parts.values())]
    if ladders is not None:
        texts += ladders.lines(drive_nodes(array))
    circuit.raw_spice += "\n".join(texts) + "\n"
    source = "ref" if wiring.reference_ohm == 0 else "ref_source"
    circuit.V("ref", source, circuit.gnd, adcs[0].v_ref)
    if wiring.reference_ohm > 0:
        circuit.R("ref", source, "ref", wiring.reference_ohm)
    for j in converters:
        sampled = f"sampled_{j}" if wiring.output_ohm > 0 else f"out_{j}"
        if wiring.output_ohm > 0:
            circuit.R(f"out_{j}", f"out_{j}", sampled, wiring.output_ohm)
        circuit.X(f"adc_{j}", f"adc_{j}", sampled, "ref")
    return circuit


def bit_vectors(converters: Mapping[int, SarAdc]) -> tuple[str, ...]:
    """Vectors of all bits, (converter, bit), lowest bit first."""
    return voltage_vectors(
        f"xadc_{j}.bit_{k}" for j, adc in converters.items() for k in range(adc.bits)
    )


def sampled_vectors(converters: Mapping[int, SarAdc], wiring: MacroWiring) -> tuple[str, ...]:
    """Vectors of the converters' inputs, (converter,)."""
    name = "sampled" if wiring.output_ohm > 0 else "out"
    return voltage_vectors(f"{name}_{j}" for j in converters)
