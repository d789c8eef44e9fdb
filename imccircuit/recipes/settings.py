"""``--set key=value``: what a user changes in a recipe without editing it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imccircuit.errors import InputError

_MOST_PARTS = 20


def parse_setting(text: str) -> tuple[str, Any]:
    """Dotted key and value of one ``key=value``; the value is TOML, else a bare string.

    Raises
    ------
    InputError : there is no ``=`` or no key.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    parts = key.split(".")
    if not equals or not all(parts) or len(parts) > _MOST_PARTS:
        raise InputError("--set", "", text, f"not key=value: {text[:80]!r}", "circuit.rows=64")
    try:
        tables = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError):
        return key, value.strip()
    # More keys than ours: the value held a line break and was not one TOML value.
    return key, tables["value"] if len(tables) == 1 else value.strip()


def apply_settings(raw: dict[str, Any], settings: Sequence[tuple[str, Any]]) -> None:
    """Put every setting into the raw tables; where two set one key, the last one stands.

    A swept key loses its axis: a single value fixes it, a list or range (where single values were
    swept) becomes its new axis. ``sweep`` itself is set first, so that this holds for its keys too.

    Raises
    ------
    InputError : a key goes through something that is not a table.
    """
    for key, value in sorted(settings, key=lambda item: item[0] != "sweep"):
        if _replace_axis(raw, key, value):
            continue
        *tables, last = key.split(".")
        place = raw
        for name in tables:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise InputError("--set", key, value, f"{name} is not a table")
        place[last] = value


def remove_keys(raw: dict[str, Any], keys: Sequence[str]) -> None:
    """Take keys or whole tables out of the raw tables, with the axes that sweep them.

    Raises
    ------
    InputError : the recipe has no such key.
    """
    for key in keys:
        if not (_remove_axis(raw, key) | _remove(raw, key.split("."))):
            problem = f"the recipe does not give {key[:80]!r}"
            raise InputError("--unset", "", key, problem, "a key or table that it gives")


def _remove(table: dict[str, Any], path: Sequence[str]) -> bool:
    head, *rest = path
    if not rest:
        return table.pop(head, None) is not None
    inner = table.get(head)
    return isinstance(inner, dict) and _remove(inner, rest)


def _remove_axis(raw: dict[str, Any], key: str) -> bool:
    """Drop a swept key, or all of a table; an axis that sweeps nothing else goes with it."""
    axes = raw.get("sweep")
    if not isinstance(axes, list) or not all(isinstance(axis, dict) for axis in axes):
        return False
    rests = [{k: v for k, v in axis.items() if not f"{k}.".startswith(f"{key}.")} for axis in axes]
    found = rests != axes
    if found:
        raw["sweep"] = [rest for rest in rests if rest]
    return found


def flatten_axes(raw: dict[str, Any], shown: str) -> None:
    """Write keys of the axes dotted: in TOML ``circuit.rows = [4, 8]`` is a table in a table.

    Parameters
    ----------
    raw : tables of a recipe; changed in place.
    shown : what messages call the recipe.

    Raises
    ------
    InputError : a key is there in both ways.
    """
    axes = raw.get("sweep")
    if not isinstance(axes, list) or not all(isinstance(axis, dict) for axis in axes):
        return
    for number, axis in enumerate(axes):
        pairs = _flat(axis, "")
        axes[number] = dict(pairs)
        if len(axes[number]) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            key = f"sweep[{number}].{twice}"
            raise InputError(shown, key, axis, "swept twice", "one axis a key")


def _flat(table: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping) and value and not _is_range(value):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, value))
    return pairs


def _is_range(value: Any) -> bool:
    return isinstance(value, Mapping) and bool({"from", "to", "steps"} & set(value))


def _replace_axis(raw: dict[str, Any], key: str, value: Any) -> bool:
    """Drop the axis of ``key``; return whether ``value`` took its place."""
    axes = raw.get("sweep")
    if not isinstance(axes, list) or not all(isinstance(axis, dict) for axis in axes):
        return False
    old = next((axis[key] for axis in axes if key in axis), None)
    if old is None:
        return False
    if _is_range(value) or _depth(value) >= _depth(old):
        raw["sweep"] = [{**axis, key: value} if key in axis else axis for axis in axes]
        return True
    rests = [{k: v for k, v in axis.items() if k != key} for axis in axes]
    raw["sweep"] = [rest for rest in rests if rest]
    return False


def _depth(value: Any) -> int:
    """How deep lists and arrays are nested; the values of an axis are one deeper than one value."""
    if isinstance(value, np.ndarray):
        return value.ndim
    if isinstance(value, list):
        return 1 + (_depth(value[0]) if value else 0)
    return 1 if _is_range(value) else 0
