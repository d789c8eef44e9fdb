"""Forward model of a crossbar: cells, wires, read-out; and its fit to measured currents."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.nodal import (
    CellLaw,
    ResistiveArray,
    effective_conductance,
    port_admittance,
    solve_currents,
    solve_fast,
)

Floats = NDArray[np.float64]

# Vectors at a time where voltages of all cells are held: bounds the memory.
_CHUNK = 64


@dataclass(frozen=True)
class ArrayModel:
    """Resistances around and in a crossbar's cells.

    Attributes
    ----------
    r_row_ohm, r_col_ohm : one wire segment of a word line and of a bit line.
    r_driver_ohm, r_sense_ohm : before a word line and behind a bit line, an amplifier's input
        resistance included.
    r_series_ohm : in series with every cell, such as its transistor.
    v0_v : V0 in V of I = G·V0·sinh(V/V0), infinite for linear cells.
    r_rise_ohm_per_a : rise of the series resistance with the cell's current in ohm/A. A transistor
        of long channel in its triode region has R_T·(1 + V_d/(2·V_ov)) at a drain voltage
        V_d = R_T·I, to first order, so that the rise is R_T²/(2·V_ov) with V_ov its overdrive;
        velocity saturation makes it larger.
    """

    r_row_ohm: float = 0.0
    r_col_ohm: float = 0.0
    r_driver_ohm: float = 0.0
    r_sense_ohm: float = 0.0
    r_series_ohm: float = 0.0
    v0_v: float = np.inf
    r_rise_ohm_per_a: float = 0.0

    @property
    def linear(self) -> bool:
        """Whether currents are proportional to voltages."""
        return not np.isfinite(self.v0_v) and self.r_rise_ohm_per_a == 0

    @property
    def law(self) -> CellLaw:
        """What the cells are; those with V0 have no rise."""
        if np.isfinite(self.v0_v) and self.r_rise_ohm_per_a != 0:
            raise UsageError("cells have a V0 or a resistance that rises, not both")
        if np.isfinite(self.v0_v):
            return CellLaw.sinh(self.v0_v)
        return CellLaw.rise(self.r_rise_ohm_per_a) if self.r_rise_ohm_per_a else CellLaw()

    def cells(self, conductance_s: Floats) -> Floats:
        """Conductance of the cells with their series resistance, in S: g / (1 + g·r)."""
        return np.asarray(conductance_s / (1.0 + conductance_s * self.r_series_ohm))

    def array(self, conductance_s: Floats) -> ResistiveArray:
        """Linear array of this model, at small voltages."""
        return ResistiveArray(
            self.cells(conductance_s),
            r_row_ohm=self.r_row_ohm,
            r_col_ohm=self.r_col_ohm,
            r_driver_ohm=self.r_driver_ohm,
            r_sense_ohm=self.r_sense_ohm,
        )

    def effective_conductance(self, conductance_s: Floats) -> Floats:
        """Matrix (row, col) in S with current = voltage @ matrix at small voltages."""
        return effective_conductance(self.array(conductance_s))

    def currents(
        self, conductance_s: Floats, voltage_v: Floats, sense_v: Floats | None = None
    ) -> Floats:
        """Column currents (batch, col) in A for drive voltages (batch, row) in V.

        The fastest way for few vectors; `effective_conductance` is that for many. Nonlinear cells
        are solved by Newton: as the solver of lines that exports carry, but compiled.

        Parameters
        ----------
        sense_v : (col,) voltages in V at which the bit lines' ends stand; None is 0 V.
        """
        law = CellLaw() if self.linear else self.law
        return solve_currents(self.array(conductance_s), voltage_v, law, sense_v)

    def port_admittance(self, conductance_s: Floats) -> Floats:
        """Matrix (col, col) in S: current that 1 V at sense j drives out of sense k, at 0 V.

        An amplifier whose input stands at e lowers the column currents by e @ this matrix, in a
        linear array exactly, else to first order about rest.
        """
        return port_admittance(self.array(conductance_s))

    def column_slopes(
        self, conductance_s: Floats, voltage_v: Floats, sense_v: Floats | None = None
    ) -> Floats:
        """Slope (batch, col) in S of all cells of a column together, wires apart."""
        cells = self.cells(conductance_s)
        if self.linear:
            return np.repeat(cells.sum(axis=0)[None], len(voltage_v), axis=0)
        across = voltage_v[:, :, None] - (0.0 if sense_v is None else sense_v)
        return np.asarray(self.law.currents(cells, across)[1].sum(axis=1))

    def driven_admittance(
        self, conductance_s: Floats, voltage_v: Floats, sense_v: Floats
    ) -> Floats:
        """As `port_admittance`, with the cells' mean slopes over vectors (batch, row) in V."""
        array = self.array(conductance_s)
        if self.linear:
            return port_admittance(array)
        slope = np.zeros(array.shape)
        for start in range(0, len(voltage_v), _CHUNK):
            part = voltage_v[start : start + _CHUNK]
            across = solve_fast(array, part, self.law, sense_v).cell_voltage_v
            slope += self.law.currents(array.conductance_s, across)[1].sum(axis=0)
        return port_admittance(replace(array, conductance_s=slope / len(voltage_v)))

    def with_values(self, names: tuple[str, ...], values: Floats) -> ArrayModel:
        """Copy with some attributes set."""
        pairs = zip(names, values, strict=True)
        return replace(self, **{name: float(value) for name, value in pairs})
