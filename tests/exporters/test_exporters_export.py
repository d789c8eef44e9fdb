"""What every export carries, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imccircuit.errors import ExitCode, FileFormatError, UsageError, VerdictError
from imccircuit.exporters.export import export_model
from imccircuit.exporters.registry import get_target, target_names
from imccircuit.surrogates.files import load_model

COMMON = {"README.md", "LICENSE", "provenance.json", "fidelity.json", "replay.npz"}


@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh"])
def test_every_export_says_what_it_is(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    folders = export_model(models[name], target_names(), tmp_path)
    assert [folder.name for folder in folders] == target_names()
    model = load_model(models[name])
    for folder in folders:
        assert {file.name for file in folder.iterdir()} >= COMMON
        provenance = json.loads((folder / "provenance.json").read_text())
        assert provenance["results_digest"] == model.model.provenance.results_digest
        assert provenance["verdict"]["state"] == model.verdict.state
        assert provenance["forced_in_spite_of_verdict"] is False
        assert provenance["seed"] == model.model.provenance.seed
        assert "numpy" in provenance["exported_by"]
        fidelity = json.loads((folder / "fidelity.json").read_text())
        assert {item["treatment"] for item in fidelity} <= {
            "exact", "approximated", "dropped", "absent",
        }  # fmt: skip
        assert all(item["quantity"] and item["how"] for item in fidelity)
        readme = (folder / "README.md").read_text()
        assert str(model.verdict).splitlines()[0] in readme
        assert "MIT" in (folder / "LICENSE").read_text()
        with np.load(folder / "replay.npz", allow_pickle=False) as replay:
            assert any(key.startswith("expected_") for key in replay.files)


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("adc", {"cells", "wires", "front end", "DAC", "drift"}),
        ("linear", {"front end", "converter", "DAC"}),
        ("amplified", {"converter", "DAC"}),
    ],
)
def test_absent_parts_and_what_takes_their_place(
    models: dict[str, Path], tmp_path: Path, name: str, absent: set[str]
) -> None:
    for folder in export_model(models[name], target_names(), tmp_path):
        listed = json.loads((folder / "fidelity.json").read_text())
        assert len({item["quantity"] for item in listed}) == len(listed)
        found = {i["quantity"]: i["how"] for i in listed if i["treatment"] == "absent"}
        assert set(found) == absent, folder.name
        readme = (folder / "README.md").read_text()
        assert all(f"- {part}: {how}" in readme for part, how in found.items())
        own = {"crosssim", "aihwkit", "zigzag", "neurosim", "mnsim", "micsim"}
        if folder.name in own:
            assert all(folder.name in how.lower() for how in found.values()), folder.name


def test_a_solver_is_promised_where_there_is_one(models: dict[str, Path], tmp_path: Path) -> None:
    for folder in export_model(models["sinh"], target_names(), tmp_path):
        found = {i["quantity"]: i for i in json.loads((folder / "fidelity.json").read_text())}
        cells = found["cells and wires"]
        promised = cells["treatment"] == "exact" and "lines.py" in cells["how"]
        assert promised == (folder / "lines.py").is_file(), folder.name
        if not promised and folder.name != "bundle":
            assert cells["treatment"] != "exact", folder.name


def test_replay_is_of_held_out_data(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["adcs"], ["numpy"], tmp_path)
    held_out = load_model(models["adcs"]).array("held_out")
    with np.load(folder / "replay.npz") as replay:
        assert np.all(held_out[replay["chip"]] == 1)
        # Inputs are 0.01 LSB from a level that the model knows to 1e-10 LSB.
        np.testing.assert_array_equal(replay["code"], replay["expected_code"])
    (folder,) = export_model(models["sinh"], ["numpy"], tmp_path)
    with np.load(folder / "replay.npz") as replay:
        np.testing.assert_allclose(replay["current"], replay["expected_current"], rtol=1e-6)


def test_a_failed_model_is_refused_unless_forced(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(VerdictError, match=r"max_error.*only --force") as caught:
        export_model(models["failed"], ["numpy"], tmp_path)
    assert caught.value.exit_code == ExitCode.BELOW_GATE == 3
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    (folder,) = export_model(models["failed"], ["numpy"], tmp_path, force=True)
    assert json.loads((folder / "provenance.json").read_text())["forced_in_spite_of_verdict"]
    assert "exported by force" in (folder / "README.md").read_text()


def test_a_model_that_was_not_judged_says_so(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["few"], ["bundle"], tmp_path)
    assert "was not judged" in (folder / "README.md").read_text()


def test_unknown_targets_and_models_are_one_line(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"bundle, .*numpy"):
        export_model(models["adc"], ["numpy", "abacus"], tmp_path)
    with pytest.raises(UsageError, match="no export target"):
        export_model(models["adc"], [], tmp_path)
    with pytest.raises(FileFormatError):
        export_model(tmp_path / "none.h5", ["numpy"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_folders_stay_and_foreign_ones_are_not_touched(
    models: dict[str, Path], tmp_path: Path
) -> None:
    export_model(models["adc"], ["bundle"], tmp_path)
    (tmp_path / "mine").mkdir()
    before = (tmp_path / "bundle" / "bundle.json").stat().st_mtime_ns
    export_model(models["adc"], ["numpy"], tmp_path)
    assert {item.name for item in tmp_path.iterdir()} == {"bundle", "mine", "numpy"}
    assert (tmp_path / "bundle" / "bundle.json").stat().st_mtime_ns == before
    # A second export takes the place of the first, a folder that is no export does not give way.
    (tmp_path / "numpy" / "left.txt").write_text("of an older version")
    export_model(models["adc"], ["numpy"], tmp_path)
    assert not (tmp_path / "numpy" / "left.txt").exists()
    foreign = tmp_path / "elsewhere"
    (foreign / "numpy").mkdir(parents=True)
    (foreign / "numpy" / "thesis.tex").write_text("work of years")
    with pytest.raises(UsageError, match="no export"):
        export_model(models["adc"], ["numpy"], foreign)
    assert (foreign / "numpy" / "thesis.tex").exists()


def test_the_same_model_makes_the_same_files(models: dict[str, Path], tmp_path: Path) -> None:
    for part in ("a", "b"):
        export_model(models["sinh"], target_names(), tmp_path / part)
    for file in sorted((tmp_path / "a").rglob("*.*")):
        if file.is_file():
            assert (
                file.read_bytes()
                == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()
            )


def test_every_registered_target_loads() -> None:
    for name in target_names():
        assert get_target(name).name == name
