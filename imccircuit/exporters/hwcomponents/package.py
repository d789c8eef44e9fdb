# SPDX-License-Identifier: MIT
"""Measured converters and arrays as components of hwcomponents.

This file imports nothing but hwcomponents and stands, as it is, in exports as the package
``hwcomponents_imc``, whose name makes hwcomponents find it wherever it is on the Python path. It
reads ``costs.json`` beside it. What was not measured is not made up: asking for it raises a
ValueError, upon which hwcomponents takes the next best model that it knows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hwcomponents import ActionCost, ComponentModel, action

SCHEMA = "imccircuit-costs-1"
COSTS = Path(__file__).with_name("costs.json")


def load(part: str) -> dict[str, Any]:
    """Costs of a part of the export: ``adc`` or ``array``.

    Raises
    ------
    ValueError : the file has another schema, or the export has no such part.
    """
    costs: dict[str, Any] = json.loads(COSTS.read_text(encoding="utf-8"))
    if costs.get("schema") != SCHEMA:
        raise ValueError(f"{COSTS}: schema {costs.get('schema')!r} is not {SCHEMA!r}")
    if part not in costs:
        raise ValueError(f"{COSTS}: no {part} was measured")
    found: dict[str, Any] = costs[part]
    return found


class _Measured(ComponentModel):
    """A part of the export; leakage is 0 W, for what leaks during an action is in its energy."""

    priority = 0.9
    part = ""

    def __init__(self, **asked: int) -> None:
        self._costs = load(self.part)
        for name, value in asked.items():
            if value != self._costs[name]:
                raise ValueError(f"{name} = {value} was not measured; {self._costs[name]} was")
        super().__init__(leak_power=0.0, area=self._costs["area_m2"] or 0.0)

    @property
    def area(self) -> float:
        """Area in m²; ValueError if it was not measured."""
        self._known("area_m2")
        return float(super().area)

    def _known(self, name: str) -> float:
        value = self._costs[name]
        if value is None:
            raise ValueError(f"{name} of this {self.part} was not measured")
        return float(value)

    def _cost(self) -> ActionCost:
        # An operation begins when the last one has ended: nothing is known of pipelines.
        latency = self._known("latency_s")
        return ActionCost(energy=self._known("energy_j"), latency=latency, throughput=1 / latency)


class ImcAdc(_Measured):
    """The measured ADC.

    Parameters
    ----------
    n_bits : resolution; any other than the measured one raises a ValueError.
    """

    component_name = ["imc_adc", "adc"]  # noqa: RUF012 - hwcomponents takes no tuple
    part = "adc"

    def __init__(self, n_bits: int) -> None:
        super().__init__(bits=n_bits)

    @action
    def convert(self) -> ActionCost:
        """One conversion."""
        return self._cost()

    @action
    def read(self) -> ActionCost:
        """One conversion, under the name that architectures often give it."""
        return self._cost()


class ImcArray(_Measured):
    """The measured array of cells.

    Parameters
    ----------
    n_rows, n_cols : its size; any other than the measured one raises a ValueError.
    """

    component_name = "imc_array"
    part = "array"

    def __init__(self, n_rows: int, n_cols: int) -> None:
        super().__init__(rows=n_rows, cols=n_cols)

    @action
    def compute(self) -> ActionCost:
        """One product of a vector and the whole array."""
        return self._cost()
