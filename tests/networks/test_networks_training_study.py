"""The study of training from the command line, on converters whose numbers are stated."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from imccircuit.cli.main import run_command
from imccircuit.errors import InputError, SetupError
from imccircuit.networks import training_study
from imccircuit.networks.study import TrainingStudy, load_study
from imccircuit.networks.training_study import run_training
from imccircuit.recipes.load import Recipe

# The folder is on the path by itself only when its own tests are collected.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "surrogates"))

from synthetic import adc_population, write

SHORT = ["training.chips=2", "training.seeds=1", "training.epochs=8", "training.bits=4",
         "training.test_images=200", "training.hidden=16"]  # fmt: skip
CHARGE = ["training.mode=charge", "cells={weight_bits = 2, input_bits = 2, spread = 0.05}"]


def run(folder: Path, *settings: str) -> int:
    arguments = ["accuracy", "digits_training", "-o", str(folder)]
    for setting in (*SHORT, *settings):
        arguments += ["--set", setting]
    return int(run_command(arguments))


def run_loaded(settings: Sequence[str], folder: Path) -> None:
    study = load_study("digits_training", settings)
    assert isinstance(study, TrainingStudy)
    run_training(study, folder, jobs=1, progress=lambda _: None)


@pytest.fixture
def synthetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results as SPICE would leave them: unit capacitors off by 40 %, offsets of 2 LSB."""
    pytest.importorskip("torch", reason="torch is not in the test extra")
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")

    def measure(recipe: Recipe, output: Path, jobs: int) -> None:
        assert jobs == 0
        bits = int(recipe.parameters({}).circuit.resolution)
        chips = adc_population(20, 1, bits=bits, spread=0.4, offset_v=0.12)
        output.parent.mkdir(parents=True, exist_ok=True)
        write(output, "adc_sar8_mismatch", [f"circuit.bits={bits}"], chips)

    monkeypatch.setattr(training_study, "measure", measure)


@pytest.mark.usefixtures("synthetic")
def test_the_command_trains_and_writes_its_table(tmp_path, capsys) -> None:
    assert run(tmp_path) in (0, 3)
    said = capsys.readouterr()
    report = json.loads((tmp_path / "study.json").read_text())
    ways = {way["name"]: way for way in report["ways"]}
    assert list(ways) == ["float", "uniform converter", "naive", "population", "chip in the loop",
                          "calibrated converter"]  # fmt: skip
    # 200 answers a chip: σ of a share near 0.9 is 0.02; the converters are 4 bits and bad.
    assert ways["float"]["mean"] > 0.85
    assert ways["naive"]["mean"] < ways["float"]["mean"] - 0.1
    assert ways["chip in the loop"]["mean"] > ways["naive"]["mean"] + 0.1
    assert [len(way["accuracy"][0]) for way in report["ways"]] == [1, 1, 2, 2, 2, 2]
    assert (report["mode"], report["bits"], report["conversions"]) == ("current", 4, 2 * (16 + 10))
    assert set(report["overhead"]) == {"population", "chip"}
    assert (ways["float"]["sd"], report["chips"], report["epochs"]) == (None, 2, 8)
    for name in ways:
        assert name in said.out
    assert f"{100 * ways['population']['mean']:.1f} ± " in said.out
    assert "times plain" in said.out
    assert "training 1 of 1: population" in said.err
    assert (tmp_path / "converter.model.h5").is_file()


@pytest.mark.usefixtures("synthetic")
def test_ways_that_are_not_asked_for_are_not_trained(tmp_path, capsys) -> None:
    settings = [*CHARGE, "training.epochs=1", 'training.ways=["naive", "population"]']
    assert run(tmp_path, *settings, "training.chips=1") in (0, 3)
    report = json.loads((tmp_path / "study.json").read_text())
    assert [way["name"] for way in report["ways"]] == ["naive", "population"]
    assert set(report["overhead"]) == {"population"}
    # Two passes of two slices of pairs of columns.
    assert (report["mode"], report["conversions"]) == ("charge", 2 * 2 * 2 * (16 + 10))
    assert ": chip" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["training.mode=spin"], ["training.mode = 'spin'", "current"]),
        (['training.ways=["luck"]'], ["training.ways[0] = 'luck'", "chip in the loop"]),
        (["training.epochs=0"], ["training.epochs = 0", "1"]),
        (["training.mode=charge"], ["cells.low_conductance = 5e-06", "weight_bits and input_bits"]),
        (["cells.weight_bits=3"], ["cells.weight_bits = 3", "does not take it"]),
        (["cells.high_conductance=1 uS"], ["cells.high_conductance = 1e-06", "above 5e-06 S"]),
        (["cells={spread = 0.1}"], ["cells.low_conductance = None", "needs it"]),
        (
            ["converter.recipe=crossbar_digits", "training={mode = 'current'}"],
            ["converter.recipe", "adc_transfer"],
        ),
        (["converter.recipe=adc_sar8"], ["converter.recipe", "at least 2 samples"]),
        (["converter.samples=1"], ["converter.samples = 1", "2"]),
        (["network.seed=1"], ["network"]),
    ],
)
def test_what_does_not_fit_is_one_line_before_spice(settings, words, tmp_path) -> None:
    with pytest.raises(InputError) as caught:
        run_loaded(settings, tmp_path / "out")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_missing_torch_is_one_line_before_spice(monkeypatch, tmp_path, capsys) -> None:
    def without(name: str) -> object:
        return None if name == "torch" else find_spec(name)

    monkeypatch.setattr(training_study, "find_spec", without)
    with pytest.raises(SetupError, match=r"torch is missing: pip install"):
        run_loaded([], tmp_path / "out")
    assert run(tmp_path / "out") == 4
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
