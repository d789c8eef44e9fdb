"""Target ``numpy``: a Python module and its data, for users who have numpy and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.content import (
    DRIVER_LEVEL,
    Content,
    flat_arrays,
    flat_numbers,
    plain,
    write_npz,
)
from imccircuit.exporters.numpy import runtime
from imccircuit.exporters.numpy.load import MODULE, load_exported
from imccircuit.exporters.replay import Replay, compare_codes, compare_values, stored_vectors
from imccircuit.exporters.target import Target
from imccircuit.nodal import lines
from imccircuit.surrogates.base import Surrogate

_USE = {
    "adc": """\
codes = model.convert([0.1, 0.5])         # V in, codes out
codes = model.convert(0.5, chip=0)        # chips 0 to model.chips - 1
levels = model.levels_v[0]                # transition levels in V""",
    "crossbar": """\
rows, cols = model.shape
currents = model.currents_a(voltages)     # (batch, row) V in, (batch, col) A out
currents = model.currents_a(voltages, chip=0)""",
    "macro": """\
codes = model.codes(voltages)             # (batch, row) V in, (batch, converter) codes out
codes = model.codes_of_inputs(inputs, chip=0)  # inputs from 0 to 1 of the read voltage
model.array, model.converters             # its parts: a Crossbar, and an Adc for each column""",
}


def model_arrays(content: Content) -> dict[str, NDArray[Any]]:
    """Arrays of ``model.npz``: what the classes of `runtime` take."""
    numbers = {name: np.asarray(v) for name, v in flat_numbers(content).items() if v is not None}
    head = {"schema": np.asarray(runtime.SCHEMA), "kind": np.asarray(content.kind)}
    return {**head, **numbers, **plain(flat_arrays(content))}


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    write_npz(folder / "model.npz", model_arrays(content))
    shutil.copyfile(runtime.__file__, folder / MODULE)
    if content.needs_solver:
        shutil.copyfile(lines.__file__, folder / "lines.py")


def _usage(content: Content) -> str:
    lines_of_use = _USE[content.kind]
    if DRIVER_LEVEL in content.arrays:
        lines_of_use += "\ncodes = model.codes_of_row_codes(row_codes)  # of the rows' drivers"
    if content.numbers.get("transresistance_ohm") is not None:
        lines_of_use += "\nvoltages_out = model.outputs_v(voltages)  # amplifier outputs in V"
    return (
        "Put this folder anywhere; it needs numpy and nothing else.\n\n"
        "```python\n"
        f"import imc_model                          # {MODULE}, in this folder\n"
        "model = imc_model.load()\n"
        f"{lines_of_use}\n"
        "```"
    )


def _replay(folder: Path) -> Replay:
    model, stored = load_exported(folder), stored_vectors(folder)
    chips = stored["chip"]
    program = f"numpy {np.__version__}"
    if "input" in stored:
        codes = [model.convert(v, int(c)) for v, c in zip(stored["input"], chips, strict=True)]
        found = compare_codes("code", np.array(codes), stored["expected_code"])
        return Replay("numpy", program, (found,))
    if "expected_current" not in stored:
        codes = [model.codes(v, int(c))[0] for v, c in zip(stored["voltage"], chips, strict=True)]
        shape = stored["expected_code"].shape
        found = compare_codes("code", np.reshape(codes, shape), stored["expected_code"])
        return Replay("numpy", program, (found,))
    answers = [
        model.currents_a(v, int(c))[0] for v, c in zip(stored["voltage"], chips, strict=True)
    ]
    expected = stored["expected_current"]
    bound = (2e-10 if not model.linear else 1e-13) * float(np.max(np.abs(expected)))
    return Replay(
        "numpy", program, (compare_values("current", "A", np.array(answers), expected, bound),)
    )


TARGET = Target(
    "numpy",
    "a self-contained numpy module",
    _usage,
    _write,
    replay=_replay,
    kinds=("adc", "crossbar", "macro"),
)
