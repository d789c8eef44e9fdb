"""Column time accumulators: voltage-to-time cells in cascade over the arrays, and a reference.

The edge ``launch`` runs through one cell for each array; cell a delays it by what the output line
of array a holds. The reference is a cascade of the same cells at 0 V. Nodes: ``t<output>_<stage>``
the edge behind stage 0, 1 …, and ``k<output>_<stage>``, whose zero crossing is that edge.
The reference has the output's number that is one above the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.aidac_ramp import RampTime
from imccircuit.circuits.aidac_shape import AidacShape
from imccircuit.circuits.aidac_wiring import Lines
from imccircuit.circuits.cells import read_cell
from imccircuit.circuits.technology import Technology

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BehaviouralTime:
    """Cells after a formula: offset + slope·V·(1 + curvature·(V/span − 1)).

    Attributes
    ----------
    offset_s, slope_s_v : (output + 1, array), the last row being the reference; s and s/V.
    curvature : departure from a straight line; at half the span it is −curvature/4 of the span.
    span_v : voltage up to which the line is straight on average.
    """

    offset_s: Floats
    slope_s_v: Floats
    curvature: float
    span_v: float

    def header(self, high_v: float) -> Lines:
        """Text of the cell, and the launched edge as an edge of 0 to 1 V."""
        return [read_cell("vtc_behavioural"), f"Bedge edge 0 V=v(launch)/{high_v!r}"]

    def cell(self, output: int, stage: int, before: str, voltage: str) -> Lines:
        """One cell of one cascade."""
        name = f"{output}_{stage}"
        return [
            f"Xt{name} {before} {voltage} t{name} k{name} hold vtc_behavioural "
            f"offset={float(self.offset_s[output, stage])!r} "
            f"slope={float(self.slope_s_v[output, stage])!r} "
            f"curvature={self.curvature!r} span={self.span_v!r}"
        ]


@dataclass(frozen=True)
class StarvedTime:
    """Current-starved inverters of a technology.

    Attributes
    ----------
    technology : transistors at a corner and a supply.
    load_f : capacitor that the starved current charges, in F.
    starved_widths, starved_lengths : gate of the transistor that reads the voltage, in default
        widths and lengths.
    constant_widths, constant_lengths : gate of the one in parallel that always conducts.
    delta_vth_v, mobility : (output + 1, array, 2) mismatch of these two; None for none.
    """

    technology: Technology
    load_f: float
    starved_widths: float
    starved_lengths: float
    constant_widths: float
    constant_lengths: float
    delta_vth_v: Floats | None = None
    mobility: Floats | None = None

    def header(self, high_v: float) -> Lines:
        """Text of the cell with this technology's transistors; it takes the launched edge as is."""
        del high_v
        return [self.technology.cell("vtc_starved"), "Bedge edge 0 V=v(launch)"]

    def cell(self, output: int, stage: int, before: str, voltage: str) -> Lines:
        """One cell of one cascade, and what its crossing is taken from."""
        name = f"{output}_{stage}"
        wr, lr = self.technology.size("pmos", self.starved_widths, self.starved_lengths)
        wc, lc = self.technology.size("pmos", self.constant_widths, self.constant_lengths)
        w, length = self.technology.size("nmos")
        wp, lp = self.technology.size("pmos", 2.0)
        series, _ = self.technology.size("pmos", 4 * max(self.starved_widths, self.constant_widths))
        trip, _ = self.technology.size("nmos", 4.0)
        text = (
            f"Xt{name} {before} {voltage} t{name} vdd 0 vtc_starved load={self.load_f!r} "
            f"wr={wr!r} lr={lr!r} wc={wc!r} lc={lc!r} wn={w!r} wp={wp!r} "
            f"ws={series!r} wt={trip!r} l={length!r} lp={lp!r}"
        )
        if self.delta_vth_v is not None and self.mobility is not None:
            vth, mobility = self.delta_vth_v[output, stage], self.mobility[output, stage]
            text += (
                f" dvr={float(vth[0])!r} dvc={float(vth[1])!r}"
                f" mur={float(mobility[0])!r} muc={float(mobility[1])!r}"
            )
        half = self.technology.supply_v / 2
        return [text, f"Bk{name} k{name} 0 V=v(t{name})-{half!r}"]

    @property
    def watched(self) -> tuple[str, str]:
        """Nodes within a cell: that of the ramp, and where the decision falls."""
        return ("n2", "n3")


TimeCells = BehaviouralTime | StarvedTime | RampTime


def accumulators(shape: AidacShape, cells: TimeCells) -> Lines:
    """Cascades of all built outputs and of the reference."""
    lines: Lines = []
    for output in range(shape.built + 1):
        before = "edge"
        for stage in range(shape.arrays):
            voltage = f"o{stage}_{output}" if output < shape.built else "0"
            lines += cells.cell(output, stage, before, voltage)
            before = f"t{output}_{stage}"
    return lines
