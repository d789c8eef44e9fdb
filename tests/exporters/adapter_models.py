"""Small models by hand for adapters of simulators, and what holds for every adapter."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from imccircuit.exporters.content import content_of
from imccircuit.exporters.own_code import import_own
from imccircuit.exporters.target import Target
from imccircuit.surrogates.files import load_model

# Two chips of a 2-bit converter of 1 V, with the weights of their bits.
LEVELS = np.array([[0.2, 0.6, 0.8], [0.25, 0.45, 0.9]])
CONVERTER = {
    "transition_level": LEVELS,
    "full_scale_v": np.array(1.0),
    "bit_weight": np.array([[0.2, 0.6], [0.25, 0.45]]),
    "level_offset": np.zeros(2),
}


def hand_made(target: Any, folder: Path, arrays: dict[str, Any]) -> Any:
    """Adapter of ``target`` over arrays that no surrogate has seen."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "model.npz", schema=np.array(target.SCHEMA), **arrays)
    shutil.copyfile(target.SOURCE, folder / target.ADAPTER)
    return import_own(folder, target.ADAPTER, target.SOURCE)


def code_of(level: np.ndarray, voltage: float) -> int:
    """Number of levels below a voltage."""
    return sum(bool(one < voltage) for one in level)


def check_written(target: Any, model_path: Path, folder: Path, packages: set[str]) -> None:
    """Data as in the model, every quantity in the fidelity list, code of ours alone."""
    content = content_of(load_model(model_path))
    with np.load(folder / "model.npz", allow_pickle=False) as file:
        assert str(file["schema"]) == target.SCHEMA
        for name, array in content.arrays.items():
            np.testing.assert_array_equal(file[name], array.values)
        for name, number in content.numbers.items():
            assert (name in file.files) == (number is not None)
            if number is not None:
                assert float(file[name]) == number
    found: Target = target.TARGET
    assert [item.quantity for item in found.fidelity(content)] == [
        item.quantity for item in content.fidelity
    ]
    text = (folder / target.ADAPTER).read_text(encoding="utf-8")
    assert text.startswith("# SPDX-License-Identifier: MIT")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            name = getattr(node, "module", None) or node.names[0].name
            allowed = {*sys.stdlib_module_names, "numpy", *packages}
            assert name.partition(".")[0] in allowed, name
