"""Tables of a study that trains with the periphery; see docs/training.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from imccircuit.benches.bench import Section
from imccircuit.units import SI, Capacitance, Time

WayName = Literal[
    "float",
    "uniform converter",
    "naive",
    "population",
    "chip in the loop",
    "calibrated converter",
]
WAYS: tuple[WayName, ...] = (
    "float",
    "uniform converter",
    "naive",
    "population",
    "chip in the loop",
    "calibrated converter",
)
"""Ways that a training is tried, in the order of the table."""

CHIP_WAYS = WAYS[2:]
"""Those in which chips take part."""

Conductance = Annotated[float, SI("S"), Field(ge=0)]


class TrainingTable(Section):
    """What is trained, and how it is tried."""

    mode: Literal["current", "charge"] = Field(description="of the arrays")
    bits: int | None = Field(
        None, ge=2, le=10, description="of the converter; default its recipe's"
    )
    chips: int = Field(10, ge=1, le=1000, description="that no training saw")
    seeds: int = Field(3, ge=1, le=100, description="trainings from other first weights")
    epochs: int = Field(40, ge=1, le=1000)
    ways: Annotated[tuple[WayName, ...], Field(min_length=1)] = WAYS
    hidden: int = Field(32, ge=1, le=1024, description="units between pixels and classes")
    folds: int = Field(5, ge=2, le=20, description="of the cross-validation with 1797 images")
    seed: int = Field(1, ge=0, le=2**31 - 1, description="of the split")


class CellsTable(Section):
    """Cells of the arrays: conductances in mode ``current``, bits in mode ``charge``.

    Conductances and their spread are typed here, or taken from a card.
    """

    device_card: str | None = Field(None, description="of mode current, instead of numbers")
    read_time: Time | None = Field(None, description="after programming; default the card's")
    low_conductance: Conductance | None = None
    high_conductance: Conductance | None = None
    weight_bits: int | None = Field(None, ge=1, le=8, description="binary slices of a weight")
    input_bits: int | None = Field(None, ge=1, le=8, description="one after the other")
    spread: float | None = Field(None, ge=0, le=1, description="σ of a cell, relative to it")


class TrainedConverterTable(Section):
    """The recipe of the converters."""

    recipe: str
    samples: int | None = Field(None, ge=2, le=1000, description="chips; default the recipe's")
    cost: str | None = Field(
        None, description="recipe of one converter whose energy and area count; default its own"
    )


class FrontEndTable(Section):
    """The recipe of the front ends between columns and converters, in mode ``current``."""

    recipe: str
    samples: int | None = Field(None, ge=2, le=1000, description="chips; default the recipe's")


Sizes = Annotated[
    tuple[Annotated[Capacitance, Field(gt=0)], ...], Field(min_length=2, max_length=20)
]


class CapacitorsTable(Section):
    """Which unit capacitors every way is tried with."""

    units: Sizes
    loss: float = Field(0.01, gt=0, lt=1, description="of accuracy against float, tolerated")


class TrainingStudyTables(Section):
    """All tables of the study."""

    kind: Literal["study"]
    title: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f`]*$")
    takes: str = Field("", max_length=80, pattern=r"^[^\x00-\x1f`]*$")
    training: TrainingTable
    cells: CellsTable
    converter: TrainedConverterTable
    front_end: FrontEndTable | None = None
    capacitors: CapacitorsTable | None = None
