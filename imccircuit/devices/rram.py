"""RRAM cell: two states, conduction law, spread."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.devices.empirical import Empirical
from imccircuit.devices.figure import (
    Card,
    Figure,
    Frozen,
    PositiveConductance,
    PositiveVoltage,
)
from imccircuit.devices.laws import Spread
from imccircuit.devices.measured import MeasuredSpread, ReadSpread
from imccircuit.devices.rram_spread import CardSpread, EmpiricalSpread, TableSpread
from imccircuit.errors import InputError, UsageError
from imccircuit.units import SI

REFERENCE_DEGC = 27.0
"""Temperature of the conductances of a card, and of every bench unless a recipe says otherwise."""
# Within these, 1 + α·(T − 27 °C) is positive from -60 to 200 °C, all that a bench allows.
PerKelvin = Annotated[float, SI("1/K"), Field(ge=-5e-3, le=1e-2)]


class LinearConduction(Frozen):
    """I = G·V."""

    law: Literal["linear"]


class SinhConduction(Frozen):
    """I = G·V0·sinh(V/V0); G is the conductance at V → 0.

    Attributes
    ----------
    v0 : V0 in V.
    """

    law: Literal["sinh"]
    v0: Figure[PositiveVoltage]


class RramCard(Card):
    """RRAM technology.

    Attributes
    ----------
    on_conductance : programmed low-resistance state in S.
    off_conductance : programmed high-resistance state in S.
    max_voltage : largest read voltage in V at which the conduction law holds.
    conduction : current over voltage.
    spread : of the conductance; none means that every cell is nominal.
    temperature_coefficient : change of every conductance with temperature over its value at 27 °C,
        in 1/K; none if that was not measured.
    """

    kind: Literal["rram"]
    on_conductance: Figure[PositiveConductance]
    off_conductance: Figure[PositiveConductance]
    max_voltage: Figure[PositiveVoltage]
    conduction: Annotated[LinearConduction | SinhConduction, Field(discriminator="law")]
    spread: CardSpread | None = None
    temperature_coefficient: Figure[PerKelvin] | None = None

    @model_validator(mode="after")
    def _on_above_off(self) -> RramCard:
        on, off = self.on_conductance.value, self.off_conductance.value
        if on <= off:
            raise PydanticCustomError(
                "states",
                "on_conductance {on} S is not above off_conductance {off} S",
                {"on": on, "off": off},
            )
        return self

    @cached_property
    def measured(self) -> MeasuredSpread:
        """The table of a measured spread.

        Raises
        ------
        UsageError : the card has none.
        InputError : the table is not what it should be.
        """
        if not isinstance(self.spread, TableSpread):
            raise UsageError(f"card {self.file.name} has no measured spread, so no read time")
        path = self.beside(self.spread.table)
        return MeasuredSpread.read(path, self.spread.technology, file=self.spread.table)

    @cached_property
    def empirical(self) -> Empirical:
        """The table of an empirical spread.

        Raises
        ------
        UsageError : the card has none.
        InputError : the table is not what it should be.
        """
        if not isinstance(self.spread, EmpiricalSpread):
            raise UsageError(f"card {self.file.name} has no empirical spread")
        return Empirical.read(self.beside(self.spread.table), file=self.spread.table)

    def spread_at(self, read_time_s: float | None = None) -> ReadSpread | Spread:
        """Spread to draw from: ``.draw(rng, nominal)``, ``.mean_of``, ``.sd_of``.

        Parameters
        ----------
        read_time_s : time since programming in s; None takes the card's. Only a measured spread
            knows time.

        Raises
        ------
        UsageError : a time outside the table, or one for a card without a table.
        """
        if isinstance(self.spread, TableSpread):
            default = self.spread.read_time.value
            measured = self.measured.at(default if read_time_s is None else read_time_s)
            return replace(measured, group=self.spread.grouping())
        if read_time_s is not None:
            raise UsageError(f"card {self.file.name} has no measured spread, so no read time")
        if self.spread is None:
            return Spread("truncated_normal", 0.0)
        if isinstance(self.spread, EmpiricalSpread):
            return self.spread.around_nominal(self.empirical, self.empirical.cv)
        return self.spread.around_nominal()

    def temperature_factor(self, temperature_degc: float) -> float:
        """Conductance at a temperature over that at 27 °C: 1 + α·(T − 27 °C)."""
        if self.temperature_coefficient is None:
            return 1.0
        return 1.0 + self.temperature_coefficient.value * (temperature_degc - REFERENCE_DEGC)

    def current_a(self, conductance_s: ArrayLike, voltage_v: ArrayLike) -> NDArray[np.float64]:
        """Give the current (A) of cells of ``conductance_s`` (S, at 0 V) at ``voltage_v`` (V)."""
        g, v = np.asarray(conductance_s, np.float64), np.asarray(voltage_v, np.float64)
        if isinstance(self.conduction, SinhConduction):
            v0 = self.conduction.v0.value
            v = v0 * np.sinh(v / v0)
        return np.asarray(g * v)

    def source_files(self) -> tuple[Path, ...]:
        """List the card and the table of its spread."""
        if isinstance(self.spread, TableSpread | EmpiricalSpread):
            return (self.file, self.beside(self.spread.table))
        return (self.file,)

    def check(self, file: str) -> None:
        """Check that the spread exists at both states (and in a table at the read time)."""
        states = {
            "on_conductance.value": self.on_conductance.value,
            "off_conductance.value": self.off_conductance.value,
        }
        if isinstance(self.spread, TableSpread):
            self.existing("spread.table", self.spread.table, file)
            read_time = self.spread.read_time.value
            try:
                at_read = self.measured.at(read_time)
            except UsageError as error:
                raise InputError(file, "spread.read_time.value", read_time, str(error)) from None
            for key, state in states.items():
                try:
                    at_read.mean_of(state)
                except UsageError as error:
                    raise InputError(file, key, state, str(error)) from None
        elif self.spread is not None:
            if isinstance(self.spread, EmpiricalSpread):
                self.existing("spread.table", self.spread.table, file)
            spread = self.spread_at()
            if not isinstance(spread, Spread):
                return
            limit = spread.family.max_cv
            for state in states.values():
                if (cv := float(spread.sd_of(state)) / state) > limit:
                    problem = f"sd/mean is {cv:.3g} at {state:g} S, more than this law can have"
                    allowed = f"up to {limit:.3g}"
                    raise InputError(file, "spread.law", self.spread.law, problem, allowed)
