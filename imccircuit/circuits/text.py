"""Text of netlists made from arrays: numbers, element lines and the names of vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError

Grid = Sequence[Sequence[str]]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def numbers(values: NDArray[np.float64]) -> list[str]:
    """Write floats in C order, each as the shortest text that reads back as the same float.

    At most 17 significant digits, exponent in place of engineering suffixes.
    """
    return [repr(value) for value in values.ravel().tolist()]


def check_name(name: str, what: str) -> str:
    """``name`` if a deck can hold it as one word.

    Raises
    ------
    UsageError : it has blanks, line breaks or signs that would change the netlist.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{what} {name!r} is not a SPICE name; allowed: letters, digits, _ and .")
    return name


def flat(grid: Grid) -> list[str]:
    """Names of a (row, col) grid in C order."""
    return [name for line in grid for name in line]


def voltage_vectors(nodes: Iterable[str]) -> tuple[str, ...]:
    """Names under which ngspice reports the voltages of ``nodes``."""
    return tuple(f"v({node})" for node in nodes)


def current_vectors(sources: Iterable[str]) -> tuple[str, ...]:
    """Names under which ngspice reports the currents through voltage ``sources``.

    Positive from the plus node through the source to the minus node.
    """
    return tuple(f"i({source})" for source in sources)
