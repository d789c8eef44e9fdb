# SPDX-License-Identifier: MIT
"""A measured macro as one core of CrossSim 3.2: array, amplifiers and converters.

This file imports numpy and the adapters in the folders ``array`` and ``converters`` beside it, and
is copied as it stands into exports. It reads ``macro.json`` beside it.
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
    path = Path(__file__).parent / part / "imc_crosssim.py"
    spec = spec_from_file_location(f"imc_crosssim_{part}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"no adapter {path}")
    module = module_from_spec(spec)
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
    core : the AnalogCore, whose input of 1 is the read voltage from the bias on.
    """

    def __init__(self, chip: int = 0) -> None:
        count = int(FACTS["converters"])
        self._count = count
        self._v_max = abs(float(FACTS["read_voltage_v"])) or 1.0
        gain = float(array.MODEL["transresistance_ohm"])
        largest = float(np.max(array.MODEL["conductance"])) * self._v_max
        # The amplifiers invert, V = offset - R·I, so the limits fall; the converters take the
        # place of what adds the offsets of the currents.
        self._limits = (0.0, -float(adc.MODEL["full_scale_v"]) / (gain * largest))
        offset = array.MODEL["output_offset"][chip] - gain * array.MODEL["offset_current"][chip]
        self._batch = "effective_conductance" in array.MODEL

        def converters(params: Any) -> None:
            own = tuple(chip * count + j for j in range(count))
            adc.configure_adc(params, self._limits, chips=own, offset_v=offset)

        wires = "effective" if self._batch else "solver"
        self.core = array.measured_core(
            v_max=self._v_max, chip=chip, wires=wires, converters=converters
        )

    def codes(self, voltage_v: ArrayLike) -> NDArray[np.int64]:
        """Codes (batch, converter) for voltages (batch, row) of the rows in V."""
        voltage = np.atleast_2d(np.asarray(voltage_v, dtype=np.float64))
        inputs = (voltage - float(FACTS["bias_voltage_v"])) / self._v_max
        # A batch of nonlinear cells holds all cells of each vector.
        parts = [inputs] if self._batch else list(inputs[:, None])
        values = np.concatenate([np.asarray(self.core @ part.T).T for part in parts])
        return np.asarray(adc.codes_of(values[:, : self._count], self._limits))
