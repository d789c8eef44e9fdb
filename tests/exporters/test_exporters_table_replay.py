"""Replays of tables: stand-ins that compute as the programs are described to, and the programs."""

from __future__ import annotations

import csv
import sys
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from imccircuit.cli.main import run_command
from imccircuit.errors import ExitCode, SetupError
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.neurosim.replay import _rounded_law

OWN_CONFIG = """\
[Device level]
Device_Type = NVM
Device_Resistance = 1e6, 1e4
[Crossbar level]
Xbar_Size = 256,256
Wire_Resistance = -1
"""


def put_in(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> ModuleType:
    """A module and its packages, importable until the test ends."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:end]), ModuleType(parts[end - 1]))
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)
    return module


class Cells:
    """As MICSim's ``Digit2Cell``: conductances in steps of their difference."""

    def __init__(self, bits: int, path: str, varied: str) -> None:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = [[float(word) for word in row] for row in csv.reader(file)]
        self.low, high = (1 / (row[1] + row[3]) for row in rows)
        self.sigma = [row[2] if varied == "True" else 0.0 for row in rows]
        self.delta_g = (high - self.low) / (2**bits - 1)

    def map2G(self, level: Any) -> Any:  # noqa: N802 - their name
        import torch

        clean = level * self.delta_g + self.low
        sigma = torch.tensor(self.sigma, dtype=torch.float64).expand(level.shape)
        return clean * (1 + torch.normal(torch.zeros_like(clean), sigma)) / self.delta_g


class Wider(Cells):
    """Twice the spread."""

    def __init__(self, bits: int, path: str, varied: str) -> None:
        super().__init__(bits, path, varied)
        self.sigma = [2 * value for value in self.sigma]


class Crossbar:
    """As MNSIM's ``crossbar`` reads its configuration."""

    def __init__(self, path: str) -> None:
        config = ConfigParser()
        config.read(path)
        self.xbar_row, self.xbar_column = map(int, config["Crossbar level"]["Xbar_Size"].split(","))
        self.wire_resistance = float(config["Crossbar level"]["Wire_Resistance"])
        resistance = config["Device level"]["Device_Resistance"].split(",")
        self.device_resistance = [float(ohm) for ohm in resistance]

    def calculate_wire_resistance(self) -> None:
        if self.wire_resistance < 0:
            self.wire_resistance = 2.82


@pytest.mark.parametrize("name", ["spread", "linear"])
def test_states_of_micsims_cells(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pytest.importorskip("torch", reason="MICSim computes with torch")
    module = put_in(monkeypatch, "src.Component.Digit2Cell", Digit2Cell=Cells)
    (folder,) = export_model(models[name], ["micsim"], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert [item.quantity for item in found.differences] == ["conductance", "spread"]
    module.Digit2Cell = Wider
    # One chip has no spread, twice which is none either.
    assert replay_export(folder).good == (name == "linear")
    (folder / "cell.csv").write_text("0,1e6\n")
    assert run_command(["replay", str(folder)]) == ExitCode.USAGE


def test_arrays_in_mnsims_configuration(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "SimConfig.ini").write_text(OWN_CONFIG)
    place = str(clone / "MNSIM" / "Hardware_Model" / "Crossbar.py")
    name = "MNSIM.Hardware_Model.Crossbar"
    module = put_in(monkeypatch, name, crossbar=Crossbar, __file__=place)
    (folder,) = export_model(models["spread"], ["mnsim"], tmp_path)
    found = replay_export(folder)
    assert found.good
    names = {item.quantity for item in found.differences}
    assert names == {"rows", "columns", "wire resistance", "high resistance", "low resistance"}

    class Turned(Crossbar):
        def __init__(self, path: str) -> None:
            super().__init__(path)
            self.device_resistance.reverse()

    module.crossbar = Turned
    wrong = {item.quantity for item in replay_export(folder).differences if not item.good}
    assert wrong == {"high resistance", "low resistance"}
    text = (folder / "SimConfig.ini").read_text()
    (folder / "SimConfig.ini").write_text(text.replace("Wire_Resistance", "Wire"))
    assert run_command(["replay", str(folder)]) == ExitCode.USAGE


def test_rounded_normal_laws() -> None:
    # Mean 1, σ 1: Φ(-0.5), Φ(0.5) - Φ(-0.5), and all above 1.5 clipped to 2.
    (law,) = _rounded_law(np.array([1.0]), np.array([1.0]), 2)
    np.testing.assert_allclose(law, [0.30854, 0.38292, 0.30854], atol=1e-5)
    still = _rounded_law(np.array([0.5, 1.5, 2.6, 7.0]), np.zeros(4), 4)
    assert np.argmax(still, axis=1).tolist() == [0, 2, 3, 4]
    assert np.all(still.max(axis=1) == 1)


class Mixin:
    """As NeuroSim's ``QuantMixin`` reads its tables."""

    def init_cim(self, args: Any, rows: int, columns: int) -> None:
        import torch

        del rows, columns
        self._cim_args = args
        path = args.output_noise_file if args.output_noise else args.mem_states_file
        with Path(path).open(newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        mean, sigma = (torch.tensor([float(row[key]) for row in table]) for key in ("mean", "std"))
        if args.output_noise:
            self.output_noise_means, self.output_noise_stds = mean, sigma
            return
        if len(mean) != 2**args.bitcell:
            sys.exit(-1)
        args.mem_states = self.mean = mean
        self.sigma = sigma


class Cim:
    """As NeuroSim's ``CIM`` draws and multiplies."""

    shift = 0.0

    def ADC_output(self, inputs: Any, cells: Any, reference: Any, place: int) -> Any:  # noqa: N802
        import torch

        args: Any = self._cim_args  # type: ignore[attr-defined]
        top = float(2**args.adc_precision)
        product = torch.matmul(inputs.float(), cells.float()) + self.shift
        if not args.output_noise:
            return torch.clamp(torch.round(product), 0.0, top)
        at = torch.clamp(product.long(), 0, int(top))
        means, sigmas = self.output_noise_means, self.output_noise_stds  # type: ignore[attr-defined]
        drawn = torch.normal(means[at], sigmas[at])
        return torch.clamp(torch.round(drawn), 0.0, top)

    def conductance_sampling(self, cells: Any, reference: Any, place: int) -> tuple[Any, None]:
        import torch

        mean, sigma = self.mean, self.sigma  # type: ignore[attr-defined]
        return torch.normal(mean[cells.long()], sigma[cells.long()]), None


class Off(Cim):
    """One code too high."""

    shift = 1.0


@pytest.mark.parametrize("name", ["adcs", "linear", "spread"])
def test_neurosims_tables(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pytest.importorskip("torch", reason="NeuroSim computes with torch")
    put_in(monkeypatch, "pytorch_quantization.cim.modules._utils", QuantMixin=Mixin)
    module = ModuleType("pytorch_quantization.cim.modules.macro")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    vars(module)["CIM"] = Cim
    (folder,) = export_model(models[name], ["neurosim"], tmp_path)
    if name == "adcs":
        # The chips of the tests are near one another: draw with a spread of one code.
        with (folder / "output_noise.csv").open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file))
        with (folder / "output_noise.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *([k, mean, "1.0"] for k, mean, _ in rows)])
    found = replay_export(folder)
    assert found.good
    assert all(item.compared > 0 for item in found.differences)
    vars(module)["CIM"] = Off
    assert replay_export(folder).good == (name == "spread")
    if name != "adcs":
        (folder / "mem_states.csv").write_text("states,mean,std\n0,1e-6,0\n")
        assert run_command(["replay", str(folder)]) == ExitCode.USAGE


def test_without_neurosim_or_a_gpu_one_line_says_so(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="NeuroSim computes with torch")
    (folder,) = export_model(models["adc"], ["neurosim"], tmp_path)
    monkeypatch.setitem(sys.modules, "pytorch_quantization", None)
    with pytest.raises(SetupError, match=r"2DInferenceV1\.5-dev"):
        replay_export(folder)
    assert run_command(["replay", str(folder)]) == ExitCode.ENVIRONMENT

    class OnGpu:
        def init_cim(self, *arguments: Any) -> None:
            raise AssertionError("Torch not compiled with CUDA enabled")

    put_in(monkeypatch, "pytorch_quantization.cim.modules._utils", QuantMixin=OnGpu)
    module = ModuleType("pytorch_quantization.cim.modules.macro")
    vars(module)["CIM"] = Cim
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(SetupError, match="GPU"):
        replay_export(folder)
