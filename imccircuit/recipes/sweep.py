"""Axes of a sweep: keys in one table advance together, tables are multiplied."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imccircuit.errors import InputError
from imccircuit.units import parse_quantity

_RANGE_KEYS = {"from", "to", "steps", "scale"}


@dataclass(frozen=True)
class Axis:
    """Keys that advance together.

    Attributes
    ----------
    values : dotted key → its values, all of one length.
    """

    values: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))


def parse_axes(file: str, tables: Sequence[Mapping[str, Any]]) -> tuple[Axis, ...]:
    """Axes of the array of tables ``sweep``.

    A value is a list, or ``{ from = "1 ohm", to = "10 ohm", steps = 5, scale = "log" }``.

    Raises
    ------
    InputError : an empty or unequal list, a key in two axes, an impossible range.
    """
    axes: list[Axis] = []
    seen: set[str] = set()
    for number, table in enumerate(tables):
        where = f"sweep[{number}]"
        values = {key: _values(file, f"{where}.{key}", value) for key, value in table.items()}
        if not values:
            raise InputError(file, where, dict(table), "an axis without keys", "key = [values]")
        lengths = {key: len(items) for key, items in values.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(
                file, where, lengths, "paired keys of different lengths", "lists of one length"
            )
        for key in values:
            if key in seen:
                raise InputError(
                    file, f"{where}.{key}", table[key], "swept twice", "one axis a key"
                )
            seen.add(key)
        axes.append(Axis(values))
    return tuple(axes)


def _values(file: str, key: str, value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return _range(file, key, value)
    if not isinstance(value, list) or not value:
        allowed = 'a list that is not empty, or { from = "1 ohm", to = "10 ohm", steps = 5 }'
        raise InputError(file, key, value, "not the values of an axis", allowed)
    return value


def _range(file: str, key: str, table: Mapping[str, Any]) -> list[str]:
    unknown = set(table) - _RANGE_KEYS
    missing = {"from", "to", "steps"} - set(table)
    if unknown or missing:
        problem = f"unknown {sorted(unknown)}" if unknown else f"missing {sorted(missing)}"
        raise InputError(file, key, dict(table), problem, ", ".join(sorted(_RANGE_KEYS)))
    steps, scale = table["steps"], table.get("scale", "linear")
    if not isinstance(steps, int) or isinstance(steps, bool) or not 2 <= steps <= 1_000_000:
        raise InputError(file, f"{key}.steps", steps, "not a number of steps", "2 to 1000000")
    if scale not in ("linear", "log"):
        raise InputError(file, f"{key}.scale", scale, "unknown scale", "linear, log")
    unit = str(table["to"]).strip().lstrip("+-.0123456789eE").strip()
    try:
        first = parse_quantity(str(table["from"]), unit)
        last = parse_quantity(str(table["to"]), unit)
    except ValueError as error:
        raise InputError(file, key, dict(table), str(error)) from None
    if scale == "log":
        if first <= 0 or last <= 0:
            raise InputError(file, key, dict(table), "a log range through zero", "from, to > 0")
        grid = np.logspace(math.log10(first), math.log10(last), steps)
    else:
        grid = np.linspace(first, last, steps)
    return [f"{float(f'{value:.12g}')!r} {unit}".strip() for value in grid]
