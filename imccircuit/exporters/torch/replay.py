"""Stored vectors through the layers of an export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.own_code import reading_own
from imccircuit.exporters.parts import levels_within
from imccircuit.exporters.replay import (
    Difference,
    Replay,
    compare_codes,
    compare_values,
    stored_vectors,
)
from imccircuit.exporters.torch.load import load_layers

Stored = Mapping[str, NDArray[Any]]


def replay_torch(folder: Path) -> Replay:
    """How far the layers are from the surrogate; see docs/exports/torch.md for the bounds.

    Raises
    ------
    FileFormatError : the folder is no such export, or its code is not ours.
    SetupError : torch is not installed.
    """
    module = load_layers(folder)
    import torch

    stored = stored_vectors(folder)
    with reading_own(folder):
        layers = {chip: module.load(folder, chip=int(chip)) for chip in np.unique(stored["chip"])}
    with torch.no_grad():
        if "input" in stored:
            found = _of_converters(layers, stored, torch)
        elif "expected_current" in stored:
            found = _of_arrays(layers, stored, torch)
        else:
            found = _of_macros(layers, stored, torch)
    return Replay("torch", f"torch {torch.__version__}", found)


def _of_converters(layers: Any, stored: Stored, torch: Any) -> tuple[Difference, ...]:
    codes = [
        float(layers[c](torch.tensor([v], dtype=torch.float64))[0])
        for v, c in zip(stored["input"], stored["chip"], strict=True)
    ]
    return (compare_codes("code", np.array(codes), stored["expected_code"]),)


def _of_arrays(layers: Any, stored: Stored, torch: Any) -> tuple[Difference, ...]:
    pairs = list(zip(torch.tensor(stored["voltage"]), stored["chip"], strict=True))
    current = np.stack([layers[c].currents_a(v).numpy() for v, c in pairs])
    expected = stored["expected_current"]
    one = next(iter(layers.values()))
    # Sums in another order are apart by rounding; curves by what the export states.
    bound = 1e-13 * float(np.max(np.abs(expected))) + 1.001 * one.stated_error_a
    found = [compare_values("current", "A", current, expected, bound)]
    if "expected_output_voltage" in stored:
        output = np.stack([layers[c](v).numpy() for v, c in pairs])
        expected = stored["expected_output_voltage"]
        bound = bound * one.transresistance_ohm + 1e-13 * float(np.max(np.abs(expected)))
        found.append(compare_values("output", "V", output, expected, bound))
    return tuple(found)


def _of_macros(layers: Any, stored: Stored, torch: Any) -> tuple[Difference, ...]:
    pairs = list(zip(torch.tensor(stored["voltage"]), stored["chip"], strict=True))
    expected = stored["expected_code"]
    codes = np.reshape([layers[c](v).numpy() for v, c in pairs], expected.shape)
    error_v = max(
        (one.array.stated_error_a * one.array.transresistance_ohm for one in layers.values()),
        default=0.0,
    )
    # Linear arrays are exact; curves move a converter's input by what the export states, and its
    # code by the levels that lie within that.
    bound = max((levels_within(one.adc.levels_v.numpy(), 1.001 * error_v)
                 for one in layers.values()), default=0)  # fmt: skip
    return (compare_values("code", "1", codes, expected, float(bound)),)
