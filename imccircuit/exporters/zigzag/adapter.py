# SPDX-License-Identifier: MIT
"""Measured converters and arrays in ZigZag's cost model of analog in-memory computing.

This file imports nothing but zigzag and is copied as it stands into exports. It reads
``costs.json`` beside it::

    import adapter
    with adapter.use(adapter.load()):
        get_hardware_performance_zigzag(workload, accelerator, mapping, in_memory_compute=True)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from zigzag.hardware.architecture.imc_array import ImcArray
from zigzag.parser import accelerator_factory

SCHEMA = "imccircuit-costs-1"

# What ZigZag counts in: mm², ns and pJ of an SI unit.
MM2, NS, PJ = 1e6, 1e9, 1e12

Part = Mapping[str, Any]


def load(folder: str | Path | None = None) -> dict[str, Part]:
    """Costs of an export by part: ``adc``, ``dac``, ``array``.

    Parameters
    ----------
    folder : where ``costs.json`` stands; by default the folder of this file.

    Raises
    ------
    ValueError : the file has another schema.
    """
    path = (Path(__file__).parent if folder is None else Path(folder)) / "costs.json"
    costs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    schema = costs.pop("schema", None)
    if schema != SCHEMA:
        raise ValueError(f"{path}: schema {schema!r} is not {SCHEMA!r}")
    return costs


@contextmanager
def use(costs: Mapping[str, Part]) -> Iterator[None]:
    """Let ZigZag build its in-memory computing arrays with these costs inside the block."""
    before = accelerator_factory.ImcArray
    accelerator_factory.ImcArray = partial(MeasuredImcArray, costs)
    try:
        yield
    finally:
        accelerator_factory.ImcArray = before


class MeasuredImcArray(ImcArray):
    """ZigZag's array with measured figures where there are any, its own formulas elsewhere.

    Parameters
    ----------
    costs : part → ``energy_j``, ``latency_s``, ``area_m2`` (None: not measured). ``adc`` and
        ``dac`` are for one conversion, ``adc`` with its ``bits``; ``array`` is for one product of
        ``rows`` × ``cols`` cells, everything inside the array included.
    others : as of ZigZag's class.

    Raises
    ------
    ValueError : the array's ADC has another resolution than the measured one.
    """

    def __init__(self, costs: Mapping[str, Part], *args: Any, **others: Any) -> None:
        self.costs = costs
        super().__init__(*args, **others)

    def get_adc_cost(self) -> tuple[float, float, float]:
        """Area in mm², delay in ns and energy in pJ of a conversion."""
        default: tuple[float, float, float] = super().get_adc_cost()
        part = self.costs.get("adc")
        if part is None or self.adc_resolution == 0:
            return default
        if self.adc_resolution != part["bits"]:
            raise ValueError(
                f"the measured ADC has {part['bits']} bits, adc_resolution is {self.adc_resolution}"
            )
        return _measured(part, default)

    def get_dac_cost(self) -> tuple[float, float, float]:
        """Area in mm², delay in ns and energy in pJ of a DAC."""
        part = self.costs.get("dac")
        default: tuple[float, float, float] = super().get_dac_cost()
        return default if part is None else _measured(part, default)

    def get_area(self) -> None:
        """Area breakdown in mm², cells as measured where they were."""
        super().get_area()
        part = self.costs.get("array", {})
        if part.get("area_m2") is not None:
            cells = self.total_unit_count * self.weight_precision
            self.area_breakdown["cells"] = _per_cell(part, "area_m2") * MM2 * cells
            self.area_breakdown["mults"] = 0.0
            self.area = sum(self.area_breakdown.values())

    def get_tclk(self) -> None:
        """Delay breakdown in ns, cells as measured where they were."""
        super().get_tclk()
        part = self.costs.get("array", {})
        if part.get("latency_s") is not None:
            self.tclk_breakdown["cells"] = part["latency_s"] * NS
            self.tclk_breakdown["mults"] = 0.0
            self.tclk = sum(self.tclk_breakdown.values())

    def get_peak_energy_single_cycle(self) -> dict[str, float]:
        """Energy breakdown of a cycle of the full array in pJ."""
        return self._with_cells(super().get_peak_energy_single_cycle())

    def get_energy_for_a_layer(self, layer: Any, mapping: Any) -> dict[str, float]:
        """Energy breakdown of a layer in pJ."""
        found = self._with_cells(super().get_energy_for_a_layer(layer, mapping))
        self.energy_breakdown, self.energy = found, sum(found.values())
        return found

    def _with_cells(self, found: dict[str, float]) -> dict[str, float]:
        """Put the measured energy of the cells for ZigZag's three entries that mean the same."""
        part = self.costs.get("array", {})
        if part.get("energy_j") is None:
            return found
        tech = self.tech_param
        # ZigZag counts bl_cap·vdd² for every cell on an active bit line: its count, our energy.
        counted = found["analog_bl_addition"] / (tech["bl_cap"] * tech["vdd"] ** 2)
        cells = counted * _per_cell(part, "energy_j") * PJ
        return {**found, "analog_bl_addition": cells, "mults": 0.0, "local_bl_precharging": 0.0}


def _per_cell(part: Part, name: str) -> float:
    return float(part[name]) / float(part["rows"] * part["cols"])


def _measured(part: Part, default: tuple[float, float, float]) -> tuple[float, float, float]:
    """Area, delay, energy of a part, ZigZag's own where it was not measured."""
    area, delay, energy = (
        own if part.get(name) is None else part[name] * scale
        for (name, scale), own in zip(
            (("area_m2", MM2), ("latency_s", NS), ("energy_j", PJ)), default, strict=True
        )
    )
    return area, delay, energy
