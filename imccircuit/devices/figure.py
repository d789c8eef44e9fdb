"""What all cards share: a number that says where it comes from, and a file it was read from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from imccircuit.errors import InputError
from imccircuit.units import SI

T = TypeVar("T")

Text = Annotated[str, Field(min_length=1)]
PositiveConductance = Annotated[float, SI("S"), Field(gt=0)]
PositiveVoltage = Annotated[float, SI("V"), Field(gt=0)]
PositiveCapacitance = Annotated[float, SI("F"), Field(gt=0)]
PositiveLength = Annotated[float, SI("m"), Field(gt=0)]
PositiveEnergy = Annotated[float, SI("J"), Field(gt=0)]
PositiveTime = Annotated[float, SI("s"), Field(gt=0)]
PositiveArea = Annotated[float, SI("m**2"), Field(gt=0)]
Share = Annotated[float, SI(""), Field(ge=0)]
Correlation = Annotated[float, SI(""), Field(ge=0, le=1)]


class Frozen(BaseModel):
    """A part of a card: read-only, no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(Frozen, Generic[T]):
    """A number with its origin: ``{ value = "39 uS", source = "..." }`` in the card.

    Attributes
    ----------
    value : in SI, parsed from text with a unit.
    source : who measured, published or chose it.
    """

    value: T
    source: Text


class Card(Frozen):
    """One device or technology.

    Attributes
    ----------
    kind : which model the card follows.
    description : one line for lists.
    """

    kind: str
    description: Text

    # Set by the loader; not a key that a card may write.
    _file: Path = PrivateAttr(default=Path())

    @property
    def file(self) -> Path:
        """The card's own file."""
        return self._file

    def beside(self, name: str) -> Path:
        """Path that the card names: absolute, or relative to the card's folder."""
        return (self._file.parent / Path(name).expanduser()).resolve()

    def source_files(self) -> tuple[Path, ...]:
        """Every file that the card's numbers come from, the card first; for hashing."""
        return (self._file,)

    def check(self, file: str) -> None:
        """Check what a model cannot: that named files exist and hold what is named.

        Parameters
        ----------
        file : how messages name the card.

        Raises
        ------
        InputError : they do not.
        """

    def existing(self, key: str, name: str, file: str) -> Path:
        """Path that the card names under ``key``, which must be a file.

        Raises
        ------
        InputError : it is not.
        """
        path = self.beside(name)
        if not path.is_file():
            allowed = "an existing file, relative to the card's folder"
            raise InputError(file, key, name, "no such file", allowed)
        return path
