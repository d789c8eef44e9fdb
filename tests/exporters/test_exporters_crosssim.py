"""The export for CrossSim: what is written, always; what CrossSim answers, where it is there."""

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
from imccircuit.exporters import crosssim
from imccircuit.exporters.crosssim import replay as crosssim_replay
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.surrogates.array_model import ArrayModel

WIRES = {"r_row": 20.0, "r_col": 30.0, "r_driver": 400.0, "r_sense": 250.0}
V_MAX = 0.2


@pytest.fixture
def simulator() -> Any:
    return pytest.importorskip("simulator", reason="CrossSim is a clone on PYTHONPATH")


def converters(folder: Path, **more: Any) -> Any:
    arrays = {**CONVERTER, **{name: np.array(value) for name, value in more.items()}}
    return hand_made(crosssim, folder, arrays)


def identity_core(adapter: Any, columns: int, limits: tuple[float, float], **more: Any) -> Any:
    """Core whose converters see the inputs themselves."""
    params = adapter.CrossSimParameters()
    params.xbar.device.infinite_on_off_ratio = True
    adapter.configure_adc(params, limits, **more)
    return adapter.AnalogCore(np.eye(columns), params)


def crossbar(folder: Path, v0: float | None = None) -> tuple[Any, np.ndarray, np.ndarray]:
    """Adapter of a crossbar by hand, drives and their currents by a dense system."""
    g, drive = array_and_drive(6, 4, 5)
    arrays: dict[str, Any] = {"conductance": g[None]}
    arrays |= {f"{name}_ohm": np.array(ohm) for name, ohm in WIRES.items()}
    if v0 is None:
        effective = crossbar_currents(g, np.eye(6), **WIRES)
        arrays["effective_conductance"] = effective[None]
    else:
        arrays |= {"cell_conductance": g[None], "v0_v": np.array(v0)}
    adapter = hand_made(crosssim, folder, arrays)
    return adapter, drive, crossbar_currents(g, drive, v0=v0, **WIRES)


@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh"])
def test_what_is_written(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["crosssim"], tmp_path)
    check_written(crosssim, models[name], folder, {"simulator"})
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert ("configure_adc" in readme) == name.startswith("adc")
    assert ('wires="effective"' in readme) == (name in ("linear", "amplified"))


def test_without_crosssim_one_line_says_how_to_get_it(
    models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder,) = export_model(models["adc"], ["crosssim"], tmp_path)
    monkeypatch.setattr(crosssim_replay, "find_spec", lambda name: None)
    assert run_command(["replay", str(folder)]) == ExitCode.ENVIRONMENT
    assert "sandialabs/cross-sim" in capsys.readouterr().err


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh"])
def test_crosssim_answers_as_stated(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["crosssim"], tmp_path)
    found = replay_export(folder)
    assert found.good
    names = [item.quantity for item in found.differences]
    if name.startswith("adc"):
        assert names == ["code"]
    else:
        solved = "current by CrossSim's solver"
        assert names == ([solved] if name == "sinh" else ["current", solved])


@pytest.mark.usefixtures("simulator")
def test_changed_tables_and_code_are_found_out(models: dict[str, Path], tmp_path: Path) -> None:
    for name, key in (("adc", "transition_level"), ("linear", "conductance")):
        (folder,) = export_model(models[name], ["crosssim"], tmp_path / name)
        with np.load(folder / "model.npz") as file:
            arrays = dict(file)
        arrays[key] = arrays[key] * 1.01
        np.savez(folder / "model.npz", **arrays)
        assert run_command(["replay", str(folder)]) == ExitCode.BELOW_GATE
    (folder / "imc_crosssim.py").write_text("MODEL = {}")
    with pytest.raises(FileFormatError, match="not as this version"):
        replay_export(folder)


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("shape", [(5,), (5, 3), (2, 5, 3)])
def test_each_column_has_its_converter_in_every_shape(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    """CrossSim's axes: (out,), (out, batch), (batch, out, windows); -1 to 3 stands for 0 to 1 V."""
    adapter = converters(tmp_path)
    core = identity_core(adapter, 5, (-1.0, 3.0), chips=(1, 0), group=2)
    voltage = np.random.default_rng(3).uniform(-0.1, 1.1, shape)
    found = adapter.codes_of(core @ (4 * voltage - 1), (-1.0, 3.0))
    axis = 0 if len(shape) < 3 else 1
    chip_of_column = [1, 1, 0, 0, 1]
    expected = np.empty(shape, dtype=int)
    for at in np.ndindex(shape):
        expected[at] = code_of(LEVELS[chip_of_column[at[axis]]], voltage[at])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("simulator")
def test_a_value_is_the_middle_of_the_ideal_step_and_a_tie_is_below(tmp_path: Path) -> None:
    adapter = converters(tmp_path)
    core = identity_core(adapter, 2, (0.0, 1.0), chips=(0,))
    # 0.6 meets the second level exactly; its neighbour is above it.
    found = core @ np.array([0.6, np.nextafter(0.6, 1)])
    np.testing.assert_array_equal(found, [1.5 / 4, 2.5 / 4])
    none = core @ np.array([np.nan, np.nan])
    assert np.isnan(none).all()
    assert adapter.codes_of(none, (0.0, 1.0)).tolist() == [-1, -1]


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("style", ["BALANCED", "OFFSET"])
def test_packed_windows_have_the_converters_of_their_columns(tmp_path: Path, style: str) -> None:
    """CrossSim packs windows of a convolution one behind another, a unit column first in each."""
    adapter = converters(tmp_path)
    params = adapter.CrossSimParameters()
    params.core.style = style
    params.core.offset.style = "UNIT_COLUMN_SUBTRACTION"
    columns = 3 if style == "BALANCED" else 2
    adapter.configure_adc(params, (0.0, 1.0))
    core = adapter.AnalogCore(np.ones((columns, 4)), params)
    voltage = np.array([0.22, 0.22, 0.5, 0.22, 0.22, 0.5])
    found = core.cores[0][0].adc.mvm.convert(voltage)
    expected = [code_of(LEVELS[k % 3 % 2], v) for k, v in enumerate(voltage)]
    assert expected[:3] == expected[3:] == [1, 0, 1]
    np.testing.assert_array_equal(adapter.codes_of(found, (0.0, 1.0)), expected)


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("style", ["OFFSET", "BITSLICED"])
def test_other_cores_of_crosssim_convert_too(tmp_path: Path, style: str) -> None:
    """Converters of 10 bits without error are off by half a step of 16/1024 in each conversion."""
    level = np.arange(1, 1024)[None] / 1024
    adapter = hand_made(
        crosssim, tmp_path, {"transition_level": level, "full_scale_v": np.array(1.0)}
    )
    params = adapter.CrossSimParameters()
    params.xbar.device.infinite_on_off_ratio = True
    params.core.style = style
    limits: Any = (-8.0, 8.0)
    if style == "OFFSET":
        params.core.offset.style = "UNIT_COLUMN_SUBTRACTION"
    else:
        params.core.weight_bits, params.core.bit_sliced.num_slices = 8, 2
        limits = [(-8.0, 8.0), (-8.0, 8.0)]
    matrix = np.random.default_rng(1).uniform(-1, 1, (3, 6))
    inputs = np.random.default_rng(2).uniform(-1, 1, (6, 4))
    ideal = adapter.AnalogCore(matrix, params) @ inputs
    adapter.configure_adc(params, limits)
    core = adapter.AnalogCore(matrix, params)
    found = core @ inputs
    # Offset: a column less the unit column, weights of 2 to a conductance of 1. Bit-sliced: two
    # slices of 4 bits, 15 levels each, the upper one 16 times the lower, over 127.
    steps = 2 * 2 if style == "OFFSET" else (1 + 16) * 15 / 127
    apart = np.max(np.abs(found - ideal)) / np.max(np.abs(matrix))
    assert 0 < apart <= steps * 0.5 * 16 / 1024 * (1 + 1e-9)
    np.testing.assert_array_equal(core @ inputs[:, 0], found[:, 0])
    # The transposed product keeps CrossSim's ideal converter; a unit column has none.
    assert core.params.xbar.adc.vmm.model == "IdealADC"
    if style == "BITSLICED":
        assert (inputs.T[:, :3] @ core).shape == (4, 6)


@pytest.mark.usefixtures("simulator")
def test_noise_has_the_probabilities_of_its_laws(tmp_path: Path) -> None:
    def above(voltage: float, level: float, sigma: float) -> float:
        return 0.5 * math.erfc((level - voltage) / sigma / math.sqrt(2))

    count, voltage = 40_000, 0.55
    adapter = converters(tmp_path / "a", noise_sampled_v=0.05, noise_decision_v=0.0)
    core = identity_core(adapter, 1, (0.0, 1.0), chips=(0,), seed=7)
    codes = adapter.codes_of(core @ np.full((1, count), voltage), (0.0, 1.0))
    # One draw: code k or more as often as one variate passes level k.
    for k, level in enumerate(LEVELS[0], start=1):
        share = above(voltage, level, 0.05)
        spread = math.sqrt(share * (1 - share) / count)
        assert abs(np.mean(codes >= k) - share) <= 5 * spread + 1e-9
    adapter = converters(tmp_path / "b", noise_sampled_v=0.0, noise_decision_v=0.1)
    core = identity_core(adapter, 1, (0.0, 1.0), chips=(0,), seed=7)
    codes = adapter.codes_of(core @ np.full((1, count), voltage), (0.0, 1.0))
    # A draw in each decision: 0.6 first (the upper bit), then 0.2 or 0.8, both bits' sum.
    high, low, top = (above(voltage, level, 0.1) for level in (0.6, 0.2, 0.8))
    shares = [(1 - high) * (1 - low), (1 - high) * low, high * (1 - top), high * top]
    for code, share in enumerate(shares):
        spread = math.sqrt(share * (1 - share) / count)
        assert abs(np.mean(codes == code) - share) <= 5 * spread


@pytest.mark.usefixtures("simulator")
def test_wrong_use_is_refused(tmp_path: Path) -> None:
    adapter = converters(tmp_path / "a")
    params = adapter.CrossSimParameters()
    for wrong in ({"chips": (2,)}, {"chips": ()}, {"group": 0}, {"seed": 1}):
        with pytest.raises(ValueError, match=r"chips are|no noise"):
            adapter.configure_adc(params, (0, 1), **wrong)
    adapter, _, _ = crossbar(tmp_path / "b")
    with pytest.raises(ValueError, match="chips are 0 to 0"):
        adapter.configure_array(params, v_max=1.0, chip=1)
    with pytest.raises(ValueError, match="solver, effective"):
        adapter.configure_array(params, v_max=1.0, wires="none")
    adapter.configure_array(params, v_max=1.0)
    with pytest.raises(ValueError, match="columns, rows"):
        adapter.AnalogCore(np.eye(3), params)
    adapter, _, _ = crossbar(tmp_path / "c", v0=0.25)
    with pytest.raises(ValueError, match="not linear"):
        adapter.configure_array(params, v_max=1.0, wires="effective")


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("v0", [None, 0.25])
def test_currents_are_those_of_a_dense_system(tmp_path: Path, v0: float | None) -> None:
    adapter, drive, expected = crossbar(tmp_path, v0)
    core = adapter.measured_core(v_max=V_MAX)
    found = adapter.currents_a(core, drive, V_MAX)
    # v_error times v_max and G of the cells of a column, twice; cosh for the slope of sinh cells.
    bound = 2e-9 * V_MAX * np.max(np.sum(adapter.MODEL["conductance"][0], axis=0))
    bound *= 1.0 if v0 is None else np.cosh(V_MAX / v0)
    assert np.max(np.abs(found - expected)) <= bound
    # One by one and as windows of a convolution the same, to the same bound.
    one = np.asarray(core @ (drive[0] / V_MAX)) * V_MAX * adapter.MODEL["conductance"].max()
    assert np.max(np.abs(one - expected[0])) <= bound
    windows = np.stack([drive.T, drive[::-1].T]) / V_MAX
    both = np.asarray(core @ windows) * V_MAX * adapter.MODEL["conductance"].max()
    assert np.max(np.abs(both[0] - expected.T)) <= bound
    assert np.max(np.abs(both[1] - expected[::-1].T)) <= bound
    if v0 is None:
        core = adapter.measured_core(v_max=V_MAX, wires="effective")
        # Six products each, in double.
        apart = np.abs(adapter.currents_a(core, drive, V_MAX) - expected)
        assert np.max(apart) <= 1e-13 * np.max(expected)


@pytest.mark.usefixtures("simulator")
def test_long_wires_need_no_search_for_a_step(tmp_path: Path) -> None:
    """With CrossSim's own first step of 1 this array makes it overflow and search."""
    g, drive = array_and_drive(64, 64, 2)
    physics = ArrayModel(r_row_ohm=5.0, r_col_ohm=5.0, r_driver_ohm=100.0)
    effective = physics.effective_conductance(g)
    arrays = {"conductance": g[None], "effective_conductance": effective[None]}
    ohms = {"r_row_ohm": 5.0, "r_col_ohm": 5.0, "r_driver_ohm": 100.0}
    arrays |= {name: np.array(ohm) for name, ohm in ohms.items()}
    adapter = hand_made(crosssim, tmp_path, arrays)
    core = adapter.measured_core(v_max=V_MAX)
    apart = np.abs(adapter.currents_a(core, drive, V_MAX) - drive @ effective)
    assert np.max(apart) <= 2e-9 * V_MAX * np.max(np.sum(g, axis=0))
    solver = core.cores[0][0].core_pos.circuit_solver_mvm
    assert solver.gamma == core.params.simulation.relaxation_gamma < 1


@pytest.mark.usefixtures("simulator")
def test_cells_without_wires_have_their_law(tmp_path: Path) -> None:
    """Sinh cells by CrossSim's fast sum; transistors' cells solve V = I/G + r·I·|I|."""
    g = 1e-6 * np.array([[20.0, 50.0], [80.0, 5.0]])
    arrays = {"conductance": g[None], "cell_conductance": g[None]}
    drive = np.array([[0.2, 0.0], [-0.15, 0.0], [0.1, 0.2]])
    adapter = hand_made(crosssim, tmp_path / "a", {**arrays, "v0_v": np.array(0.3)})
    found = adapter.currents_a(adapter.measured_core(v_max=V_MAX), drive, V_MAX)
    expected = 0.3 * np.sinh(drive / 0.3) @ g
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0)
    rise = 2e9
    adapter = hand_made(crosssim, tmp_path / "b", {**arrays, "r_rise_ohm_per_a": np.array(rise)})
    found = adapter.currents_a(adapter.measured_core(v_max=V_MAX), drive[:2], V_MAX)
    # The second row rests, so that a column's current is that of its first cell.
    voltage = found / g[0] + rise * found * np.abs(found)
    np.testing.assert_allclose(voltage, drive[:2, :1] * np.ones(2), rtol=1e-13, atol=0)


@pytest.mark.usefixtures("simulator")
def test_offsets_of_amplifiers_shift_columns(tmp_path: Path) -> None:
    g = 1e-6 * np.array([[20.0, 50.0], [80.0, 5.0]])
    shift = np.array([[3e-7, -1e-7]])
    arrays = {"conductance": g[None], "effective_conductance": g[None], "offset_current": shift}
    adapter = hand_made(crosssim, tmp_path, arrays)
    core = adapter.measured_core(v_max=V_MAX)
    drive = np.array([[0.2, 0.1], [0.05, 0.0]])
    found = adapter.currents_a(core, drive, V_MAX)
    np.testing.assert_allclose(found, drive @ g + shift, rtol=1e-13, atol=0)
    rest = adapter.currents_a(core, np.zeros((1, 2)), V_MAX)
    np.testing.assert_allclose(rest, shift, rtol=1e-13, atol=0)


def test_behind_an_inverting_amplifier_limits_fall_and_offsets_count(
    simulator: Any, tmp_path: Path
) -> None:
    adapter = converters(tmp_path)
    # V = 0.1 - 2·y in column 0, -0.05 - 2·y in column 1: 0 V at y = 0, full scale at y = -1/2.
    offset, limits = (0.1, -0.05), (0.0, -0.5)
    core = identity_core(adapter, 2, limits, offset_v=offset)
    outputs = -np.linspace(0.01, 0.47, 9)
    found = np.asarray(core @ np.stack([outputs, outputs]))
    expected = [[code_of(LEVELS[j], offset[j] - 2 * y) for y in outputs] for j in (0, 1)]
    np.testing.assert_array_equal(adapter.codes_of(found, limits), expected)
    # Steps of 1/8 downwards: the middle of code k is -(k + 1/2)/8.
    np.testing.assert_array_equal(found, -(np.array(expected) + 0.5) / 8)
