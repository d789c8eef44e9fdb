"""The neutral bundle: readable without us, and every field of it is in the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imccircuit.exporters.export import export_model
from imccircuit.surrogates.files import load_model

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "bundle-format.md"


@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh"])
def test_every_field_is_documented(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["bundle"], tmp_path)
    head = json.loads((folder / "bundle.json").read_text())
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"`{head['schema']}`" in text
    for key in head:
        assert f"`{key}`" in text, key
    for part in ("numbers", "parameters", "arrays", "replay", "gates", "settings"):
        for key in head[part]:
            assert f"`{key}`" in text, key
    for key in json.loads((folder / "provenance.json").read_text()):
        assert f"`{key}`" in text, key
    for key in head["verdict"]:
        assert f"`{key}`" in text, key
    for item in (*head["verdict"]["gates"], *head["verdict"]["errors"], *head["fidelity"]):
        for key in item:
            assert f"`{key}`" in text, key


@pytest.mark.parametrize("name", ["adcs", "amplified", "sinh"])
def test_arrays_are_as_described(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["bundle"], tmp_path)
    head = json.loads((folder / "bundle.json").read_text())
    for file, part in (("bundle.npz", "arrays"), ("replay.npz", "replay")):
        with np.load(folder / file, allow_pickle=False) as arrays:
            assert set(arrays.files) == set(head[part])
            for key, described in head[part].items():
                assert list(arrays[key].shape) == described["shape"]
                assert str(arrays[key].dtype) == described["dtype"]
                assert len(described["dims"]) == arrays[key].ndim
                assert described["units"]
                assert described["long_name"]


def test_numbers_suffice_to_compute_the_model(models: dict[str, Path], tmp_path: Path) -> None:
    """The formula of the document, written out, gives what the surrogate gives."""
    (folder,) = export_model(models["amplified"], ["bundle"], tmp_path)
    numbers = json.loads((folder / "bundle.json").read_text())["numbers"]
    voltage = 0.2 * np.random.default_rng(4).random((7, 6))
    with np.load(folder / "bundle.npz") as arrays:
        current = voltage @ arrays["effective_conductance"][0] + arrays["offset_current"][0]
        output = arrays["output_offset"][0] - numbers["transresistance_ohm"] * current
    expected = load_model(models["amplified"]).predict(voltage_v=voltage)
    np.testing.assert_array_equal(output, expected["output_voltage_v"])


def test_nonlinear_cells_are_data_without_a_solver(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["sinh"], ["bundle"], tmp_path)
    listed = json.loads((folder / "fidelity.json").read_text())
    assert listed == json.loads((folder / "bundle.json").read_text())["fidelity"]
    found = {item["quantity"]: item for item in listed}
    assert "the reader solves" in found["cells and wires"]["how"]
    solver = found["solver of nonlinear cells"]
    assert solver["treatment"] == "dropped"
    # The same by the linear network of the cells at 0 V, node by node.
    numbers = json.loads((folder / "bundle.json").read_text())["numbers"]
    with np.load(folder / "bundle.npz") as arrays, np.load(folder / "replay.npz") as stored:
        linear = linear_currents(arrays["cell_conductance"][0], stored["voltage"], numbers)
        error = np.max(np.abs(linear - stored["expected_current"]))
        share = error / np.max(np.abs(stored["expected_current"]))
    assert f"{error:.3g} A" in solver["how"]
    assert f"{100 * share:.2g} %" in solver["how"]
    assert share > 1e-3


def linear_currents(
    cells: np.ndarray, voltage: np.ndarray, numbers: dict[str, float]
) -> np.ndarray:
    """Kirchhoff's current law of all nodes, dense; every segment has a resistance."""
    rows, cols = cells.shape
    word = lambda i, j: i * cols + j  # noqa: E731
    bit = lambda i, j: (rows + i) * cols + j  # noqa: E731
    matrix = np.zeros((2 * rows * cols, 2 * rows * cols))
    drive = np.zeros((2 * rows * cols, rows))

    def join(a: int, b: int | None, siemens: float) -> None:
        matrix[a, a] += siemens
        if b is not None:
            matrix[b, b] += siemens
            matrix[a, b] -= siemens
            matrix[b, a] -= siemens

    first = 1 / (numbers["r_row_ohm"] + numbers["r_driver_ohm"])
    last = 1 / (numbers["r_col_ohm"] + numbers["r_sense_ohm"])
    for i in range(rows):
        join(word(i, 0), None, first)
        drive[word(i, 0), i] = first
        for j in range(cols):
            join(word(i, j), bit(i, j), cells[i, j])
            if j:
                join(word(i, j), word(i, j - 1), 1 / numbers["r_row_ohm"])
            if i:
                join(bit(i, j), bit(i - 1, j), 1 / numbers["r_col_ohm"])
    for j in range(cols):
        join(bit(rows - 1, j), None, last)
    nodes = np.linalg.solve(matrix, drive @ voltage.T)
    return last * nodes[-cols:].T
