"""Naming a card in a recipe: text there, the card itself in the parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from imccircuit import library
from imccircuit.devices.cards import Kind, list_cards, load_card
from imccircuit.devices.figure import Card
from imccircuit.devices.netlist import NetlistCard, load_netlist
from imccircuit.errors import UsageError


@dataclass(frozen=True)
class CardOf:
    """Pydantic annotation: name or path of a card in, the card out.

    ``Annotated[CapacitorCard, CardOf("capacitor")]``. A faulty card raises its own `InputError`,
    which names the card's file.
    """

    kind: Kind

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Validate by `_load` alone."""
        return core_schema.no_info_plain_validator_function(self._load)

    def _load(self, value: object) -> object:
        if isinstance(value, Card) and value.kind == self.kind:
            return value
        names = [name for name, kind in list_cards().items() if kind == self.kind]
        allowed = f"a path to a {self.kind} card, or one of {', '.join(names)}"
        if not isinstance(value, str):
            why = f"not the name of a card; allowed: {allowed}"
            raise PydanticCustomError("card", "{why}", {"why": why})
        try:
            return load_card(Path(value) if value.endswith(".toml") else value, self.kind)
        except UsageError:
            why = f"no such card; allowed: {allowed}"
            raise PydanticCustomError("card", "{why}", {"why": why}) from None


@dataclass(frozen=True)
class NetlistOf(CardOf):
    """Pydantic annotation: ``path:SUBCKT`` in, the `NetlistCard` out."""

    kind: Any = "netlist"

    def _load(self, value: object) -> object:
        if isinstance(value, NetlistCard):
            return value
        try:
            if not isinstance(value, str):
                raise UsageError("not a netlist; allowed: path:SUBCKT, such as my_adc.spice:SAR8")
            return load_netlist(value)
        except UsageError as error:
            raise PydanticCustomError("netlist", "{why}", {"why": str(error)}) from None


def card_label(card: Card) -> str:
    """What a recipe calls a card: the name of a shipped one, the path of any other."""
    if isinstance(card, NetlistCard):
        return f"{card.file}:{card.subcircuit}"
    shipped = library.path("device_models")
    return card.file.stem if card.file.parent == shipped else str(card.file)
