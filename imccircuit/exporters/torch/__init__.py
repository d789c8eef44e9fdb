"""Target ``torch``: layers of PyTorch with gradients, for CPU and GPU."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.content import (
    NOISE_OF_A_CONVERSION,
    Content,
    Fidelity,
    plain,
    write_npz,
)
from imccircuit.exporters.curves import row_terms, stated_error
from imccircuit.exporters.replay import Replay, compare_codes, compare_values, stored_vectors
from imccircuit.exporters.target import Target
from imccircuit.exporters.torch.load import MODULE, load_layers
from imccircuit.surrogates.base import Surrogate

_RUNTIME = Path(__file__).with_name("runtime.py")
# As in `runtime.SCHEMA`, which only those who have torch can import.
_SCHEMA = "imccircuit-torch-1"
_USE = {
    "adc": """\
adc = imc_torch.load()                     # chip 0; chip=[0, 1, …] is one for each column
codes = adc(voltages)                      # V in, codes out, straight-through gradient
soft = imc_torch.load(smooth_v=adc.lsb_v)  # gradient of the staircase averaged over this width""",
    "crossbar": """\
array = imc_torch.load(chip=0)
currents = array.currents_a(voltages)      # (batch, row) V in, (batch, col) A out
array.to("cuda")                           # tables are buffers""",
}


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    numbers = {name: np.asarray(v) for name, v in content.numbers.items() if v is not None}
    head = {"schema": np.asarray(_SCHEMA), "kind": np.asarray(content.kind)}
    arrays: dict[str, NDArray[Any]] = {**head, **numbers, **plain(content.arrays)}
    if content.needs_solver:
        terms = row_terms(content)
        arrays["current_terms"] = terms
        arrays["stated_error_a"] = np.asarray(stated_error(content, terms))
    write_npz(folder / "model.npz", arrays)
    shutil.copyfile(_RUNTIME, folder / MODULE)


def _usage(content: Content) -> str:
    lines = _USE[content.kind]
    if "population_mean" in content.arrays:
        lines += "\nnew = imc_torch.load(population=True)      # new converters in every pass"
    if content.numbers.get("noise_sampled_v") is not None:
        lines += "\nnoisy = imc_torch.load(noise=True)         # by torch.manual_seed"
    if content.numbers.get("transresistance_ohm") is not None:
        lines += "\noutputs = array(voltages)                  # amplifier outputs in V"
    return (
        "Put this folder anywhere; it needs torch ≥ 2.4 and numpy.\n\n"
        "```python\n"
        f"import imc_torch                           # {MODULE}, in this folder\n"
        f"{lines}\n"
        "```"
    )


def _fidelity(content: Content) -> tuple[Fidelity, ...]:
    found = []
    for item in content.fidelity:
        if item.quantity == NOISE_OF_A_CONVERSION and content.numbers.get("noise_sampled_v"):
            how = "law and sigmas of the surrogate; torch's generator draws"
            found.append(Fidelity(item.quantity, "approximated", how))
        elif item.quantity == "cells and wires" and content.needs_solver:
            error = stated_error(content, row_terms(content))
            largest = float(np.max(np.abs(content.replay["expected_current"].values)))
            how = (
                "a curve of three terms for each row driven alone, summed over rows: on the "
                f"stored vectors off by up to {error:.3g} A, {100 * error / largest:.2g} % of the "
                "largest current"
            )
            found.append(Fidelity(item.quantity, "approximated", how))
        elif item.quantity == "read-out" and content.needs_solver:
            found.append(replace(item, how=item.how + ", on the currents above"))
        else:
            found.append(item)
    if content.kind == "adc":
        found.append(Fidelity("gradient", "approximated", "straight through, or a stated width"))
    return tuple(found)


def _replay(folder: Path) -> Replay:
    module = load_layers(folder)
    import torch

    stored = stored_vectors(folder)
    chips, program = stored["chip"], f"torch {torch.__version__}"
    with torch.no_grad():
        if "input" in stored:
            layers = {chip: module.load(folder, chip=int(chip)) for chip in np.unique(chips)}
            codes = [
                float(layers[c](torch.tensor([v], dtype=torch.float64))[0])
                for v, c in zip(stored["input"], chips, strict=True)
            ]
            return Replay("torch", program, (_codes(codes, stored),))
        arrays = {chip: module.load(folder, chip=int(chip)) for chip in np.unique(chips)}
        voltage = torch.from_numpy(stored["voltage"])
        pairs = list(zip(voltage, chips, strict=True))
        current = np.stack([arrays[c].currents_a(v).numpy() for v, c in pairs])
        output = [arrays[c](v).numpy() for v, c in pairs]
    expected = stored["expected_current"]
    one = next(iter(arrays.values()))
    # Sums in another order are apart by rounding; curves by what the export states.
    bound = 1e-13 * float(np.max(np.abs(expected))) + 1.001 * one.stated_error_a
    found = [compare_values("current", "A", current, expected, bound)]
    if "expected_output_voltage" in stored:
        expected = stored["expected_output_voltage"]
        bound = bound * one.transresistance_ohm + 1e-13 * float(np.max(np.abs(expected)))
        found.append(compare_values("output", "V", np.stack(output), expected, bound))
    return Replay("torch", program, tuple(found))


def _codes(codes: list[float], stored: Any) -> Any:
    return compare_codes("code", np.array(codes), stored["expected_code"])


TARGET = Target("torch", "layers of PyTorch", _usage, _write, replay=_replay, fidelity=_fidelity)
