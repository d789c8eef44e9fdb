"""Shape, capacitors and phases of a grouped-capacitor array.

A row of the first array of a row of arrays has 2^B unit capacitors, one a cell: as many as its
B-bit input needs in groups of 1, 1, 2, 4 … 2^(B−1). Unit u of a row belongs to output
u // weight_bits and bit column u % weight_bits, and to group 0 (u = 0, always discharged) or to the
group g of input bit g − 1 (2^(g−1) ≤ u < 2^g).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AidacShape:
    """How many of what.

    Attributes
    ----------
    arrays : arrays in cascade, whose delays add.
    rows : inputs of one array.
    outputs : outputs of one array, each of ``weight_bits`` bit columns.
    built : outputs that are built as cells; the units of the others are lumped, group by group.
    input_bits, weight_bits : resolution.
    """

    arrays: int
    rows: int
    outputs: int
    built: int
    input_bits: int
    weight_bits: int

    def __post_init__(self) -> None:
        counts = (self.arrays, self.rows, self.built, self.input_bits, self.weight_bits)
        if min(counts) < 1 or self.built > self.outputs:
            raise UsageError("an array needs 1 or more of everything, and no more built than there")
        if self.rows < self.heaviest:
            raise UsageError(
                f"a bit column has {self.rows} cells; allowed: {self.heaviest} or more, for the "
                f"heaviest of {self.weight_bits} bits gives 2^{self.weight_bits - 1} of them"
            )
        if self.outputs * self.weight_bits != self.row_units:
            raise UsageError(
                f"a row has {self.outputs} x {self.weight_bits} unit capacitors; allowed: "
                f"{self.row_units}, for its groups are 1, 1, 2 … 2^{self.input_bits - 1}"
            )

    @property
    def heaviest(self) -> int:
        """Units of the most significant bit column in the second share."""
        return int(2 ** (self.weight_bits - 1))

    @property
    def row_units(self) -> int:
        """Unit capacitors of a row."""
        return int(2**self.input_bits)

    @property
    def cells(self) -> int:
        """Built cells of a row: one for each bit column of each built output."""
        return self.built * self.weight_bits

    def group_of(self, unit: int) -> int:
        """Group of a unit of a row: 0, or the input bit's number plus 1."""
        return unit.bit_length()

    @property
    def rest(self) -> NDArray[np.int64]:
        """(group,) units of each group that are not built as cells."""
        count = np.zeros(self.input_bits + 1, dtype=np.int64)
        for unit in range(self.cells, self.row_units):
            count[self.group_of(unit)] += 1
        return count

    @property
    def group_units(self) -> NDArray[np.int64]:
        """(group,) all units of each group: 1, 1, 2, 4 …."""
        return np.concatenate([[1], 2 ** np.arange(self.input_bits)]).astype(np.int64)


@dataclass(frozen=True)
class AidacCapacitors:
    """Capacitances of one chip in F; plates are to ground.

    Attributes
    ----------
    cell : (array, row, cell) unit capacitors that are built as cells.
    lumped : (array, row, group) sum of the unit capacitors of a group that are not.
    dummy : (array, output) capacitor that stays on the output line; discharged before the share.
    row_line, bit_line : wire, for each unit on the line.
    output_line : wire and input of the voltage-to-time cell.
    junction : voltage-dependent capacitance of a cell's plate at 0 V,
        C(V) = junction/(1 + V/potential)^½ as of a reverse-biased junction.
    junction_potential_v : in V.
    row_unit : nominal unit capacitor, by which a row loads its driver.
    """

    cell: Floats
    lumped: Floats
    dummy: Floats
    row_line: float
    bit_line: float
    output_line: float
    junction: float = 0.0
    junction_potential_v: float = 0.8
    row_unit: float = 0.0


@dataclass(frozen=True)
class AidacPhases:
    """Times of one operation in s.

    Attributes
    ----------
    phase_s : length of each charge phase: precharge, share, multiply, sum, weigh.
    conversion_s : from the launch of the edge to the end of the operation.
    """

    phase_s: float
    conversion_s: float

    @property
    def gap_s(self) -> float:
        """Time between the end of one phase and the begin of the next: no overlap."""
        return 0.06 * self.phase_s

    @property
    def edge_s(self) -> float:
        """Rise and fall of a phase."""
        return 0.02 * self.phase_s

    @property
    def start_s(self) -> float:
        """Begin of the first operation."""
        return 0.25 * self.phase_s

    @property
    def launch_s(self) -> float:
        """Begin of the launched edge in an operation."""
        return 5 * self.phase_s + self.gap_s

    @property
    def operation_s(self) -> float:
        """Length of an operation."""
        return self.launch_s + self.conversion_s

    def windows(self) -> dict[str, tuple[bool, float, float]]:
        """Phase → (level inside, begin, end) in an operation; outside it is the other level."""
        t, gap, end = self.phase_s, self.gap_s, self.operation_s
        return {
            "precharge": (True, gap, t),
            "reset": (False, t, end),
            "share": (True, t + gap, 2 * t),
            "multiply": (True, 2 * t + gap, 3 * t),
            "column": (False, 0.0, 3 * t + gap),
            "join": (True, 3 * t + gap, 4 * t),
            "weigh": (False, 0.0, 4 * t + gap),
            "hold": (False, 5 * t, end),
            "launch": (True, 5 * t + gap, end),
        }
