"""ZigZag itself counts the measured energy, delay and area, and its own where there is none."""

from __future__ import annotations

import ast
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from imccircuit.errors import FileFormatError, SetupError
from imccircuit.exporters.export import export_model, replay_export

needs_zigzag = pytest.mark.skipif(
    find_spec("zigzag") is None, reason="zigzag-dse is not in the test extra"
)
# What seaborn and pandas, which ZigZag imports, warn of is not ours.
ignore_theirs = pytest.mark.filterwarnings("ignore")


def test_the_file_says_what_was_measured(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["costed"], ["zigzag"], tmp_path)
    costs = json.loads((folder / "costs.json").read_text())
    assert costs["schema"] == "imccircuit-costs-1"
    assert costs["adc"].pop("energy_j") == pytest.approx(3e-12, abs=1e-26)
    assert costs["adc"] == {"area_m2": 2.5e-9, "bits": 5, "latency_s": 60e-9}
    fidelity = {i["quantity"]: i for i in json.loads((folder / "fidelity.json").read_text())}
    assert fidelity["energy"]["treatment"] == "exact"
    assert fidelity["transition levels"]["treatment"] == "dropped"


def test_what_was_not_measured_stays_their_own(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["linear"], ["zigzag"], tmp_path)
    costs = json.loads((folder / "costs.json").read_text())
    assert costs["array"] == {
        "energy_j": None, "latency_s": None, "area_m2": None, "rows": 6, "cols": 4
    }  # fmt: skip
    fidelity = {i["quantity"]: i for i in json.loads((folder / "fidelity.json").read_text())}
    assert fidelity["energy"]["treatment"] == "dropped"
    assert "ZigZag's own" in fidelity["energy"]["how"]


def test_the_adapter_imports_zigzag_alone(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["costed"], ["zigzag"], tmp_path)
    text = (folder / "adapter.py").read_text()
    assert text.startswith("# SPDX-License-Identifier: MIT")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = [module] if module else [alias.name for alias in node.names]
            for name in names:
                assert name.partition(".")[0] in {*sys.stdlib_module_names, "zigzag"}


@pytest.mark.skipif(find_spec("zigzag") is not None, reason="zigzag-dse is installed")
def test_without_zigzag_one_line_says_how_to_get_it(
    models: dict[str, Path], tmp_path: Path
) -> None:
    (folder,) = export_model(models["costed"], ["zigzag"], tmp_path)
    with pytest.raises(SetupError, match="pip install zigzag-dse"):
        replay_export(folder)


@needs_zigzag
@ignore_theirs
def test_zigzag_counts_the_measured_energy(models: dict[str, Path], tmp_path: Path) -> None:
    from imccircuit.exporters.zigzag import adapter
    from imccircuit.exporters.zigzag.replay import run_example

    (folder,) = export_model(models["costed"], ["zigzag"], tmp_path)
    with adapter.use(adapter.load(folder)):
        found = run_example(5)
    # 4 vectors x 4 input bits x 8 outputs x 4 weight bits conversions of 3 pJ each.
    assert found["energy"]["adcs"] == pytest.approx(512 * 3.0, abs=1e-9)
    assert found["delay"]["adcs"] == pytest.approx(60.0, abs=1e-12)
    # One converter for each of 8 x 4 columns, of 2500 µm².
    assert found["area"]["adcs"] == pytest.approx(32 * 2.5e-3, abs=1e-12)


@needs_zigzag
@ignore_theirs
def test_a_replay_says_what_was_not_measured(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["linear"], ["zigzag"], tmp_path)
    found = replay_export(folder).differences
    assert [item.quantity for item in found] == [
        f"ADC {what} (not measured: ZigZag's own)" for what in ("energy", "delay", "area")
    ]


@needs_zigzag
@ignore_theirs
def test_a_replay_finds_a_wrong_figure(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imccircuit.exporters.zigzag import adapter, replay

    (folder,) = export_model(models["costed"], ["zigzag"], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert found.program.startswith("zigzag-dse ")
    assert [item.quantity for item in found.differences] == ["ADC energy", "ADC delay", "ADC area"]
    # An adapter that counted in fJ would be found out.
    wrong = (tmp_path / "adapter.py", adapter.__file__)
    wrong[0].write_text(Path(wrong[1]).read_text().replace("1e9, 1e12", "1e9, 1e15"))
    monkeypatch.setattr(replay, "SOURCE", wrong[0])
    (folder / "adapter.py").write_bytes(wrong[0].read_bytes())
    assert not replay_export(folder).good
    monkeypatch.undo()
    with pytest.raises(FileFormatError, match="not as this version writes it"):
        replay_export(folder)


@needs_zigzag
@ignore_theirs
def test_zigzag_keeps_its_own_adc_where_none_was_measured(
    models: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("linear", "adc"):
        (folder,) = export_model(models[name], ["zigzag"], tmp_path)
        assert replay_export(folder).good
    from imccircuit.exporters.zigzag import adapter
    from imccircuit.exporters.zigzag.replay import run_example

    with adapter.use(adapter.load(folder)):
        measured = run_example(5)
    assert measured == run_example(5)


@needs_zigzag
@ignore_theirs
def test_cells_that_were_measured_are_not_counted_twice() -> None:
    from imccircuit.exporters.zigzag import adapter
    from imccircuit.exporters.zigzag.replay import run_example

    own = run_example(5)
    array = {"energy_j": 6e-12, "latency_s": 5e-9, "area_m2": 12e-12, "rows": 3, "cols": 2}
    with adapter.use({"array": array}):
        found = run_example(5)
    # 16 inputs x 8 outputs x 4 weight bits in each of 4 vectors x 4 input bits: 8192 cell reads
    # of 6 pJ / 6; the array has 512 cells of 12 µm² / 6.
    assert found["energy"]["analog_bl_addition"] == pytest.approx(8192.0, abs=1e-8)
    assert found["energy"]["mults"] == found["energy"]["local_bl_precharging"] == 0.0
    assert found["energy"]["adcs"] == own["energy"]["adcs"] > 0
    assert found["delay"]["cells"] == pytest.approx(5.0, abs=1e-12)
    assert found["area"]["cells"] == pytest.approx(512 * 2e-6, abs=1e-15)


@needs_zigzag
@ignore_theirs
def test_another_resolution_is_refused() -> None:
    from imccircuit.exporters.zigzag import adapter
    from imccircuit.exporters.zigzag.replay import run_example

    costs = {"adc": {"energy_j": 1e-12, "latency_s": 1e-9, "area_m2": 1e-9, "bits": 5}}
    with adapter.use(costs), pytest.raises(ValueError, match="has 5 bits, adc_resolution is 6"):
        run_example(6)
