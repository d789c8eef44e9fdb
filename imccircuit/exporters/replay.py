"""Replaying an export: stored vectors through the target's own code, and how far it is off."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.devices.npz import read_npz
from imccircuit.errors import FileFormatError


@dataclass(frozen=True)
class Difference:
    """How far one output of a target is from what the surrogate answers.

    Attributes
    ----------
    quantity, unit : what is compared.
    compared : how many values.
    apart : how many of them differ by more than ``bound``; one that is not finite does.
    largest : largest difference in ``unit``; infinite where an answer is not finite.
    bound : what is stated for the target, in ``unit``.
    """

    quantity: str
    unit: str
    compared: int
    apart: int
    largest: float
    bound: float

    @property
    def good(self) -> bool:
        """Whether something was compared and nothing is apart."""
        return self.compared > 0 and self.apart == 0


@dataclass(frozen=True)
class Replay:
    """What a target's own code answered.

    Attributes
    ----------
    target : its name.
    program : what ran, with its version.
    differences : one for each output.
    """

    target: str
    program: str
    differences: tuple[Difference, ...]

    @property
    def good(self) -> bool:
        """Whether every output is within its bound."""
        return bool(self.differences) and all(item.good for item in self.differences)


def compare_values(
    quantity: str, unit: str, answered: ArrayLike, expected: ArrayLike, bound: float
) -> Difference:
    """Compare two arrays of one shape in ``unit``.

    Raises
    ------
    FileFormatError : their shapes differ: the export does not fit its own vectors.
    """
    a, b = np.asarray(answered, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if a.shape != b.shape:
        text = f"{quantity}: the target answers {a.shape}, stored are {b.shape}"
        raise FileFormatError(text)
    apart = np.abs(a - b)
    apart[~np.isfinite(apart)] = np.inf
    largest = float(np.max(apart, initial=0.0))
    return Difference(quantity, unit, a.size, int(np.sum(apart > bound)), largest, bound)


def compare_codes(quantity: str, answered: ArrayLike, expected: ArrayLike) -> Difference:
    """Compare codes, none of which may differ; `FileFormatError` as `compare_values`."""
    return compare_values(quantity, "1", answered, expected, 0.0)


def stored_vectors(folder: Path) -> Mapping[str, NDArray[Any]]:
    """Arrays of an export's ``replay.npz``.

    Raises
    ------
    FileFormatError : there is none, or it is none.
    """
    path = folder / "replay.npz"
    try:
        # Copies that may be written to: torch warns of others.
        found = {name: np.array(values) for name, values in read_npz(path).items()}
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path}: no vectors to replay: {error}") from None
    given = "input" if "input" in found else "voltage"
    missing = {"chip", given} - set(found)
    if missing or not any(name.startswith("expected_") for name in found):
        what = min(missing, default="expected_…")
        raise FileFormatError(f"{path}: no vectors to replay: no {what} in it")
    return found


def numbers_in(path: Path, text: str, mark: str) -> dict[str, float]:
    """Numbers that a text export states, in lines ``mark name = value``.

    Raises
    ------
    FileFormatError : a value is no number.
    """
    pairs = re.findall(rf"^{re.escape(mark)} (\w+) = (\S+)$", text, re.MULTILINE)
    try:
        return {name: float(value) for name, value in pairs}
    except ValueError as error:
        raise FileFormatError(f"{path}: a stated number is none: {error}") from None


def exported_target(folder: Path) -> tuple[str, str]:
    """Name of the target that a folder was exported for, and kind of the model.

    Raises
    ------
    FileFormatError : the folder is no export.
    """
    path = folder / "provenance.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return str(found["target"]), str(found["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        raise FileFormatError(f"{folder}: no export of imccircuit ({path.name})") from None
