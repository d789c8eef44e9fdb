"""Compiled models that a recipe's netlists load: native code, which only its user may allow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imccircuit.devices.netlist import NetlistCard
from imccircuit.errors import InputError
from imccircuit.recipes.fields import card_keys, value_of

if TYPE_CHECKING:
    from imccircuit.recipes.load import Recipe


def native_files(recipe: Recipe) -> dict[Path, str]:
    """Compiled models that the recipe's netlists load, each with the key that names the netlist."""
    keys = [key for key in card_keys(recipe.bench.parameters) if key.endswith("dut")]
    found: dict[Path, str] = {}
    for values in recipe.steps(keys) if keys else ():
        parameters = recipe.parameters(values)
        for key in keys:
            card = value_of(parameters, key)
            if isinstance(card, NetlistCard):
                found |= dict.fromkeys(card.native, key)
    return found


def check_native(recipe: Recipe) -> None:
    """Refuse a recipe of which a netlist loads compiled models: ngspice would run their code.

    Raises
    ------
    InputError : one does.
    """
    for path, key in native_files(recipe).items():
        problem = "is compiled code, and ngspice would run it"
        allowed = "the same command with --allow-native, if you trust who made the file"
        raise InputError(recipe.file, key, path.name, problem, allowed)
