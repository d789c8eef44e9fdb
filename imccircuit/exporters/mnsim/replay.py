"""An exported SimConfig.ini read by MNSIM's own ADC and crossbar."""

from __future__ import annotations

from configparser import ConfigParser
from configparser import Error as ConfigError
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from imccircuit.errors import FileFormatError, SetupError, UsageError
from imccircuit.exporters.costs import Costs, read_costs
from imccircuit.exporters.mnsim import CONFIG
from imccircuit.exporters.replay import Difference, Replay, compare_values

_ROUNDING = 1e-12
"""Of a few divisions and multiplications of doubles, relative."""


def replay_mnsim(folder: Path) -> Replay:
    """What MNSIM computes with an export, against what it states.

    Of an ADC energy, latency and area, where all were measured; of an array its size, the
    resistances of its cells and of its wires, in MNSIM's own configuration below that of the
    export. MNSIM has no place for vectors.

    Raises
    ------
    SetupError : MNSIM is not importable.
    FileFormatError : the folder is no whole export.
    UsageError : there is nothing of either.
    """
    costs = read_costs(folder)
    path = folder / CONFIG
    if not path.is_file():
        raise FileFormatError(f"{folder}: no {CONFIG} in this export")
    found, programs = [], []
    adc, array = costs.get("adc"), costs.get("array")
    if adc is not None and None not in adc.values():
        found += _adc(_upstream("ADC"), path, adc)
        programs.append("ADC.py")
    if array is not None:
        found += _array(_upstream("Crossbar"), path, array)
        programs.append("Crossbar.py")
    if not found:
        raise UsageError(
            f"{folder}: no ADC with energy, latency and area: nothing that MNSIM computes with"
        )
    return Replay("mnsim", f"MNSIM 2.0, Hardware_Model/{', '.join(programs)}", tuple(found))


def _upstream(name: str) -> Any:
    try:
        return import_module(f"MNSIM.Hardware_Model.{name}")
    except ImportError:
        raise SetupError(
            "MNSIM is not importable; clone https://github.com/thu-nics/MNSIM-2.0 and put the "
            "clone on PYTHONPATH"
        ) from None


def _adc(upstream: Any, path: Path, adc: Costs) -> list[Difference]:
    found = upstream.ADC(str(path))
    found.calculate_ADC_area()
    found.calculate_ADC_power()
    found.calculate_ADC_sample_rate()
    found.calculate_ADC_latency()
    found.calculate_ADC_energy()
    return [
        _difference("energy", "J", found.ADC_energy * 1e-9, adc["energy_j"]),
        _difference("latency", "s", found.ADC_latency * 1e-9, adc["latency_s"]),
        _difference("area", "m²", found.ADC_area * 1e-12, adc["area_m2"]),
        _difference("bits", "1", found.ADC_precision, adc["bits"]),
    ]


def _array(upstream: Any, path: Path, array: Costs) -> list[Difference]:
    own = Path(upstream.__file__).parents[2] / CONFIG
    config, stated = _config(), _config()
    try:
        stated.read(path, encoding="utf-8")
        config.read([own, path], encoding="utf-8")
        with TemporaryDirectory() as temporary:
            merged = Path(temporary) / CONFIG
            with merged.open("w", encoding="utf-8") as file:
                config.write(file)
            found = upstream.crossbar(str(merged))
        wire = stated.getfloat("Crossbar level", "Wire_Resistance")
        device = stated.get("Device level", "Device_Resistance", fallback="")
        ohm = [float(word) for word in device.split(",") if word]
    except (ConfigError, ValueError) as error:
        text = " ".join(str(error).split())
        raise FileFormatError(f"{path}: not readable over {own}: {text}") from None
    found.calculate_wire_resistance()
    differences = [
        _difference("rows", "1", found.xbar_row, array["rows"]),
        _difference("columns", "1", found.xbar_column, array["cols"]),
        _difference("wire resistance", "ohm", found.wire_resistance, wire),
    ]
    for name, k in (("high", 0), ("low", 1)):
        if ohm:
            answered = float(found.device_resistance[k])
            differences.append(_difference(f"{name} resistance", "ohm", answered, ohm[k]))
    return differences


def _config() -> ConfigParser:
    config = ConfigParser()
    # Keys keep their capitals.
    config.optionxform = str  # type: ignore[assignment,method-assign]
    return config


def _difference(quantity: str, unit: str, answered: float, expected: float | None) -> Difference:
    wanted = float(expected or 0.0)
    return compare_values(quantity, unit, [answered], [wanted], _ROUNDING * abs(wanted))
