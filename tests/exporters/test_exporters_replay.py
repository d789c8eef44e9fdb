"""Replay: the target's own code answers, and an export that was changed is found out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imccircuit.cli.main import run_command
from imccircuit.errors import FileFormatError
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.replay import compare_codes, compare_values, numbers_in


def test_what_is_not_finite_is_apart_and_nothing_is_not_good() -> None:
    found = compare_values("current", "A", [1.0, np.nan, 3.0], [1.0, 2.0, 3.1], 0.2)
    assert (found.compared, found.apart, found.largest, found.good) == (3, 1, np.inf, False)
    assert compare_codes("code", [1, 2], [1, 2]).good
    assert not compare_codes("code", [1, 2], [1, 3]).good
    assert not compare_codes("code", [], []).good
    with pytest.raises(FileFormatError, match="answers"):
        compare_codes("code", [1], [1, 2])


@pytest.mark.parametrize("name", ["adc", "linear", "amplified", "sinh"])
def test_numpy_answers_as_stated(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["numpy"], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert sum(item.compared for item in found.differences) > 0


def test_a_changed_table_is_found_out(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = export_model(models["adc"], ["numpy"], tmp_path)
    with np.load(folder / "model.npz") as file:
        arrays = dict(file)
    arrays["transition_level"] = arrays["transition_level"] + 0.1
    np.savez(folder / "model.npz", **arrays)
    assert run_command(["replay", str(folder), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["differences"][0]["apart"] > 0
    assert run_command(["replay", str(folder)]) == 3


def test_folders_that_do_not_run(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no export"):
        replay_export(tmp_path)
    (folder,) = export_model(models["adc"], ["numpy"], tmp_path)
    (folder / "replay.npz").unlink()
    assert run_command(["replay", str(folder)]) == 1


def test_torn_and_foreign_data_are_said_in_one_line(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(folder: Path, word: str) -> None:
        assert run_command(["replay", str(folder)]) == 1
        said = capsys.readouterr().err.strip()
        assert word in said
        assert "\n" not in said

    for name in ("model.npz", "replay.npz"):
        (folder,) = export_model(models["adc"], ["numpy"], tmp_path / name)
        (folder / name).write_bytes((folder / name).read_bytes()[:300])
        refused(folder, "replay.npz: no vectors" if name == "replay.npz" else "cannot read")
    for lost, word in (("chip", "no chip"), ("input", "no voltage"), ("expected_code", "expected")):
        (folder,) = export_model(models["adc"], ["numpy"], tmp_path / lost)
        with np.load(folder / "replay.npz") as file:
            arrays = {name: file[name] for name in file.files if name != lost}
        np.savez(folder / "replay.npz", **arrays)
        refused(folder, word)
    with pytest.raises(FileFormatError, match="a stated number is none"):
        numbers_in(folder, "* bits = 5\n* full_scale_v = one\n", "*")
    assert numbers_in(folder, "* bits = 5\n* r2 = 1e-3\nV1 a 0 1\n", "*") == {"bits": 5, "r2": 1e-3}
