"""Replay of bundles: what their reader computes from the files alone, by docs/bundle-format.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.npz import read_npz
from imccircuit.errors import FileFormatError, UsageError
from imccircuit.exporters.bundle.network import solve_network
from imccircuit.exporters.replay import (
    Difference,
    Replay,
    compare_codes,
    compare_values,
    stored_vectors,
)

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]
Numbers = Mapping[str, Any]

READABLE = ("imccircuit-bundle-1", "imccircuit-bundle-2", "imccircuit-bundle-3")
_CONSTANT_OFFSETS = READABLE[:2]
_KINDS = ("adc", "crossbar", "macro")


def replay_bundle(folder: Path) -> Replay:
    """Stored vectors by the formulas of docs/bundle-format.md, with numpy and scipy.

    Codes may not differ. Currents of linear cells are off by the rounding of sums in another order,
    those of nonlinear cells by 1e-10 of the largest besides, which the surrogate's solver promises.

    Raises
    ------
    UsageError : a kind without stored vectors.
    FileFormatError : the folder is no whole bundle.
    """
    head, arrays = _read(folder)
    kind, numbers = str(head["kind"]), head["numbers"]
    if kind not in _KINDS:
        raise UsageError(f"{folder}: no vectors are stored of kind {kind}; nothing to replay")
    solved = any(name.rpartition(".")[2] == "cell_conductance" for name in arrays)
    offsets = any(name.rpartition(".")[2] == "input_offset" for name in arrays)
    if head["schema"] in _CONSTANT_OFFSETS and solved and offsets:
        text = "takes offsets of amplifiers for constant currents; fit and export again"
        raise UsageError(f"{folder}: a bundle of schema {head['schema']!r} {text}")
    stored = stored_vectors(folder)
    program = f"numpy {np.__version__}, formulas of docs/bundle-format.md"
    try:
        if kind == "adc":
            found = _converters(arrays, stored)
        elif kind == "crossbar":
            found = _crossbars(arrays, numbers, stored)
        else:
            found = _macros(arrays, numbers, stored)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise FileFormatError(f"{folder}: no whole bundle: {error}") from None
    return Replay("bundle", program, found)


def _read(folder: Path) -> tuple[dict[str, Any], Arrays]:
    path = folder / "bundle.json"
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
        schema, _, _ = head["schema"], head["kind"], head["numbers"]
        arrays = read_npz(folder / "bundle.npz")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{folder}: no whole bundle: {error}") from None
    if schema not in READABLE:
        raise FileFormatError(f"{path}: schema {schema!r}; allowed: {', '.join(READABLE)}")
    return head, arrays


def _code(levels_v: Floats, voltage_v: float) -> int:
    """Number of levels below; -1 where there is no voltage."""
    return -1 if np.isnan(voltage_v) else int(np.sum(levels_v < voltage_v))


def _converters(arrays: Arrays, stored: Arrays) -> tuple[Difference, ...]:
    levels = arrays["transition_level"]
    pairs = zip(stored["input"], stored["chip"], strict=True)
    codes = [_code(levels[chip], v) for v, chip in pairs]
    return (compare_codes("code", codes, stored["expected_code"]),)


def _crossbars(arrays: Arrays, numbers: Numbers, stored: Arrays) -> tuple[Difference, ...]:
    current = _currents(arrays, numbers, stored["voltage"], stored["chip"])
    expected = stored["expected_current"]
    linear = "effective_conductance" in arrays
    share = 1e-13 if linear else 2e-10
    bound = share * float(np.max(np.abs(expected), initial=0.0))
    found = [compare_values("current", "A", current, expected, bound)]
    if "expected_output_voltage" in stored:
        output = _outputs(arrays, numbers, current, stored["chip"])
        expected = stored["expected_output_voltage"]
        bound = bound * abs(float(numbers["transresistance_ohm"]))
        bound += 1e-13 * float(np.max(np.abs(expected), initial=0.0))
        found.append(compare_values("output voltage", "V", output, expected, bound))
    return tuple(found)


def _macros(arrays: Arrays, numbers: Numbers, stored: Arrays) -> tuple[Difference, ...]:
    array, own = _part(arrays, "array"), _part(numbers, "array")
    chips = stored["chip"]
    current = _currents(array, own, stored["voltage"] - float(numbers["bias_voltage_v"]), chips)
    output = _outputs(array, own, current, chips)
    columns = range(int(numbers["converters"]))
    levels = [arrays[f"converter_{j}.transition_level"] for j in columns]
    codes = [
        [_code(levels[j][chip], v[j]) for j in columns]
        for v, chip in zip(output, chips, strict=True)
    ]
    expected = stored["expected_code"]
    return (compare_codes("code", np.reshape(codes, expected.shape), expected),)


def _part(found: Mapping[str, Any], part: str) -> dict[str, Any]:
    own = f"{part}."
    return {name.removeprefix(own): a for name, a in found.items() if name.startswith(own)}


def _currents(arrays: Arrays, numbers: Numbers, voltage_v: Floats, chips: NDArray[Any]) -> Floats:
    """Column currents (replay, col) in A for drive voltages (replay, row) in V."""
    cols = arrays["conductance"].shape[-1]
    found: Floats = np.empty((len(chips), cols))
    for k, (drive, chip) in enumerate(zip(voltage_v, chips, strict=True)):
        if "effective_conductance" in arrays:
            found[k] = drive @ arrays["effective_conductance"][chip]
            if "offset_current" in arrays:
                found[k] += arrays["offset_current"][chip]
        else:
            stand = arrays["input_offset"][chip] if "input_offset" in arrays else np.zeros(cols)
            found[k] = solve_network(arrays["cell_conductance"][chip], drive, stand, numbers)
    return found


def _outputs(arrays: Arrays, numbers: Numbers, current_a: Floats, chips: NDArray[Any]) -> Floats:
    slope = float(numbers["transresistance_ohm"])
    return np.asarray(arrays["output_offset"][chips] - slope * current_a)
