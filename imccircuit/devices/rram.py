"""RRAM cell: two states, conduction law, spread."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.devices.figure import (
    Card,
    Figure,
    Frozen,
    PositiveConductance,
    PositiveVoltage,
    Share,
    Text,
)
from imccircuit.devices.laws import LAWS, Spread
from imccircuit.devices.measured import MeasuredSpread, ReadSpread
from imccircuit.errors import InputError, UsageError
from imccircuit.units import Conductance, Time


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


class TableSpread(Frozen):
    """Spread as measured, read from a table (`imccircuit.devices.measured`).

    Attributes
    ----------
    table : CSV file, relative to the card.
    technology : which rows of it.
    read_time : time between programming and reading in s, unless the recipe says otherwise.
    """

    law: Literal["measured"]
    table: Text
    technology: Text
    read_time: Figure[Time]


class SimpleSpread(Frozen):
    """A named law around the nominal value.

    Attributes
    ----------
    sd : standard deviation in S, the same for every nominal value; or
    relative_sd : as a ratio to the nominal value.
    """

    law: Literal["lognormal", "truncated_normal", "gamma"]
    sd: Figure[Conductance] | None = None
    relative_sd: Figure[Share] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> SimpleSpread:
        if (self.sd is None) == (self.relative_sd is None):
            raise PydanticCustomError(
                "spread", "one width is needed; allowed: either sd or relative_sd"
            )
        return self

    def around_nominal(self) -> Spread:
        """Spread to draw from."""
        if self.sd is not None:
            return Spread(self.law, self.sd.value, relative=False)
        return Spread(self.law, self.relative_sd.value if self.relative_sd is not None else 0.0)


class RramCard(Card):
    """RRAM technology.

    Attributes
    ----------
    on_conductance : programmed low-resistance state in S.
    off_conductance : programmed high-resistance state in S.
    max_voltage : largest read voltage in V at which the conduction law holds.
    conduction : current over voltage.
    spread : of the conductance; none means that every cell is nominal.
    """

    kind: Literal["rram"]
    on_conductance: Figure[PositiveConductance]
    off_conductance: Figure[PositiveConductance]
    max_voltage: Figure[PositiveVoltage]
    conduction: Annotated[LinearConduction | SinhConduction, Field(discriminator="law")]
    spread: Annotated[TableSpread | SimpleSpread, Field(discriminator="law")] | None = None

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
            return self.measured.at(default if read_time_s is None else read_time_s)
        if read_time_s is not None:
            raise UsageError(f"card {self.file.name} has no measured spread, so no read time")
        if self.spread is None:
            return Spread("truncated_normal", 0.0)
        return self.spread.around_nominal()

    def current_a(self, conductance_s: ArrayLike, voltage_v: ArrayLike) -> NDArray[np.float64]:
        """Give the current (A) of cells of ``conductance_s`` (S, at 0 V) at ``voltage_v`` (V)."""
        g, v = np.asarray(conductance_s, np.float64), np.asarray(voltage_v, np.float64)
        if isinstance(self.conduction, SinhConduction):
            v0 = self.conduction.v0.value
            v = v0 * np.sinh(v / v0)
        return np.asarray(g * v)

    def source_files(self) -> tuple[Path, ...]:
        """List the card and the table of its spread."""
        if isinstance(self.spread, TableSpread):
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
            limit, spread = LAWS[self.spread.law].max_cv, self.spread.around_nominal()
            for state in states.values():
                if (cv := float(spread.sd_of(state)) / state) > limit:
                    problem = f"sd/mean is {cv:.3g} at {state:g} S, more than this law can have"
                    raise InputError(file, "spread.law", spread.law, problem, f"up to {limit:g}")
