"""Target ``torch``: layers of PyTorch with gradients, for CPU and GPU."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.amounts import gradient_error
from imccircuit.exporters.array_terms import offset_fidelity
from imccircuit.exporters.content import (
    NOISE_OF_A_CONVERSION,
    POPULATIONS,
    Content,
    Fidelity,
    flat_arrays,
    flat_numbers,
    plain,
    write_npz,
)
from imccircuit.exporters.curves import curves_fidelity, row_terms, stated_error
from imccircuit.exporters.parts import parts_fidelity
from imccircuit.exporters.target import Target
from imccircuit.exporters.torch.load import MODULE
from imccircuit.exporters.torch.replay import replay_torch
from imccircuit.surrogates.adc import AdcSurrogate
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
    "macro": """\
macro = imc_torch.load(chip=0)
codes = macro(voltages)                    # (batch, row) V in, (batch, converter) codes out
codes = macro.codes_of_inputs(inputs)      # inputs from 0 to 1 of the read voltage
sampled = macro.sampled_voltage_v(voltages)  # V at the converters""",
}


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    numbers = {name: np.asarray(v) for name, v in flat_numbers(content).items() if v is not None}
    head = {"schema": np.asarray(_SCHEMA), "kind": np.asarray(content.kind)}
    arrays: dict[str, NDArray[Any]] = {**head, **numbers, **plain(flat_arrays(content))}
    if isinstance(model, AdcSurrogate) and model.level_law is not None:
        arrays["level_root"] = model.level_law.root()
    if content.needs_solver:
        array, own = (
            (content.parts["array"], "array.") if content.kind == "macro" else (content, "")
        )
        terms = row_terms(array)
        arrays[f"{own}current_terms"] = terms
        arrays[f"{own}stated_error_a"] = np.asarray(stated_error(array, terms))
    write_npz(folder / "model.npz", arrays)
    shutil.copyfile(_RUNTIME, folder / MODULE)


def _usage(content: Content) -> str:
    lines = _USE[content.kind]
    if not POPULATIONS.isdisjoint(content.arrays):
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
    if content.kind == "macro":
        return parts_fidelity(content, _fidelity)
    found = []
    for item in content.fidelity:
        known = content.numbers.get("noise_sampled_v") is not None
        if item.quantity == NOISE_OF_A_CONVERSION and known:
            how = (
                "law and sigmas of the surrogate; torch's generator draws; no amount: the draws "
                "are others of the same law"
            )
            found.append(Fidelity(item.quantity, "approximated", how))
        elif item.quantity == "cells and wires" and content.needs_solver:
            found.append(curves_fidelity(content, item.quantity, row_terms(content)))
        elif item.quantity == "read-out" and content.needs_solver:
            found.append(offset_fidelity(content, item))
        else:
            found.append(item)
    if content.kind == "adc":
        how = (
            "straight through, or a stated width; amount: rms over the steps of the converters, in "
            "codes, of what the straight gradient makes of a step of 1"
        )
        found.append(Fidelity("gradient", "approximated", how, gradient_error(content), "codes"))
    return tuple(found)


TARGET = Target(
    "torch",
    "layers of PyTorch",
    _usage,
    _write,
    replay=replay_torch,
    fidelity=_fidelity,
    kinds=("adc", "crossbar", "macro"),
)
