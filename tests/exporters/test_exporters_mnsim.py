"""SimConfig.ini: read by configparser, its numbers put into MNSIM's formulas by hand."""

from __future__ import annotations

import json
import sys
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from imccircuit.errors import SetupError, UsageError
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.surrogates.files import load_model


def read(folder: Path) -> ConfigParser:
    config = ConfigParser()
    config.optionxform = str
    assert config.read(folder / "SimConfig.ini")
    return config


def fidelity_of(folder: Path) -> dict[str, str]:
    listed = json.loads((folder / "fidelity.json").read_text())
    return {item["quantity"]: item["treatment"] for item in listed}


def test_their_formulas_give_what_was_measured(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["costed"], ["mnsim"], tmp_path)
    config = read(folder)
    assert set(config.sections()) == {"Interface level", "Process element level"}
    adc = config["Interface level"]
    assert adc["ADC_Choice"] == "-1"
    assert int(adc["ADC_Precision"]) == 5
    # 5 + 2 cycles in 60 ns; 3 pJ in 60 ns; 2500 µm².
    assert float(adc["ADC_Sample_Rate"]) == pytest.approx(7 / 60, abs=1e-15)
    assert float(adc["ADC_Power"]) == pytest.approx(50e-6, abs=1e-18)
    assert float(adc["ADC_Area"]) == pytest.approx(2500.0, abs=1e-9)
    # MNSIM reads thresholds as integers, of which -1 stands for its own.
    assert int(adc["ADC_Interval_Thres"]) == -1
    kept = fidelity_of(folder)
    assert kept["energy"] == kept["latency"] == kept["area"] == "exact"
    assert kept["transition levels"] == "dropped"


def test_an_adc_of_unknown_cost_stays_theirs(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["adc"], ["mnsim"], tmp_path)
    assert read(folder).sections() == ["Process element level"]
    assert fidelity_of(folder)["energy"] == "dropped"
    assert "MNSIM's own ADC stays" in (folder / "README.md").read_text()
    with pytest.raises(UsageError, match="nothing that MNSIM computes with"):
        replay_export(folder)


def test_an_array_gives_size_wires_and_cells(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["spread"], ["mnsim"], tmp_path)
    config = read(folder)
    assert set(config.sections()) == {"Device level", "Crossbar level"}
    assert config["Crossbar level"]["Xbar_Size"] == "6,4"
    assert config["Crossbar level"]["Subarray_Size"] == "6"
    # The wires of the chips have 20 and 30 ohm a segment; the fit finds them to 1e-3.
    assert float(config["Crossbar level"]["Wire_Resistance"]) == pytest.approx(25.0, abs=0.05)
    mean = load_model(models["spread"]).array("conductance").mean(axis=0)
    high, low = (float(r) for r in config["Device level"]["Device_Resistance"].split(","))
    assert high == pytest.approx(1 / mean.min(), abs=1e-9 / mean.min())
    assert low == pytest.approx(1 / mean.max(), abs=1e-9 / mean.max())
    # Drawn with 5 %; 24 cells of 12 chips tell it to a few %.
    assert float(config["Device level"]["Device_Variation"]) == pytest.approx(5.0, abs=1.5)
    kept = fidelity_of(folder)
    assert kept["programmed conductances"] == kept["spread of conductances"] == "approximated"


def test_one_chip_has_no_spread(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["linear"], ["mnsim"], tmp_path)
    assert float(read(folder)["Device level"]["Device_Variation"]) == 0.0
    assert fidelity_of(folder)["spread of conductances"] == "dropped"


def test_without_mnsim_one_line_says_how_to_get_it(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = export_model(models["costed"], ["mnsim"], tmp_path)
    monkeypatch.setitem(sys.modules, "MNSIM", None)
    with pytest.raises(SetupError, match="thu-nics/MNSIM"):
        replay_export(folder)


def test_a_replay_takes_what_their_adc_computes(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in that computes as MNSIM is described to: the command's path, not MNSIM."""

    class StandIn:
        def __init__(self, path: str) -> None:
            adc = read(Path(path).parent)["Interface level"]
            self.ADC_precision = int(adc["ADC_Precision"])
            self.rate, self.power = float(adc["ADC_Sample_Rate"]), float(adc["ADC_Power"])
            self.ADC_area = float(adc["ADC_Area"])

        def nothing(self) -> None:
            """Fixed figures are there from the start."""

        calculate_ADC_area = nothing  # noqa: N815 - their names, here and below
        calculate_ADC_power = nothing  # noqa: N815
        calculate_ADC_sample_rate = nothing  # noqa: N815

        def calculate_ADC_latency(self) -> None:  # noqa: N802 - their name
            self.ADC_latency = (self.ADC_precision + 2) / self.rate

        def calculate_ADC_energy(self) -> None:  # noqa: N802 - their name
            self.ADC_energy = self.ADC_latency * self.power

    (folder,) = export_model(models["costed"], ["mnsim"], tmp_path)
    module = ModuleType("MNSIM.Hardware_Model.ADC")
    module.ADC = StandIn
    for name in ("MNSIM", "MNSIM.Hardware_Model"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = replay_export(folder)
    assert found.good
    assert [item.quantity for item in found.differences] == ["energy", "latency", "area", "bits"]
    text = (folder / "SimConfig.ini").read_text()
    (folder / "SimConfig.ini").write_text(text.replace("ADC_Precision = 5", "ADC_Precision = 6"))
    assert [item.good for item in replay_export(folder).differences] == [False, False, True, False]
    assert np.isfinite([item.largest for item in replay_export(folder).differences]).all()
