"""Axes of a sweep: keys in one table advance together, tables are multiplied."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imccircuit.errors import InputError
from imccircuit.units import parse_quantity

MOST_VALUES = 100_000
# Of a longer axis so many values, evenly spaced, are tried with all keys together before a run;
# each is checked by itself.
MOST_TRIED = 256
_NUMBER = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
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

    def tried(self) -> list[int]:
        """Indices that are tried before a run: all of a short axis, both ends of a long one."""
        count = len(self)
        if count <= MOST_TRIED:
            return list(range(count))
        return [int(index) for index in np.linspace(0, count - 1, MOST_TRIED)]

    def step(self, index: int) -> dict[str, Any]:
        """Values of its keys at an index."""
        return {key: values[index] for key, values in self.values.items()}


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
        if not table:
            raise InputError(file, where, dict(table), "an axis without keys", "key = [values]")
        values = {key: _values(file, f"{where}.{key}", value) for key, value in table.items()}
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
    if len(value) > MOST_VALUES:
        raise InputError(file, key, value, f"{len(value)} values", f"at most {MOST_VALUES}")
    return value


def _range(file: str, key: str, table: Mapping[str, Any]) -> list[Any]:
    """Values from ``from`` to ``to``: numbers where these are numbers, else quantities."""
    unknown = set(table) - _RANGE_KEYS
    missing = {"from", "to", "steps"} - set(table)
    if unknown or missing:
        problem = f"unknown {sorted(unknown)}" if unknown else f"missing {sorted(missing)}"
        raise InputError(file, key, dict(table), problem, ", ".join(sorted(_RANGE_KEYS)))
    steps, scale = table["steps"], table.get("scale", "linear")
    if not isinstance(steps, int) or isinstance(steps, bool) or not 2 <= steps <= MOST_VALUES:
        raise InputError(
            file, f"{key}.steps", steps, "not a number of steps", f"2 to {MOST_VALUES}"
        )
    if scale not in ("linear", "log"):
        raise InputError(file, f"{key}.scale", scale, "unknown scale", "linear, log")
    first, last, unit = _ends(file, key, table)
    if scale == "log":
        if first <= 0 or last <= 0:
            raise InputError(file, key, dict(table), "a log range through zero", "from, to > 0")
        grid = np.logspace(math.log10(first), math.log10(last), steps)
    else:
        grid = np.linspace(first, last, steps)
    values = [float(f"{value:.12g}") for value in grid]
    if isinstance(table["from"], str):
        return [f"{value!r} {unit}".strip() for value in values]
    if all(value.is_integer() for value in values):
        return [int(value) for value in values]
    return values


def _ends(file: str, key: str, table: Mapping[str, Any]) -> tuple[float, float, str]:
    """Both ends in the unit of ``to``, and that unit; empty for bare numbers."""
    ends = (table["from"], table["to"])
    if all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        if not all(-1e300 < end < 1e300 for end in ends):
            raise InputError(file, key, dict(table), "not a finite range")
        return float(ends[0]), float(ends[1]), ""
    if not all(isinstance(end, str) for end in ends):
        allowed = "two quantities with units, or two numbers"
        raise InputError(file, key, dict(table), "from and to do not go together", allowed)
    unit = _NUMBER.sub("", ends[1].strip(), count=1).strip()
    try:
        return parse_quantity(ends[0], unit), parse_quantity(ends[1], unit), unit
    except ValueError as error:
        problem, _, allowed = str(error).partition("; allowed: ")
        raise InputError(file, key, dict(table), problem, allowed) from None
