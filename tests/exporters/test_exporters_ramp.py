"""A ramp converter is exported as one converter for each column of each chip, to every target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import write
from synthetic_columns import FULL_SCALE_V, ramp_population

from imccircuit.exporters.content import content_of
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.registry import target_names
from imccircuit.surrogates.base import Parameter
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.ramp_adc import RampAdcSurrogate

BITS, COLUMNS, CHIPS = 5, 3, 12
LSB = FULL_SCALE_V / 2**BITS
# Parts of ten percent: the gate on the spread is not what these tests are about.
SLOPES = 1 + 0.01 * np.random.default_rng(100).standard_normal(CHIPS)
TABLE = ramp_population(SLOPES, COLUMNS, 3e-3, BITS, seed=200)


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ramp")
    settings = [f"circuit.bits={BITS}", f"circuit.columns={COLUMNS}"]
    model = fit_results(write(folder / "r.h5", "adc_ramp8_mismatch", settings, TABLE))
    model.save(folder / "ramp.h5")
    return folder / "ramp.h5"


def test_chips_are_columns_of_chips(ramp: Path) -> None:
    content = content_of(load_model(ramp))
    assert content.kind == "adc"
    levels = content.arrays["transition_level"].values
    assert levels.shape == (CHIPS * COLUMNS, 2**BITS - 1)
    for chip, made in enumerate(TABLE):
        for column in range(COLUMNS):
            own = levels[chip * COLUMNS + column]
            # The law is the law of what made them; the fit ends at 1e-8 V.
            np.testing.assert_allclose(own, made["column_level"][column], rtol=0, atol=1e-7)
            assert content.arrays["ramp_of_chip"].values[chip * COLUMNS + column] == chip
            assert content.arrays["column_of_chip"].values[chip * COLUMNS + column] == column
    assert content.numbers["full_scale_v"] == FULL_SCALE_V
    assert content.numbers["bits"] == BITS


def test_stored_conversions_are_spice_s_own(ramp: Path) -> None:
    replay = content_of(load_model(ramp)).replay
    assert set(replay) == {"chip", "input", "code", "expected_code"}
    held_out = load_model(ramp).array("held_out")
    chips = replay["chip"].values
    assert np.all(held_out[chips // COLUMNS] == 1)
    assert set(chips % COLUMNS) == set(range(COLUMNS))
    assert 100 < len(chips) <= 256
    # Inputs lie 0.01 LSB beside a level of column 0, known to 1e-7 V; no other level is so near.
    np.testing.assert_array_equal(replay["code"].values, replay["expected_code"].values)
    for voltage, place, code in zip(
        replay["input"].values, chips, replay["code"].values, strict=True
    ):
        level = TABLE[place // COLUMNS]["column_level"][place % COLUMNS]
        assert code == sum(bool(one < voltage) for one in level)


def test_every_target_takes_it(ramp: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not in the test extra")
    folders = export_model(ramp, target_names(), tmp_path, force=True)
    assert [folder.name for folder in folders] == target_names()


@pytest.mark.parametrize(
    ("target", "package"), [("numpy", "numpy"), ("torch", "torch"), ("onnx", "onnxruntime")]
)
def test_targets_answer_with_its_codes(
    ramp: Path, tmp_path: Path, target: str, package: str
) -> None:
    pytest.importorskip(package, reason="the target's own package is not in the test extra")
    (folder,) = export_model(ramp, [target], tmp_path, force=True)
    (difference,) = replay_export(folder).differences
    assert difference.compared > 100
    assert difference.apart == 0


def test_a_column_has_its_share_of_the_costs(ramp: Path) -> None:
    model = load_model(ramp)
    own = {
        "energy": Parameter("energy", 6e-12, "J"),
        "latency": Parameter("latency", 1e-6, "s"),
        "area": Parameter("area", 9e-9, "m**2"),
    }
    parameters = {**model.model.parameters, **own}
    content = content_of(RampAdcSurrogate(replace(model.model, parameters=parameters)))
    # Three columns convert together in one microsecond.
    assert content.numbers["energy_j"] == pytest.approx(2e-12, abs=1e-26)
    assert content.numbers["area_m2"] == pytest.approx(3e-9, abs=1e-23)
    assert content.numbers["latency_s"] == 1e-6
    kept = {item.quantity: item for item in content.fidelity}
    assert kept["energy"].treatment == "approximated"
    assert "1/3" in kept["energy"].how
    assert kept["latency"].treatment == "exact"
    assert "chip·3 + column" in kept["transition levels"].how


def test_older_files_have_no_conversions(ramp: Path) -> None:
    model = load_model(ramp)
    arrays = {n: a for n, a in model.model.arrays.items() if not n.startswith("replay_")}
    content = content_of(RampAdcSurrogate(replace(model.model, arrays=arrays)))
    assert {name: array.values.size for name, array in content.replay.items()} == {
        "chip": 0, "input": 0, "code": 0, "expected_code": 0,
    }  # fmt: skip
