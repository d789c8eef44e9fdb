"""MICSim's tables: parsed as it is described to, against levels and conductances of the model."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from imccircuit.errors import SetupError
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.files import load_model


def adc_tables(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name → centers, edges: three rows each."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) % 3 == 0
    found = {}
    for name, centers, edges in zip(rows[0::3], rows[1::3], rows[2::3], strict=True):
        assert len(name) == 1
        assert len(centers) == len(edges)
        found[name[0]] = (np.array(centers, dtype=float), np.array(edges, dtype=float))
    return found


def convert(centers: np.ndarray, edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """As described: center i from edge i-1, included, to edge i; the last edge is not used."""
    out = np.full(len(values), centers[0])
    for i in range(1, len(centers)):
        out[values >= edges[i - 1]] = centers[i]
    return out


def test_every_level_of_every_chip(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["adcs"], ["micsim"], tmp_path)
    model = load_model(models["adcs"])
    assert isinstance(model, AdcSurrogate)
    tables = adc_tables(folder / "adc.csv")
    assert list(tables) == [f"chip{k}" for k in range(model.chips)]
    for k, (centers, edges) in enumerate(tables.values()):
        assert centers.tolist() == list(range(32))
        assert np.all(np.diff(edges) >= 0)
        # Also at the levels themselves, where MICSim's converter is of another mind than ours.
        levels = model.levels_v(k)
        voltage = np.concatenate([levels, np.nextafter(levels, 2), np.linspace(-0.1, 1.1, 301)])
        np.testing.assert_array_equal(
            convert(centers, edges, voltage * 32), model.convert(voltage, k)
        )
    kept = {i["quantity"]: i for i in json.loads((folder / "fidelity.json").read_text())}
    assert kept["transition levels"]["treatment"] == "exact"
    assert kept["energy"]["treatment"] == "dropped"


def test_two_states_of_a_cell(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["spread"], ["micsim"], tmp_path)
    with (folder / "cell.csv").open(newline="", encoding="utf-8") as file:
        rows = np.array(list(csv.reader(file)), dtype=float)
    mean = load_model(models["spread"]).array("conductance").mean(axis=0)
    assert rows[:, 0].tolist() == [0, 1]
    # High resistance first.
    np.testing.assert_allclose(rows[:, 1], [1 / mean.min(), 1 / mean.max()], rtol=1e-12)
    # Drawn with 5 %; 24 cells of 12 chips tell it to a few %.
    np.testing.assert_allclose(rows[:, 2], 0.05, atol=0.015)
    assert rows[:, 3].tolist() == [0, 0]


def test_without_micsim_one_line_says_how_to_get_it(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = export_model(models["adc"], ["micsim"], tmp_path)
    monkeypatch.setitem(sys.modules, "src", None)
    with pytest.raises(SetupError, match="MICSim-official"):
        replay_export(folder)


def test_a_replay_takes_what_their_adc_answers(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in that converts as MICSim is described to: the command's path, not MICSim."""
    torch = pytest.importorskip("torch", reason="MICSim computes with torch")

    class StandIn:
        def __init__(self, path: str, share_column: int, name: str) -> None:
            assert share_column == 1
            self.edges, self.centers = reversed(adc_tables(Path(path))[name])
            self.centers = torch.tensor(self.centers)

        def ADC_compute(self, values):  # noqa: N802 - their name
            return torch.tensor(convert(self.centers.numpy(), self.edges, values.numpy()))

    module = ModuleType("src.Component.ADC.NLinearMode")
    module.NLinear = StandIn
    for name in ("src", "src.Component", "src.Component.ADC"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    (folder,) = export_model(models["adcs"], ["micsim"], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert found.differences[0].compared > 100
    (folder / "scale.json").write_text('{"lsb_v": 0.03}')
    assert not replay_export(folder).good
