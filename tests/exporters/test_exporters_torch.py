"""The torch export: codes as the surrogate's, gradients as defined, chips and noise as its laws."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imccircuit.cli.main import run_command
from imccircuit.errors import FileFormatError, SetupError
from imccircuit.exporters.content import content_of
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.metrics.adc import compute_tree_levels
from imccircuit.surrogates.files import load_model

torch = pytest.importorskip("torch", reason="torch is not in the test extra")

from imccircuit.exporters.curves import row_terms, stated_error  # noqa: E402
from imccircuit.exporters.torch import TARGET, runtime  # noqa: E402

# Three levels of a 2-bit converter of 1 V: code 1 is twice as wide as code 2.
TOY = {
    "transition_level": np.array([[0.2, 0.6, 0.8], [0.25, 0.25, 0.9]]),
    "full_scale_v": np.array(1.0),
}


def exported(models: dict[str, Path], tmp_path: Path, name: str) -> Path:
    (folder,) = export_model(models[name], ["torch"], tmp_path)
    return folder


@pytest.mark.parametrize("name", ["adc", "adcs"])
def test_codes_are_exactly_those_of_the_surrogate(
    models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    folder, model = exported(models, tmp_path, name), load_model(models[name])
    # Levels themselves and their neighbours as floats, where a rounding would show first.
    levels = model.array("transition_level").ravel()
    edges = [levels, np.nextafter(levels, 2), np.nextafter(levels, -2), np.linspace(-1, 2, 99)]
    voltage = np.concatenate(edges)
    for chip in range(model.chips):  # type: ignore[attr-defined]
        codes = runtime.load(folder, chip=chip)(torch.from_numpy(voltage))
        expected = model.convert(voltage, chip)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(codes.numpy(), expected)
    columns = np.stack([voltage, voltage[::-1]], axis=1).reshape(-1, 3, 2)[:5]
    last = model.chips - 1  # type: ignore[attr-defined]
    found = runtime.load(folder, chip=[0, last]).convert(torch.from_numpy(columns.copy()))
    for column, chip in enumerate((0, last)):
        expected = model.convert(columns[..., column], chip)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(found[..., column].numpy(), expected)


def test_single_precision_is_compared_with_the_levels_themselves() -> None:
    level = 0.1 + 1e-12  # rounds to a float32 above 0.1: an input of that value is above it
    arrays = {"transition_level": np.array([[level]]), "full_scale_v": np.array(1.0)}
    given = torch.tensor([0.1, np.nan], dtype=torch.float32)
    assert float(given[0]) > level > np.float64(0.1)
    assert runtime.AdcLayer(arrays).convert(given).tolist() == [1, -1]
    assert runtime.AdcLayer(arrays)(given).dtype == torch.float32


def test_codes_that_a_type_does_not_hold_are_refused() -> None:
    # Whole numbers up to 2^11 are exact in float16, up to 2^8 in bfloat16.
    for bits, low, high in ((8, torch.bfloat16, torch.float16), (9, torch.float16, torch.float32)):
        levels = (np.arange(1, 2**bits) / 2**bits)[None]
        adc = runtime.AdcLayer({"transition_level": levels, "full_scale_v": np.array(1.0)})
        top = torch.tensor([1.0])
        assert adc(top.to(low)).item() == adc(top.to(high)).item() == 2**bits - 1
    with pytest.raises(ValueError, match="bfloat16 does not hold codes of 9 bits"):
        adc(top.to(torch.bfloat16))
    assert adc.convert(top.to(torch.bfloat16)).item() == 511


def test_straight_through_is_one_over_the_lsb_in_range() -> None:
    voltage = torch.tensor([-0.1, 0.0, 0.5, 0.7, 1.0, 1.1], requires_grad=True)
    codes = runtime.AdcLayer(TOY)(voltage)
    codes.sum().backward()
    assert codes.tolist() == [0, 0, 1, 2, 3, 3]
    # LSB 0.25 V; the range goes from 0.2 - 0.25 to 0.8 + 0.25.
    assert voltage.grad.tolist() == [0.0, 4.0, 4.0, 4.0, 4.0, 0.0]


def test_smoothed_gradient_is_that_of_the_averaged_staircase() -> None:
    width = 0.1
    adc = runtime.AdcLayer(TOY, smooth_v=width)
    voltage = torch.tensor([0.4, 0.18, 0.7, 0.84, 0.9], dtype=torch.float64, requires_grad=True)
    adc(voltage).sum().backward()
    # A level within half the width adds 1/width; between levels nothing moves.
    np.testing.assert_allclose(voltage.grad.numpy(), [0.0, 10.0, 0.0, 10.0, 0.0], atol=1e-12)
    fine = torch.linspace(-0.5, 1.5, 20001, dtype=torch.float64, requires_grad=True)
    adc(fine).sum().backward()
    # The integral of the gradient is the number of codes, to the steps at six ends of intervals.
    assert float(fine.grad.sum() * 1e-4) == pytest.approx(3.0, abs=6 * 1e-4 / width)
    missing = runtime.AdcLayer(TOY, chip=1, smooth_v=width)
    both = torch.tensor([0.24], dtype=torch.float64, requires_grad=True)
    missing(both).sum().backward()
    assert float(both.grad) == pytest.approx(20.0, abs=1e-9)  # two levels at one place


def test_drawn_converters_have_the_population_and_the_search(
    models: dict[str, Path], tmp_path: Path
) -> None:
    folder, model = exported(models, tmp_path, "adcs"), load_model(models["adcs"])
    adc = runtime.load(folder, population=True, columns=4000)
    assert isinstance(adc, runtime.AdcLayer)
    torch.manual_seed(5)
    decisions = adc.draw_decisions(4000)
    levels = adc.clip_tree(decisions).numpy()
    np.testing.assert_array_equal(levels, compute_tree_levels(decisions.numpy(), 5))
    # S_d = Σ w_k b_k(d) + o of mean and covariance, the mean within 5 of its standard errors, the
    # deviation within 5 of its own, 1/√(2n).
    mean, cov = model.array("population_mean"), model.array("population_covariance")
    design = np.array([[d >> k & 1 for k in range(5)] + [1] for d in range(1, 32)])
    sigma = np.sqrt(np.einsum("ik,kl,il->i", design, cov, design))
    drawn = decisions.numpy()
    assert np.all(np.abs(drawn.mean(axis=0) - design @ mean) < 5 * sigma / np.sqrt(4000))
    np.testing.assert_allclose(drawn.std(axis=0), sigma, rtol=5 / np.sqrt(8000))
    middle = torch.full((4000,), 0.5, dtype=torch.float64)
    torch.manual_seed(6)
    one, two = adc.convert(middle), adc.convert(middle)
    torch.manual_seed(6)
    assert not torch.equal(one, two)
    assert torch.equal(one, adc.convert(middle))


def test_drawn_converters_have_the_curvature_that_all_share(
    models: dict[str, Path], tmp_path: Path
) -> None:
    arrays = runtime.read_arrays(exported(models, tmp_path, "adcs"))
    bow = 1e-3 * np.sin(np.arange(1, 32))
    found = []
    for own in (arrays, {**arrays, "shared_level": bow}):
        torch.manual_seed(5)
        found.append(runtime.AdcLayer(own, population=True).draw_decisions(3).numpy())
    np.testing.assert_allclose(found[1] - found[0], np.tile(bow, (3, 1)), rtol=0, atol=1e-15)


def test_tree_of_levels_out_of_order() -> None:
    # The MSB decides at 0.7 and bit 0 at 0.8 below and 0.75 above it: code 1 cannot come out.
    adc = runtime.AdcLayer(TOY)
    found = adc.clip_tree(torch.tensor([[0.8, 0.7, 0.75]], dtype=torch.float64))
    assert found.tolist() == [[0.7, 0.7, 0.75]]


def test_noise_of_decisions_alone_is_not_called_dropped(models: dict[str, Path]) -> None:
    content = content_of(load_model(models["adc"]))
    alone = {"noise_sampled_v": 0.0, "noise_decision_v": 1e-4}
    for numbers, kept in ((alone, "approximated"), (dict.fromkeys(alone), "dropped")):
        found = TARGET.fidelity(replace(content, numbers={**content.numbers, **numbers}))
        (noise,) = (item for item in found if item.quantity == "noise of a conversion")
        assert noise.treatment == kept


def test_noise_has_its_law() -> None:
    arrays = {**TOY, "noise_sampled_v": np.array(0.05), "noise_decision_v": np.array(0.0)}
    torch.manual_seed(1)
    voltage = torch.full((20000,), 0.62, dtype=torch.float64)
    codes = runtime.AdcLayer(arrays, noise=True).convert(voltage).numpy()
    # P(code ≥ 2) = Φ((0.62 - 0.6)/0.05) = Φ(0.4) = 0.65542; σ of the share 0.0034.
    assert np.mean(codes >= 2) == pytest.approx(0.65542, abs=5 * 0.0034)
    arrays |= {"noise_sampled_v": np.array(0.0), "noise_decision_v": np.array(0.05)}
    codes = runtime.AdcLayer(arrays, noise=True).convert(voltage).numpy()
    # MSB kept with Φ(0.4); then bit 0 is kept at 0.8 V with Φ(-3.6) = 1.6e-4, but without the
    # MSB it is asked at 0.2 V and always kept: code 0 does not come out.
    assert np.mean(codes >= 2) == pytest.approx(0.65542, abs=5 * 0.0034)
    assert np.mean(codes == 3) < 2e-3
    assert not np.any(codes == 0)
    quiet = runtime.AdcLayer({**arrays, "noise_decision_v": np.array(1e-12)}, noise=True)
    assert quiet.convert(torch.tensor([0.1, 0.5, 0.7, 0.9, np.nan])).tolist() == [0, 1, 2, 3, -1]


@pytest.mark.parametrize("name", ["linear", "amplified"])
def test_linear_arrays_answer_as_the_surrogate(
    models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    folder, model = exported(models, tmp_path, name), load_model(models[name])
    array = runtime.load(folder)
    assert isinstance(array, runtime.CrossbarLayer)
    voltage = 0.2 * np.random.default_rng(4).random((33, 6))
    expected = model.predict(voltage_v=voltage)
    given = torch.from_numpy(voltage).requires_grad_()
    # Sums of six products in another order.
    np.testing.assert_allclose(
        array.currents_a(given).detach().numpy(), expected["output_current_a"], rtol=1e-13
    )
    if name == "amplified":
        output = array(given)
        np.testing.assert_allclose(
            output.detach().numpy(), expected["output_voltage_v"], rtol=0, atol=1e-14
        )
        output.sum().backward()
        slope = -array.transresistance_ohm * array.terms[0].sum(dim=1)
        np.testing.assert_allclose(given.grad[7].numpy(), slope.numpy(), rtol=1e-12)
    else:
        with pytest.raises(ValueError, match="ideal"):
            array.outputs_v(given)


def test_nonlinear_cells_state_their_error(models: dict[str, Path], tmp_path: Path) -> None:
    folder, model = exported(models, tmp_path, "sinh"), load_model(models["sinh"])
    array = runtime.load(folder)
    assert isinstance(array, runtime.CrossbarLayer)
    # A row driven alone is exact where its curve was taken; the solver promises 1e-10.
    stored = np.load(folder / "replay.npz")
    largest = float(np.max(np.abs(stored["voltage"])))
    alone = torch.from_numpy(np.diag(np.full(6, largest)))
    expected = model.predict(voltage_v=alone.numpy())["output_current_a"]
    np.testing.assert_allclose(array.currents_a(alone).numpy(), expected, rtol=1e-9)
    fidelity = {
        item["quantity"]: item for item in json.loads((folder / "fidelity.json").read_text())
    }
    cells = fidelity["cells and wires"]
    assert cells["treatment"] == "approximated"
    assert f"{array.stated_error_a:.3g} A" in cells["how"]
    answers = array.currents_a(torch.from_numpy(stored["voltage"])).numpy()
    apart = float(np.max(np.abs(answers - stored["expected_current"])))
    assert apart == pytest.approx(array.stated_error_a, abs=1e-3 * array.stated_error_a)
    # Better than no law of the cells at all: the matrix at small voltages, 1e-4 V.
    small = model.predict(voltage_v=1e-4 * np.eye(6))["output_current_a"] / 1e-4
    linear = float(np.max(np.abs(stored["voltage"] @ small - stored["expected_current"])))
    assert array.stated_error_a < 0.3 * linear


@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh"])
def test_replay_is_within_its_bounds(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    found = replay_export(exported(models, tmp_path, name))
    assert found.good
    assert found.program == f"torch {torch.__version__}"
    assert len(found.differences) == (2 if name == "amplified" else 1)


def test_a_changed_table_and_foreign_code_are_found_out(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = exported(models, tmp_path, "adc")
    with np.load(folder / "model.npz") as file:
        arrays = dict(file)
    np.savez(folder / "model.npz", **{**arrays, "transition_level": arrays["transition_level"] + 1})
    assert run_command(["replay", str(folder)]) == 3
    with monkeypatch.context() as patch:
        patch.setattr("imccircuit.exporters.torch.load.find_spec", lambda name: None)
        with pytest.raises(SetupError, match=r"imccircuit\[torch\]"):
            replay_export(folder)
    module = folder / "imc_torch.py"
    module.write_text(module.read_text() + "\n")
    with pytest.raises(FileFormatError, match="not as this version"):
        replay_export(folder)
    module.unlink()
    with pytest.raises(FileFormatError, match="no export"):
        replay_export(folder)
    np.savez(folder / "model.npz", schema="another")
    with pytest.raises(ValueError, match="another"):
        runtime.load(folder)


def test_what_is_copied_imports_torch_and_numpy_alone() -> None:
    text = Path(str(runtime.__file__)).read_text()
    assert text.startswith("# SPDX-License-Identifier: MIT")
    tops = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            tops |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            tops.add(str(node.module).partition(".")[0])
    assert tops - set(sys.stdlib_module_names) == {"torch", "numpy"}


NEEDS_COMPILER = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler for torch"
)
# Inductor warns of torch's own ways.
QUIET = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    "options", [{}, {"smooth_v": 0.1}, {"chip": [0, 1]}, {"noise": True}, {"population": True}]
)
@pytest.mark.parametrize(
    "backend",
    ["eager", pytest.param("inductor", marks=[pytest.mark.long, NEEDS_COMPILER, QUIET])],
)
def test_layers_compile_as_one_graph(options: dict[str, Any], backend: str) -> None:
    arrays = {
        **TOY,
        "noise_sampled_v": np.array(0.0),
        "noise_decision_v": np.array(1e-9),
        "population_mean": np.array([0.25, 0.5, 0.01]),
        "population_covariance": np.zeros((3, 3)),
    }
    adc = runtime.AdcLayer(arrays, **options)
    array = runtime.CrossbarLayer({"effective_conductance": np.ones((1, 3, 2)) * 0.3})
    layers = torch.nn.Sequential(array, adc)
    voltage = torch.tensor([[0.1, 0.7, 1.1], [0.3, 0.2, 0.6]], dtype=torch.float64)
    compiled = torch.compile(layers, backend=backend, fullgraph=True)
    one, two = voltage.clone().requires_grad_(), voltage.clone().requires_grad_()
    compiled(one).sum().backward()
    layers(two).sum().backward()
    assert torch.equal(compiled(voltage), layers(voltage))
    assert torch.equal(one.grad, two.grad)
    torch._dynamo.reset()


def test_tables_move_with_the_layer() -> None:
    adc = runtime.AdcLayer(TOY).to("meta")
    array = runtime.CrossbarLayer({"effective_conductance": np.ones((1, 3, 2))}).to("meta")
    assert all(buffer.is_meta for layer in (adc, array) for buffer in layer.buffers())
    assert adc(torch.zeros(2, device="meta")).shape == (2,)
    assert array(torch.zeros(4, 3, device="meta")).shape == (4, 2)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"chip": 2}, "no chip 2"),
        ({"population": True}, "population"),
        ({"noise": True}, "noise"),
        ({"smooth_v": 0.0}, "smooth_v"),
    ],
)
def test_wrong_use_is_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        runtime.AdcLayer(TOY, **options)


def test_the_stated_error_is_that_of_the_curves(models: dict[str, Path]) -> None:
    from imccircuit.exporters.content import content_of

    content = content_of(load_model(models["sinh"]))
    terms = row_terms(content)
    assert stated_error(content, terms) > 0
    # Spoiled curves are off by what they were spoiled with: every row's V·(1 µS) in one column.
    terms[:, 0, :, 0] += 1e-6
    drive = content.replay["voltage"].values.sum(axis=1)
    assert stated_error(content, terms) > 0.5e-6 * float(np.max(drive))
