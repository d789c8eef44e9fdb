"""Energy, latency and area from the results file into the model and its exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imccircuit.errors import FileFormatError
from imccircuit.exporters.content import content_of
from imccircuit.exporters.costs import read_costs
from imccircuit.exporters.export import export_model
from imccircuit.surrogates.files import load_model

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "bundle-format.md"


def test_a_converter_carries_what_its_conversions_cost(models: dict[str, Path]) -> None:
    parameters = load_model(models["costed"]).model.parameters
    # 2 + 0.1 + 0.4 + 0.2 + 0.1 + 0.2 pJ; the comparator was behavioural.
    assert parameters["energy"].value == pytest.approx(3e-12, abs=1e-26)
    assert parameters["energy"].unit == "J"
    assert "without comparator" in parameters["energy"].note
    assert parameters["latency"].value == 60e-9
    assert parameters["area"].value == 2.5e-9
    # What a converter's noise is has parameters of its own.
    assert "noise" not in parameters


def test_it_is_the_mean_of_the_fitted_chips(models: dict[str, Path]) -> None:
    model = load_model(models["costeds"])
    fitted = np.flatnonzero(model.array("held_out") == 0)
    assert 0 < len(fitted) < 20
    energy = model.model.parameters["energy"]
    assert energy.value == pytest.approx(3e-12 + 1e-14 * fitted.mean(), abs=1e-25)
    error = 1e-14 * np.sqrt(np.sum((fitted - fitted.mean()) ** 2) / (len(fitted) - 1) / len(fitted))
    assert energy.sigma == pytest.approx(error, abs=1e-25)


def test_models_without_costs_have_none(models: dict[str, Path]) -> None:
    for name in ("adc", "linear"):
        content = content_of(load_model(models[name]))
        numbers = [content.numbers[key] for key in ("energy_j", "latency_s", "area_m2")]
        assert numbers == [None, None, None]
        kept = {item.quantity: item for item in content.fidelity}
        for quantity in ("energy", "latency", "area"):
            assert (kept[quantity].treatment, kept[quantity].how) == ("dropped", "not measured")


def test_an_export_says_what_was_measured(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["costed"], ["bundle"], tmp_path)
    head = json.loads((folder / "bundle.json").read_text())
    assert head["numbers"]["energy_j"] == pytest.approx(3e-12, abs=1e-26)
    assert head["numbers"]["latency_s"] == 60e-9
    assert head["numbers"]["area_m2"] == 2.5e-9
    text = DOCUMENT.read_text(encoding="utf-8")
    for key in (*head["numbers"], *head["parameters"]):
        assert f"`{key}`" in text, key
    kept = {item["quantity"]: item for item in head["fidelity"]}
    assert kept["energy"]["treatment"] == "exact"
    assert "without comparator" in kept["energy"]["how"]


def test_costs_of_another_schema_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no costs"):
        read_costs(tmp_path)
    (tmp_path / "costs.json").write_text('{"schema": "another"}')
    with pytest.raises(FileFormatError, match="another"):
        read_costs(tmp_path)
