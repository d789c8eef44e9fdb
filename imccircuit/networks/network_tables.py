"""Tables of a study that takes networks through characterised circuits; see docs/accuracy.md."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Section
from imccircuit.networks.mapping import Mapping
from imccircuit.networks.ranges import Rule
from imccircuit.surrogates.macro_compose import Composition
from imccircuit.units import SI, Time

Factors = Annotated[tuple[Annotated[float, Field(ge=0, le=100)], ...], Field(max_length=20)]

# The name of a folder, and never of one somewhere else.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
Word = Annotated[str, Field(pattern=rf"^{_NAME.pattern}$")]
Model = Annotated[str, Field(pattern=r"^(linear|mlp|cnn|[^\x00-\x1f`]+\.onnx)$")]


class NetworksTable(Section):
    """Which networks on which images."""

    dataset: Literal["digits", "mnist", "cifar10", "speech_commands"]
    files: Annotated[tuple[str, ...], Field(max_length=20)] = Field(
        (), description="of mnist: images and labels; of cifar10: batches"
    )
    folder: str | None = Field(None, description="of speech_commands: holds a folder for each word")
    words: Annotated[tuple[Word, ...], Field(max_length=100)] = Field(
        (), description="of speech_commands: the classes"
    )
    models: Annotated[list[Model], Field(min_length=1, max_length=10)] = Field(
        description="linear, mlp or cnn, which are trained; or an .onnx file"
    )
    folds: int = Field(5, ge=2, le=20, description="of the cross-validation")
    images: int | None = Field(None, ge=100, description="the first ones; default all")
    seed: int = Field(1, ge=0, le=2**31 - 1)

    @property
    def names(self) -> list[str]:
        """What the networks are called: a file like itself without its end."""
        return [PurePath(model).stem for model in self.models]

    @model_validator(mode="after")
    def _has_names(self) -> NetworksTable:
        names = self.names
        if len(set(names)) < len(names) or not all(_NAME.fullmatch(name) for name in names):
            why = (
                f"models are called {', '.join(names)}; allowed: different names of 1 to 40 "
                "letters, digits, _ and -"
            )
            raise PydanticCustomError("names", "{why}", {"why": why})
        return self


class MappingTable(Section):
    """How layers are laid on tiles."""

    rows: int = Field(64, ge=1, le=4096)
    cols: int = Field(64, ge=1, le=4096, description="physical columns")
    input_bits: int = Field(4, ge=1, le=8)
    pass_bits: int = Field(4, ge=1, le=8, description="of an input driven at once; 1: bit-serial")
    weight_bits: int = Field(5, ge=2, le=9, description="with the sign")
    slice_bits: int = Field(4, ge=1, le=8, description="of a weight in one cell")
    signed: Literal["differential", "offset"] = "differential"

    @model_validator(mode="after")
    def _fills_its_digits(self) -> MappingTable:
        # More would leave the largest digit, for which rows and cells are scaled, unused.
        stored = self.weight_bits - (self.signed == "differential")
        for name, most in (("pass_bits", self.input_bits), ("slice_bits", stored)):
            value = getattr(self, name)
            if value > most:
                why = f"{name} = {value} of {most} bits; allowed: 1 to {most}"
                raise PydanticCustomError("digits", "{why}", {"why": why})
        return self

    def mapping(self) -> Mapping:
        """The mapping they describe.

        Raises
        ------
        UsageError : a tile is smaller than one slice of a weight.
        """
        composition = Composition(
            self.input_bits, self.weight_bits, self.pass_bits, self.slice_bits, self.signed
        )
        return Mapping(self.rows, self.cols, composition)


class ArrayTable(Section):
    """The recipe of array and front ends."""

    recipe: str
    read_voltage: Annotated[float, SI("V"), Field(gt=0)]


class ConverterTable(Section):
    """The recipe of the converters."""

    recipe: str
    samples: int | None = Field(None, ge=1, le=1000, description="chips; default the recipe's")


class RangesTable(Section):
    """Rule for range and gain."""

    rule: Rule = "least_error"
    percentile: float = Field(99.9, gt=0, le=100)
    images: int = Field(200, ge=10, le=10_000, description="of the training images")


class ChipsTable(Section):
    """Chips that are drawn."""

    count: int = Field(10, ge=2, le=1000)
    seed: int = Field(1, ge=0, le=2**31 - 1)
    noise: bool = True


class SpotTable(Section):
    """What SPICE itself is asked."""

    operations: int = Field(6, ge=1, le=1000, description="tile operations drawn at random")
    conversions: int = Field(2, ge=0, le=1000, description="columns of them in closed loop")
    seed: int = Field(1, ge=0, le=2**31 - 1)


class SensitivityTable(Section):
    """Factors on each non-ideality, alone and together."""

    model: Word
    chips: int = Field(5, ge=2, le=1000)
    wires: Factors = ()
    mismatch: Factors = ()
    curvature: Factors = ()
    spread: Factors = ()
    offsets: Factors = ()
    read_times: Annotated[tuple[Annotated[Time, Field(gt=0)], ...], Field(max_length=20)] = ()
    bits: Annotated[tuple[Annotated[int, Field(ge=1, le=14)], ...], Field(max_length=20)] = ()


class NetworkStudyTables(Section):
    """All tables of the study."""

    kind: Literal["study"]
    title: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f`]*$")
    takes: str = Field("", max_length=80, pattern=r"^[^\x00-\x1f`]*$")
    network: NetworksTable
    mapping: MappingTable
    array: ArrayTable
    converter: ConverterTable
    ranges: RangesTable = RangesTable()
    chips: ChipsTable = ChipsTable()
    spot_check: SpotTable = SpotTable()
    sensitivity: SensitivityTable | None = None

    @model_validator(mode="after")
    def _sensitive_one_is_there(self) -> NetworkStudyTables:
        if self.sensitivity is not None and self.sensitivity.model not in self.network.names:
            why = (
                f"sensitivity.model = {self.sensitivity.model!r} is not one of network.models; "
                f"allowed: {', '.join(self.network.names)}"
            )
            raise PydanticCustomError("sensitivity", "{why}", {"why": why})
        return self
