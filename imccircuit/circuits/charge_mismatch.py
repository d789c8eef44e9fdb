"""Mismatch of the transistors of a charge-domain array: those of the cells and the reset switches.

Six-transistor cells and row drivers only carry levels: theirs would move nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.technology import Technology
from imccircuit.circuits.text import numbers

Floats = NDArray[np.float64]

# Transistors of a cell by the names its subcircuit's mismatch parameters have: vt_<name> and
# mu_<name>; all are of the technology's own size.
CELL_TRANSISTORS: Mapping[str, tuple[str, ...]] = {
    "and": ("pass_n", "pass_p", "zero_n", "sample_n", "sample_p", "share_n", "share_p"),
    "xnor": ("pass_n", "pass_p", "passb_n", "passb_p", "sample_n", "sample_p", "share_n",
             "share_p"),
}  # fmt: skip


def kind_of(transistor: str) -> str:
    """``nmos`` or ``pmos``, by the end of its name."""
    return "nmos" if transistor.endswith("_n") else "pmos"


@dataclass(frozen=True)
class ChargeMismatch:
    """Deviations of every transistor that passes charge.

    Attributes
    ----------
    cell_vth_v : transistor → (row, col) threshold shift in V.
    cell_mobility : transistor → (row, col) factor on the mobility.
    reset_vth_v, reset_mobility : (col,) of the reset switches.
    """

    cell_vth_v: Mapping[str, Floats]
    cell_mobility: Mapping[str, Floats]
    reset_vth_v: Floats
    reset_mobility: Floats

    def cell_tails(self) -> list[str]:
        """What a cell's line says of it, for each cell in C order of (row, col)."""
        words = [
            [f"{prefix}_{name}={text}" for text in numbers(drawn)]
            for prefix, of in (("vt", self.cell_vth_v), ("mu", self.cell_mobility))
            for name, drawn in of.items()
        ]
        return [" " + " ".join(of_cell) for of_cell in zip(*words, strict=True)]


def draw_mismatch(
    rng: np.random.Generator,
    technology: Technology,
    product: str,
    shape: tuple[int, int],
    reset_width: float,
) -> ChargeMismatch:
    """Draw all transistors of an array (row, col), by the coefficients of the technology's card."""
    vth, mobility = {}, {}
    for name in CELL_TRANSISTORS[product]:
        device = technology.device(kind_of(name))
        size = technology.size(kind_of(name))
        vth[name], mobility[name] = device.draw_mismatch(rng, *size, shape)
    size = technology.size("nmos", reset_width)
    reset = technology.device("nmos").draw_mismatch(rng, *size, shape[1:])
    return ChargeMismatch(vth, mobility, *reset)
