"""The export for aihwkit: what is written, always; what aihwkit answers, where it is there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adapter_models import CONVERTER, LEVELS, check_written, code_of, hand_made
from synthetic import array_and_drive, crossbar_currents

from imccircuit.cli.main import run_command
from imccircuit.errors import ExitCode, FileFormatError
from imccircuit.exporters import aihwkit
from imccircuit.exporters.aihwkit import replay as aihwkit_replay
from imccircuit.exporters.export import export_model, replay_export

WIRES = {"r_row": 20.0, "r_col": 30.0, "r_driver": 400.0, "r_sense": 250.0}
V_MAX = 0.2


@pytest.fixture
def torch() -> Any:
    pytest.importorskip("aihwkit", reason="aihwkit 1.1.0 has wheels for Python 3.10 to 3.12 only")
    return pytest.importorskip("torch")


def converters(folder: Path, **more: Any) -> Any:
    arrays = {**CONVERTER, **{name: np.array(value) for name, value in more.items()}}
    return hand_made(aihwkit, folder, arrays)


def identity_layer(adapter: Any, columns: int, *arguments: Any, **more: Any) -> Any:
    """Layer whose converters see the inputs themselves, in double."""
    found = adapter.Converters(*arguments, **more)
    config = adapter.configure(converters=found, ideal=True, double=True)
    layer = adapter.AnalogLinear(columns, columns, bias=False, rpu_config=config)
    layer.set_weights(adapter.torch.eye(columns, dtype=adapter.torch.float64))
    return layer.eval()


@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh"])
def test_what_is_written(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["aihwkit"], tmp_path)
    check_written(aihwkit, models[name], folder, {"torch", "aihwkit"})
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert ("Converters(" in readme) == name.startswith("adc")
    assert (folder / "lines.py").exists() == (name == "sinh")


def test_without_aihwkit_one_line_says_how_to_get_it(
    models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder,) = export_model(models["adc"], ["aihwkit"], tmp_path)
    monkeypatch.setattr(aihwkit_replay, "find_spec", lambda name: None)
    assert run_command(["replay", str(folder)]) == ExitCode.ENVIRONMENT
    assert "aihwkit==1.1.0" in capsys.readouterr().err


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh", "spread"])
def test_aihwkit_answers_as_stated(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["aihwkit"], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert "aihwkit 1.1.0" in found.program
    names = [item.quantity for item in found.differences]
    expected = ["code"] if name.startswith("adc") else ["current", "programmed conductance"]
    assert names == expected


@pytest.mark.usefixtures("torch")
def test_changed_tables_and_code_are_found_out(models: dict[str, Path], tmp_path: Path) -> None:
    for name, key in (("adc", "transition_level"), ("linear", "effective_conductance")):
        (folder,) = export_model(models[name], ["aihwkit"], tmp_path / name)
        with np.load(folder / "model.npz") as file:
            arrays = dict(file)
        arrays[key] = arrays[key] * 1.01
        np.savez(folder / "model.npz", **arrays)
        assert run_command(["replay", str(folder)]) == ExitCode.BELOW_GATE
    (folder / "imc_aihwkit.py").write_text("MODEL = {}")
    with pytest.raises(FileFormatError, match="not as this version"):
        replay_export(folder)


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 5)])
def test_each_column_has_its_converter(torch: Any, tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Outputs of -1 to 3 stand for 0 to 1 V; a code gives the middle of its ideal step."""
    adapter = converters(tmp_path)
    layer = identity_layer(adapter, 5, (-1.0, 3.0), chips=(1, 0), group=2)
    voltage = np.random.default_rng(3).uniform(-0.1, 1.1, shape)
    found = layer(torch.from_numpy(4 * voltage - 1)).detach().numpy()
    chip_of_column = [1, 1, 0, 0, 1]
    for at in np.ndindex(shape):
        code = code_of(LEVELS[chip_of_column[at[-1]]], voltage[at])
        assert found[at] == -1 + (code + 0.5)
    layer = identity_layer(adapter, 2, (0.0, 1.0), chips=(0,))
    tie = torch.tensor([[0.6, np.nextafter(0.6, 1)], [0.1, np.nan]], dtype=torch.float64)
    expected = [[1.5 / 4, 2.5 / 4], [0.125, np.nan]]
    np.testing.assert_array_equal(layer(tie).detach().numpy()[0], expected[0])
    assert np.isnan(layer(tie).detach().numpy()[1, 1])
    for noise in (False, True):
        known = converters(tmp_path / str(noise), noise_sampled_v=0.0, noise_decision_v=1e-9)
        codes = known.Converters((0.0, 1.0), chips=(0,), noise=noise).codes(tie)
        assert codes.tolist()[1] == [0, -1]


def test_columns_of_a_convolution_are_its_channels(torch: Any, tmp_path: Path) -> None:
    from aihwkit.nn import AnalogConv2d

    adapter = converters(tmp_path)
    config = adapter.configure(converters=adapter.Converters((0.0, 1.0)), ideal=True, double=True)
    layer = AnalogConv2d(1, 3, 1, bias=False, rpu_config=config).eval()
    layer.set_weights(torch.ones(3, 1, dtype=torch.float64))
    picture = np.random.default_rng(5).uniform(0, 1, (2, 1, 4, 3))
    found = layer(torch.from_numpy(picture)).detach().numpy()
    assert found.shape == (2, 3, 4, 3)
    for n, channel, i, j in np.ndindex(found.shape):
        code = code_of(LEVELS[channel % 2], picture[n, 0, i, j])
        assert found[n, channel, i, j] == (code + 0.5) / 4


def test_a_training_step_moves_weights_as_straight_through(torch: Any, tmp_path: Path) -> None:
    """Within the limits the gradient is that of the plain product; beyond them there is none."""
    adapter = converters(tmp_path)
    layer = identity_layer(adapter, 2, (0.0, 1.0)).train()
    inputs = torch.tensor([[0.5, 3.0]], dtype=torch.float64, requires_grad=True)
    layer(inputs).sum().backward()
    weight = next(layer.analog_tiles()).tile.weight
    # Output 0 is 0.5 and inside; output 1 is 3 and clipped.
    np.testing.assert_array_equal(weight.grad.numpy(), [[0.5, 3.0], [0.0, 0.0]])
    np.testing.assert_array_equal(inputs.grad.numpy(), [[1.0, 0.0]])
    from aihwkit.optim import AnalogSGD

    step = AnalogSGD(layer.parameters(), lr=0.1)
    step.regroup_param_groups(layer)
    step.step()
    moved = np.array([[1 - 0.05, -0.3], [0.0, 1.0]])
    np.testing.assert_allclose(weight.detach().numpy(), moved, rtol=1e-12, atol=1e-12)


def test_noise_has_the_probabilities_of_its_laws(torch: Any, tmp_path: Path) -> None:
    def above(voltage: float, level: float, sigma: float) -> float:
        return 0.5 * math.erfc((level - voltage) / sigma / math.sqrt(2))

    count, voltage = 40_000, 0.55
    inputs = torch.full((count, 1), voltage, dtype=torch.float64)
    torch.manual_seed(7)
    adapter = converters(tmp_path / "a", noise_sampled_v=0.05, noise_decision_v=0.0)
    layer = identity_layer(adapter, 1, (0.0, 1.0), chips=(0,), noise=True)
    codes = np.floor(4 * layer(inputs).detach().numpy())
    for k, level in enumerate(LEVELS[0], start=1):
        share = above(voltage, level, 0.05)
        spread = math.sqrt(share * (1 - share) / count)
        assert abs(np.mean(codes >= k) - share) <= 5 * spread + 1e-9
    adapter = converters(tmp_path / "b", noise_sampled_v=0.0, noise_decision_v=0.1)
    layer = identity_layer(adapter, 1, (0.0, 1.0), chips=(0,), noise=True)
    codes = np.floor(4 * layer(inputs).detach().numpy())
    # A draw in each decision: 0.6 first (the upper bit), then 0.2 or 0.8, both bits' sum.
    high, low, top = (above(voltage, level, 0.1) for level in (0.6, 0.2, 0.8))
    shares = [(1 - high) * (1 - low), (1 - high) * low, high * (1 - top), high * top]
    for code, share in enumerate(shares):
        spread = math.sqrt(share * (1 - share) / count)
        assert abs(np.mean(codes == code) - share) <= 5 * spread


@pytest.mark.usefixtures("torch")
def test_a_configuration_has_a_text_and_compares(tmp_path: Path) -> None:
    adapter = converters(tmp_path)
    one, same = (adapter.configure(converters=adapter.Converters((0, 1))) for _ in range(2))
    other = adapter.configure(converters=adapter.Converters((0, 2)))
    assert one.forward == same.forward
    assert one.forward != other.forward
    assert "Converters(limits=(0.0, 1.0)" in str(one)
    assert one.mapping.weight_scaling_omega == 1.0
    assert adapter.ImcRPUConfig().mapping.weight_scaling_omega == 1.0
    # What was not measured keeps aihwkit's defaults.
    assert one.forward.inp_res == adapter.IOParameters().inp_res
    assert one.forward.noise_management == adapter.IOParameters().noise_management
    for wrong in ({"chips": (2,)}, {"chips": ()}, {"group": 0}, {"noise": True}):
        with pytest.raises(ValueError, match=r"chips are|no noise"):
            adapter.Converters((0, 1), **wrong)
    with pytest.raises(ValueError, match="differ"):
        adapter.Converters((1, 1))


def test_behind_an_inverting_amplifier_limits_fall_and_offsets_count(tmp_path: Path) -> None:
    adapter = hand_made(aihwkit, tmp_path, CONVERTER)
    torch = adapter.torch
    # V = 0.1 - 2·y in column 0, -0.05 - 2·y in column 1: 0 V at y = 0, full scale at y = -1/2.
    offset = (0.1, -0.05)
    converters = adapter.Converters((0.0, -0.5), offset_v=offset)
    outputs = -np.linspace(0.01, 0.47, 9)
    both = torch.from_numpy(np.stack([outputs, outputs], axis=1))
    codes = converters.codes(both).numpy()
    expected = [[code_of(LEVELS[j], offset[j] - 2 * y) for j in (0, 1)] for y in outputs]
    np.testing.assert_array_equal(codes, expected)
    # Steps of 1/8 downwards: the middle of code k is -(k + 1/2)/8.
    np.testing.assert_array_equal(converters.values(both).numpy(), -(codes + 0.5) / 8)


@pytest.mark.parametrize("v0", [None, 0.25])
def test_currents_are_those_of_a_dense_system(torch: Any, tmp_path: Path, v0: float | None) -> None:
    g, drive = array_and_drive(6, 4, 5)
    arrays: dict[str, Any] = {"conductance": g[None]}
    arrays |= {f"{name}_ohm": np.array(ohm) for name, ohm in WIRES.items()}
    if v0 is None:
        arrays["effective_conductance"] = crossbar_currents(g, np.eye(6), **WIRES)[None]
    else:
        arrays |= {"cell_conductance": g[None], "v0_v": np.array(v0)}
    # Of nonlinear cells an offset is where a bit line's end stands, no constant current.
    shift, stand = np.array([[3e-7, -1e-7, 0.0, 2e-7]]), np.array([[3e-3, -1e-3, 0.0, 2e-3]])
    arrays |= {"offset_current": shift, "input_offset": stand}
    adapter = hand_made(aihwkit, tmp_path, arrays)
    if v0 is not None:
        (tmp_path / "lines.py").write_bytes(aihwkit_replay.SOLVER.read_bytes())
    array = adapter.Array(v_max=V_MAX)
    layer = adapter.measured_layer(adapter.configure(array=array, ideal=True, double=True))
    inputs = torch.from_numpy(drive / V_MAX).requires_grad_()
    found = layer(inputs)
    if v0 is None:
        expected = crossbar_currents(g, drive, **WIRES) + shift
    else:
        expected = crossbar_currents(g, drive, end_v=stand[0], v0=v0, **WIRES)
    # Six products each, in double; the solver of nonlinear cells promises 1e-10.
    bound = (1e-13 if v0 is None else 2e-10) * np.max(expected)
    assert np.max(np.abs(found.detach().numpy() * array.scale_a - expected)) <= bound
    # Gradients: of weights as without the chip, of inputs as of the chip's (0 V) matrix.
    found.sum().backward()
    weight = next(layer.analog_tiles()).tile.weight
    plain = np.tile(np.sum(drive / V_MAX, axis=0), (4, 1))
    np.testing.assert_allclose(weight.grad.numpy(), plain, rtol=1e-12, atol=0)
    matrix = arrays["effective_conductance" if v0 is None else "cell_conductance"][0]
    rows = np.tile(np.sum(matrix, axis=1) / np.max(g), (5, 1))
    np.testing.assert_allclose(inputs.grad.numpy(), rows, rtol=1e-12, atol=0)


def test_a_chip_is_programmed_and_does_not_drift(torch: Any, tmp_path: Path) -> None:
    g, _ = array_and_drive(6, 4, 1)
    both = np.stack([g, 0.9 * g])
    arrays = {"conductance": both, "effective_conductance": both}
    adapter = hand_made(aihwkit, tmp_path, arrays)
    # Ideal product, the second chip's conductances where the first one's were to be programmed.
    config = adapter.configure(array=adapter.Array(v_max=V_MAX, chip=1), ideal=True, double=True)
    config.forward.array = None
    layer = adapter.measured_layer(config, chip=0).eval()
    layer.program_analog_weights()
    layer.drift_analog_weights(100.0)
    found = layer(torch.eye(6, dtype=torch.float64)).detach().numpy()
    np.testing.assert_allclose(found * np.max(both[1]), both[1], rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match="chips are 0 to 1"):
        adapter.Array(v_max=1.0, chip=2)
    with pytest.raises(ValueError, match="chips are 0 to 1"):
        adapter.ImcConductances(2)
    small = adapter.configure(array=adapter.Array(v_max=V_MAX), ideal=True)
    layer = adapter.AnalogLinear(3, 4, bias=False, rpu_config=small)
    with pytest.raises(ValueError, match="6 rows and 4 columns"):
        layer(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="columns, rows"):
        layer.eval().program_analog_weights()
