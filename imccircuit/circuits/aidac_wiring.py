"""Switches of the grouped-capacitor array, ideal or of transistors, under one interface.

The generators of the array say what is connected to what in which phase; a `Wiring` says with
what. Every method returns deck lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from imccircuit.circuits.cells import read_cell
from imccircuit.circuits.technology import Technology, check_mismatch
from imccircuit.errors import UsageError

Lines = list[str]


class Wiring(Protocol):
    """How lines are switched.

    Attributes
    ----------
    high_v : level of a phase or a bit that is on, in V; off is 0 V.
    complements : every phase comes with its inverse, named ``<phase>_n``.
    """

    @property
    def high_v(self) -> float: ...  # noqa: D102
    @property
    def complements(self) -> bool: ...  # noqa: D102

    def header(self) -> Lines:
        """Cells and models, once a deck."""
        ...

    def connect(self, name: str, a: str, b: str, phase: str, units: int) -> str:
        """Switch between two lines, as strong as ``units`` switches of one unit capacitor."""
        ...

    def pull_down(self, name: str, node: str, gate: str, units: int) -> str:
        """Switch from a node to ground."""
        ...

    def zero_cell(self, name: str, node: str, phase: str, is_zero: bool, units: int) -> Lines:
        """Discharge of a node in ``phase`` if the weight stored there is 0."""
        ...

    def unused(self, name: str, node: str, units: int) -> Lines:
        """Switches of cells that are lumped and never read: what they load the plate with."""
        ...

    def steer(self, name: str, line: str, supply: str, bit: str, units: int) -> str:
        """Line at ``supply`` if the bit is on, else at ground."""
        ...


@dataclass(frozen=True)
class IdealWiring:
    """Ideal switches; ``n`` units in parallel have a resistance n times smaller.

    Attributes
    ----------
    r_on_ohm, r_off_ohm : of the switch of one unit capacitor.
    largest : most units that a switch is for.
    """

    r_on_ohm: float
    r_off_ohm: float
    largest: int
    high_v: float = 1.0
    complements: bool = False

    def header(self) -> Lines:
        """One switch model for each number of units up to ``largest`` that is a power of two."""
        lines = [read_cell("aidac_steer_sw")]
        units = 1
        while units < 2 * self.largest:
            r_on, r_off = self.r_on_ohm / units, self.r_off_ohm / units
            lines.append(f".model sw_{units} sw(vt=0.5 vh=0 ron={r_on!r} roff={r_off!r})")
            units *= 2
        return lines

    def connect(self, name: str, a: str, b: str, phase: str, units: int) -> str:
        """Write one switch."""
        return f"S{name} {a} {b} {phase} 0 sw_{_power_of_two(units)}"

    def pull_down(self, name: str, node: str, gate: str, units: int) -> str:
        """Write one switch to ground."""
        return self.connect(name, node, "0", gate, units)

    def zero_cell(self, name: str, node: str, phase: str, is_zero: bool, units: int) -> Lines:
        """A switch where the weight is 0, none elsewhere: an open one would only leak."""
        return [self.pull_down(name, node, phase, units)] if is_zero else []

    def unused(self, name: str, node: str, units: int) -> Lines:
        """None: ideal switches load nothing."""
        del name, node, units
        return []

    def steer(self, name: str, line: str, supply: str, bit: str, units: int) -> str:
        """Two switches that are never closed together."""
        return (
            f"X{name} {line} {supply} {bit} aidac_steer_sw "
            f"ron={self.r_on_ohm / units!r} roff={self.r_off_ohm / units!r}"
        )


@dataclass(frozen=True)
class SwitchMismatch:
    """Deviations of switch transistors: drawn when first asked for, then kept.

    A deck of the same array names its transistors in the same order, whatever their sizes and the
    weights, so a chip's draws are the same at every point of a sweep.

    Attributes
    ----------
    technology : whose mismatch law.
    generator : of this chip; two uniform numbers a transistor.
    """

    technology: Technology
    generator: np.random.Generator
    _drawn: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_mismatch(self.technology.card)

    def of(self, name: str, kind: str, size: tuple[float, float]) -> tuple[float, float]:
        """Threshold shift in V and mobility factor of one transistor of ``size`` in m."""
        if name not in self._drawn:
            device = self.technology.device(kind)
            delta, ratio = device.draw_mismatch(self.generator, *size, (1,))
            self._drawn[name] = (float(delta[0]), float(ratio[0]))
        return self._drawn[name]


@dataclass(frozen=True)
class TransistorWiring:
    """Transmission gates, and series n-channel transistors to ground.

    Attributes
    ----------
    technology : transistors at a corner and a supply; the gates' power comes from node ``vdd``.
    widths : gate width of the switch of one unit capacitor, in default widths of the technology.
    dummy_widths : that of the p-channel transistor on each plate that takes back what the discharge
        of a weight of 0 injects, likewise; 0 for none.
    mismatch : of all these transistors; None for none.
    """

    technology: Technology
    widths: float = 1.0
    dummy_widths: float = 0.0
    mismatch: SwitchMismatch | None = None

    @property
    def high_v(self) -> float:
        """The supply."""
        return self.technology.supply_v

    @property
    def complements(self) -> bool:
        """P-channel transistors need every phase inverted."""
        return True

    def header(self) -> Lines:
        """Models, and the cells with this technology's transistors."""
        cells = ("aidac_gate", "aidac_zero_cell", "aidac_steer")
        return [self.technology.include_line, *map(self.technology.cell, cells)]

    def _deviations(self, name: str, units: int, transistors: tuple[tuple[str, str], ...]) -> str:
        """Cell parameters ``vt_<t>`` and ``mu_<t>`` of transistors (t, kind); empty if nominal."""
        if self.mismatch is None:
            return ""
        text = ""
        for which, kind in transistors:
            size = self.technology.size(kind, self.widths * units)
            delta, ratio = self.mismatch.of(f"{name} {which}", kind, size)
            text += f" vt_{which}={delta!r} mu_{which}={ratio!r}"
        return text

    def _sizes(self, units: int) -> str:
        wn, length = self.technology.size("nmos", self.widths * units)
        wp, lp = self.technology.size("pmos", self.widths * units)
        return f"wn={wn!r} wp={wp!r} l={length!r} lp={lp!r}"

    def connect(self, name: str, a: str, b: str, phase: str, units: int) -> str:
        """Write one transmission gate."""
        gate = f"X{name} {a} {b} {phase} {phase}_n vdd 0 aidac_gate {self._sizes(units)}"
        return gate + self._deviations(f"gate {name}", units, (("n", "nmos"), ("p", "pmos")))

    def pull_down(self, name: str, node: str, gate: str, units: int) -> str:
        """One n-channel transistor, enough to reach ground."""
        width, length = self.technology.size("nmos", self.widths * units)
        delta, ratio = 0.0, 1.0
        if self.mismatch is not None:
            delta, ratio = self.mismatch.of(f"down {name}", "nmos", (width, length))
        return self.technology.line(
            name, "nmos", (node, gate, "0", "0"), width, length, delta_vth_v=delta, mobility=ratio
        )

    def zero_cell(self, name: str, node: str, phase: str, is_zero: bool, units: int) -> Lines:
        """Two in series, the phase and the inverted weight, and the dummy.

        The discharge's gate goes down at the end of its phase and takes charge with it onto the
        plate. A dummy's gate goes up at that moment; its drain and source are both on the plate.
        """
        width, length = self.technology.size("nmos", self.widths * units)
        gate = "vdd" if is_zero else "0"
        cell = f"X{name} {node} {phase} {gate} 0 aidac_zero_cell wn={width!r} l={length!r}"
        lines = [
            cell + self._deviations(f"zero {name}", units, (("phase", "nmos"), ("zero", "nmos")))
        ]
        if self.dummy_widths > 0:
            width, length = self.technology.size("pmos", self.dummy_widths * units)
            nodes = (node, f"{phase}_n", node, "vdd")
            lines.append(self.technology.line(f"q{name}", "pmos", nodes, width, length))
        return lines

    def unused(self, name: str, node: str, units: int) -> Lines:
        """The gate to a column, which ends in the air, and the discharge, with a weight of 1."""
        gate = self.connect(f"s{name}", node, f"s{name}", "column", units)
        return [gate, *self.zero_cell(f"m{name}", node, "multiply", False, units)]

    def steer(self, name: str, line: str, supply: str, bit: str, units: int) -> str:
        """Inverter and switches to the supply of the bits, which may be a lower one, and ground."""
        return f"X{name} {bit} {line} {supply} vdd 0 aidac_steer {self._sizes(units)}"


def _power_of_two(units: int) -> int:
    """Next power of two: the sizes that there are."""
    if units < 1:
        raise UsageError(f"a switch is for 1 unit or more, not {units}")
    return 1 << (units - 1).bit_length()
