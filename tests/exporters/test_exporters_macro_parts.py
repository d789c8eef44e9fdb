"""Macros in targets that take their parts: both parts, what chains them, and costs of the whole."""

from __future__ import annotations

import csv
import json
import sys
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_macro import BITS, COLS, CONVERTERS, ROWS, results

from imccircuit.errors import FileFormatError, SetupError, UsageError
from imccircuit.exporters.content import Content, content_of
from imccircuit.exporters.costs import shared_costs, shared_parts
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.macro_parts import converters_of, target_for
from imccircuit.exporters.mnsim import config_of
from imccircuit.exporters.registry import get_target, target_names
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import fit_results

IN_PARTS = ("aihwkit", "crosssim", "micsim", "neurosim", "spice", "veriloga")
CHAINED = ("aihwkit", "crosssim", "spice")


@pytest.mark.parametrize("name", ["macros", "sinh"])
def test_every_target_takes_a_macro(macros: dict[str, Path], tmp_path: Path, name: str) -> None:
    folders = export_model(macros[name], target_names(), tmp_path)
    assert [folder.name for folder in folders] == target_names()
    content = content_of(load_model(macros[name]))
    for folder in folders:
        listed = json.loads((folder / "fidelity.json").read_text())
        found = {item["quantity"]: item for item in listed}
        assert len(found) == len(listed)
        assert set(found) >= {item.quantity for item in content.fidelity}, folder.name
        assert found["DAC"]["treatment"] == "absent"
        assert found["several slices, signed weights, inputs bit by bit"]["treatment"] == "dropped"
        for item in listed:
            if item["treatment"] == "approximated":
                assert (item["amount"] is None) == ("no amount: " in item["how"])
        parts = [part for part in ("array", "converters") if (folder / part).is_dir()]
        assert parts == (["array", "converters"] if folder.name in IN_PARTS else [])
        for part in parts:
            names = {item.name for item in (folder / part).iterdir()}
            assert names > {"README.md", "fidelity.json", "replay.npz"}
            assert part in (folder / "README.md").read_text()
        values = folder.name in (*CHAINED, "veriloga", "numpy", "torch", "onnx", "bundle")
        assert (found["codes"]["treatment"] != "dropped") == values, folder.name


def test_converters_of_all_chips_are_chips_of_one_export(
    macros: dict[str, Path], tmp_path: Path
) -> None:
    model = load_model(macros["macros"])
    content = content_of(model)
    part = converters_of(content)
    assert part.numbers["bits"] == BITS
    levels = part.arrays["transition_level"].values
    assert len(levels) == 12 * CONVERTERS
    for chip in (0, 7, 11):
        for j in range(CONVERTERS):
            own = model.array(f"converter_{j}.transition_level")[chip]
            np.testing.assert_array_equal(levels[CONVERTERS * chip + j], own)
    # The stored inputs of the whole, converted by the chip's own converter.
    stored = content.replay
    place = part.replay["chip"].values
    assert place[:CONVERTERS].tolist() == [
        CONVERTERS * stored["chip"].values[0] + j for j in range(CONVERTERS)
    ]
    codes = [
        int(np.sum(levels[k] < v)) for k, v in zip(place, part.replay["input"].values, strict=True)
    ]
    np.testing.assert_array_equal(codes, stored["code"].values.ravel())
    (folder,) = export_model(macros["macros"], ["micsim"], tmp_path)
    with (folder / "converters" / "adc.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 3 * 12 * CONVERTERS


@pytest.mark.ngspice
@pytest.mark.parametrize("name", ["macro", "sinh"])
def test_ngspice_runs_parts_and_whole(macros: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(macros[name], ["spice"], tmp_path)
    found = replay_export(folder)
    assert found.good
    whole = found.differences[-1]
    assert (whole.quantity, whole.compared) == ("code of the whole", 5 * CONVERTERS)
    # Levels are 31 mV apart and the curves of sinh cells good to a few: one level at most.
    assert whole.bound == (1 if name == "sinh" else 0)
    assert {item.quantity.partition(":")[0] for item in found.differences[:-1]} == {
        "array", "converters",
    }  # fmt: skip
    text = (folder / "imc_macro.cir").read_text()
    # Another bias under the rows.
    (folder / "imc_macro.cir").write_text(text.replace("0.1\n", "0.05\n"))
    assert not replay_export(folder).good


def test_aihwkit_runs_the_whole_in_one_layer(macros: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("aihwkit", reason="aihwkit is not in the test extra")
    (folder,) = export_model(macros["macros"], ["aihwkit"], tmp_path)
    found = replay_export(folder)
    assert found.good
    whole = found.differences[-1]
    assert (whole.quantity, whole.apart, whole.bound) == ("code of the whole", 0, 0)
    assert whole.compared == 50 * CONVERTERS
    path = folder / "converters" / "model.npz"
    with np.load(path) as file:
        arrays = dict(file)
    # Converters of the second column answer for the first, and the other way round.
    arrays["transition_level"] = np.roll(arrays["transition_level"], 1, axis=0)
    np.savez(path, **arrays)
    assert not replay_export(folder).differences[-1].good


def test_crosssim_runs_the_whole_in_one_core(macros: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("simulator.cores", reason="CrossSim is a clone on PYTHONPATH")
    for name, bound in (("macros", 0), ("sinh", 1)):
        (folder,) = export_model(macros[name], ["crosssim"], tmp_path / name)
        found = replay_export(folder)
        assert found.good
        whole = found.differences[-1]
        assert (whole.quantity, whole.apart, whole.bound) == ("code of the whole", 0, bound)


def test_without_the_target_one_line_says_so(
    macros: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = export_model(macros["macro"], ["micsim"], tmp_path)
    monkeypatch.setitem(sys.modules, "src", None)
    with pytest.raises(SetupError, match="MICSim"):
        replay_export(folder)


def test_targets_take_no_macro_by_one_part_alone() -> None:
    halved = replace(get_target("spice"), kinds=("adc",))
    with pytest.raises(UsageError, match="spice takes no macro surrogate; allowed: adc"):
        target_for(halved, "macro")


def costed(content: Content, **numbers: float) -> Content:
    return replace(content, numbers={**content.numbers, **numbers})


def test_costs_of_the_whole_are_shared_by_its_conversions(macros: dict[str, Path]) -> None:
    content = content_of(load_model(macros["macro"]))
    whole = costed(content, energy_j=8e-12, latency_s=66e-9, area_m2=4e-9)
    costs = shared_costs(whole)
    assert costs["adc"] == {
        "energy_j": 4e-12, "latency_s": 66e-9, "area_m2": 2e-9, "bits": BITS,
    }  # fmt: skip
    assert costs["array"] == {
        "energy_j": 0.0, "latency_s": 0.0, "area_m2": 0.0, "rows": ROWS, "cols": COLS,
    }  # fmt: skip
    assert costs["macro"]["energy_j"] == 8e-12
    # MNSIM: latency (b + 2)/rate in ns, energy latency·power, area in µm².
    config = config_of(whole)["Interface level"]
    assert float(config["ADC_Sample_Rate"]) == pytest.approx((BITS + 2) / 66, abs=1e-12)
    assert float(config["ADC_Power"]) == pytest.approx(4e-12 / 66e-9, abs=1e-15)
    assert float(config["ADC_Area"]) == pytest.approx(2000.0, abs=1e-9)
    # What a part has of its own stays.
    parts = {**content.parts, "converter_0": costed(content.parts["converter_0"], energy_j=1e-12)}
    own = shared_parts(costed(replace(content, parts=parts), energy_j=8e-12))
    assert own["adc"].numbers["energy_j"] == 1e-12
    assert own["array"].numbers["energy_j"] is None


def test_converters_that_are_a_component_bring_their_area(
    macros: dict[str, Path], tmp_path: Path
) -> None:
    """AccelForge adds components up, so that an area may stand in one of them only."""
    content = content_of(load_model(macros["macro"]))
    adc = costed(content.parts["converter_0"], energy_j=1e-12, area_m2=2e-9)
    parts = {**content.parts, "converter_0": adc}
    for energy, area in ({}, None), ({"energy_j": 8e-12}, 4e-9):
        whole = costed(replace(content, parts=parts), area_m2=4e-9, **energy)
        folder = tmp_path / str(area)
        folder.mkdir()
        get_target("hwcomponents").write(whole, load_model(macros["macro"]), folder)
        found = json.loads((folder / "hwcomponents_imc" / "costs.json").read_text())
        assert found["array"]["area_m2"] == area
        assert found.get("adc", {}).get("area_m2") == (2e-9 if area is None else None)


def test_costs_are_said_to_be_shared(macros: dict[str, Path]) -> None:
    content = content_of(load_model(macros["macro"]))
    for target, treatment in (("zigzag", "approximated"), ("hwcomponents", "dropped")):
        found = {i.quantity: i for i in get_target(target).fidelity(content)}
        # hwcomponents takes energy and latency together, and there is no energy.
        assert found["latency"].treatment == treatment


def test_files_of_cost_targets_have_both_parts(macros: dict[str, Path], tmp_path: Path) -> None:
    targets = ["hwcomponents", "mnsim", "zigzag"]
    package, mnsim, zigzag = export_model(macros["macro"], targets, tmp_path)
    costs = json.loads((package / "hwcomponents_imc" / "costs.json").read_text())
    assert costs["array"]["latency_s"] == 66e-9
    assert (costs["array"]["rows"], costs["array"]["cols"]) == (ROWS, COLS)
    assert "adc" not in costs
    config = ConfigParser()
    config.read(mnsim / "SimConfig.ini")
    assert config["Crossbar level"]["Xbar_Size"] == f"{ROWS},{COLS}"
    assert "Interface level" not in config
    assert json.loads((zigzag / "costs.json").read_text())["adc"]["latency_s"] == 66e-9


def test_costs_of_converters_are_in_what_says_so(tmp_path: Path) -> None:
    model = fit_results(results(tmp_path / "r.h5", chips=1, costs=1.0))
    model.save(tmp_path / "m.h5")
    package, zigzag = export_model(tmp_path / "m.h5", ["hwcomponents", "zigzag"], tmp_path)
    for file in (package / "hwcomponents_imc" / "costs.json", zigzag / "costs.json"):
        found = json.loads(file.read_text())["adc"]
        assert found["energy_j"] == pytest.approx(6e-15, abs=1e-27)
        assert found["latency_s"] == pytest.approx(60e-9, abs=1e-20)
        assert found["bits"] == BITS
    assert '"imc_adc", {"n_bits": 5}' in (package / "README.md").read_text()


def test_zigzag_runs_with_the_shared_costs(macros: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("zigzag", reason="zigzag-dse is not in the test extra")
    (folder,) = export_model(macros["macro"], ["zigzag"], tmp_path)
    found = {item.quantity: item for item in replay_export(folder).differences}
    assert found["ADC delay"].good
    assert found["ADC delay"].bound == pytest.approx(66e-12, abs=1e-20)


@pytest.mark.parametrize("name", ["imc_macro.py", "array/imc_aihwkit.py", "array/lines.py"])
def test_code_of_somebody_else_is_not_run(
    macros: dict[str, Path], tmp_path: Path, name: str
) -> None:
    pytest.importorskip("aihwkit", reason="aihwkit is not in the test extra")
    (folder,) = export_model(macros["sinh"], ["aihwkit"], tmp_path)
    (folder / name).write_text("raise SystemExit('run')\n")
    with pytest.raises(FileFormatError, match="not as this version writes it"):
        replay_export(folder)
    # The chain looks for itself, whoever has looked before.
    chain = get_target("aihwkit").chain
    assert chain is not None
    assert chain.replay is not None
    with pytest.raises(FileFormatError, match="not as this version writes it"):
        chain.replay(folder)
