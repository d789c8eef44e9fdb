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
