"""The study of training from the command line, on converters whose numbers are stated."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from imccircuit.cli.main import run_command
from imccircuit.errors import InputError, SetupError
from imccircuit.networks import training_comparison, training_parts, training_study
from imccircuit.networks.study import TrainingStudy, load_study
from imccircuit.networks.training_study import run_training
from imccircuit.recipes.load import Recipe

# The folder is on the path by itself only when its own tests are collected.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "surrogates"))

from synthetic import adc_chip, adc_population, write
from synthetic_columns import ramp_population
from synthetic_ports import write_mirrors

SHORT = ["training.chips=2", "training.seeds=1", "training.epochs=8", "training.bits=4",
         "training.folds=2", "training.hidden=16"]  # fmt: skip
CHARGE = ["cells={weight_bits = 2, input_bits = 2, spread = 0.05}"]


def run(folder: Path, *settings: str, study: str = "digits_training", resume: bool = False) -> int:
    arguments = ["accuracy", study, "-o", str(folder), *["--resume"] * resume]
    for setting in (*SHORT, *settings):
        arguments += ["--set", setting]
    return int(run_command(arguments))


def run_loaded(settings: Sequence[str], folder: Path) -> None:
    study = load_study("digits_training", settings)
    assert isinstance(study, TrainingStudy)
    run_training(study, folder, jobs=1, progress=lambda _: None)


@pytest.fixture
def synthetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results as SPICE would leave them: unit capacitors off by 40 %."""
    pytest.importorskip("torch", reason="torch is not in the test extra")
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")

    def measure(recipe: Recipe, output: Path, jobs: int) -> None:
        assert jobs == 0
        output.parent.mkdir(parents=True, exist_ok=True)
        circuit = recipe.parameters({}).circuit
        if recipe.bench.name == "readout_transfer":
            write_mirrors(output, 20, seed=1)
            return
        if recipe.bench.name == "ramp_transfer":
            slopes = 1 + 0.05 * np.random.default_rng(1).standard_normal(20)
            chips = ramp_population(slopes, 4, 0.03, circuit.bits)
            settings = [f"circuit.bits={circuit.bits}", "circuit.columns=4"]
            write(output, "adc_ramp8_mismatch", settings, chips)
            return
        bits = int(circuit.resolution)
        # As on the shipped card: σ goes with 1/√area; 40 % at 0.01 fF.
        spread = 0.4 * np.sqrt(0.01e-15 / circuit.unit_f)
        # Rough converters are off by 2 LSB, those of which sizes are tried by a tenth of one.
        offset = 2.4 * circuit.comparator_offset_sigma
        chips = adc_population(20, 1, bits=bits, spread=spread, offset_v=offset)
        if recipe.common.variation.samples == 1:
            chips = [adc_chip(2.0 ** np.arange(bits), 1.0, 0.0)]
        write(output, "adc_sar8_mismatch", [f"circuit.bits={bits}"], chips)

    monkeypatch.setattr(training_parts, "measure", measure)


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
    assert (report["images"], report["folds"]) == (1797, 2)
    for way in report["ways"]:
        # Every image is answered once by every chip of every training.
        answered = 1797 * np.array(way["accuracy"])
        np.testing.assert_allclose(answered, np.round(answered), atol=1e-9)
        assert way["low"] < way["mean"] < way["high"]
    # Images alone: √(p(1-p)/1797), times Student's 1.96 for so many.
    p = ways["float"]["mean"]
    half = 1.961 * np.sqrt(p * (1 - p) / 1796)
    assert ways["float"]["high"] - p == pytest.approx(half, abs=1e-5)
    against = ways["chip in the loop"]["against"]
    assert set(ways["naive"]["against"]) == set(ways["uniform converter"]["against"]) == {"float"}
    # Lost in pairs, image by image, and so the difference of the means.
    gained = ways["chip in the loop"]["mean"] - ways["naive"]["mean"]
    assert against["naive"]["loss"]["mean"] == pytest.approx(-gained, abs=1e-9)
    assert against["naive"]["p_of_median"] < 1e-6
    assert set(report["overhead"]) == {"population", "chip"}
    assert (ways["float"]["sd"], report["chips"], report["epochs"]) == (None, 2, 8)
    for name in ways:
        assert name in said.out
    assert f"{100 * ways['population']['mean']:.1f} ± " in said.out
    assert f"new chips every batch: {report['overhead']['population']:.1f} times" in said.out
    assert "training 1 of 1, fold 2 of 2: population" in said.err
    assert (tmp_path / "converter.model.h5").is_file()
    assert report["front_end"]["state"] == "pass"
    # 4 bits and eighths of a code: 128 inputs; as many converters as conversions of an image.
    calibration = report["calibration"]
    assert (calibration["steps"], calibration["converters"]) == (128, 52)
    assert calibration["images"] == 128
    assert not (tmp_path / "study.work").exists()


@pytest.mark.usefixtures("synthetic")
def test_ways_that_are_not_asked_for_are_not_trained(tmp_path, capsys) -> None:
    settings = [*CHARGE, "training.epochs=1", 'training.ways=["naive", "population"]']
    study = "digits_training_charge"
    assert run(tmp_path, *settings, "training.chips=1", study=study) in (0, 3)
    report = json.loads((tmp_path / "study.json").read_text())
    assert [way["name"] for way in report["ways"]] == ["naive", "population"]
    assert set(report["overhead"]) == {"population"}
    # Two passes of two slices of pairs of columns.
    assert (report["mode"], report["conversions"]) == ("charge", 2 * 2 * 2 * (16 + 10))
    assert ": chip" not in capsys.readouterr().err


@pytest.mark.usefixtures("synthetic")
def test_cells_of_a_card_are_trained_with(tmp_path) -> None:
    """The same converters, trainings and scores; only the cells are others."""
    short = ["training.epochs=3", 'training.ways=["float", "naive", "population"]']
    naive = []
    for name, cells in (
        ("typed", "{low_conductance='0.74 uS', high_conductance='39 uS', spread=0}"),
        ("card", "{device_card='rram_techC', read_time='1e5 s'}"),
    ):
        assert run(tmp_path / name, *short, f"cells={cells}") in (0, 3)
        report = json.loads((tmp_path / name / "study.json").read_text())
        ways = {way["name"]: way["accuracy"] for way in report["ways"]}
        naive.append((ways["naive"], ways["float"]))
    assert naive[0][1] == naive[1][1]
    assert naive[0][0] != naive[1][0]


@pytest.mark.usefixtures("synthetic")
def test_columns_share_ramps_and_sizes_are_tried(tmp_path, capsys) -> None:
    short = ["training.epochs=1", 'training.ways=["naive"]', "training.chips=1"]
    ramp = ["converter={recipe='adc_ramp5_rough'}", "training.bits=6"]
    assert run(tmp_path / "ramp", *short, *ramp) in (0, 3)
    assert json.loads((tmp_path / "ramp" / "study.json").read_text())["bits"] == 6
    ways = 'training.ways=["float", "naive", "calibrated converter"]'
    sizes = ["capacitors.units=['0.01 fF', '10 fF']", "capacitors.loss=0.5", "training.epochs=4"]
    assert run(tmp_path, *sizes, ways, "training.chips=4", study="digits_capacitors") in (0, 3)
    report = json.loads((tmp_path / "study.json").read_text())
    small, large = report["sizes"]
    assert (small["unit_f"], large["unit_f"]) == (1e-17, 1e-14)
    # 40 % against 1 %.
    lost = [size["ways"]["naive"]["loss"] for size in (small, large)]
    assert lost[0]["mean"] > lost[1]["mean"]
    for loss in lost:
        assert loss["least"] < loss["mean"] < loss["most"]
    assert "naive: at most a loss of 50 points against float from a unit" in capsys.readouterr().out


@pytest.mark.usefixtures("synthetic")
def test_an_interrupted_training_goes_on_to_the_same_table(tmp_path, monkeypatch, capsys) -> None:
    settings = ["training.epochs=2", "training.chips=2", "training.seeds=2"]
    assert run(tmp_path / "whole", *settings) in (0, 3)
    own, calls = training_comparison.train, []

    def train(*arguments: object, **named: object) -> object:
        calls.append(arguments[2])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return own(*arguments, **named)

    monkeypatch.setattr(training_comparison, "train", train)
    assert run(tmp_path / "torn", *settings) == 130
    assert run(tmp_path / "torn", *settings, "training.epochs=3", resume=True) == 1
    assert "begun with other tables" in capsys.readouterr().err
    assert run(tmp_path / "torn", *settings) == 1
    assert "(3 unit(s) done); use --resume or --fresh" in capsys.readouterr().err
    # Of 2 · 2 · (plain, population, 2 chips) three are done; the fourth begins anew.
    assert run(tmp_path / "torn", *settings, resume=True) in (0, 3)
    of_fold = ["plain", "population", "chip", "chip"]
    assert calls == [*of_fold, "chip", *of_fold * 3]
    torn, whole = (
        json.loads((tmp_path / name / "study.json").read_text()) for name in ("torn", "whole")
    )
    # Seconds are another run's.
    for report in (torn, whole):
        del report["overhead"], report["files"]
    assert torn == whole


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
        (["converter.cost=crossbar_digits"], ["converter.cost", "adc_transfer"]),
        (["front_end.recipe=adc_sar8"], ["front_end.recipe", "readout_transfer"]),
        (["front_end.recipe=readout_tia"], ["front_end.recipe", "at least 2 samples"]),
        (["front_end.samples=1"], ["front_end.samples = 1", "2"]),
        (
            ["training.mode=charge", "cells={weight_bits=2, input_bits=2, spread=0}"],
            ["front_end.recipe", "mode charge has no front end"],
        ),
        (
            ["converter={recipe='adc_ramp5_rough'}", "capacitors={units=['1 fF', '2 fF']}"],
            ["converter.recipe", "no unit capacitors"],
        ),
        (["capacitors={units=['1 fF']}"], ["capacitors.units", "2"]),
        (["capacitors={units=['1 fF', '1000 aF']}"], ["capacitors.units", "each size once"]),
        (['training.ways=["naive", "naive"]'], ["training.ways", "each way once"]),
        (
            ["capacitors={units=['1 fF', '2 fF']}", 'training.ways=["naive"]'],
            ["training.ways = ['naive']", "needs float", '"float" among them'],
        ),
        (
            ["capacitors={units=['1 fF', '2 fF']}", 'training.ways=["float"]'],
            ["training.ways = ['float']", "a way with chips", "naive or population"],
        ),
        (
            ["converter={recipe='adc_ramp8_kinds', samples=2}", "training={mode='current'}"],
            ["converter.recipe", "points", "without a sweep"],
        ),
        (["network.seed=1"], ["network"]),
    ],
)
def test_what_does_not_fit_is_one_line_before_spice(settings, words, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(training_parts, "measure", lambda *_: pytest.fail("SPICE was asked"))
    with pytest.raises(InputError) as caught:
        run_loaded(settings, tmp_path / "out")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_populations_have_as_many_samples_as_asked_for() -> None:
    study = load_study("digits_training", ["converter.samples=3", "front_end.samples=4"])
    assert isinstance(study, TrainingStudy)
    recipes = training_parts.load_recipes(study.tables, study.file)
    assert recipes.converter.common.variation.samples == 3
    assert recipes.front_end.common.variation.samples == 4


def test_missing_torch_is_one_line_before_spice(monkeypatch, tmp_path, capsys) -> None:
    def without(name: str) -> object:
        return None if name == "torch" else find_spec(name)

    monkeypatch.setattr(training_study, "find_spec", without)
    with pytest.raises(SetupError, match=r"torch is missing: pip install"):
        run_loaded([], tmp_path / "out")
    assert run(tmp_path / "out") == 4
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
