"""Exports of a macro with front ends of its own: these become lines, and it says by how much."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic import write
from synthetic_macro_front import (
    BATCH,
    BIAS,
    COLS,
    CONVERTERS,
    LSB,
    NOISE_V,
    ROWS,
    SETTINGS,
    SETTLES_S,
    macro_chip,
    results,
)

from imccircuit.exporters.content import content_of
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.numpy import runtime
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.macro import MacroSurrogate
from imccircuit.surrogates.macro_lines import bends, with_lines


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of bent curves, of straight ones that differ in their offsets alone, and of sinh."""
    folder = tmp_path_factory.mktemp("fronts")
    bent = (*SETTINGS, "circuit.array.cell=1r_sinh", "circuit.array.sinh_voltage=0.2 V")
    files = {
        "bent": results(folder / "b.h5"),
        "straight": results(folder / "s.h5", chips=11, bent=0.0, spread=0.0),
        "sinh": results(folder / "c.h5", chips=11, settings=bent, v0=0.15),
    }
    for name, path in files.items():
        fit_results(path).save(folder / f"{name}.m.h5")
    return {name: folder / f"{name}.m.h5" for name in files}


def macro_of(path: Path) -> MacroSurrogate:
    model = load_model(path)
    assert isinstance(model, MacroSurrogate)
    return model


def test_straight_front_ends_lose_nothing(saved: dict[str, Path]) -> None:
    """Lines are all there is: offsets, one slope. What is left is the solver's last digit."""
    macro = macro_of(saved["straight"])
    lines = with_lines(macro)
    assert lines.parts.front is None
    assert lines.parts.transresistance_ohm == pytest.approx(30e3 - 40, abs=1e-3)
    apart, codes = bends(macro, lines)
    assert apart < 1e-7 * LSB
    assert codes == 0
    x = np.random.default_rng(3).random((9, ROWS))
    found = [one.predict(input=x, chip=2)["output_current_a"] for one in (macro, lines)]
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-13)


def test_bends_are_stated_as_they_are(saved: dict[str, Path]) -> None:
    """A bow of 0.2 mV at the input comes out 1 + R_f·Σg, 3 to 5, times as large, less a line."""
    macro = macro_of(saved["bent"])
    apart, _ = bends(macro, with_lines(macro))
    assert 1e-4 < apart < 2e-3
    content = content_of(macro)
    (stated,) = (i for i in content.fidelity if i.quantity == "bends of the front ends' curves")
    assert (stated.treatment, stated.unit) == ("approximated", "V")
    stored = content.replay
    outputs = [
        macro.predict(voltage_v=v, chip=int(c))["sampled_voltage_v"][0]
        for v, c in zip(stored["voltage"].values, stored["chip"].values, strict=True)
    ]
    off = np.abs(np.stack(outputs) - stored["expected_sampled_voltage"].values)
    assert stated.amount == pytest.approx(off.max(), abs=1e-15)
    # The noise of both stands in what converters sample.
    power = content.parts["converter_0"].numbers["noise_sampled_v"]
    assert power == pytest.approx(np.hypot(0.1 * LSB, NOISE_V), abs=1e-12)
    assert with_lines(with_lines(macro)).parts.front is None


@pytest.mark.parametrize("name", ["bent", "straight", "sinh"])
@pytest.mark.parametrize("target", ["numpy", "bundle"])
def test_what_is_exported_answers_as_stated(
    saved: dict[str, Path], tmp_path: Path, name: str, target: str
) -> None:
    (folder,) = export_model(saved[name], [target], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert found.differences[0].apart == 0
    assert found.differences[0].compared == CONVERTERS * 60


def test_numpy_gives_the_codes_of_the_surrogate(saved: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(saved["straight"], ["numpy"], tmp_path)
    model, macro = runtime.load(folder), macro_of(saved["straight"])
    assert isinstance(model, runtime.Macro)
    assert model.bias_v == BIAS
    x = np.random.default_rng(3).random((40, ROWS))
    for chip in range(macro.chips):
        expected = macro.predict(input=x, chip=chip)["output_code"]
        np.testing.assert_array_equal(model.codes_of_inputs(x, chip), expected)


def test_costs_of_front_ends_are_the_arrays(tmp_path: Path) -> None:
    """Targets have a place for arrays and converters: what is no converter's is the array's."""
    rng, power = np.random.default_rng(2), {"array_power": 1e-6 * np.ones(BATCH)}
    chips = [{**macro_chip(rng), **power} for _ in range(12)]
    settings = (*SETTINGS, "stimulus.energy_inputs=2")
    model = fit_results(write(tmp_path / "r.h5", "macro_sar8_amplifiers", settings, chips))
    model.save(tmp_path / "m.h5")
    (folder,) = export_model(tmp_path / "m.h5", ["zigzag"], tmp_path / "out")
    costs = json.loads((folder / "costs.json").read_text())
    whole = model.value("energy")
    assert costs["macro"]["energy_j"] == pytest.approx(whole, abs=1e-24)
    assert costs["array"]["energy_j"] == pytest.approx(whole - CONVERTERS * 7e-15, abs=1e-24)
    assert costs["array"]["latency_s"] == pytest.approx(SETTLES_S, abs=1e-20)
    area = COLS * 2e-10 + CONVERTERS * 5e-10
    assert costs["macro"]["area_m2"] == pytest.approx(area, abs=1e-20)
