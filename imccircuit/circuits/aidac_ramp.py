"""Voltage-to-time cells of a current ramp and a comparator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.aidac_wiring import Lines
from imccircuit.circuits.technology import Technology

Floats = NDArray[np.float64]

RAMP_TRANSISTORS = ("c", "t", "r", "x", "d", "o")
"""Transistors of ``netlists/vtc_ramp.subckt`` that have mismatch, in this order."""

_SOURCE_LENGTHS = 4.0
_PAIR_LENGTHS = 2.0
_SKEW = 4.0
DECOUPLING_F = 0.2e-12
"""Capacitor from the bias line to the supply at every cell: cells that fire together move it."""


@dataclass(frozen=True)
class RampTime:
    """Ramps and comparators; all cells of a circuit share one bias line.

    Attributes
    ----------
    technology : transistors at a corner and a supply.
    current_a : of the ramp, and of the tail of the pair.
    capacitor_f : that it charges, in F.
    source_widths : of current source, tail and diode, in default widths; of four default lengths.
    pair_widths : of the side of the pair that reads the voltage, two default lengths; the side of
        the ramp is four times as wide.
    load_widths : of the load of the pair, two default lengths.
    delta_vth_v, mobility : (output + 1, array, 6) mismatch in the order of `RAMP_TRANSISTORS`; None
        for none.
    """

    technology: Technology
    current_a: float
    capacitor_f: float
    source_widths: float
    pair_widths: float
    load_widths: float
    delta_vth_v: Floats | None = None
    mobility: Floats | None = None

    def sizes(self) -> dict[str, tuple[str, float, float]]:
        """Kind, width and length in m of the transistors that have mismatch."""
        size = self.technology.size
        source = ("pmos", *size("pmos", self.source_widths, _SOURCE_LENGTHS))
        load = ("nmos", *size("nmos", self.load_widths, _PAIR_LENGTHS))
        return {
            "c": source,
            "t": source,
            "r": ("pmos", *size("pmos", self.pair_widths, _PAIR_LENGTHS)),
            "x": ("pmos", *size("pmos", _SKEW * self.pair_widths, _PAIR_LENGTHS)),
            "d": load,
            "o": load,
        }

    def header(self, high_v: float) -> Lines:
        """Cell, bias line and the launched edge as it is."""
        del high_v
        _, width, length = self.sizes()["c"]
        return [
            self.technology.cell("vtc_ramp"),
            self.technology.line("ramp", "pmos", ("ramp", "ramp", "vdd", "vdd"), width, length),
            f"Iramp ramp 0 {self.current_a!r}",
            "Bedge edge 0 V=v(launch)",
        ]

    def cell(self, output: int, stage: int, before: str, voltage: str) -> Lines:
        """One cell of one cascade, and what its crossing is taken from."""
        name, sizes = f"{output}_{stage}", self.sizes()
        w, length = self.technology.size("nmos")
        wp, lp = self.technology.size("pmos", 2.0)
        text = (
            f"Xt{name} {before} {voltage} t{name} ramp vdd 0 vtc_ramp load={self.capacitor_f!r} "
            f"wc={sizes['c'][1]!r} wt={sizes['t'][1]!r} lc={sizes['c'][2]!r} "
            f"wr={sizes['r'][1]!r} wx={sizes['x'][1]!r} lr={sizes['r'][2]!r} "
            f"wl={sizes['d'][1]!r} ll={sizes['d'][2]!r} wn={w!r} wp={wp!r} l={length!r} lp={lp!r}"
        )
        if self.delta_vth_v is not None and self.mobility is not None:
            vth, mobility = self.delta_vth_v[output, stage], self.mobility[output, stage]
            for k, which in enumerate(RAMP_TRANSISTORS):
                text += f" vt_{which}={float(vth[k])!r} mu_{which}={float(mobility[k])!r}"
        half = self.technology.supply_v / 2
        decoupling = f"Cramp{name} ramp vdd {DECOUPLING_F!r}"
        return [text, decoupling, f"Bk{name} k{name} 0 V=v(t{name})-{half!r}"]

    @property
    def watched(self) -> tuple[str, str]:
        """Nodes within a cell: that of the ramp, and where the decision falls."""
        return ("ramp", "first")
