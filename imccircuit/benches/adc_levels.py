"""Transition levels that were measured elsewhere, on silicon or by another program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.adc_parameters import AdcGates
from imccircuit.benches.bench import (
    Bench,
    Measurement,
    MeasurementError,
    Parameters,
    Section,
    Variable,
    Variation,
)
from imccircuit.units import SIArray, Voltage


class Circuit(Section):
    """A converter of which the levels are known."""

    levels: Annotated[NDArray[np.float64], SIArray("V", 2)] = Field(
        description="transition levels (chip, code), code 1 first, 2^bits − 1 of them"
    )
    reference_voltage: Annotated[Voltage, Field(gt=0)] = Field(1.0, description="full scale")

    @model_validator(mode="after")
    def _whole(self) -> Circuit:
        count = self.levels.shape[1]
        if count & (count + 1):
            why = f"levels has {count} levels a chip; allowed: 2^bits − 1, such as 255"
            raise PydanticCustomError("levels", "{why}", {"why": why})
        falling = np.argwhere(np.diff(self.levels, axis=1) < 0)
        if len(falling):
            chip, code = falling[0]
            why = (
                f"levels of chip {chip} fall from code {code + 1} to {code + 2}; allowed: levels "
                "that never fall (of a missing code: that of the next one)"
            )
            raise PydanticCustomError("levels", "{why}", {"why": why})
        return self


class LevelsParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit

    @property
    def has_transistors(self) -> bool:
        """Nothing is simulated."""
        return False


def _sizes(parameters: LevelsParameters) -> dict[str, int]:
    return {"code": parameters.circuit.levels.shape[1]}


def _variables(parameters: LevelsParameters) -> tuple[Variable, ...]:
    del parameters
    return (
        Variable("transition_level", ("code",), "V", "transition level T[k]"),
        Variable("reference_voltage", (), "V", "full scale"),
    )


def _coordinates(parameters: LevelsParameters) -> Mapping[str, Any]:
    return {"code": np.arange(1, _sizes(parameters)["code"] + 1)}


def _measure(parameters: LevelsParameters, variation: Variation) -> Measurement:
    yield from ()  # a measurement is a generator, even one that asks for nothing
    circuit, chip = parameters.circuit, variation.draws.sample
    if chip >= len(circuit.levels):
        raise MeasurementError(f"no levels of chip {chip}; there are {len(circuit.levels)} chips")
    return {
        "transition_level": circuit.levels[chip],
        "reference_voltage": np.asarray(circuit.reference_voltage),
    }


BENCH = Bench(
    name="adc_levels",
    summary="transition levels of an ADC that were measured elsewhere",
    parameters=LevelsParameters,
    gates=AdcGates,
    quantities=(),
    surrogate="adc",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    engines=("imported",),
)
