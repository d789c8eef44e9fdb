"""Netlist of a macro: row drivers, array, a front end a column, converters behind some of them.

One deck, put together from the generators of its parts. Nodes and sources of the array are those
of `imccircuit.circuits.crossbar`, and so are front ends that are its own `TiaReadout`. Those of
`Amplifiers` are the subcircuits ``xfront_<j>`` between ``tia_<j>`` and ``out_<j>``; they share the
node ``hold``, where all of them hold their bit lines, and the supply ``front_supply``.
Converter j is the subcircuit ``xadc_<j>`` with the
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
from imccircuit.circuits.crossbar_parts import Cell, OpenReadout, TiaReadout
from imccircuit.circuits.readout import tia_part, tia_ports
from imccircuit.circuits.readout_parts import Tia, TransistorAmplifier
from imccircuit.circuits.row_drivers import LadderDrivers
from imccircuit.circuits.sar_adc import SarAdc, sar_part
from imccircuit.circuits.text import voltage_vectors
from imccircuit.errors import UsageError
from imccircuit.nodal.array import ResistiveArray

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit


@dataclass(frozen=True)
class Amplifiers:
    """Transimpedance amplifiers with what stands around them, one a column.

    Attributes
    ----------
    fronts : in the order of the columns, all of one reference voltage and one supply.
    c_line_f : capacitance of a bit line at its amplifier's input, in F.
    c_load_f : capacitance at an output in F, beside a converter's.
    """

    fronts: tuple[Tia, ...]
    c_line_f: float = 0.0
    c_load_f: float = 0.0

    def __post_init__(self) -> None:
        if not self.fronts or len({(tia.reference_v, _supply_v(tia)) for tia in self.fronts}) > 1:
            raise UsageError("the amplifiers are none, or differ in reference or supply")

    def texts(self) -> list[str]:
        """Cells, then a subcircuit a column, then what they share and their instances."""
        parts = [
            tia_part(tia, f"front_{j}", c_line_f=self.c_line_f, c_load_f=self.c_load_f)
            for j, tia in enumerate(self.fronts)
        ]
        cells = [text for texts, _ in parts for text in texts]
        lines = [f"vhold hold 0 {self.fronts[0].reference_v!r}"]
        supply = _supply_v(self.fronts[0])
        if supply is not None:
            lines.append(f"vfront_supply front_supply 0 {supply!r}")
        for j, tia in enumerate(self.fronts):
            nodes = {"in": f"tia_{j}", "out": f"out_{j}", "ref": "hold", "vdd": "front_supply"}
            ports = " ".join(nodes[port] for port in tia_ports(tia))
            lines.append(f"xfront_{j} {ports} front_{j}")
        return [*cells, *(text for _, text in parts), *lines]


def _supply_v(tia: Tia) -> float | None:
    amplifier = tia.amplifier
    if isinstance(amplifier, TransistorAmplifier):
        return amplifier.technology.supply_v
    return None


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
    readout: TiaReadout | Amplifiers,
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
    readout : one front end a column. The offset of a `TiaReadout` is where it holds the bit line.
    converters : column → its converter, at least one; all of one cycle and one reference.
    wiring : default plain wires.

    Raises
    ------
    UsageError : there is no converter, one of no column, or they differ in cycle or reference; or
        there is not an amplifier a column.
    """
    wiring = MacroWiring() if wiring is None else wiring
    adcs = list(converters.values())
    if not adcs or not set(converters) <= set(range(array.shape[1])):
        raise UsageError(f"converters of columns {sorted(converters)}, of {array.shape[1]} columns")
    if len({(adc.cycle_s, adc.v_ref, adc.bits) for adc in adcs}) > 1:
        raise UsageError("the converters differ in cycle, reference or bits")
    parts = {j: sar_part(adc, f"adc_{j}") for j, adc in converters.items()}
    texts = [text for found, _ in parts.values() for text in found]
    texts += [block for _, block in parts.values()]
    circuit = front_ends(array, rows, readout, cell=cell, texts=texts)
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


def front_ends(
    array: ResistiveArray,
    rows: ArrayLike | LadderDrivers,
    readout: TiaReadout | Amplifiers,
    *,
    cell: Cell | None = None,
    texts: list[str] | None = None,
) -> Circuit:
    """Array and front ends in one circuit, without converters.

    Parameters
    ----------
    array, rows, readout, cell : as of `macro`.
    texts : of what else the deck refers to; each is in it once.

    Raises
    ------
    UsageError : there is not an amplifier a column.
    """
    columns = array.shape[1]
    if isinstance(readout, Amplifiers) and len(readout.fronts) != columns:
        raise UsageError(f"{len(readout.fronts)} amplifiers for {columns} columns")
    ladders = rows if isinstance(rows, LadderDrivers) else None
    voltage = None if isinstance(rows, LadderDrivers) else rows
    ends = OpenReadout() if isinstance(readout, Amplifiers) else readout
    circuit = crossbar(array, voltage, cell=cell, readout=ends, title="macro")
    every = [] if texts is None else list(texts)
    if ladders is not None:
        every += ladders.cells() + ladders.lines(drive_nodes(array))
    if isinstance(readout, Amplifiers):
        every += readout.texts()
    circuit.raw_spice += "\n".join(dict.fromkeys(every)) + "\n"
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
