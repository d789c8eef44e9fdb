"""Replay of bundles: their formulas written out once more, against the surrogate and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imccircuit.cli.main import run_command
from imccircuit.errors import FileFormatError, UsageError
from imccircuit.exporters.bundle.network import solve_network
from imccircuit.exporters.export import export_model, replay_export

IDEAL = {"r_row_ohm": 0.0, "r_col_ohm": 0.0, "r_driver_ohm": 0.0, "r_sense_ohm": 0.0,
         "v0_v": None, "r_rise_ohm_per_a": 0.0}  # fmt: skip


@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh", "spread"])
def test_a_reader_of_the_files_answers_as_the_surrogate(
    models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    (folder,) = export_model(models[name], ["bundle"], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert all(item.compared > 0 for item in found.differences)
    names = [item.quantity for item in found.differences]
    assert names == {
        "amplified": ["current", "output voltage"], "linear": ["current"], "sinh": ["current"],
        "spread": ["current"],
    }.get(name, ["code"])  # fmt: skip


@pytest.mark.parametrize("name", ["macros", "sinh"])
def test_a_macro_has_the_codes_of_the_whole(
    macros: dict[str, Path], tmp_path: Path, name: str
) -> None:
    (folder,) = export_model(macros[name], ["bundle"], tmp_path, force=True)
    (codes,) = replay_export(folder).differences
    assert (codes.quantity, codes.apart, codes.bound) == ("code", 0, 0)
    assert codes.compared == (100 if name == "macros" else 10)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("adc", "transition_level"),
        ("linear", "effective_conductance"),
        ("sinh", "cell_conductance"),
    ],
)
def test_changed_data_are_found_out(
    models: dict[str, Path], tmp_path: Path, name: str, key: str
) -> None:
    (folder,) = export_model(models[name], ["bundle"], tmp_path)
    with np.load(folder / "bundle.npz") as file:
        arrays = dict(file)
    np.savez(folder / "bundle.npz", **{**arrays, key: arrays[key] * 1.05})
    assert run_command(["replay", str(folder)]) == 3
    np.savez(folder / "bundle.npz", **{n: a for n, a in arrays.items() if n != key})
    assert run_command(["replay", str(folder)]) == 1


def test_bundles_of_the_version_before_are_read(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["adc"], ["bundle"], tmp_path)
    head = json.loads((folder / "bundle.json").read_text())
    for item in head["fidelity"]:
        del item["amount"], item["unit"]
    (folder / "bundle.json").write_text(json.dumps({**head, "schema": "imccircuit-bundle-1"}))
    assert replay_export(folder).good
    (folder / "bundle.json").write_text(json.dumps({**head, "schema": "imccircuit-bundle-9"}))
    with pytest.raises(FileFormatError, match=r"bundle-9.*allowed: imccircuit-bundle-1"):
        replay_export(folder)
    (folder / "bundle.json").write_text(json.dumps({**head, "kind": "dac"}))
    with pytest.raises(UsageError, match="no vectors are stored of kind dac"):
        replay_export(folder)


def test_bundles_with_offsets_as_constant_currents_are_refused(
    macros: dict[str, Path], tmp_path: Path
) -> None:
    (folder,) = export_model(macros["sinh"], ["bundle"], tmp_path)
    assert replay_export(folder).good
    head = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**head, "schema": "imccircuit-bundle-2"}))
    with pytest.raises(UsageError, match=r"bundle-2.*fit and export again"):
        replay_export(folder)


def test_cells_without_wires_are_their_own_law() -> None:
    cells = np.array([[1e-3, 2e-3], [3e-3, 0.0]])
    drive = np.array([0.2, -0.1])
    found = solve_network(cells, drive, np.zeros(2), {**IDEAL, "v0_v": 0.1})
    expected = cells.T @ (0.1 * np.sinh(drive / 0.1))
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    # V = I/G + r·I·|I| with 1 kohm, 1e6 ohm/A and 0.11 V: 0.1 V and 0.01 V of 0.1 mA.
    found = solve_network(
        np.full((1, 1), 1e-3), np.array([0.11]), np.zeros(1), {**IDEAL, "r_rise_ohm_per_a": 1e6}
    )
    assert found[0] == pytest.approx(1e-4, abs=1e-16)


@pytest.mark.parametrize("wires", [(10.0, 20.0, 30.0, 40.0), (0.0, 100.0, 0.0, 0.0),
                                   (0.0, 0.0, 60.0, 40.0)])  # fmt: skip
def test_a_single_cell_behind_its_resistances(wires: tuple[float, ...]) -> None:
    names = ("r_row_ohm", "r_col_ohm", "r_driver_ohm", "r_sense_ohm")
    numbers = {**IDEAL, **dict(zip(names, wires, strict=True)), "v0_v": 0.1}
    # 100 ohm in all, and 0.2 V left for the cell: 1 mS·0.1 V·sinh(2).
    current = 1e-4 * np.sinh(2.0)
    drive, end = np.array([0.25 + 100 * current]), np.array([0.05])
    found = solve_network(np.full((1, 1), 1e-3), drive, end, numbers)
    assert found[0] == pytest.approx(current, abs=1e-14)


def test_lines_without_resistance_are_single_nodes() -> None:
    # Two linear cells on one word line behind 50 ohm: 0.1 V·(G1, G2)/(1 + 50·(G1 + G2)).
    cells = np.array([[1e-3, 3e-3]])
    found = solve_network(cells, np.array([0.1]), np.zeros(2), {**IDEAL, "r_driver_ohm": 50.0})
    np.testing.assert_allclose(found, 0.1 * cells[0] / 1.2, rtol=1e-13)
    # Two on one bit line before 50 ohm: 0.1 V·(G1 + G2)/(1 + 50·(G1 + G2)).
    found = solve_network(
        cells.T, np.array([0.1, 0.1]), np.zeros(1), {**IDEAL, "r_sense_ohm": 50.0}
    )
    np.testing.assert_allclose(found, [0.1 * 4e-3 / 1.2], rtol=1e-13)
