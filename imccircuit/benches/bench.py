"""What a bench is: parameters, named arrays with dimensions and units, and a measurement.

A measurement is a Python generator. It yields `Problem`s, receives an `Answer` for each, may ask
again as often as it needs, and returns the named arrays. It sees no engine, no file, no sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from imccircuit.benches.problem import Answer, Problem
from imccircuit.devices.draws import Draws
from imccircuit.errors import ImcError
from imccircuit.units import SI

Arrays = dict[str, NDArray[Any]]
Measurement = Generator[Problem, Answer, Arrays]


class MeasurementError(ImcError):
    """A bench could not make sense of good answers, such as a level that no input brackets."""


class Section(BaseModel):
    """Base of every table of a recipe: nothing unknown, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Conditions(Section):
    """Conditions that every bench knows."""

    temperature: Annotated[float, SI("degC"), Field(ge=-60, le=200)] = Field(
        27.0, description="circuit temperature"
    )


class Parameters(Section):
    """Base of the parameters of every bench."""

    conditions: Conditions = Conditions()


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
    """

    name: str
    dims: tuple[str, ...]
    units: str
    long_name: str
    kind: Literal["float", "int"] = "float"


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
    surrogate : kind of surrogate that is fitted to its results.
    sizes : parameters → length of every dimension of its variables.
    variables : parameters → the arrays it returns.
    coordinates : parameters → values along a dimension, where they are more than an index.
    measure : parameters and variation → the measurement.
    """

    name: str
    summary: str
    parameters: type[Parameters]
    gates: type[Section]
    quantities: tuple[str, ...]
    surrogate: str
    sizes: Callable[[Any], dict[str, int]]
    variables: Callable[[Any], tuple[Variable, ...]]
    coordinates: Callable[[Any], Mapping[str, NDArray[Any]]]
    measure: Callable[[Any, Variation], Measurement]
