"""``--set key=value``: what a user changes in a recipe without editing it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from imccircuit.errors import InputError


def parse_setting(text: str) -> tuple[str, Any]:
    """Dotted key and value of one ``key=value``; the value is TOML, else a bare string.

    Raises
    ------
    InputError : there is no ``=`` or no key.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key or not all(part for part in key.split(".")):
        raise InputError("--set", "", text, f"not key=value: {text!r}", "circuit.rows=64")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value.strip()


def apply_settings(raw: dict[str, Any], settings: Sequence[tuple[str, Any]]) -> None:
    """Put every setting into the raw tables.

    A swept key loses its axis: a single value fixes it, a list (where single values were swept)
    becomes its new axis.

    Raises
    ------
    InputError : a key goes through something that is not a table.
    """
    for key, value in settings:
        if _replace_axis(raw, key, value):
            continue
        *tables, last = key.split(".")
        place = raw
        for name in tables:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise InputError("--set", key, value, f"{name} is not a table")
        place[last] = value


def _replace_axis(raw: dict[str, Any], key: str, value: Any) -> bool:
    """Drop the axis of ``key``; return whether ``value`` took its place."""
    axes = raw.get("sweep")
    if not isinstance(axes, list) or not all(isinstance(axis, dict) for axis in axes):
        return False
    old = next((axis[key] for axis in axes if key in axis), None)
    if old is None:
        return False
    of_scalars = isinstance(old, Mapping) or not any(isinstance(item, list) for item in old)
    if of_scalars and isinstance(value, list | dict):
        raw["sweep"] = [{**axis, key: value} if key in axis else axis for axis in axes]
        return True
    rests = [{k: v for k, v in axis.items() if k != key} for axis in axes]
    raw["sweep"] = [rest for rest in rests if rest]
    return False
