"""The table ``[spread]`` of an RRAM card: which law, how wide, and what deviates together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.devices.figure import Correlation, Figure, Frozen, Share, Text
from imccircuit.devices.groups import Extent, Group
from imccircuit.devices.laws import LAWS, Law, Spread
from imccircuit.devices.skewed import Skewed
from imccircuit.units import SI, Conductance, Time

Skewness = Annotated[float, SI(""), Field(ge=-4, le=4)]


class AnySpread(Frozen):
    """What every law of a card has.

    Attributes
    ----------
    correlation : of the normal scores of two cells of one group, 0 to 1.
    group : ``row``, ``column`` or ``chip``; cells of different groups are independent.
    """

    correlation: Figure[Correlation] | None = None
    group: Extent | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> AnySpread:
        if (self.correlation is None) != (self.group is None):
            raise PydanticCustomError(
                "group", "correlation and group need each other; allowed: both, or neither"
            )
        return self

    def grouping(self) -> Group | None:
        """Cells that deviate together, None if none do."""
        if self.correlation is None or self.group is None:
            return None
        return Group(self.correlation.value, self.group)


class TableSpread(AnySpread):
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


class WideSpread(AnySpread):
    """A law around the nominal value whose width the card gives.

    Attributes
    ----------
    sd : standard deviation in S, the same for every nominal value; or
    relative_sd : as a ratio to the nominal value.
    """

    sd: Figure[Conductance] | None = None
    relative_sd: Figure[Share] | None = None

    def _around(self, law: Law, otherwise: float = 0.0) -> Spread:
        """Spread with the card's width, or with ``otherwise`` as sd/mean if it gives none."""
        if self.sd is not None:
            return Spread(law, self.sd.value, relative=False, group=self.grouping())
        width = otherwise if self.relative_sd is None else self.relative_sd.value
        return Spread(law, width, group=self.grouping())


class OneWidth(WideSpread):
    """A law that needs its width from the card."""

    @model_validator(mode="after")
    def _one_of_two(self) -> OneWidth:
        if (self.sd is None) == (self.relative_sd is None):
            raise PydanticCustomError(
                "spread", "one width is needed; allowed: either sd or relative_sd"
            )
        return self


class SimpleSpread(OneWidth):
    """A named law of two moments."""

    law: Literal["lognormal", "truncated_normal", "gamma"]

    def around_nominal(self) -> Spread:
        """Spread to draw from."""
        return self._around(LAWS[self.law])


class SkewedSpread(OneWidth):
    """A law with a chosen third moment (`imccircuit.devices.skewed`).

    Attributes
    ----------
    skew : third central moment over sd³; positive for a tail of high conductances.
    """

    law: Literal["skewed"]
    skew: Figure[Skewness]

    def around_nominal(self) -> Spread:
        """Spread to draw from."""
        return self._around(Skewed(self.skew.value))


class EmpiricalSpread(WideSpread):
    """The shape of a measured population (`imccircuit.devices.empirical`).

    Attributes
    ----------
    table : CSV or NPZ file, relative to the card. Its sd/mean is the width, unless ``sd`` or
        ``relative_sd`` is given.
    """

    law: Literal["empirical"]
    table: Text

    @model_validator(mode="after")
    def _at_most_one(self) -> EmpiricalSpread:
        if self.sd is not None and self.relative_sd is not None:
            raise PydanticCustomError(
                "spread", "two widths are given; allowed: sd, relative_sd, or the table's own"
            )
        return self

    def around_nominal(self, law: Law, cv: float) -> Spread:
        """Spread to draw from, given the table's law and its sd/mean."""
        return self._around(law, cv)


CardSpread = Annotated[
    TableSpread | SimpleSpread | SkewedSpread | EmpiricalSpread, Field(discriminator="law")
]
