"""The Verilog-A export: its text holds the model's numbers, and a compiler's code answers alike."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic import array_and_drive, crossbar_currents

from imccircuit.errors import FileFormatError, SetupError
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.veriloga.compiled import compile_modules, contributions
from imccircuit.surrogates.files import load_model


def compiler() -> None:
    pytest.importorskip("openvaf_py", reason="extra veriloga")


def modules_of(text: str) -> dict[str, str]:
    """Bodies of the modules of a file by name, found without knowing how they were written."""
    found = re.findall(r"^module (\w+)\s*\((.*?)^endmodule$", text, re.MULTILINE | re.DOTALL)
    return dict(found)


@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh"])
def test_modules_are_well_formed(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["veriloga"], tmp_path)
    text = (folder / "imc_model.va").read_text()
    model = load_model(models[name])
    modules = modules_of(text)
    kind = model.kind
    assert list(modules) == [f"imc_{kind}_{chip}" for chip in range(len(model.array("sample")))]
    assert len(re.findall(r"\bmodule\b(?! *s)", text)) - len(modules) == 0
    assert text.count('`include "disciplines.vams"') == 1
    for body in modules.values():
        assert body.count("(") + 1 == body.count(")")  # the first is before what was found
        words = re.findall(r"\b(begin|end)\b", body)
        assert words == ["begin", "end"]
        listed = re.match(r"([^)]*)\);", body)
        assert listed is not None
        ports = re.split(r",\s*", listed[1])
        declared = re.findall(r"^  (?:input|output|inout) ([^;]*);", body, re.MULTILINE)
        assert sorted(", ".join(declared).replace("\n", " ").replace(",", " ").split()) == sorted(
            ports
        )
        for line in re.findall(r"^  parameter .*$", body, re.MULTILINE):
            assert re.fullmatch(r"  parameter real \w+ = -?[\d.]+(e-?\d+)?;", line)
            before = body[: body.index(line)].rstrip().splitlines()[-1]
            assert re.fullmatch(r'  \(\* desc = "[^"]+", units = "\w+" \*\)', before)
    assert len(re.findall(r'^\(\* desc = "[^"]+" \*\)$', text, re.MULTILINE)) == len(modules)


def test_levels_in_the_text_are_those_of_the_model(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["adcs"], ["veriloga"], tmp_path)
    modules = modules_of((folder / "imc_model.va").read_text())
    levels = load_model(models["adcs"]).array("transition_level")
    for chip, own in enumerate(levels):
        body = modules[f"imc_adc_{chip}"]
        found = [float(x) for x in re.findall(r"\(\(x > (\S+)\) \? 1 : 0\)", body)]
        assert found == own.tolist()


def test_matrices_in_the_text_are_those_of_the_model(
    models: dict[str, Path], tmp_path: Path
) -> None:
    (folder,) = export_model(models["amplified"], ["veriloga"], tmp_path)
    body = modules_of((folder / "imc_model.va").read_text())["imc_crossbar_0"]
    model = load_model(models["amplified"])
    assert re.search(
        rf"transresistance = {re.escape(repr(float(model.value('transresistance'))))};", body
    )
    columns = body.split("    current = ")[1:]
    # Each column: an offset, then a sum over the rows.
    offsets = [float(columns[2 * j].split(";")[0]) for j in range(4)]
    matrix = [
        [float(x) for x in re.findall(r"\+ \((\S+)\) \* x0_\d", columns[2 * j + 1])]
        for j in range(4)
    ]
    voltage = 0.2 * np.random.default_rng(3).random((5, 6))
    current = voltage @ np.array(matrix).T + offsets
    expected = model.predict(voltage_v=voltage)["output_current_a"]
    np.testing.assert_allclose(current, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh"])
def test_replay(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    compiler()
    (folder,) = export_model(models[name], ["veriloga"], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert found.program.startswith("openvaf-py ")
    assert all(item.compared for item in found.differences)


def test_compiled_codes_at_the_levels_themselves(models: dict[str, Path], tmp_path: Path) -> None:
    compiler()
    (folder,) = export_model(models["adcs"], ["veriloga"], tmp_path)
    modules, _ = compile_modules(folder / "imc_model.va")
    own = load_model(models["adcs"]).array("transition_level")[2]
    for v in [*own, *np.nextafter(own, 2), -1.0, 2.0]:
        found = contributions(modules["imc_adc_2"], {"in": v}, {"v_high": 1.2})
        code = sum(v > level for level in own)
        assert found["flow(code)"] == code
        assert [found[f"flow(b{k})"] for k in range(5)] == [1.2 * (code >> k & 1) for k in range(5)]
        assert found["in"] == 0


def test_columns_whose_ends_are_not_at_ground(models: dict[str, Path], tmp_path: Path) -> None:
    """Against a dense solution of the same circuit that knows nothing of the export."""
    compiler()
    (folder,) = export_model(models["linear"], ["veriloga"], tmp_path)
    modules, _ = compile_modules(folder / "imc_model.va")
    g, drive = array_and_drive(6, 4, 12)
    end = np.array([0.05, -0.02, 0.0, 0.1])
    expected = crossbar_currents(g, drive[:1], r_row=20.0, r_col=30.0, end_v=end)[0]
    ports = {f"row{i}": v for i, v in enumerate(drive[0])}
    ports |= {f"col{j}": v for j, v in enumerate(end)}
    found = contributions(modules["imc_crossbar_0"], ports, {})
    into = np.array([-found[f"col{j}"] for j in range(4)])
    # The wires are fitted to a millionth.
    np.testing.assert_allclose(into, expected, rtol=0, atol=1e-6 * np.max(np.abs(expected)))
    assert [found[f"row{i}"] for i in range(6)] == [0.0] * 6


def test_nonlinear_cells_are_odd(models: dict[str, Path], tmp_path: Path) -> None:
    compiler()
    (folder,) = export_model(models["sinh"], ["veriloga"], tmp_path)
    modules, _ = compile_modules(folder / "imc_model.va")
    drive = np.load(folder / "replay.npz")["voltage"][0]
    found = [
        contributions(
            modules["imc_crossbar_0"], {f"row{i}": s * v for i, v in enumerate(drive)}, {}
        )
        for s in (1, -1)
    ]
    for j in range(4):
        assert found[1][f"col{j}"] == -found[0][f"col{j}"] != 0


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("adc", "(x > 0.", "(x > 0.0"),
        ("adc", "((n >> 2) & 1)", "((n >> 3) & 1)"),
        ("linear", ") * x0_3", " + 1e-6) * x0_3"),
        ("amplified", "- transresistance", "+ transresistance"),
    ],
)
def test_a_changed_module_is_found_out(
    models: dict[str, Path], tmp_path: Path, name: str, old: str, new: str
) -> None:
    compiler()
    (folder,) = export_model(models[name], ["veriloga"], tmp_path)
    path = folder / "imc_model.va"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert not replay_export(folder).good


def test_what_a_compiler_refuses_is_one_line(models: dict[str, Path], tmp_path: Path) -> None:
    compiler()
    (folder,) = export_model(models["adc"], ["veriloga"], tmp_path)
    path = folder / "imc_model.va"
    text = path.read_text()
    path.write_text(text.replace("endmodule", ""))
    with pytest.raises(FileFormatError, match="refuses"):
        replay_export(folder)
    path.write_text(text.replace("imc_adc_0", "imc_adc_7"))
    with pytest.raises(FileFormatError, match="no module imc_adc_0"):
        replay_export(folder)
    path.write_text(text.replace("v_high", "v_supply"))
    with pytest.raises(FileFormatError, match="v_supply is not as exported"):
        replay_export(folder)


def test_without_a_compiler_replay_says_how_to_get_one(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = export_model(models["adc"], ["veriloga"], tmp_path)
    monkeypatch.setitem(sys.modules, "openvaf_py", None)
    with pytest.raises(SetupError, match=r"imccircuit\[veriloga\]"):
        replay_export(folder)


def test_the_list(models: dict[str, Path], tmp_path: Path) -> None:
    for name, cells in (("linear", "exact"), ("sinh", "approximated")):
        (folder,) = export_model(models[name], ["veriloga"], tmp_path / name)
        items = json.loads((folder / "fidelity.json").read_text())
        listed = {item["quantity"]: item["treatment"] for item in items}
        assert listed["cells and wires"] == cells
        assert listed["voltages of the sense ends"] == cells
        assert listed["currents drawn from the word lines"] == "dropped"
