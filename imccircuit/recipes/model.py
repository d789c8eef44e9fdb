"""The tables of a recipe that belong to no bench."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from imccircuit.benches.bench import Section
from imccircuit.engines.registry import EngineName

COMMON_KEYS = ("kind", "title", "takes", "bench", "engine", "sweep", "variation", "gates")


class VariationTable(Section):
    """How many chips, and what differs between them."""

    samples: int = Field(1, ge=1, le=10_000_000, description="number of chips")
    seed: int = Field(1, ge=0, description="entropy of all draws")
    independent: bool = Field(
        False, description="draw other chips at every point; else sample k is one chip"
    )
    quantities: tuple[str, ...] = Field((), description="what varies from chip to chip")


class CommonTables(Section):
    """What every recipe has beside the tables of its bench."""

    kind: Literal["characterisation"] = "characterisation"
    title: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f`]*$")
    takes: str = Field(
        "",
        max_length=80,
        pattern=r"^[^\x00-\x1f`]*$",
        description="measured time of a run, for lists",
    )
    bench: str
    engine: EngineName = "ngspice"
    sweep: list[dict[str, Any]] = Field(
        default_factory=list,
        description="tables of axes: keys in one table are paired, tables are multiplied",
    )
    variation: VariationTable = VariationTable()
