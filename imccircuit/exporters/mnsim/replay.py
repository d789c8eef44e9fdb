"""An exported SimConfig.ini read by MNSIM's own ADC."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from imccircuit.errors import FileFormatError, SetupError, UsageError
from imccircuit.exporters.costs import read_costs
from imccircuit.exporters.mnsim import CONFIG
from imccircuit.exporters.replay import Difference, Replay, compare_values

_ROUNDING = 1e-12
"""Of a few divisions and multiplications of doubles, relative."""


def replay_mnsim(folder: Path) -> Replay:
    """Energy, latency and area that MNSIM's ADC computes, against what was measured.

    Raises
    ------
    SetupError : MNSIM is not importable.
    UsageError : the export holds no ADC of known energy, latency and area.
    FileFormatError : the folder is no whole export.
    """
    adc = read_costs(folder).get("adc")
    if adc is None or None in adc.values():
        raise UsageError(
            f"{folder}: no ADC with energy, latency and area: nothing that MNSIM computes with"
        )
    try:
        upstream = import_module("MNSIM.Hardware_Model.ADC")
    except ImportError:
        raise SetupError(
            "MNSIM is not importable; clone https://github.com/thu-nics/MNSIM-2.0 and put the "
            "clone on PYTHONPATH"
        ) from None
    if not (folder / CONFIG).is_file():
        raise FileFormatError(f"{folder}: no {CONFIG} in this export")
    found = upstream.ADC(str(folder / CONFIG))
    found.calculate_ADC_area()
    found.calculate_ADC_power()
    found.calculate_ADC_sample_rate()
    found.calculate_ADC_latency()
    found.calculate_ADC_energy()
    return Replay(
        "mnsim",
        "MNSIM 2.0, Hardware_Model/ADC.py",
        (
            _difference("energy", "J", found.ADC_energy * 1e-9, adc["energy_j"]),
            _difference("latency", "s", found.ADC_latency * 1e-9, adc["latency_s"]),
            _difference("area", "m²", found.ADC_area * 1e-12, adc["area_m2"]),
            _difference("bits", "1", found.ADC_precision, adc["bits"]),
        ),
    )


def _difference(quantity: str, unit: str, answered: float, expected: float | None) -> Difference:
    wanted = float(expected or 0.0)
    return compare_values(quantity, unit, [answered], [wanted], _ROUNDING * abs(wanted))
