"""Row drivers: what buffers the voltage of a row into the next array of the row.

A driver is a controlled source, or a five-transistor amplifier whose output is its inverting input
(unity gain, A/(1 + A) of it). Nodes of array a: ``r<a>_<row>`` row line with the row DAC,
``n<a>_<row>_<driver>`` outputs within the chain, ``d<a>_<row>`` row line behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.aidac_shape import AidacCapacitors, AidacShape
from imccircuit.circuits.aidac_wiring import Lines
from imccircuit.circuits.technology import Technology

Floats = NDArray[np.float64]

OTA_TRANSISTORS = ("tail", "p1", "p2", "n1", "n2")
"""Transistors of ``netlists/ota_pmos.subckt`` in the order of their mismatch."""


@dataclass(frozen=True)
class LinearDrivers:
    """Behavioural drivers: v = gain·(v_in + offset).

    Attributes
    ----------
    gain : (array, row, driver) of each driver in the chain; its length is how many there are.
    offset_v : of the same shape, input-referred, in V.
    r_out_ohm : output resistance of the last one.
    """

    gain: Floats
    offset_v: Floats
    r_out_ohm: float

    @property
    def hops(self) -> int:
        """Drivers in a chain."""
        return int(self.gain.shape[2])

    def header(self) -> Lines:
        """Nothing that all of them share."""
        return []

    def driver(self, place: tuple[int, int, int], before: str, after: str) -> Lines:
        """One driver of one chain; only the last one has a resistance."""
        gain, offset = float(self.gain[place]), float(self.offset_v[place])
        name = "{}_{}_{}".format(*place)
        last = place[2] == self.hops - 1
        source = f"h{name}" if last else after
        lines = [
            f"Vh{name} vh{name} 0 {gain * offset!r}",
            f"Eh{name} {source} vh{name} {before} 0 {gain!r}",
        ]
        return [*lines, f"Rd{name} {source} {after} {self.r_out_ohm!r}"] if last else lines

    def load_f(self, wire_f: float, units_f: float, last: bool) -> float:
        """The wire behind the last one; what hangs on a controlled source does not matter."""
        del units_f
        return wire_f if last else 0.0


@dataclass(frozen=True)
class OtaDrivers:
    """Five-transistor amplifiers with a p-channel pair, in unity gain.

    They have rails of their own, ``vdrv`` and ``drvlow``, and one diode that sets the current of
    all tails.

    Attributes
    ----------
    technology : transistors at a corner and a supply.
    hops : drivers in a chain.
    current_a : of each tail.
    widths : of pair, tail and diode, in default widths.
    load_widths : of the load.
    lengths : of all, in default lengths.
    low_v : lower rail in V, 0 or below; on a rail of 0 V the load is cut off near an output of 0 V.
    delta_vth_v, mobility : (array, row, driver, 5) mismatch, in the order of `OTA_TRANSISTORS`;
        None for none.
    """

    technology: Technology
    hops: int
    current_a: float
    widths: float
    load_widths: float
    lengths: float
    low_v: float = 0.0
    delta_vth_v: Floats | None = None
    mobility: Floats | None = None

    def sizes(self) -> dict[str, tuple[str, float, float]]:
        """Kind, width and length in m of every transistor of a driver."""
        p = ("pmos", *self.technology.size("pmos", self.widths, self.lengths))
        n = ("nmos", *self.technology.size("nmos", self.load_widths, self.lengths))
        return {name: n if name.startswith("n") else p for name in OTA_TRANSISTORS}

    def header(self) -> Lines:
        """Cell, supply and the diode of all tails."""
        high = self.technology.supply_v
        _, width, length = self.sizes()["tail"]
        return [
            self.technology.cell("ota_pmos"),
            f"Vdrv vdrv 0 {high!r}",
            f"Vdrvlow drvlow 0 {self.low_v!r}",
            self.technology.line("drive", "pmos", ("drive", "drive", "vdrv", "vdrv"),
                                 width, length),
            f"Idrive drive 0 {self.current_a!r}",
        ]  # fmt: skip

    def driver(self, place: tuple[int, int, int], before: str, after: str) -> Lines:
        """One driver of one chain."""
        sizes = self.sizes()
        text = (
            f"Xh{place[0]}_{place[1]}_{place[2]} "
            f"{before} {after} {after} drive vdrv drvlow ota_pmos "
            f"wp={sizes['p1'][1]!r} wn={sizes['n1'][1]!r} wt={sizes['tail'][1]!r} "
            f"l={sizes['p1'][2]!r} lload={sizes['n1'][2]!r}"
        )
        if self.delta_vth_v is not None and self.mobility is not None:
            for k, name in enumerate(OTA_TRANSISTORS):
                delta, ratio = self.delta_vth_v[place][k], self.mobility[place][k]
                text += f" vt_{name}={float(delta)!r} mu_{name}={float(ratio)!r}"
        return [text]

    def load_f(self, wire_f: float, units_f: float, last: bool) -> float:
        """Wire and units of the row that it drives."""
        del last
        return wire_f + units_f


RowDrivers = LinearDrivers | OtaDrivers


def row_drivers(array: int, shape: AidacShape, caps: AidacCapacitors, drivers: RowDrivers) -> Lines:
    """Chain of drivers from ``r`` to ``d`` of every row.

    A driver of transistors is loaded with a row of an array, of nominal units: within the chain
    with all of it, at the end with what is not built as cells.
    """
    lines: Lines = []
    wire = caps.row_line * shape.row_units
    for row in range(shape.rows):
        node = f"r{array}_{row}"
        for hop in range(drivers.hops):
            last = hop == drivers.hops - 1
            after = f"d{array}_{row}" if last else f"n{array}_{row}_{hop}"
            lines += drivers.driver((array, row, hop), node, after)
            units = shape.row_units - shape.cells if last else shape.row_units
            load = drivers.load_f(wire, caps.row_unit * units, last)
            if load > 0:
                lines.append(f"C{after} {after} 0 {load!r}")
            node = after
    return lines
