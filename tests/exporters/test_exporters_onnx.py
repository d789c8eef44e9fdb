"""The ONNX export, run by onnxruntime, answers as the surrogate does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from imccircuit.errors import FileFormatError, SetupError
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.onnx import TARGET
from imccircuit.surrogates.files import load_model

onnx = pytest.importorskip("onnx", reason="extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="extra onnx")


def session_of(folder: Path, kind: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(folder / f"{kind}.onnx"))


@pytest.mark.parametrize("name", ["adc", "adcs"])
def test_codes_are_exactly_those_of_the_definition(
    models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    (folder,) = export_model(models[name], ["onnx"], tmp_path)
    levels = load_model(models[name]).array("transition_level")
    session = session_of(folder, "adc")
    for chip, own in enumerate(levels):
        # Levels themselves and their neighbours as floats, where a rounding would show first.
        voltage = np.concatenate([own, np.nextafter(own, 2), np.nextafter(own, -2), [-1.0, 2.0]])
        feeds = {"voltage": voltage, "chip": np.full(len(voltage), chip)}
        (code,) = session.run(["code"], feeds)
        assert code.dtype == np.int64
        assert code.tolist() == [sum(v > level for level in own) for v in voltage]
    (code,) = session.run(["code"], {"voltage": np.array([np.nan]), "chip": np.array([0])})
    assert code.tolist() == [-1]


@pytest.mark.parametrize("name", ["linear", "amplified", "sinh"])
def test_currents_are_as_stated(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["onnx"], tmp_path)
    session = session_of(folder, "crossbar")
    stored = np.load(folder / "replay.npz")
    (current,) = session.run(["current"], {"voltage": stored["voltage"], "chip": np.array(0)})
    largest = np.max(np.abs(stored["current"]))
    stated = float(session.get_modelmeta().custom_metadata_map["stated_error_a"])
    if name == "sinh":
        apart = np.max(np.abs(current - stored["expected_current"]))
        assert apart == pytest.approx(stated, rel=1e-9, abs=1e-15)
        # One matrix for small voltages would be off by tens of percent at V = 0.8 V0.
        assert 1e-6 * largest < apart < 0.05 * largest
        # Cells of this kind are odd, whatever the wires are.
        feeds = {"voltage": -stored["voltage"], "chip": np.array(0)}
        np.testing.assert_array_equal(session.run(["current"], feeds)[0], -current)
    else:
        assert stated == 0
        # Against the synthetic circuit itself; the fit is good to about 1e-9 of it.
        np.testing.assert_allclose(current, stored["current"], rtol=0, atol=1e-6 * largest)
    outputs = [item.name for item in session.get_outputs()]
    assert ("output_voltage" in outputs) == (name == "amplified")


def test_only_standard_operators_are_used(models: dict[str, Path], tmp_path: Path) -> None:
    for name, kind in (("adcs", "adc"), ("amplified", "crossbar"), ("sinh", "crossbar")):
        (folder,) = export_model(models[name], ["onnx"], tmp_path / name)
        model = onnx.load(folder / f"{kind}.onnx")
        onnx.checker.check_model(model, full_check=True)
        assert [(item.domain, item.version) for item in model.opset_import] == [("", 17)]
        assert {node.domain for node in model.graph.node} == {""}
        kinds = {item.data_type for item in model.graph.initializer}
        assert kinds <= {onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64}


@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh"])
def test_replay(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["onnx"], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert found.program == f"onnxruntime {onnxruntime.__version__}"
    units = [item.unit for item in found.differences]
    assert units == {"adc": ["1"], "adcs": ["1"], "amplified": ["A", "V"]}.get(name, ["A"])


def test_a_changed_table_is_found_out(models: dict[str, Path], tmp_path: Path) -> None:
    for name, kind, tensor in (
        ("adcs", "adc", "transition_level"),
        ("amplified", "crossbar", "matrix_0"),
        ("amplified", "crossbar", "output_offset"),
    ):
        (folder,) = export_model(models[name], ["onnx"], tmp_path)
        path = folder / f"{kind}.onnx"
        model = onnx.load(path)
        for item in model.graph.initializer:
            if item.name == tensor:
                changed = onnx.numpy_helper.to_array(item) * 1.01
                item.CopyFrom(onnx.numpy_helper.from_array(changed, tensor))
        path.write_bytes(model.SerializeToString())
        assert not replay_export(folder).good, tensor


def test_the_list_says_what_is_approximated(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["sinh"], ["onnx"], tmp_path)
    listed = {item["quantity"]: item for item in json.loads((folder / "fidelity.json").read_text())}
    assert listed["cells and wires"]["treatment"] == "approximated"
    assert " A, " in listed["cells and wires"]["how"]
    (folder,) = export_model(models["adcs"], ["onnx"], tmp_path)
    listed = {item["quantity"]: item for item in json.loads((folder / "fidelity.json").read_text())}
    assert listed["transition levels"]["treatment"] == "exact"
    assert listed["population of chips"]["treatment"] == "dropped"


def test_what_is_missing_or_torn_is_one_line(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = export_model(models["adc"], ["onnx"], tmp_path)
    (folder / "adc.onnx").write_bytes(b"no protocol buffer")
    with pytest.raises(FileFormatError, match="refuses"):
        replay_export(folder)
    (folder / "adc.onnx").unlink()
    with pytest.raises(FileFormatError, match=r"no adc\.onnx"):
        replay_export(folder)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SetupError, match=r"imccircuit\[onnx\]"):
        replay_export(folder)
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "imccircuit.exporters.onnx.graphs")
    with pytest.raises(SetupError, match=r"imccircuit\[onnx\]"):
        export_model(models["adc"], ["onnx"], tmp_path / "other")
    assert not (tmp_path / "other" / "onnx").exists()
    assert TARGET.name == "onnx"
