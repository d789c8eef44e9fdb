"""The numpy export answers exactly as the surrogate, where imccircuit cannot be imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.exporters.export import export_model
from imccircuit.exporters.numpy import runtime
from imccircuit.nodal.lines import solve_lines
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.files import load_model

# In a fresh interpreter: nothing but numpy and the standard library may be imported.
ISOLATED = """
import importlib.util, sys
class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top != "numpy" and top not in sys.stdlib_module_names and top != "imc_model":
            raise ImportError("forbidden: " + name)
sys.meta_path.insert(0, Guard())
import numpy as np
folder, inputs, out = sys.argv[1:]
sys.path.insert(0, folder)
import imc_model
model = imc_model.load()
given = np.load(inputs)
answers = {}
for chip in range(model.chips):
    if hasattr(model, "convert"):
        answers[f"code_{chip}"] = model.convert(given["voltage"], chip=chip)
    else:
        answers[f"current_{chip}"] = model.currents_a(given["voltage"], chip=chip)
        if model.has_amplifiers:
            answers[f"output_{chip}"] = model.outputs_v(given["voltage"], chip=chip)
np.savez(out, **answers)
assert "imccircuit" not in sys.modules and "scipy" not in sys.modules
"""


def run_isolated(folder: Path, voltage: np.ndarray, tmp_path: Path) -> dict[str, np.ndarray]:
    inputs, out = tmp_path / "inputs.npz", tmp_path / "answers.npz"
    np.savez(inputs, voltage=voltage)
    command = [sys.executable, "-I", "-c", ISOLATED, str(folder), str(inputs), str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("name", ["adc", "adcs"])
def test_codes_are_exactly_those_of_the_surrogate(
    models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    (folder,) = export_model(models[name], ["numpy"], tmp_path)
    model = load_model(models[name])
    assert isinstance(model, AdcSurrogate)
    # Levels themselves and their neighbours as floats, where a rounding would show first.
    levels = model.array("transition_level").ravel()
    voltage = np.concatenate(
        [levels, np.nextafter(levels, 2), np.nextafter(levels, -2), np.linspace(-1, 2, 999)]
    )
    answers = run_isolated(folder, voltage, tmp_path)
    assert len(answers) == model.chips
    for chip in range(model.chips):
        np.testing.assert_array_equal(answers[f"code_{chip}"], model.convert(voltage, chip))


@pytest.mark.parametrize("name", ["linear", "amplified", "sinh"])
def test_currents_are_those_of_the_surrogate(
    models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    (folder,) = export_model(models[name], ["numpy"], tmp_path)
    assert (folder / "lines.py").exists() == (name == "sinh")
    model = load_model(models[name])
    assert isinstance(model, CrossbarSurrogate)
    voltage = 0.2 * np.random.default_rng(4).random((33, 6))
    answers = run_isolated(folder, voltage, tmp_path)
    expected = model.predict(voltage_v=voltage)
    current = expected["output_current_a"]
    # Two solvers where cells are not linear, each of which promises 1e-10; one product elsewhere.
    apart = 2e-10 * np.max(np.abs(current)) if name == "sinh" else 0.0
    np.testing.assert_allclose(answers["current_0"], current, rtol=0, atol=apart)
    if name == "amplified":
        np.testing.assert_array_equal(answers["output_0"], expected["output_voltage_v"])


def test_what_is_copied_imports_numpy_alone(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["sinh"], ["numpy"], tmp_path)
    for file in folder.glob("*.py"):
        text = file.read_text()
        assert text.startswith("# SPDX-License-Identifier: MIT")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None) or node.names[0].name]
                assert names[0].partition(".")[0] in {*sys.stdlib_module_names, "numpy"}


def test_the_rest_of_the_package_uses_the_same_module(
    models: dict[str, Path], tmp_path: Path
) -> None:
    (folder,) = export_model(models["sinh"], ["numpy"], tmp_path)
    assert (folder / "imc_model.py").read_bytes() == Path(runtime.__file__).read_bytes()
    array = runtime.load(folder, solve_lines)
    assert isinstance(array, runtime.Crossbar)
    model = load_model(models["sinh"])
    voltage = np.full((2, 6), 0.1)
    expected = model.predict(voltage_v=voltage)["output_current_a"]
    # Two solvers, each of which promises 1e-10.
    apart = 2e-10 * np.max(np.abs(expected))
    np.testing.assert_allclose(array.currents_a(voltage), expected, rtol=0, atol=apart)


@pytest.mark.parametrize("chip", [-1, 99])
def test_there_is_no_such_chip(models: dict[str, Path], tmp_path: Path, chip: int) -> None:
    (folder,) = export_model(models["amplified"], ["numpy"], tmp_path / "array")
    array = runtime.load(folder)
    assert isinstance(array, runtime.Crossbar)
    (folder,) = export_model(models["adc"], ["numpy"], tmp_path / "converter")
    converter = runtime.load(folder)
    assert isinstance(converter, runtime.Adc)
    for ask in (
        lambda: converter.convert(0.5, chip),
        lambda: array.currents_a(np.zeros((1, array.shape[0])), chip),
        lambda: array.outputs_v(np.zeros((1, array.shape[0])), chip),
    ):
        with pytest.raises(ValueError, match=f"no chip {chip}"):
            ask()


def test_wrong_use_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["linear"], ["numpy"], tmp_path)
    array = runtime.load(folder)
    assert isinstance(array, runtime.Crossbar)
    with pytest.raises(ValueError, match="batch, 6"):
        array.currents_a(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="ideal"):
        array.outputs_v(np.zeros((2, 6)))
    np.savez(folder / "model.npz", schema="another")
    with pytest.raises(ValueError, match="another"):
        runtime.load(folder)
    with pytest.raises(ValueError, match="must not fall"):
        runtime.Adc({"transition_level": np.array([[0.5, 0.2, 0.7]]), "full_scale_v": np.array(1)})


def test_a_nan_has_no_code(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["adc"], ["numpy"], tmp_path)
    adc = runtime.load(folder)
    assert isinstance(adc, runtime.Adc)
    assert adc.bits == 5
    assert adc.convert([np.nan, -1.0, 2.0]).tolist() == [-1, 0, 31]
    with pytest.raises(ValueError, match="no chip 1"):
        adc.convert(0.5, chip=1)
    assert isinstance(load_model(models["adc"]), AdcSurrogate)
    with pytest.raises(UsageError):
        load_model(models["adc"]).predict(voltage_v=0.5, chip=1)
