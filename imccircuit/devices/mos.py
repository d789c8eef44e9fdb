"""Transistor pair: a SPICE model library, the names in it, and mismatch coefficients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imccircuit.devices.figure import (
    Card,
    Figure,
    Frozen,
    PositiveArea,
    PositiveEnergy,
    PositiveLength,
    PositiveTime,
    PositiveVoltage,
    Text,
)
from imccircuit.devices.laws import LogNormal, Normal, uniform
from imccircuit.devices.spice_library import read_library
from imccircuit.errors import InputError, UsageError
from imccircuit.units import SI, Current, Voltage

# Both stand in decks as they are written here.
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")]
SectionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]*$")]
VoltLength = Annotated[float, SI("V*m"), Field(ge=0)]
RatioLength = Annotated[float, SI("m"), Field(ge=0)]

Floats = NDArray[np.float64]


class Transistor(Frozen):
    """One of the pair.

    Attributes
    ----------
    model : name in the library.
    width, length : default size in m.
    a_vt : A_VT in V·m; σ(ΔV_th) = A_VT/√(W·L).
    a_beta : A_β in m (a ratio times a length, "1 %*um"); σ(β)/β = A_β/√(W·L).
    threshold, on_current, off_current : what simulating the library at the default size gives,
        in V and A; for information.
    """

    model: ModelName
    width: Figure[PositiveLength]
    length: Figure[PositiveLength]
    a_vt: Figure[VoltLength]
    a_beta: Figure[RatioLength]
    threshold: Figure[Voltage] | None = None
    on_current: Figure[Current] | None = None
    off_current: Figure[Current] | None = None

    def draw_mismatch(
        self, rng: np.random.Generator, w_m: float, l_m: float, shape: tuple[int, ...]
    ) -> tuple[Floats, Floats]:
        """Deviations of single transistors from nominal.

        σ = A/√(W·L) for one device. Papers quote A for the *difference* of a pair, which is √2
        times the coefficient of the card.

        Parameters
        ----------
        rng : generator; two uniform numbers a transistor, thresholds first.
        w_m, l_m : gate width and length in m.
        shape : of the answer.

        Returns
        -------
        delta_vth_v : threshold shift in V, Gaussian; ngspice's instance parameter ``delvto``.
        beta_ratio : factor on the current factor, lognormal with mean 1; ``mulu0``.

        Raises
        ------
        UsageError : a size that is not above 0.
        """
        if not (w_m > 0 and l_m > 0):
            raise UsageError(f"gate width and length must be above 0 m, not {w_m!r} and {l_m!r}")
        root = float(np.sqrt(w_m * l_m))
        delta = Normal().quantile(uniform(rng, shape), 0.0, self.a_vt.value / root)
        ratio = LogNormal().quantile(uniform(rng, shape), 1.0, self.a_beta.value / root)
        return delta, ratio


class Logic(Frozen):
    """What logic that is not simulated as transistors costs.

    Attributes
    ----------
    toggle_energy : one transition of one gate output with its load, at the nominal supply, in J.
    gate_delay : of one gate, in s.
    gate_area : of one average gate, in m².
    """

    toggle_energy: Figure[PositiveEnergy]
    gate_delay: Figure[PositiveTime]
    gate_area: Figure[PositiveArea]


class Layout(Frozen):
    """Areas by which a circuit is counted.

    Attributes
    ----------
    gate_pitch, active_pitch : a transistor of W × L takes (W + active_pitch)·(L + gate_pitch), m.
    capacitance_density : of the unit capacitors, in F/m².
    memory_cell : one 1T1R cell, or one SRAM bit, in m².
    resistor_square : one square of a resistor of `sheet_resistance`, in m².
    sheet_resistance : of it, in ohm a square.
    """

    gate_pitch: Figure[PositiveLength]
    active_pitch: Figure[PositiveLength]
    capacitance_density: Figure[Annotated[float, SI("F/m**2"), Field(gt=0)]]
    memory_cell: Figure[PositiveArea]
    resistor_square: Figure[PositiveArea]
    sheet_resistance: Figure[Annotated[float, SI("ohm"), Field(gt=0)]]

    def transistor_area_m2(self, w_m: float, l_m: float) -> float:
        """Area of one transistor with its share of contacts and isolation."""
        return (w_m + self.active_pitch.value) * (l_m + self.gate_pitch.value)


class MosCard(Card):
    """Transistor technology.

    Attributes
    ----------
    library : SPICE file, absolute or relative to the card.
    corners : corner → section of the library; empty section names include the whole file.
    default_corner : one of them.
    device : what the library gives: ``model`` (element M) or ``subcircuit`` (element X).
    supply : nominal supply in V.
    nmos, pmos : the pair.
    node : name of the class, such as ``60 nm``, that stands beside every energy.
    logic : cost of logic; without it logic is reported as not modelled.
    layout : areas; without them no area is reported.
    """

    kind: Literal["mos"]
    library: Text
    corners: Annotated[dict[str, SectionName], Field(min_length=1)]
    default_corner: Text
    device: Literal["model", "subcircuit"] = "model"
    supply: Figure[PositiveVoltage]
    nmos: Transistor
    pmos: Transistor
    node: Text = "not named"
    logic: Logic | None = None
    layout: Layout | None = None

    @property
    def library_path(self) -> Path:
        """Absolute path of the library."""
        return self.beside(self.library)

    def include_line(self, corner: str | None = None) -> str:
        """Deck line that brings in the models of one corner (None: the default corner).

        Raises
        ------
        UsageError : the card has no such corner.
        """
        corner = corner or self.default_corner
        if corner not in self.corners:
            known = ", ".join(self.corners)
            raise UsageError(f"card {self.file.name} has no corner {corner!r}; there are: {known}")
        section = self.corners[corner]
        if section:
            return f".lib '{self.library_path}' {section}"
        return f".include '{self.library_path}'"

    def source_files(self) -> tuple[Path, ...]:
        """List the card, its library and every file that one includes."""
        files = [self.file]
        for section in self.corners.values():
            files += read_library(self.library_path, section or None).files
        return tuple(dict.fromkeys(files))

    def check(self, file: str) -> None:
        """Check that the library has each section, and each section both models."""
        if self.default_corner not in self.corners:
            known = ", ".join(self.corners)
            raise InputError(file, "default_corner", self.default_corner, "no such corner", known)
        path = self.existing("library", self.library, file)
        sections = read_library(path, None).sections
        for corner, section in self.corners.items():
            if section and section.lower() not in {name.lower() for name in sections}:
                known = ", ".join(sections) or "an empty name, the library has no sections"
                raise InputError(file, f"corners.{corner}", section, "no such section", known)
            content = read_library(path, section or None)
            names = content.models if self.device == "model" else content.subcircuits
            for key, transistor in (("nmos", self.nmos), ("pmos", self.pmos)):
                if transistor.model.lower() not in names:
                    known = ", ".join(sorted(names)) or "none there"
                    raise InputError(
                        file, f"{key}.model", transistor.model,
                        f"no such {self.device} in {self.library}, corner {corner}", known,
                    )  # fmt: skip
