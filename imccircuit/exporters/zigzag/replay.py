"""A small layer through ZigZag with an export's costs: does its breakdown say what was measured."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from imccircuit.errors import SetupError
from imccircuit.exporters.costs import read_costs
from imccircuit.exporters.own_code import import_own
from imccircuit.exporters.replay import Difference, Replay, compare_values
from imccircuit.exporters.zigzag import ADAPTER, SOURCE, example

_BITS = 8
"""Of the example's ADC where the export has none."""

_ROUNDING = 1e-12
"""Of sums of a few doubles, relative."""


def replay_zigzag(folder: Path) -> Replay:
    """Run the layer of `example` in ZigZag and compare its breakdowns with the export's costs.

    Expected are conversions × energy of one, converters × area of one, and the delay of one; of
    an array cells × energy of one. Where a cost was not measured, that of ZigZag's own class.

    Raises
    ------
    SetupError : ZigZag is not installed.
    FileFormatError : the folder is no whole export.
    """
    if find_spec("zigzag") is None:
        raise SetupError("ZigZag is not installed; pip install zigzag-dse==3.9.1 six")
    adapter = import_own(folder, ADAPTER, SOURCE)
    costs = read_costs(folder)
    bits = int(costs["adc"]["bits"] or _BITS) if "adc" in costs else _BITS
    own = run_example(bits)
    # ZigZag pickles what it found, and a class is pickled as a name in a module.
    sys.modules[adapter.__name__] = adapter
    try:
        with adapter.use(costs):
            found = run_example(bits)
    finally:
        del sys.modules[adapter.__name__]
    differences = _compare(found, own, costs)
    return Replay("zigzag", f"zigzag-dse {version('zigzag-dse')}", differences)


def run_example(adc_bits: int) -> dict[str, dict[str, float]]:
    """``energy`` in pJ, ``delay`` in ns and ``area`` in mm² by component, of ZigZag's own run."""
    from zigzag.api import get_hardware_performance_zigzag

    with TemporaryDirectory() as temporary, _quiet():
        place = Path(temporary)
        for name, content in (
            ("accelerator", example.accelerator(adc_bits)),
            ("mapping", example.mapping()),
            ("workload", example.workload()),
        ):
            # JSON is YAML.
            (place / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")
        found = get_hardware_performance_zigzag(
            str(place / "workload.yaml"),
            str(place / "accelerator.yaml"),
            str(place / "mapping.yaml"),
            dump_folder=str(place / "out"),
            in_memory_compute=True,
            loma_show_progress_bar=False,
        )
        # (energy, latency, clock, area, [(sum, [(layer, …), …])]) of one layer.
        layer = found[4][0][1][0][0]
        array = layer.accelerator.operational_array
        return {
            "energy": dict(layer.mac_energy_breakdown),
            "delay": dict(array.tclk_breakdown),
            "area": dict(array.area_breakdown),
        }


def _compare(
    found: dict[str, dict[str, float]], own: dict[str, dict[str, float]], costs: dict[str, Any]
) -> tuple[Difference, ...]:
    adc = costs.get("adc", {})
    wanted = {
        ("energy", "pJ"): _or_own(adc, "energy_j", 1e12 * example.CONVERSIONS, own, "energy"),
        ("delay", "ns"): _or_own(adc, "latency_s", 1e9, own, "delay"),
        ("area", "mm²"): _or_own(adc, "area_m2", 1e6 * example.CONVERTERS, own, "area"),
    }
    checked = [
        _difference(name, unit, found[what]["adcs"], value)
        for (what, unit), (name, value) in wanted.items()
    ]
    array = costs.get("array", {})
    if array.get("energy_j") is not None:
        cells = example.CONVERSIONS * example.INPUTS
        each = array["energy_j"] * 1e12 / (array["rows"] * array["cols"])
        checked.append(
            _difference("cell energy", "pJ", found["energy"]["analog_bl_addition"], cells * each)
        )
    return tuple(checked)


def _or_own(
    part: dict[str, Any], name: str, scale: float, own: dict[str, dict[str, float]], what: str
) -> tuple[str, float]:
    """What is compared and its value; where nothing was measured, that ZigZag's own stays."""
    value = part.get(name)
    if value is None:
        return f"ADC {what} (not measured: ZigZag's own)", own[what]["adcs"]
    return f"ADC {what}", float(value) * scale


def _difference(quantity: str, unit: str, answered: float, expected: float) -> Difference:
    return compare_values(quantity, unit, [answered], [expected], _ROUNDING * abs(expected))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines that ZigZag logs, and with the root logger as it was.

    ZigZag sets up the root logger by itself, which does nothing where it has a handler already.
    """
    root, nothing = logging.getLogger(), logging.NullHandler()
    root.addHandler(nothing)
    try:
        yield
    finally:
        root.removeHandler(nothing)
