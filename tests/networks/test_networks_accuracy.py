"""The study of networks: residuals, sensitivities, exports, and the whole of it beside SPICE."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from imccircuit.cli.main import run_command
from imccircuit.errors import InputError, UsageError
from imccircuit.exporters.registry import target_names
from imccircuit.networks import accuracy_study, exported_chip
from imccircuit.networks import study as study_module
from imccircuit.networks.accuracy_outcome import NetworksOutcome, Shift, over_chips
from imccircuit.networks.accuracy_study import run_networks
from imccircuit.networks.characterised import characterise, load_parts
from imccircuit.networks.chips import IDEAL, Scales, TileChip
from imccircuit.networks.exported_chip import (
    PACKAGES,
    export_chip,
    export_layer,
    load_chip,
    missing_packages,
    targets_not_run,
)
from imccircuit.networks.exported_twins import compare_twins
from imccircuit.networks.fit_network import fit_network
from imccircuit.networks.hardware import Hardware
from imccircuit.networks.mapping import Mapping
from imccircuit.networks.residuals import Residuals, without_error
from imccircuit.networks.sensitivity import (
    OnImages,
    compute_accuracies,
)
from imccircuit.networks.spot_check import Checked, Operation, check_operation
from imccircuit.networks.study import NetworkStudy, load_study
from imccircuit.surrogates.macro_compose import Composition

MAPPING = Mapping(64, 64, Composition(4, 5, 4, 4))


def test_ideal_circuits_keep_the_accuracy_and_chips_cost_some(mlp, digits) -> None:
    _, _, x, y, _ = digits
    plain = np.mean(np.argmax(mlp.network.logits(x), axis=1) == y)
    ideal = compute_accuracies([OnImages(mlp, x, y)], IDEAL, 1, 1)[0]
    chips = compute_accuracies([OnImages(mlp, x, y)], Scales(), 3, 1)
    # 4 bits of input and 5 of weight: 200 images have a binomial σ of 2 points.
    assert abs(ideal - plain) < 0.04
    assert chips.mean() < ideal
    assert chips.mean() > 0.6  # chance is 0.1; a wrong sign or order would show


@pytest.mark.parametrize("signed", ["differential", "offset"])
def test_slices_and_serial_inputs_compute_the_same_network(signed, population, digits) -> None:
    x, y, test, _, shape = digits
    network = fit_network("cnn", shape, 10, x, y, 1)
    logits = []
    for slice_bits, pass_bits in ((5, 4), (1, 1), (2, 2)):
        mapping = Mapping(40, 30, Composition(4, 5, pass_bits, slice_bits, signed))
        hardware = Hardware(network, mapping, population, x, "maximum")
        logits.append(hardware.logits(hardware.program(1, 0, IDEAL), test[:50]))
    for other in logits[1:]:
        agree = np.mean(np.argmax(other, axis=1) == np.argmax(logits[0], axis=1))
        # Converters round each column: one answer in ten may turn with where the bits are cut.
        assert agree >= 0.9


@pytest.mark.parametrize("signed", ["differential", "offset"])
def test_wires_are_made_good_by_a_gain_however_signs_are_stored(signed, population, digits) -> None:
    x, y, test, classes, shape = digits
    network = fit_network("mlp", shape, 10, x, y, 1)
    mapping = Mapping(64, 64, Composition(4, 5, 4, 4, signed))
    hardware = Hardware(network, mapping, population, x)
    # By hand: columns of 64 cells of 20 uS or less on average, rows and columns of 2 and 3 ohm a
    # segment: up to 64·32·20 uS·2.5 ohm = 10 % of a current is lost, and half of that on average.
    assert 1.0 < hardware.ranges[0].gain < 1.1
    folds = [OnImages(hardware, test, classes)]
    ideal = compute_accuracies(folds, IDEAL, 1, 1)[0]
    wired = compute_accuracies(folds, replace(IDEAL, wires=1.0), 1, 1)[0]
    assert ideal > 0.75
    # What a wrong gain would leave of 6300 to be taken off is as large as the sums themselves, and
    # the answer chance. A gain cannot make good what one column loses more than another.
    assert wired - 0.1 > 0.5 * (ideal - 0.1)


def test_exported_chip_gives_the_same_codes(mlp, digits, tmp_path) -> None:
    _, _, x, _, _ = digits
    layers = mlp.program(1, 0)
    export_chip(mlp.network, layers, tmp_path)
    exported = load_chip(tmp_path)
    seen = np.random.default_rng(1).integers(0, 16, (100, 64)).astype(np.uint8)
    ours, theirs = layers[0].codes(0, seen), exported.layers[0].codes(0, seen)
    # Weights of sixteen bits and sums in single precision: a voltage that is nearer to a level than
    # what these may change can fall on either side of it.
    voltage, levels = layers[0].voltages_v(0, seen), layers[0].tiles[0].levels_v
    distance = np.min(np.abs(voltage[:, :, None] - levels), axis=2)
    sure = distance > layers[0].rounding_v(0) + 1e-6
    np.testing.assert_array_equal(ours[sure], theirs[sure])
    assert np.mean(sure) > 0.9
    assert np.max(np.abs(ours - theirs)) <= 1
    assert (tmp_path / "layer_1" / "tile_0" / "converter" / "LICENSE").is_file()
    one, two = mlp.logits(layers, x), exported.logits(x)
    assert np.mean(np.argmax(one, axis=1) == np.argmax(two, axis=1)) > 0.99


@pytest.mark.parametrize("target", ["torch", "onnx", "aihwkit", "crosssim"])
def test_a_target_gives_the_very_codes_of_numpy(target, mlp, digits, tmp_path) -> None:
    for package in PACKAGES[target]:
        pytest.importorskip(package, reason=f"target {target} needs it")
    _, _, x, _, _ = digits
    layers = mlp.program(1, 0)
    for name in ("numpy", target):
        export_chip(mlp.network, layers, tmp_path / name, name)
    known, found = load_chip(tmp_path / "numpy"), load_chip(tmp_path / target, target)
    # More conversions than a graph is asked at once.
    seen = np.random.default_rng(1).integers(0, 16, (700, 64)).astype(np.uint8)
    codes = found.layers[0].codes(0, seen)
    np.testing.assert_array_equal(codes, known.layers[0].codes(0, seen))
    assert len(np.unique(codes)) > 100
    # Its own files hold the chip: with another chip's levels in them it answers otherwise.
    other = mlp.program(1, 1)
    export_layer(other[0], tmp_path / target / "layer_0", target)
    moved = load_chip(tmp_path / target, target).layers[0].codes(0, seen)
    assert np.mean(moved != codes) > 0.2
    twin = compare_twins("mlp", target, known.logits(x), found.logits(x))
    assert twin.agrees
    assert (twin.images, twin.different) == (200, 0)


def test_every_target_runs_a_chip_or_says_why(monkeypatch) -> None:
    monkeypatch.setattr(exported_chip, "find_spec", lambda name: None if name == "torch" else name)
    found = targets_not_run()
    assert set(found) == set(target_names()) - {"numpy", "onnx", "crosssim"}
    assert found["torch"] == 'not installed: torch; pip install "imccircuit[torch]"'
    assert found["aihwkit"] == "not installed: torch; see docs/exports/aihwkit.md"


def test_crosssim_without_its_package_is_not_there(monkeypatch) -> None:
    def nowhere(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(exported_chip, "find_spec", nowhere)
    assert missing_packages("crosssim") == ("simulator.cores",)


def test_twins_that_differ_are_told_and_end_with_3() -> None:
    logits = np.array([[1.0, 2.0], [3.0, 1.0]])
    near = compare_twins("m", "torch", logits, logits + 2.9e-9)
    assert near.agrees  # the largest logit is 3
    far = compare_twins("m", "torch", logits, logits + np.array([[0.0, 4e-9], [0.0, 0.0]]))
    turned = compare_twins("m", "torch", logits, logits[:, ::-1])
    assert (far.different, turned.different) == (0, 2)
    for twin in (far, turned):
        outcome = NetworksOutcome(
            10, 2, 2, (), (), (), {}, {}, (), {}, twins=(twin,), not_run={"x": "costs alone"}
        )
        assert outcome.below_gate
        assert outcome.notes()[-1].endswith("DISAGREES")
        assert outcome.tables()[1][2] == [("x", "not run: costs alone")]
        assert not replace(outcome, twins=(near,)).below_gate


@pytest.mark.parametrize("where", ["levels_v", "effective_s"])
def test_a_conversion_without_a_code_is_refused(where, mlp, digits) -> None:
    """Counted as -1 it would be half an LSB below nothing."""
    _, _, x, _, _ = digits

    def torn(tile: TileChip, seed: int) -> TileChip:
        del seed
        values = getattr(tile, where).copy()
        values[(5, 100) if where == "levels_v" else (30, 5)] = np.nan
        return replace(tile, **{where: values})

    layers = mlp.program(1, 0, change=torn)
    with pytest.raises(UsageError, match="tile 0, column 5: no code for vector 0") as caught:
        mlp.logits(layers, x[:3])
    assert "\n" not in str(caught.value)


def test_injected_errors_have_the_rms_they_are_given(mlp) -> None:
    plain = mlp.program(1, 0)[0].tiles[0]
    residuals = Residuals(level_v=1e-5, voltage_over_ohm=1e-9)
    wrong = mlp.program(1, 0, change=residuals)[0].tiles[0]
    again = mlp.program(1, 0, change=residuals)[0].tiles[0]
    np.testing.assert_array_equal(wrong.levels_v, again.levels_v)
    moved = wrong.levels_v - plain.levels_v
    # 64 columns know their σ within 9 %, 64 · 255 codes within 1 %; levels 4 mV apart stay sorted.
    assert np.std(moved.mean(axis=1)) == pytest.approx(1e-5, rel=0.3, abs=0)
    own = moved - moved.mean(axis=1, keepdims=True)
    assert np.std(own) == pytest.approx(1e-5, rel=0.03, abs=0)
    shift = (wrong.output_offset_v - plain.output_offset_v) / plain.transresistance_ohm
    assert np.std(shift) == pytest.approx(1e-9, rel=0.3, abs=0)
    calm = mlp.program(1, 0, change=Residuals(0.0, 0.0))[0].tiles[0]
    np.testing.assert_array_equal(calm.levels_v, plain.levels_v)


def test_interval_over_chips_is_students() -> None:
    rights = np.array([[True] * 8 + [False] * 2, [True] * 9 + [False], [True] * 10])
    line = over_chips("m", "w", rights, [10.0, 12.0, 14.0], np.ones(10, dtype=bool))
    # Accuracies 0.8, 0.9, 1.0: mean 0.9, σ 0.1, t(0.975, 2) = 4.3027 over √3; cut off at 1.
    assert (line.accuracy, line.sd) == (
        pytest.approx(0.9, abs=1e-12),
        pytest.approx(0.1, abs=1e-12),
    )
    assert line.low == pytest.approx(0.9 - 4.302653 * 0.1 / np.sqrt(3), abs=1e-6)
    assert line.high == 1.0
    assert line.logit_snr_db == 12.0
    assert line.p_value == 1.0  # the median chip has one wrong of one unequal: 2 · ½


def test_the_median_of_an_even_number_of_chips_is_the_lower() -> None:
    reference = np.ones(10, dtype=bool)
    rights = np.array([[True] * 10, [True] * 2 + [False] * 8])
    # Eight wrong of eight unequal: 2 · 2^-8. The upper chip would say 1.
    assert over_chips("m", "w", rights, [1.0, 1.0], reference).p_value == 2.0**-7


def test_a_verdict_without_an_error_is_said_to_inject_nothing() -> None:
    def model(unit: str, rms: float) -> SimpleNamespace:
        return SimpleNamespace(
            verdict=SimpleNamespace(errors=(SimpleNamespace(quantity="x", unit=unit, rms=rms),))
        )

    good = model("V", 1e-3)
    assert without_error(good, good) == ()
    assert without_error(model("LSB", 1.0), model("V", float("nan"))) == ("array", "converter")
    outcome = NetworksOutcome(10, 2, 2, (), (), (), {}, {}, (), {}, not_injected=("converter",))
    assert any("surrogate of the converter: its verdict states no" in n for n in outcome.notes())


GOOD = Checked("x", 1e-6, 1e-3, 20, 0, 1, 0)


@pytest.mark.parametrize(
    ("checks", "shifts", "equal", "code"),
    [
        ((GOOD,), (Shift("m", 0.001, 0.01),), 0.995, 0),
        ((GOOD, replace(GOOD, difference_v=2e-3)), (), 1.0, 3),
        ((replace(GOOD, difference_v=float("nan")),), (), 1.0, 3),
        ((replace(GOOD, conversions_apart=1),), (), 1.0, 3),
        ((GOOD,), (Shift("m", -0.02, 0.01),), 1.0, 3),
        ((GOOD,), (), 0.98, 3),
    ],
)
def test_disagreement_and_errors_that_matter_end_with_3(
    checks, shifts, equal, code, monkeypatch, tmp_path, capsys
) -> None:
    outcome = NetworksOutcome(10, 2, 2, (), shifts, checks, {}, {"m": equal}, (), {})
    monkeypatch.setattr(study_module, "run_study", lambda *_, **__: outcome)
    assert run_command(["accuracy", "digits_networks", "-o", str(tmp_path), "--json"]) == code
    assert json.loads(capsys.readouterr().out)["below_gate"] == bool(code)


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("mapping.cols=0", "cols"),
        ("network.models=['vit']", "mlp"),
        ("ranges.rule=widest", "least_error"),
        ("chips.count=1", "2"),
        ("array.read_voltage=200", "unit"),
        ("mapping.colour=red", "colour"),
        ("mapping.input_bits=3", "pass_bits = 4 of 3 bits"),
        ("mapping.weight_bits=4", "slice_bits = 4 of 3 bits"),
        ("network.models=['linear']", "sensitivity.model = 'mlp' is not one of network.models"),
    ],
)
def test_bad_tables_are_one_line(setting, word) -> None:
    with pytest.raises(InputError, match=word) as caught:
        load_study("digits_networks", [setting])
    assert "\n" not in str(caught.value)


def test_bad_studies_are_refused_before_anything_is_measured(tmp_path) -> None:
    for setting, problem, word in (
        ("mapping.cols=1", UsageError, "smaller than one slice"),
        ("array.recipe=adc_sar8", InputError, "a recipe of bench crossbar_mvm"),
        ("array.recipe=crossbar_ir_drop", InputError, "its readout is ideal"),
        ("converter.recipe=adc_sar_split10", InputError, "split"),
        ("array.read_voltage=400 mV", InputError, "holds to 0.3 V"),
        ("sensitivity.bits=[9]", InputError, "sensitivity.bits = .9.: the converter has 8"),
    ):
        study = load_study("digits_networks", [setting])
        assert isinstance(study, NetworkStudy)
        with pytest.raises(problem, match=word):
            run_networks(study, tmp_path / "out", jobs=1, progress=lambda _: None)
        assert not (tmp_path / "out").exists()


SETTINGS = ["converter.samples=1", "network.folds=2", "network.images=200", "chips.count=2",
            'network.models=["mlp"]', "spot_check.operations=1", "spot_check.conversions=1",
            "ranges.images=50", "sensitivity.chips=2", "sensitivity.wires=[0, 1]",
            "sensitivity.mismatch=[0, 1]", "sensitivity.spread=[0, 1]", "sensitivity.bits=[8]",
            "sensitivity.offsets=[0, 1]"]  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("networks") / "out"
    arguments = ["accuracy", "digits_networks", "-o", str(folder), "--json", "-j", "1"]
    for setting in SETTINGS:
        arguments += ["--set", setting]
    # One converter, so its population is not judged; two chips may differ by less than nothing.
    assert run_command(arguments) in (0, 3)
    return folder


@pytest.mark.ngspice
def test_the_study_agrees_with_spice(ran) -> None:
    report = json.loads((ran / "study.json").read_text())
    (check,) = report["checks"]
    assert check["agrees"]
    # The fit is exact to 1e-9 and the feedback resistance is another one: what is left is what an
    # amplifier of 1 Gohm input differs from one in proportion, far below an LSB of 3.9 mV.
    assert check["difference_v"] < 1e-5
    assert check["codes_apart"] == 0
    assert check["conversions"] == 1
    ways = {line["way"]: line["accuracy"] for line in report["lines"]}
    assert ways["float"] > 0.8
    targets = {target for target in PACKAGES if not missing_packages(target)}
    assert set(ways) == {"float", "quantised, ideal circuits", "surrogate hardware, 2 chips",
                         *(f"exported {target} model, chip 0" for target in targets)}  # fmt: skip
    assert {twin["target"] for twin in report["twins"]} == targets - {"numpy"}
    assert all(twin["agrees"] for twin in report["twins"])
    # Every target there is has a line, or a reason.
    assert set(report["not_run"]) == set(target_names()) - targets
    assert report["exported_equal"]["mlp"] > 0.98
    assert len(report["ranges"]["mlp"]) == 2
    assert (ran / "sensitivity.png").is_file()
    assert (ran / "exports" / "converter" / "numpy" / "imc_model.py").is_file()
    chip = ran / "exports" / "chip_0" / "mlp_fold_0" / "numpy"
    told = json.loads((chip / "network.json").read_text())["verdicts"]
    states = {name: verdict["state"] for name, verdict in report["verdicts"].items()}
    assert {name: one["state"] for name, one in told.items()} == states


@pytest.mark.long
@pytest.mark.ngspice
def test_an_interrupted_study_goes_on_to_the_same_table(ran, tmp_path, monkeypatch) -> None:
    own, asked = accuracy_study._ask_chip, []

    def ask(*arguments: object) -> object:
        asked.append(arguments[3])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return own(*arguments)

    monkeypatch.setattr(accuracy_study, "_ask_chip", ask)
    arguments = ["accuracy", "digits_networks", "-o", str(tmp_path), "--json", "-j", "1"]
    for setting in SETTINGS:
        arguments += ["--set", setting]
    assert run_command(arguments) == 130
    # Two folds of two chips: the second fold's first chip was torn, and begins anew.
    assert run_command([*arguments, "--resume"]) in (0, 3)
    assert asked == [0, 1, 0, 0, 1]
    torn, whole = (json.loads((f / "study.json").read_text()) for f in (tmp_path, ran))
    for report in (torn, whole):
        del report["files"]
    assert torn == whole
    assert not (tmp_path / "study.work").exists()


@pytest.mark.ngspice
def test_wrong_wires_are_found_by_spice(ran, digits, tmp_path) -> None:
    """A surrogate whose wires have ten times the resistance: SPICE must disagree."""
    array, converter = load_parts("crossbar_digits", "adc_sar8_mismatch", 1, 0.2, "x")
    parts = characterise(array, converter, 0.2, ran, 1)
    x, y, _, _, shape = digits
    network = fit_network("linear", shape, 10, x, y, 1)
    wrong = replace(parts.population.physics, r_col_ohm=20.0)
    hardware = Hardware(network, MAPPING, replace(parts.population, physics=wrong), x)
    (layer,) = hardware.program(5, 0)
    # Every row fully driven: the drop is in every column.
    vector = np.full(64, 15, dtype=np.uint8)
    operation = Operation("linear", 0, 0, 0, vector, hardware, layer, 5)
    found = check_operation(operation, parts, 0, tmp_path, np.zeros(9))
    assert not found.agrees
    assert found.codes_apart > 0
