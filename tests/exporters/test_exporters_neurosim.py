"""NeuroSim's CSV files: parsed as its manual describes them, against numbers made by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from imccircuit.exporters.content import Content
from imccircuit.exporters.export import export_model
from imccircuit.exporters.neurosim import output_statistics
from imccircuit.surrogates.base import ModelArray
from imccircuit.surrogates.files import load_model


def table(path: Path) -> tuple[list[str], np.ndarray]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    return header, np.array(rows, dtype=np.float64)


def test_codes_of_the_ideal_integers(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["adcs"], ["neurosim"], tmp_path)
    assert not (folder / "mem_states.csv").exists()
    header, rows = table(folder / "output_noise.csv")
    assert header == ["output", "mean", "std"]
    # One row for each of 0 … 2^5, in order: NeuroSim looks up by the place in the file.
    assert rows[:, 0].tolist() == list(range(33))
    levels = load_model(models["adcs"]).array("transition_level")
    for k in (0, 7, 16, 31, 32):
        # (k + 1/2) LSB of 1 V / 32 each: the code is how many levels are below.
        codes = [int(np.sum(chip < (k + 0.5) / 32)) for chip in levels]
        assert rows[k, 1] == pytest.approx(np.mean(codes), abs=1e-12)
        assert rows[k, 2] == pytest.approx(np.std(codes, ddof=1), abs=1e-12)
    assert rows[32, 1] == rows[31, 1] == 31.0


def test_the_ideal_converter_is_ideal_and_two_chips_are_told_apart() -> None:
    ideal = np.arange(1, 8) / 8
    late = ideal + np.where(np.arange(1, 8) == 3, 0.9 / 8, 0.0)

    def content(levels: np.ndarray) -> Content:
        array = ModelArray(levels * 0.4, "V", ("chip", "code"), "levels")
        numbers = {"bits": 3.0, "full_scale_v": 0.4}
        return Content("adc", {"transition_level": array}, {}, (), numbers)

    mean, sigma = output_statistics(content(ideal[None]))
    assert mean.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7]
    assert sigma.tolist() == [0] * 9
    mean, sigma = output_statistics(content(np.stack([ideal, late])))
    assert mean.tolist() == [0, 1, 2, 2.5, 4, 5, 6, 7, 7]
    assert sigma[3] == pytest.approx(np.sqrt(0.5), abs=1e-15)
    assert np.count_nonzero(sigma) == 1


def test_states_of_cells_for_each_precision(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["spread"], ["neurosim"], tmp_path)
    assert not (folder / "output_noise.csv").exists()
    mean = load_model(models["spread"]).array("conductance").mean(axis=0)
    for name, states in (
        ("mem_states.csv", 2),
        ("mem_states_2bit.csv", 4),
        ("mem_states_4bit.csv", 16),
    ):
        header, rows = table(folder / name)
        assert header == ["states", "mean", "std"]
        assert rows[:, 0].tolist() == list(range(states))
        assert rows[0, 1] == pytest.approx(mean.min(), abs=1e-18)
        assert rows[-1, 1] == pytest.approx(mean.max(), abs=1e-18)
        np.testing.assert_allclose(np.diff(rows[:, 1]), np.ptp(mean) / (states - 1), rtol=1e-9)
        # Drawn with 5 %; 24 cells of 12 chips tell it to a few %.
        np.testing.assert_allclose(rows[:, 2] / rows[:, 1], 0.05, atol=0.015)
    kept = {i["quantity"]: i for i in json.loads((folder / "fidelity.json").read_text())}
    assert kept["spread of conductances"]["treatment"] == "approximated"
    assert kept["cells and wires"]["treatment"] == "dropped"


def test_one_chip_has_no_spread(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["linear"], ["neurosim"], tmp_path)
    _, rows = table(folder / "mem_states.csv")
    assert rows[:, 2].tolist() == [0.0, 0.0]
