"""Exports of converters without bit weights: levels of their own, and chips drawn from them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic_levels import flash, write_levels

from imccircuit.errors import UsageError
from imccircuit.exporters.content import content_of
from imccircuit.exporters.export import export_model
from imccircuit.networks.chips import IDEAL, _converters
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.adc_noise import decision_levels
from imccircuit.surrogates.fit import fit_results

BITS, SIGMA_LSB = 4, 0.1


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AdcSurrogate:
    folder = tmp_path_factory.mktemp("levels")
    found = fit_results(write_levels(folder / "r.h5", flash(40, 1, BITS, SIGMA_LSB)))
    assert isinstance(found, AdcSurrogate)
    assert found.level_law is not None
    return found


def test_what_takes_a_search_for_granted_finds_the_levels(model: AdcSurrogate) -> None:
    content = content_of(model)
    levels = flash(40, 1, BITS, SIGMA_LSB)
    for name in ("transition_level", "decision_level"):
        np.testing.assert_array_equal(content.arrays[name].values, levels)
    assert "bit_weight" not in content.arrays
    np.testing.assert_array_equal(decision_levels(model, 3), levels[3])
    (population,) = (item for item in content.fidelity if item.quantity == "population of chips")
    assert (population.treatment, population.how) == ("exact", "mean and covariance of the levels")


def test_adapters_drop_the_population_and_say_so(model: AdcSurrogate, tmp_path: Path) -> None:
    model.save(tmp_path / "m.h5")
    (folder,) = export_model(tmp_path / "m.h5", ["crosssim"], tmp_path)
    text = (folder / "fidelity.json").read_text()
    assert "columns take the chips of the model" in text
    with np.load(folder / "model.npz") as file:
        np.testing.assert_array_equal(file["decision_level"], file["transition_level"])


def test_every_field_of_its_bundle_is_documented(model: AdcSurrogate, tmp_path: Path) -> None:
    model.save(tmp_path / "m.h5")
    (folder,) = export_model(tmp_path / "m.h5", ["bundle"], tmp_path)
    head = json.loads((folder / "bundle.json").read_text())
    text = (Path(__file__).parents[2] / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    for part in ("numbers", "parameters", "arrays"):
        for key in head[part]:
            assert f"`{key}`" in text, key


def test_torch_draws_the_levels(model: AdcSurrogate, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not in the test extra")
    from imccircuit.exporters.torch import runtime

    model.save(tmp_path / "m.h5")
    (folder,) = export_model(tmp_path / "m.h5", ["torch"], tmp_path)
    layer = runtime.load(folder, population=True, columns=8000)
    torch.manual_seed(3)
    decisions = layer.draw_decisions(8000)
    levels = layer.clip_tree(decisions)
    # A search over levels that never fall has them.
    assert torch.equal(levels, decisions)
    assert bool(torch.all(torch.diff(levels, dim=1) >= 0))
    law = model.level_law
    assert law is not None
    # Errors of 0.1 LSB do not change places. Five standard errors of 8000 chips.
    sigma = np.sqrt(law.variance())
    assert np.all(np.abs(levels.numpy().mean(axis=0) - law.mean_v) < 5 * sigma / np.sqrt(8000))
    np.testing.assert_allclose(levels.numpy().std(axis=0), sigma, rtol=5 / np.sqrt(16000))


def test_a_network_that_scales_mismatch_refuses_it(model: AdcSurrogate) -> None:
    with pytest.raises(UsageError, match="no bit weights"):
        _converters(model, 4, 1, IDEAL)
