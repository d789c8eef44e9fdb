"""Array of grouped capacitors with column time accumulators, put together from its steps.

Reconstruction of AiDAC (arXiv 2312.11836) from what its authors wrote; their circuits are not
public. One operation, in phases that do not overlap:

1. precharge: group g of a row's unit capacitors goes to the supply if input bit g − 1 is 1, and all
   lines are discharged;
2. share: the row's capacitors share on the row line, V = V_DD·X/2^B (row DAC);
3. multiply: the cells are isolated; those whose weight bit is 0 are discharged;
4. sum: the cells of a bit column share;
5. weigh: 2^j cells of bit column j share on the output line, V = Σ 2^j V_j/(2^B − 1 + dummies);
6. conversion: an edge is launched through the voltage-to-time cells of all arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.aidac_charge import cells, columns, junction_model, row_dac
from imccircuit.circuits.aidac_driver import RowDrivers, row_drivers
from imccircuit.circuits.aidac_shape import AidacCapacitors, AidacPhases, AidacShape
from imccircuit.circuits.aidac_time import TimeCells, accumulators
from imccircuit.circuits.aidac_wiring import Lines, Wiring

if TYPE_CHECKING:
    from PySpice.Spice.Netlist import Circuit


@dataclass(frozen=True)
class Aidac:
    """What the generator needs to know.

    Attributes
    ----------
    shape, capacitors, phases : see there.
    wiring : kind of switches.
    time_cells : kind of voltage-to-time cells.
    weights : (array, row, built output) whole numbers of ``weight_bits`` bits.
    precharge_v : voltage of a group whose bit is 1, in V.
    drivers : row drivers in front of the cells; None where the cells are those of the first array
        of a row, which is its DAC as well.
    """

    shape: AidacShape
    capacitors: AidacCapacitors
    phases: AidacPhases
    wiring: Wiring
    time_cells: TimeCells
    weights: NDArray[np.int64]
    precharge_v: float
    drivers: RowDrivers | None = None


def aidac(part: Aidac) -> Circuit:
    """The arrays, their accumulators and the reference.

    Sources that a bench alters: ``vx<array>_<row>_<group>``, to ``wiring.high_v`` for an input bit
    group − 1 that is 1. Supplies: ``vinput`` (precharge), ``vdd`` (transistors), one a phase and,
    where the wiring needs complements, one a complement.
    """
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit(
        f"Grouped capacitors, {part.shape.arrays} arrays of {part.shape.rows} rows, "
        f"{part.shape.built} outputs"
    )
    far = part.drivers is not None
    lines = [*part.wiring.header(), *part.time_cells.header(part.wiring.high_v)]
    lines += junction_model(part.capacitors)
    lines += part.drivers.header() if part.drivers is not None else []
    lines += _sources(part)
    for array in range(part.shape.arrays):
        lines += row_dac(array, part.shape, part.capacitors, part.wiring, far)
        if part.drivers is not None:
            lines += row_drivers(array, part.shape, part.capacitors, part.drivers)
        lines += cells(array, part.shape, part.capacitors, part.wiring, part.weights, far)
        lines += columns(array, part.shape, part.capacitors, part.wiring)
    lines += accumulators(part.shape, part.time_cells)
    circuit.raw_spice = "\n".join(lines)
    return circuit


def phase_sources(part: Aidac) -> list[str]:
    """Names of the nodes that carry phases; the source of each is ``v`` and the name."""
    names = list(part.phases.windows())
    return names + [f"{name}_n" for name in names] if part.wiring.complements else names


def _sources(part: Aidac) -> Lines:
    lines = [f"Vinput input 0 {part.precharge_v!r}"]
    high = part.wiring.high_v
    if part.wiring.complements:
        lines.append(f"Vdd vdd 0 {high!r}")
    edge, start = part.phases.edge_s, part.phases.start_s
    for name, (inside, begin, end) in part.phases.windows().items():
        times = (start + begin, edge, edge, end - begin - edge, part.phases.operation_s)
        words = " ".join(repr(value) for value in times)
        inner = high if inside else 0.0
        lines.append(f"V{name} {name} 0 pulse({high - inner!r} {inner!r} {words})")
        if part.wiring.complements:
            lines.append(f"V{name}_n {name}_n 0 pulse({inner!r} {high - inner!r} {words})")
    return lines
