# SPDX-License-Identifier: MIT
"""A measured macro as one layer of aihwkit 1.1.0: array, amplifiers and converters.

This file imports numpy, torch and the adapters in the folders ``array`` and ``converters`` beside
it, and is copied as it stands into exports. It reads ``macro.json`` beside it.
"""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

SCHEMA = "imccircuit-macro-1"


def _facts() -> dict[str, Any]:
    path = Path(__file__).with_name("macro.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if found.get("schema") != SCHEMA:
        raise ValueError(f"{path}: not of schema {SCHEMA}")
    return found


def _adapter(part: str) -> Any:
    import sys

    path = Path(__file__).parent / part / "imc_aihwkit.py"
    spec = spec_from_file_location(f"imc_aihwkit_{part}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"no adapter {path}")
    module = module_from_spec(spec)
    # Dataclasses look for the module that they stand in.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


FACTS = _facts()
array, adc = _adapter("array"), _adapter("converters")


class Macro:
    """A chip of the macro.

    Parameters
    ----------
    chip : measured chip.

    Attributes
    ----------
    layer : the AnalogLinear in double, without aihwkit's own defaults; its input of 1 is the read
        voltage from the bias on, and it has an output for every column of the array, of which only
        the first ``converters`` have a converter of their own.
    """

    def __init__(self, chip: int = 0) -> None:
        count = int(FACTS["converters"])
        self._count = count
        self._v_max = abs(float(FACTS["read_voltage_v"])) or 1.0
        cells = array.Array(v_max=self._v_max, chip=chip)
        gain = float(array.MODEL["transresistance_ohm"]) * cells.scale_a
        # The amplifiers invert, V = offset - R·I, so the limits fall.
        converters = adc.Converters(
            (0.0, -float(adc.MODEL["full_scale_v"]) / gain),
            chips=tuple(chip * count + j for j in range(count)),
            offset_v=tuple(array.MODEL["output_offset"][chip]),
        )
        config = array.configure(array=cells, converters=converters, ideal=True, double=True)
        self.layer = array.measured_layer(config, chip).eval()
        self._limits, self._steps = (converters.low, converters.high), converters.steps

    def codes(self, voltage_v: ArrayLike) -> NDArray[np.int64]:
        """Codes (batch, converter) for voltages (batch, row) of the rows in V."""
        torch = array.torch
        voltage = np.atleast_2d(np.asarray(voltage_v, dtype=np.float64))
        inputs = (voltage - float(FACTS["bias_voltage_v"])) / self._v_max
        with torch.no_grad():
            values = self.layer(torch.from_numpy(inputs)).numpy()[:, : self._count]
        low, high = self._limits
        return np.asarray(np.floor((values - low) / (high - low) * self._steps), dtype=np.int64)
