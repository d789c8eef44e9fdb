"""What a bench is: parameters, named arrays with dimensions and units, and a measurement.

A measurement is a Python generator. It yields `Problem`s, receives an `Answer` for each, may ask
again as often as it needs, and returns the named arrays. It sees no engine, no file, no sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.problem import Answer, Problem
from imccircuit.devices.cards import load_card
from imccircuit.devices.draws import Draws
from imccircuit.devices.figure import Card
from imccircuit.devices.mos import MosCard
from imccircuit.devices.reference import CardOf
from imccircuit.errors import ImcError
from imccircuit.units import SI, Voltage

Arrays = dict[str, NDArray[Any]]
Measurement = Generator[Problem, Answer, Arrays]


class MeasurementError(ImcError):
    """A bench could not make sense of good answers, such as a level that no input brackets."""


class Section(BaseModel):
    """Base of every table of a recipe: nothing unknown or infinite, nothing changed later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False
    )

    @model_validator(mode="after")
    def _open_switches_resist_more(self) -> Self:
        closed = getattr(self, "switch_on_resistance", 0.0)
        opened = getattr(self, "switch_off_resistance", float("inf"))
        if opened <= closed:
            why = (
                f"switch_off_resistance = {opened:g} ohm is not above switch_on_resistance = "
                f"{closed:g} ohm; allowed: far above it"
            )
            raise PydanticCustomError("switch", "{why}", {"why": why})
        return self


class Conditions(Section):
    """Conditions that every bench knows."""

    temperature: Annotated[float, SI("degC"), Field(ge=-60, le=200)] = Field(
        27.0, description="circuit temperature"
    )
    corner: str | None = Field(None, description="of the technology; default the card's")
    supply: Annotated[Voltage, Field(gt=0)] | None = Field(
        None, description="supply voltage; default the technology's"
    )


class Parameters(Section):
    """Base of the parameters of every bench.

    A bench of which some circuits have no transistors overrides `has_transistors`; a corner is
    then refused, for it would change nothing, and so is a supply, unless `has_supply` says that it
    counts nevertheless. A temperature is refused where `has_temperature` says that it does not
    count. Whatever else would change nothing in the circuit that is chosen, `idle_keys` and
    `idle_quantities` name, and it is refused likewise: a sweep over a dead key would be a silent
    wrong number.
    """

    technology: Annotated[MosCard, CardOf("mos")] = Field(
        default_factory=lambda: load_card("mos_generic", "mos"),
        description="transistor models, supply and sizes",
    )
    conditions: Conditions = Conditions()

    @property
    def has_transistors(self) -> bool:
        """Whether the technology has a part in the circuit that these parameters describe."""
        return True

    @property
    def has_supply(self) -> bool:
        """Whether the supply counts in that circuit."""
        return self.has_transistors

    @property
    def has_temperature(self) -> bool:
        """Whether the temperature changes anything in that circuit."""
        return True

    @property
    def supply_v(self) -> float:
        """Supply in V: that of the conditions, else that of the technology."""
        given = self.conditions.supply
        return self.technology.supply.value if given is None else given

    @property
    def corner(self) -> str:
        """Corner of the technology: that of the conditions, else the card's default."""
        return self.conditions.corner or self.technology.default_corner

    def idle_keys(self) -> Mapping[str, str]:
        """Name the keys, dotted, that change nothing in this circuit, each with what idles it.

        ``{"circuit.tia_gain": 'readout = "ideal"'}``. A key that stands at its default is let
        pass.
        """
        return {}

    def idle_quantities(self) -> Mapping[str, str]:
        """Name the quantities whose variation changes nothing, each with what idles it."""
        return {}

    def unfit_engines(self) -> Mapping[str, str]:
        """Name the bench's engines that cannot solve this circuit, each with what is beyond it."""
        return {}

    def transistor_quantities(self) -> Collection[str]:
        """Name the quantities that here draw mismatch of transistors."""
        return ()

    def spread_keys(self) -> Mapping[str, str | tuple[str, ...]]:
        """Name the keys, dotted, that count only while a quantity varies, each with that quantity.

        Of several quantities one is enough. They may be given without it, so that one key turns a
        variation off, but not be swept.
        """
        return {}

    def bound_keys(self) -> Mapping[str, str]:
        """Name the keys, dotted, that only bound others, each with those: no sweep axes."""
        return {}

    @property
    def idle_given(self) -> dict[str, str]:
        """Those of `idle_keys` that do not stand at their default."""
        return {key: why for key, why in self.idle_keys().items() if not _at_default(self, key)}

    @model_validator(mode="after")
    def _nothing_idles(self, info: ValidationInfo) -> Self:
        # What idles at one point of a sweep may count at another: that is for the recipe to judge.
        if not (info.context or {}).get("of_sweep"):
            for key, why in self.idle_given.items():
                text = f"{key} would change nothing with {why}; allowed: leave it out"
                raise PydanticCustomError("idle", "{why}", {"why": text})
        return self

    @model_validator(mode="after")
    def _technology_fits(self) -> Parameters:
        corner, known = self.conditions.corner, self.technology.corners
        if corner is not None and corner not in known:
            why = f"conditions.corner = {corner!r}: no such corner; allowed: {', '.join(known)}"
            raise PydanticCustomError("corner", "{why}", {"why": why})
        for key, counts in (("corner", self.has_transistors), ("supply", self.has_supply)):
            if getattr(self.conditions, key) is not None and not counts:
                why = (
                    f"conditions.{key} would change nothing, there is no transistor in this "
                    "circuit; allowed: leave it out, or choose a circuit with transistors"
                )
                raise PydanticCustomError("technology", "{why}", {"why": why})
        usual = type(self.conditions).model_fields["temperature"].default
        if self.conditions.temperature != usual and not self.has_temperature:
            why = (
                "conditions.temperature would change nothing, no part of this circuit depends on "
                "it; allowed: leave it out, or choose a circuit with transistors"
            )
            raise PydanticCustomError("technology", "{why}", {"why": why})
        return self


def _at_default(parameters: Parameters, key: str) -> bool:
    """Whether a dotted key holds what it holds if it is left out."""
    holder: Any = parameters
    *path, name = key.split(".")
    for part in path:
        holder = getattr(holder, part)
    value = getattr(holder, name)
    field = type(holder).model_fields[name]
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Card) and isinstance(default, Card):
        return value.file == default.file
    return value is default or (not isinstance(value, np.ndarray) and bool(value == default))


@dataclass(frozen=True)
class Variable:
    """One named array that a bench returns for each point and sample.

    Attributes
    ----------
    name : name in the results file.
    dims : names of its dimensions after (point, sample).
    units : SI unit, ``1`` for a pure number, ``LSB`` for code widths.
    long_name : what it is, for a label.
    kind : ``float`` (NaN where not good) or ``int`` (−1 where not good).
    missing : what a NaN in a good measurement says, such as ``not modelled``; empty where there
        may be none.
    """

    name: str
    dims: tuple[str, ...]
    units: str
    long_name: str
    kind: Literal["float", "int"] = "float"
    missing: str = ""


@dataclass(frozen=True)
class Along:
    """Values along a dimension that are more than an index.

    Attributes
    ----------
    values : (dimension,) numbers in SI, or texts (dtype ``object``).
    units : SI unit; empty for texts.
    long_name : what they are, for a label.
    """

    values: NDArray[Any]
    units: str
    long_name: str


@dataclass(frozen=True)
class Curve:
    """A picture of a bench's results: variables over one of their dimensions.

    Attributes
    ----------
    kind : name of the picture, such as ``iv``.
    y : variables of one unit, drawn over their dimension ``x``; of their other dimensions each
        entry is a line of its own (a few of them, if there are many).
    x : dimension along which they are drawn; `Along` gives its values, unit and label.
    x_log, y_log : logarithmic axes.
    title : above the axes; empty for none.
    """

    kind: str
    y: tuple[str, ...]
    x: str
    x_log: bool = False
    y_log: bool = False
    title: str = ""


@dataclass(frozen=True)
class Variation:
    """What differs from chip to chip in one measurement.

    Attributes
    ----------
    draws : the random numbers of this chip.
    quantities : names of the quantities that vary; all others keep their nominal value.
    """

    draws: Draws
    quantities: frozenset[str] = frozenset()

    def generator(self, quantity: str) -> np.random.Generator | None:
        """Generator of a quantity that varies, None for one that does not."""
        return self.draws.generator(quantity) if quantity in self.quantities else None


@dataclass(frozen=True)
class Bench:
    """A measurement that a recipe can name.

    Attributes
    ----------
    name : name in recipes.
    summary : one line for ``imccircuit list``.
    parameters : model of the recipe's tables that belong to it.
    gates : model of the table ``gates``.
    quantities : what ``variation.quantities`` may name.
    surrogate : kind of surrogate that is fitted to its results; empty if there is none.
    sizes : parameters → length of every dimension of its variables.
    variables : parameters → the arrays it returns.
    coordinates : parameters → values along a dimension: an array of indices, or `Along`.
    measure : parameters and variation → the measurement.
    curves : pictures of its results beside those that its surrogate's kind has.
    engines : engines that may solve its problems, the usual one first.
    """

    name: str
    summary: str
    parameters: type[Parameters]
    gates: type[Section]
    quantities: tuple[str, ...]
    surrogate: str
    sizes: Callable[[Any], dict[str, int]]
    variables: Callable[[Any], tuple[Variable, ...]]
    coordinates: Callable[[Any], Mapping[str, NDArray[Any] | Along]]
    measure: Callable[[Any, Variation], Measurement]
    curves: tuple[Curve, ...] = ()
    engines: tuple[str, ...] = ("ngspice",)
