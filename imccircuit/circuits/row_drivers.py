"""R-2R ladders that drive the rows of an array, one a row, all between two rails.

The rails are the nodes ``rest``, code 0, and ``full``, one step beyond the last code. Ladder i is
that of `imccircuit.circuits.dac.r2r_dac` with ``<i>_`` before the number of a bit. Sources
``von_<i>_<k>`` and ``voff_<i>_<k>`` switch bit k; `settings` says to which voltages.

All legs of such a ladder hang on rails whatever the code: to the row it is a voltage behind a
resistance that no code changes, but for what its two switches of a bit differ in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.circuits.dac import Switches, ladder_lines


@dataclass(frozen=True)
class LadderDrivers:
    """Ladders of all rows.

    Attributes
    ----------
    resistors_ohm : (row, part); parts as of `imccircuit.circuits.dac.r2r_dac`.
    switches : of the legs.
    rest_v, full_v : rails in V.
    """

    resistors_ohm: NDArray[np.float64]
    switches: Switches
    rest_v: float
    full_v: float

    @property
    def rows(self) -> int:
        """Number of ladders."""
        return len(self.resistors_ohm)

    @property
    def bits(self) -> int:
        """Resolution."""
        return int(self.resistors_ohm.shape[1]) // 2

    def cells(self) -> list[str]:
        """Texts that a deck needs once."""
        return self.switches.cells()

    def lines(self, out: Sequence[str]) -> list[str]:
        """Elements of all ladders and their rails.

        Parameters
        ----------
        out : (row,) nodes that they drive.
        """
        lines = [f"Vrest rest 0 {self.rest_v!r}", f"Vfull full 0 {self.full_v!r}"]
        if self.switches.technology is not None:
            lines.append(f"Vdd_rows vdd 0 {self.switches.technology.supply_v!r}")
        start = self.settings(0 for _ in range(self.rows))
        for i, (node, parts) in enumerate(zip(out, self.resistors_ohm, strict=True)):
            for k in range(self.bits):
                for name in (f"on_{i}_{k}", f"off_{i}_{k}"):
                    lines.append(f"V{name} {name} 0 {start[f'v{name}']!r}")
            lines += ladder_lines(parts.tolist(), self.switches, f"{i}_", node, ("rest", "full"))
        return lines

    def settings(self, codes: Iterable[int]) -> dict[str, float]:
        """Voltages in V of the sources that switch the ladders to ``codes`` (row,)."""
        high, found = self.switches.high_v, {}
        for i, code in enumerate(codes):
            for k in range(self.bits):
                bit = int(code) >> k & 1
                found[f"von_{i}_{k}"] = high * bit
                found[f"voff_{i}_{k}"] = high * (1 - bit)
        return found
