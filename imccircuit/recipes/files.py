"""The files that a recipe's values name: arrays are loaded, card paths made absolute."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from imccircuit.devices.figure import Card
from imccircuit.devices.netlist import split_reference
from imccircuit.errors import InputError
from imccircuit.recipes.fields import is_card_key
from imccircuit.recipes.model import COMMON_KEYS
from imccircuit.recipes.paths import ARRAY_REFERENCE, FilePolicy

_DEEPEST = 20


def resolve_files(shown: str, raw: dict[str, Any], policy: FilePolicy) -> None:
    """Load array references and make card paths absolute, in the tables of a bench and axes.

    Parameters
    ----------
    shown : what messages call the place the values stand in.
    raw : tables of a recipe; changed in place.
    policy : which files may be read.

    Raises
    ------
    InputError : a file is missing, unreadable or not allowed, or tables are nested too deep.
    """
    for key, value in raw.items():
        if key in COMMON_KEYS and key != "sweep":
            check_depth(shown, key, value)
        else:
            raw[key] = resolve_value(shown, key, value, policy)


def resolve_value(shown: str, key: str, value: Any, policy: FilePolicy, depth: int = 0) -> Any:
    """The same for one value under its dotted key."""
    if depth > _DEEPEST:
        raise InputError(shown, key.partition("[")[0], "…", f"nested deeper than {_DEEPEST}")
    if isinstance(value, dict):
        return {
            k: resolve_value(shown, f"{key}.{k}", v, policy, depth + 1) for k, v in value.items()
        }
    if isinstance(value, list):
        if any(isinstance(item, str | dict | list) for item in value):
            return [
                resolve_value(shown, f"{key}[{i}]", v, policy, depth + 1)
                for i, v in enumerate(value)
            ]
        return value
    if not isinstance(value, str):
        return value
    try:
        if ARRAY_REFERENCE.match(value):
            return policy.load_array(value)
        if is_card_key(key.rstrip("]0123456789[")):
            return policy.netlist(value) if key.endswith("dut") else policy.card(value)
    except ValueError as error:
        problem, _, allowed = str(error).partition("; allowed: ")
        raise InputError(shown, key, value, problem, allowed) from None
    return value


def check_depth(shown: str, key: str, value: Any, depth: int = 0) -> None:
    """Refuse what is nested so deep that later steps could not print or store it."""
    if depth > _DEEPEST:
        raise InputError(shown, key, "…", f"nested deeper than {_DEEPEST}")
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        if isinstance(item, dict | list):
            check_depth(shown, key, item, depth + 1)


def named_cards(value: Any, key: str = "") -> set[str]:
    """Paths of cards in tables whose files are resolved."""
    if isinstance(value, dict):
        return {path for k, v in value.items() for path in named_cards(v, k)}
    if isinstance(value, list):
        return {path for item in value for path in named_cards(item, key)}
    if not isinstance(value, str) or not is_card_key(key):
        return set()
    if key.endswith("dut"):
        return {split_reference(value)[0]}
    return {value} if value.endswith(".toml") else set()


def check_card_files(
    shown: str, cards: Mapping[str, Card], policy: FilePolicy, own: Collection[str]
) -> None:
    """Refuse cards of the recipe whose own files (model libraries, tables) it may not read.

    Cards in a folder that the user named are the user's own and may name any file.

    Parameters
    ----------
    shown : what messages call the recipe.
    cards : the cards by the keys that name them.
    policy : which files the recipe may read.
    own : paths of cards that the recipe itself names.

    Raises
    ------
    InputError : a card names such a file.
    """
    for key, card in cards.items():
        if str(card.file) not in own:
            continue
        if any(card.file.is_relative_to(folder) for folder in policy.libraries):
            continue
        for path in card.source_files():
            try:
                policy.check(path.resolve())
            except ValueError as error:
                problem, _, allowed = str(error).partition("; allowed: ")
                raise InputError(shown, key, str(path), problem, allowed) from None
