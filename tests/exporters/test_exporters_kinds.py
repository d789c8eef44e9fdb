"""Kinds that only the bundle takes: all that their models hold, and every field documented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import write
from synthetic_cells import gated_chip, gated_settings, resistive_population, settings
from synthetic_columns import charge_population, charge_settings, ramp_chip, time_chip
from synthetic_macro import results
from synthetic_ports import groups, pulses, strings, write_dac, write_mirrors

from imccircuit.errors import UsageError
from imccircuit.exporters.content import content_of
from imccircuit.exporters.export import export_model
from imccircuit.exporters.fidelity import stated_fidelity
from imccircuit.exporters.macro_parts import target_for
from imccircuit.exporters.registry import get_target, target_names
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.registry import kind_names

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "bundle-format.md"
OWN = ("cell", "charge_column", "dac", "front_end", "time_accumulator")
CASES = (*OWN, "cell_gated", "dac_string", "dac_pulse", "macro", "ramp_adc")


def _time(path: Path) -> Surrogate:
    voltage = np.random.default_rng(1).uniform(0.05, 0.4, (12, 4, 2))
    own = np.random.default_rng(2).standard_normal((12, 4, 2, 2)) * np.array([5e-12, 1e-11])
    given = [
        "circuit.arrays=2", 'circuit.time_offset_sigma="5 ps"', "stimulus.vectors=12",
        'variation.quantities=["time_cells"]', "variation.seed=1",
    ]  # fmt: skip
    return fit_results(write(path, "aidac_small", given, [time_chip(x, voltage) for x in own]))


def _charge(path: Path) -> Surrogate:
    chips = charge_population([0.01] * 12, 16, 2, 40)
    return fit_results(write(path, "charge_array", charge_settings(16, 2, 40), chips))


def _ramp(path: Path) -> Surrogate:
    chip = ramp_chip(bits=5, slope=1.0, curvature=0.05, offsets=np.array([1e-3, -1e-3]))
    given = ["circuit.bits=5", "circuit.columns=2"]
    return fit_results(write(path, "adc_ramp8_mismatch", given, [chip]))


def _cell(path: Path) -> Surrogate:
    return fit_results(write(path, "rram_iv", settings(2), resistive_population(20, seed=1)))


def _gated(path: Path) -> Surrogate:
    chip = gated_chip(np.array([[39e-6], [5e-6]]), np.zeros((2, 1)), np.ones((2, 1)))
    return fit_results(write(path, "onet1r_iv", gated_settings(1), [chip]))


def _fit(name: str, path: Path) -> Surrogate:
    made: dict[str, Any] = {
        "cell": _cell,
        "cell_gated": _gated,
        "charge_column": _charge,
        "dac": lambda p: fit_results(write_dac(p, "capacitor", groups(20, seed=1))),
        "dac_string": lambda p: fit_results(write_dac(p, "string", strings(20, seed=1))),
        "dac_pulse": lambda p: fit_results(write_dac(p, "pulse_width", pulses(20, seed=1))),
        "front_end": lambda p: fit_results(write_mirrors(p, 20, seed=1)),
        "macro": lambda p: fit_results(results(p)),
        "ramp_adc": _ramp,
        "time_accumulator": _time,
    }
    found: Surrogate = made[name](path)
    return found


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Model file and its bundle by name of a case."""
    found = {}
    for name in CASES:
        folder = tmp_path_factory.mktemp(name)
        _fit(name, folder / "r.h5").save(folder / "model.h5")
        (bundle,) = export_model(folder / "model.h5", ["bundle"], folder, force=True)
        found[name] = (folder / "model.h5", bundle)
    return found


def test_the_bundle_takes_every_kind() -> None:
    assert set(get_target("bundle").kinds) == set(kind_names())
    assert set(kind_names()) == {*OWN, "adc", "crossbar", "macro", "ramp_adc"}


@pytest.mark.parametrize("name", CASES)
def test_every_field_is_documented(bundles: dict[str, tuple[Path, Path]], name: str) -> None:
    head = json.loads((bundles[name][1] / "bundle.json").read_text())
    text, missing = DOCUMENT.read_text(encoding="utf-8"), set()
    for part in ("numbers", "parameters", "arrays", "replay", "gates", "settings"):
        for key in head[part]:
            # `array.conductance` is `conductance` of a part; t0_3 is one of `t0_0` and so on;
            # numbered names that have another meaning stand as they are.
            plain = "condition: …" if key.startswith("condition: ") else key.rpartition(".")[2]
            head_of, _, number = plain.rpartition("_")
            first = f"{head_of}_0" if number.isdigit() else plain
            if f"`{plain}`" not in text and f"`{first}`" not in text:
                missing.add(f"{part}: {key}")
    assert not missing
    assert f"`{head['kind']}`" in text


@pytest.mark.parametrize("name", OWN)
def test_everything_in_the_model_is_in_its_bundle(
    bundles: dict[str, tuple[Path, Path]], name: str
) -> None:
    path, folder = bundles[name]
    model, head = load_model(path), json.loads((folder / "bundle.json").read_text())
    assert head["kind"] == model.kind == name
    with np.load(folder / "bundle.npz", allow_pickle=False) as arrays:
        assert set(arrays.files) == set(head["arrays"]) == set(model.model.arrays)
        for key in arrays.files:
            np.testing.assert_array_equal(arrays[key], model.array(key))
            assert head["arrays"][key]["units"] == model.model.arrays[key].units
    assert set(head["parameters"]) == set(model.model.parameters)
    for key, item in head["parameters"].items():
        assert item["value"] == model.value(key)
    assert head["verdict"]["state"] == model.verdict.state
    kept = {item["quantity"]: item for item in head["fidelity"]}
    assert all(kept[key]["treatment"] == "exact" for key in (*head["arrays"], "parameters"))
    assert kept[f"law of a {name}"]["treatment"] == "dropped"
    assert next(iter(head["arrays"])) in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", OWN)
def test_no_other_target_takes_them(
    bundles: dict[str, tuple[Path, Path]], tmp_path: Path, name: str
) -> None:
    for target in target_names():
        if target != "bundle":
            with pytest.raises(UsageError, match=f"{target} takes no {name} surrogate"):
                export_model(bundles[name][0], [target], tmp_path, force=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", CASES)
def test_every_approximation_says_how_much(
    bundles: dict[str, tuple[Path, Path]], name: str
) -> None:
    content = content_of(load_model(bundles[name][0]))
    for target in map(get_target, target_names()):
        try:
            taken = target_for(target, content.kind)
        except UsageError:
            continue
        for item in stated_fidelity(taken, content):
            if item.treatment == "approximated":
                assert (item.amount is None) == ("no amount: " in item.how), item
            if item.treatment == "absent":
                assert item.how.startswith("not in the model; ")
        absent = {i.quantity for i in stated_fidelity(taken, content) if i.treatment == "absent"}
        assert ("DAC" in absent) != name.startswith("dac")
