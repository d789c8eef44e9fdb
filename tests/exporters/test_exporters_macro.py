"""Exports of a macro: its parts chained by the targets' own code give the codes of the whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic_macro import BITS, COLS, CONVERTERS, ROWS, SETTINGS, results

from imccircuit.exporters.content import content_of
from imccircuit.exporters.costs import costs_of
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.numpy import runtime
from imccircuit.exporters.parts import levels_within
from imccircuit.nodal.lines import solve_lines
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.macro import MacroSurrogate

NAMES = ("macros", "macro", "sinh")


@pytest.mark.parametrize("name", NAMES)
def test_stored_vectors_are_of_the_whole(macros: dict[str, Path], name: str) -> None:
    replay = content_of(load_model(macros[name])).replay
    count = len(replay["chip"].values)
    # 5 chips of 12 are held out with 10 of their 12 vectors, of one chip 5 of 12 vectors.
    assert count == (50 if name == "macros" else 5)
    assert replay["voltage"].values.shape == (count, ROWS)
    assert replay["code"].values.shape == (count, CONVERTERS)
    # The surrogate knows a converter's input to 1e-6 LSB: no code of the deck is elsewhere.
    np.testing.assert_array_equal(replay["expected_code"].values, replay["code"].values)
    assert len(np.unique(replay["code"].values)) > 4
    if name == "macros":
        held_out = load_model(macros[name]).array("array.held_out")
        assert np.all(held_out[replay["chip"].values] == 1)
        assert len(np.unique(replay["chip"].values)) == 5


def test_what_constant_offsets_cost_is_of_the_stored_vectors(tmp_path: Path) -> None:
    """The array of a macro of many chips has other vectors than the array's own model."""
    rows = (*SETTINGS, "circuit.array.cell=1r_sinh", "circuit.array.sinh_voltage=1 V")
    model = fit_results(results(tmp_path / "r.h5", chips=11, settings=rows, v0=0.1))
    assert isinstance(model, MacroSurrogate)
    part = content_of(model).parts["array"]
    error = 0.0
    for v, chip, expected in zip(
        *(part.replay[n].values for n in ("voltage", "chip", "expected_current")), strict=True
    ):
        physics, g = model.parts.array.physics, part.arrays["conductance"].values[chip]
        taken = physics.currents(g, v[None])[0] + part.arrays["offset_current"].values[chip]
        error = max(error, float(np.max(np.abs(taken - expected))))
    assert part.numbers["offset_error_a"] == pytest.approx(error, rel=1e-12, abs=0)
    assert error > 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_numpy_chains_the_parts(macros: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(macros[name], ["numpy"], tmp_path)
    assert (folder / "lines.py").exists() == (name == "sinh")
    found = replay_export(folder)
    assert found.good
    (difference,) = found.differences
    assert difference.apart == 0
    assert difference.compared == CONVERTERS * (50 if name == "macros" else 5)
    macro, model = runtime.load(folder, solve_lines), load_model(macros[name])
    assert isinstance(macro, runtime.Macro)
    assert len(macro.converters) == CONVERTERS
    inputs = np.random.default_rng(3).random((40, ROWS))
    with pytest.raises(ValueError, match="have no drivers"):
        macro.codes_of_row_codes(np.zeros((1, ROWS), int))
    for chip in range(macro.chips):
        expected = model.predict(input=inputs, chip=chip)["output_code"]
        np.testing.assert_array_equal(macro.codes_of_inputs(inputs, chip), expected)
        drive = macro.bias_v + macro.read_v * inputs
        expected = model.predict(voltage_v=drive, chip=chip)["output_code"]
        np.testing.assert_array_equal(macro.codes(drive, chip), expected)


def test_a_moved_level_is_seen_by_the_replay(macros: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(macros["macros"], ["numpy"], tmp_path)
    with np.load(folder / "model.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["converter_1.transition_level"] += 1 / 2**BITS
    np.savez(folder / "model.npz", **arrays)
    (difference,) = replay_export(folder).differences
    # One converter of two answers a code too low, wherever it is not at code 0.
    assert 0 < difference.apart <= difference.compared // CONVERTERS
    assert difference.largest == 1


def test_parts_are_in_the_bundle_with_their_names(macros: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(macros["macros"], ["bundle"], tmp_path)
    head, model = json.loads((folder / "bundle.json").read_text()), load_model(macros["macros"])
    assert head["kind"] == "macro"
    assert head["numbers"]["converters"] == CONVERTERS
    assert head["numbers"]["array.transresistance_ohm"] == model.value("array.transresistance")
    assert head["numbers"]["converter_1.bits"] == BITS
    with np.load(folder / "bundle.npz") as arrays:
        assert set(arrays.files) == set(head["arrays"])
        name = "converter_1.transition_level"
        np.testing.assert_array_equal(arrays[name], model.array(name))
    quantities = [item["quantity"] for item in head["fidelity"]]
    assert {"array: read-out", "converters: transition levels", "latency"} <= set(quantities)
    assert len(quantities) == len(set(quantities))


def test_costs_are_those_of_the_whole_and_of_its_parts(macros: dict[str, Path]) -> None:
    costs = costs_of(content_of(load_model(macros["macro"])))
    assert set(costs) == {"macro", "array", "adc"}
    # The clock's 66 ns; no energy and no area were measured.
    assert costs["macro"] == {
        "energy_j": None, "latency_s": 66e-9, "area_m2": None, "converters": CONVERTERS,
    }  # fmt: skip
    assert (costs["array"]["rows"], costs["array"]["cols"]) == (ROWS, COLS)
    assert costs["adc"]["bits"] == BITS


def test_older_files_are_exported_without_vectors(macros: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(macros["old"], ["numpy"], tmp_path)
    (difference,) = replay_export(folder).differences
    assert difference.compared == 0
    assert not difference.good


@pytest.mark.parametrize("name", NAMES)
def test_torch_chains_the_parts(macros: dict[str, Path], tmp_path: Path, name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not in the test extra")
    from imccircuit.exporters.torch import runtime as layers

    (folder,) = export_model(macros[name], ["torch"], tmp_path)
    found = replay_export(folder)
    assert found.good
    if name != "sinh":
        assert [item.bound for item in found.differences] == [0]
    model = load_model(macros[name])
    inputs = np.random.default_rng(3).random((40, ROWS))
    chip = model.chips - 1  # type: ignore[attr-defined]
    macro = layers.load(folder, chip=chip)
    assert isinstance(macro, layers.MacroLayer)
    stored = content_of(model).replay
    mine = stored["chip"].values == stored["chip"].values[-1]
    of_mine = layers.load(folder, chip=int(stored["chip"].values[-1]))
    assert isinstance(of_mine, layers.MacroLayer)
    sampled = of_mine.sampled_voltage_v(torch.from_numpy(stored["voltage"].values[mine]))
    error_v = macro.array.stated_error_a * macro.array.transresistance_ohm
    assert (error_v > 0) == (name == "sinh")
    # Curves through the solver's own answers: far below a level, or they would be of no use.
    assert error_v < 0.1 * macro.lsb_v
    apart = np.abs(sampled.numpy() - stored["expected_sampled_voltage"].values[mine])
    # Voltages of 1 V and sums in another order: 1e-12 V.
    assert np.max(apart) < error_v + 1e-12
    if name != "sinh":
        codes = macro.codes_of_inputs(torch.from_numpy(inputs))
        expected = model.predict(input=inputs, chip=chip)["output_code"]
        np.testing.assert_array_equal(codes.numpy(), expected)
        single = macro.codes_of_inputs(torch.from_numpy(inputs).float())
        assert single.dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_onnx_chains_the_parts(macros: dict[str, Path], tmp_path: Path, name: str) -> None:
    pytest.importorskip("onnx", reason="extra onnx")
    onnxruntime = pytest.importorskip("onnxruntime", reason="extra onnx")
    (folder,) = export_model(macros[name], ["onnx"], tmp_path)
    found = replay_export(folder)
    assert found.good
    if name == "sinh":
        # Levels are 31 mV apart and the curves good to a few: one level at most.
        assert [item.bound for item in found.differences] == [1]
        return
    assert [item.bound for item in found.differences] == [0]
    session = onnxruntime.InferenceSession(str(folder / "macro.onnx"))
    model = load_model(macros[name])
    numbers = content_of(model).numbers
    bias, read = numbers["bias_voltage_v"] or 0.0, numbers["read_voltage_v"] or 0.0
    voltage = bias + read * np.random.default_rng(3).random((40, ROWS))
    for chip in range(model.chips):  # type: ignore[attr-defined]
        (codes,) = session.run(["code"], {"voltage": voltage, "chip": np.array(chip)})
        expected = model.predict(voltage_v=voltage, chip=chip)["output_code"]
        np.testing.assert_array_equal(codes, expected)
    voltage[0, 0] = np.nan
    (codes,) = session.run(["code"], {"voltage": voltage[:2], "chip": np.array(0)})
    assert codes[0].tolist() == [-1] * CONVERTERS
    assert np.all(codes[1] >= 0)


def test_levels_within_an_error_bound_the_code() -> None:
    levels = np.array([[0.0, 0.1, 0.11, 0.115, 0.5]])
    # 0.095 V off by 0.02 V passes three levels; by 0.004 V none need be passed, one may.
    assert levels_within(levels, 0.02) == 3
    assert levels_within(levels, 0.004) == 1
    assert levels_within(levels, 0.0) == 0


@pytest.mark.parametrize("target", ["numpy", "torch", "onnx"])
def test_the_list_names_every_quantity_of_the_macro(
    macros: dict[str, Path], tmp_path: Path, target: str
) -> None:
    if target == "onnx":
        pytest.importorskip("onnx", reason="extra onnx")
    (folder,) = export_model(macros["sinh"], [target], tmp_path)
    listed = {item["quantity"]: item for item in json.loads((folder / "fidelity.json").read_text())}
    assert set(listed) >= {
        item.quantity for item in content_of(load_model(macros["sinh"])).fidelity
    }
    solved = "exact" if target == "numpy" else "approximated"
    assert listed["codes"]["treatment"] == solved
    assert listed["array: cells and wires"]["treatment"] == solved
    assert listed["converters: transition levels"]["treatment"] == "exact"
    assert listed["latency"]["treatment"] == "exact"
    assert ("gradient" in listed) == (target == "torch")


def test_torch_has_the_gradient_of_the_chain(macros: dict[str, Path], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not in the test extra")
    from imccircuit.exporters.torch import runtime as layers

    (folder,) = export_model(macros["macro"], ["torch"], tmp_path)
    macro, model = layers.load(folder), load_model(macros["macro"])
    assert isinstance(macro, layers.MacroLayer)
    voltage = torch.full((ROWS,), macro.bias_v + 0.4 * macro.read_v, dtype=torch.float64)
    voltage.requires_grad_(True)
    macro(voltage)[1].backward()
    # Straight through: -R·G_eff of the column over an LSB.
    content = content_of(model).parts["array"]
    column = content.arrays["effective_conductance"].values[0][:, 1]
    slope = -model.value("array.transresistance") * column * 2**BITS
    assert voltage.grad is not None
    np.testing.assert_allclose(voltage.grad.numpy(), slope, rtol=1e-12)
