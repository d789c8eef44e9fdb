"""The study: data, mapping, and the whole path on fewer images."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imccircuit.cli.main import run_command
from imccircuit.errors import InputError, SetupError, UsageError
from imccircuit.networks.digits import load_digits, train_linear
from imccircuit.networks.digits_study import DigitsOutcome
from imccircuit.networks.study import load_study
from imccircuit.nodal import solve_crossbar
from imccircuit.results.read import read_results


def test_split_is_deterministic_disjoint_and_balanced() -> None:
    one, two = load_digits(360, 1), load_digits(360, 1)
    np.testing.assert_array_equal(one.test_x, two.test_x)
    assert len(one.test_y) == 360
    assert len(one.train_y) == 1797 - 360
    assert one.train_x.min() == 0.0
    assert one.train_x.max() == 1.0
    counts = np.bincount(one.test_y)
    assert counts.max() - counts.min() <= 2
    other = load_digits(360, 2)
    assert not np.array_equal(one.test_x, other.test_x)


def test_classifier_without_intercept_maps_black_to_nothing() -> None:
    digits = load_digits(360, 1)
    weights = train_linear(digits.train_x, digits.train_y)
    assert weights.shape == (64, 10)
    np.testing.assert_array_equal(np.zeros(64) @ weights, np.zeros(10))
    accuracy = np.mean(np.argmax(digits.test_x @ weights, axis=1) == digits.test_y)
    assert accuracy > 0.9  # chance is 0.1; a wrong mapping of classes would show


def test_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SetupError, match=r"imccircuit\[digits\]"):
        load_digits(360, 1)


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("network.test_images=10", "200"),
        ("network.dataset=cifar", "digits"),
        ("array.read_voltage=1", "unit"),
        ("array.colour=red", "colour"),
    ],
)
def test_bad_study_is_one_line(setting: str, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        load_study("digits", [setting])
    assert "\n" not in str(caught.value)


def test_a_recipe_is_no_study() -> None:
    with pytest.raises((InputError, UsageError), match="study"):
        load_study("adc_sar8")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study on 200 images, two of them in closed loop."""
    folder = tmp_path_factory.mktemp("digits") / "out"
    settings = ["network.test_images=200", "converter.loop_images=2"]
    arguments = ["accuracy", "digits", "-o", str(folder), "--json", "-j", "2"]
    for setting in settings:
        arguments += ["--set", setting]
    assert run_command(arguments) == 0
    return folder


@pytest.mark.ngspice
def test_study_agrees_with_a_calculation_by_hand(outcome: Path) -> None:
    """Array, amplifiers and converter again from their numbers, with none of the study's code."""
    array = read_results(outcome / "array.h5")
    data = array.dataset
    circuit = json.loads(array.provenance.recipe_resolved)["circuit"]
    feedback = float(circuit["tia_feedback_resistance"].split()[0])
    gain, r_in = circuit["tia_gain"], 1e9
    offset = data["tia_offset"].values[0, 0]
    # An amplifier with out = A(vos − v) and Rf is, seen from its input, Rf/(1+A) in series with
    # vos·A/(1+A), both parallel to r_in. Of the column current the share r_in/(r_in + Rf/(1+A))
    # flows through Rf. The array is linear: what the offsets do adds to what the rows do.
    equivalent = feedback / (1 + gain)
    sense = 1 / (1 / equivalent + 1 / r_in)
    conductance = data["conductance"].values[0, 0]
    drive = data["row_voltage"].values[0, 0]
    wires = {"r_row_ohm": 2.0, "r_col_ohm": 2.0, "r_sense_ohm": sense}
    current = solve_crossbar(conductance, drive, **wires).output_current_a
    through_feedback = current * r_in / (r_in + equivalent)
    without_offset = -feedback * gain / (1 + gain) * through_feedback
    measured = data["output_voltage"].values[0, 0]
    residual = measured - without_offset
    # What is left is each column's own constant, to the rounding of SPICE (1e-13 of 1 V).
    np.testing.assert_allclose(residual - residual[0], 0.0, atol=1e-12)
    assert np.all(np.sign(residual[0]) == np.sign(offset))
    levels = read_results(outcome / "converter.h5").dataset["transition_level"].values[0, 0]
    codes = np.sum(measured[..., None] > levels, axis=-1)
    digits = load_digits(200, 1)
    right = np.mean(np.argmax(codes[:, 0::2] - codes[:, 1::2], axis=1) == digits.test_y)
    report = json.loads((outcome / "study.json").read_text())
    ways = {way["name"]: way["accuracy"] for way in report["ways"]}
    assert ways["SPICE (ngspice)"] == right
    assert report["loop_equal"] == report["loop_conversions"] == 40


@pytest.mark.ngspice
def test_export_gives_spice_codes_without_imccircuit(outcome: Path, tmp_path: Path) -> None:
    drive = read_results(outcome / "array.h5").dataset["row_voltage"].values[0, 0]
    measured = read_results(outcome / "array.h5").dataset["output_voltage"].values[0, 0]
    levels = read_results(outcome / "converter.h5").dataset["transition_level"].values[0, 0]
    np.save(tmp_path / "drive.npy", drive)
    script = tmp_path / "use.py"
    script.write_text(
        "import importlib.util, sys\n"
        "import numpy as np\n"
        "class Forbid:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'imccircuit':\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Forbid())\n"
        "def load(folder):\n"
        "    spec = importlib.util.spec_from_file_location('imc_model', folder + '/imc_model.py')\n"
        "    module = importlib.util.module_from_spec(spec)\n"
        "    spec.loader.exec_module(module)\n"
        "    return module.load()\n"
        "root, place = sys.argv[1:]\n"
        "array, adc = load(root + '/array/numpy'), load(root + '/converter/numpy')\n"
        "codes = adc.convert(array.outputs_v(np.load(place + '/drive.npy')))\n"
        "np.save(place + '/codes.npy', codes)\n"
    )
    command = [sys.executable, "-I", str(script), str(outcome / "exports"), str(tmp_path)]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=60)
    expected = np.sum(measured[..., None] > levels, axis=-1)
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), expected)


@pytest.mark.ngspice
@pytest.mark.parametrize(
    ("changed", "below"),
    [
        ({}, False),
        ({"equal_codes": 0.89}, True),
        ({"largest_difference": 2}, True),
        ({"loop_equal": 89}, True),
        ({"loop_equal": 91}, False),
    ],
)
def test_codes_that_part_are_below_the_gate(changed: dict[str, Any], below: bool) -> None:
    good = DigitsOutcome(360, (), 0.999, 1, 100, 100, {}, {})
    assert replace(good, **changed).below_gate == below


def test_pictures_are_there(outcome: Path) -> None:
    names = sorted(path.name for path in outcome.glob("*.png"))
    assert names == ["inl-dnl.png", "ir-drop.png", "surrogate-error.png", "transfer.png"]
