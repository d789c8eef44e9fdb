"""hwcomponents finds the package and answers what was measured, and nothing that was not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from imccircuit.errors import SetupError, UsageError
from imccircuit.exporters.content import content_of
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.hwcomponents import TARGET
from imccircuit.surrogates.files import load_model

needs_hwcomponents = pytest.mark.skipif(
    find_spec("hwcomponents") is None, reason="hwcomponents needs Python 3.12"
)


@pytest.fixture
def package(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An exported package on the Python path, as its user has it."""
    (folder,) = export_model(models["costed"], ["hwcomponents"], tmp_path)
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("hwcomponents_imc", None)


def test_the_package_has_what_was_measured(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["costed"], ["hwcomponents"], tmp_path)
    costs = json.loads((folder / "hwcomponents_imc" / "costs.json").read_text())
    assert costs["adc"]["energy_j"] == pytest.approx(3e-12, abs=1e-26)
    code = (folder / "hwcomponents_imc" / "__init__.py").read_text()
    assert code.startswith("# SPDX-License-Identifier: MIT")
    assert "imccircuit." not in code
    fidelity = {i["quantity"]: i for i in json.loads((folder / "fidelity.json").read_text())}
    assert fidelity["energy"]["treatment"] == "exact"
    assert fidelity["leakage between operations"]["treatment"] == "dropped"


def test_energy_and_latency_go_together(models: dict[str, Path]) -> None:
    content = content_of(load_model(models["costed"]))
    for lost, other in (("energy", "latency"), ("latency", "energy")):
        number = {"energy": "energy_j", "latency": "latency_s"}[lost]
        items = tuple(
            replace(i, treatment="dropped") if i.quantity == lost else i for i in content.fidelity
        )
        part = replace(content, numbers={**content.numbers, number: None}, fidelity=items)
        found = {item.quantity: item for item in TARGET.fidelity(part)}
        assert found[lost].treatment == found[other].treatment == "dropped"
        assert "together" in found[other].how
        assert found["area"].treatment == "exact"


@pytest.mark.skipif(find_spec("hwcomponents") is not None, reason="hwcomponents is installed")
def test_without_hwcomponents_one_line_says_how_to_get_it(
    models: dict[str, Path], tmp_path: Path
) -> None:
    (folder,) = export_model(models["costed"], ["hwcomponents"], tmp_path)
    with pytest.raises(SetupError, match=r"pip install hwcomponents in Python 3\.12"):
        replay_export(folder)


@needs_hwcomponents
def test_its_own_look_up_finds_the_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hwcomponents
    from hwcomponents import find_models

    assert package.is_dir()
    # It looks for packages once in a process.
    monkeypatch.setattr(find_models, "_ALL_ESTIMATORS", None)
    cost = hwcomponents.get_action_cost("imc_adc", {"n_bits": 5}, "convert", {})
    assert cost.energy == pytest.approx(3e-12, abs=1e-26)
    assert cost.latency == 60e-9
    assert cost.throughput == pytest.approx(1 / 60e-9, abs=1e-6)
    assert hwcomponents.get_area("adc", {"n_bits": 5}) == 2.5e-9
    assert hwcomponents.get_leak_power("adc", {"n_bits": 5}) == 0.0
    with pytest.raises(RuntimeError, match="bits = 6 was not measured; 5 was"):
        hwcomponents.get_action_cost("imc_adc", {"n_bits": 6}, "convert", {})
    monkeypatch.setattr(find_models, "_ALL_ESTIMATORS", None)


@needs_hwcomponents
def test_what_was_not_measured_is_not_answered(models: dict[str, Path], tmp_path: Path) -> None:
    import hwcomponents

    from imccircuit.exporters.hwcomponents import SOURCE
    from imccircuit.exporters.own_code import import_own

    (folder,) = export_model(models["linear"], ["hwcomponents"], tmp_path)
    module = import_own(folder / "hwcomponents_imc", "__init__.py", SOURCE)
    asked = {"n_rows": 6, "n_cols": 4}
    with pytest.raises(RuntimeError, match="of this array was not measured"):
        hwcomponents.get_action_cost("imc_array", asked, "compute", {}, models=[module.ImcArray])
    with pytest.raises(RuntimeError, match="area_m2 of this array was not measured"):
        hwcomponents.get_area("imc_array", asked, models=[module.ImcArray])
    with pytest.raises(ValueError, match="no adc was measured"):
        module.ImcAdc(n_bits=5)
    with pytest.raises(UsageError, match="nothing to ask"):
        replay_export(folder)


@needs_hwcomponents
def test_a_replay_finds_a_wrong_figure(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imccircuit.exporters.hwcomponents import replay

    (folder,) = export_model(models["costed"], ["hwcomponents"], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert len(found.differences) == 3
    code = folder / "hwcomponents_imc" / "__init__.py"
    code.write_text(code.read_text().replace("return float(value)", "return 2.0 * float(value)"))
    monkeypatch.setattr(replay, "SOURCE", code)
    assert [item.good for item in replay_export(folder).differences] == [False, False, True]
