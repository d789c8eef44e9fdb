"""The spice export runs in ngspice as its user runs it, and answers as the surrogate does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from synthetic import array_and_drive, crossbar_currents

from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import EngineError, FileFormatError, SetupError
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.spice.decks import adc_subcircuit
from imccircuit.exporters.spice.run import answers, crossbar_problem, levels_of, read_model
from imccircuit.surrogates.files import load_model

pytestmark = pytest.mark.ngspice


def ngspice(folder: Path, lines: list[str]) -> dict[str, float]:
    """What a deck of a user prints, the export being included by its path."""
    text = ["deck of a user", ".include spice/imc_model.cir", *lines, ".end", ""]
    (folder / "user.cir").write_text("\n".join(text))
    command = [shutil.which("ngspice") or "ngspice", "-b", "-n", "user.cir"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    found = re.findall(r"^(\S+)\s+= +(\S+)", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize("name", ["adc", "adcs", "linear", "amplified", "sinh"])
def test_replay(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    (folder,) = export_model(models[name], ["spice"], tmp_path)
    found = replay_export(folder)
    assert found.good
    assert found.program.startswith("ngspice ")
    stored = np.load(folder / "replay.npz")
    assert (
        found.differences[0].compared
        == stored[
            {"adc": "code", "adcs": "code", "amplified": "output_voltage"}.get(name, "current")
        ].size
    )


def test_a_converter_in_a_deck_of_its_user(models: dict[str, Path], tmp_path: Path) -> None:
    """A ramp into the converter with a capacitor on the code and logic of 1.2 V."""
    export_model(models["adcs"], ["spice"], tmp_path)
    levels = load_model(models["adcs"]).array("transition_level")[1]
    grid = np.linspace(0.03, 0.97, 12)
    measured = [f"meas tran m{k} find v(code) at={t:.6f}u" for k, t in enumerate(grid)]
    bits = [f"meas tran n{k}_{b} find v(b{b}) at={t:.6f}u" for k, t in enumerate(grid)
            for b in range(5)]  # fmt: skip
    answered = ngspice(
        tmp_path,
        [
            "Xadc in code b0 b1 b2 b3 b4 imc_adc_1 v_high=1.2",
            "Vin in 0 pwl(0 0 1u 1)",
            "Cload code 0 1p",
            ".control",
            "tran 1n 1u 0 0.5n",
            *measured,
            *bits,
            "quit 0",
            ".endc",
        ],
    )
    for k, v in enumerate(grid):
        # Half a nanosecond of the ramp is half a millivolt; no level may be that near.
        assert np.min(np.abs(levels - v)) > 6e-4
        code = int(np.sum(v > levels))
        assert answered[f"m{k}"] == pytest.approx(code, abs=1e-9)
        for b in range(5):
            assert answered[f"n{k}_{b}"] == pytest.approx(1.2 * (code >> b & 1), abs=1e-9)


def test_columns_whose_ends_are_not_at_ground(models: dict[str, Path], tmp_path: Path) -> None:
    """Against a dense solution of the same circuit that knows nothing of the export."""
    export_model(models["linear"], ["spice"], tmp_path)
    g, drive = array_and_drive(6, 4, 12)
    end = np.array([0.05, -0.02, 0.0, 0.1])
    expected = crossbar_currents(g, drive[:1], r_row=20.0, r_col=30.0, end_v=end)[0]
    grounded = crossbar_currents(g, drive[:1], r_row=20.0, r_col=30.0)[0]
    ports = [*(f"row{i}" for i in range(6)), *(f"col{j}" for j in range(4))]
    answered = ngspice(
        tmp_path,
        [
            f"Xarray {' '.join(ports)} imc_crossbar_0",
            *(f"Vr{i} row{i} 0 {float(v)!r}" for i, v in enumerate(drive[0])),
            *(f"Vc{j} col{j} 0 {float(v)!r}" for j, v in enumerate(end)),
            ".control",
            "set numdgt=12",
            "op",
            *(f"print i(Vc{j})" for j in range(4)),
            *(f"print i(Vr{j})" for j in range(6)),
            "quit 0",
            ".endc",
        ],
    )
    largest = np.max(np.abs(grounded))
    assert np.max(np.abs(expected - grounded)) > 0.1 * largest
    for j in range(4):
        # The wires are fitted to a millionth.
        assert answered[f"i(vc{j})"] == pytest.approx(expected[j], abs=1e-6 * largest)
    assert [answered[f"i(vr{i})"] for i in range(6)] == [0.0] * 6


def test_nonlinear_cells_are_odd(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["sinh"], ["spice"], tmp_path)
    text, _ = read_model(folder)
    drive = np.load(folder / "replay.npz")["voltage"][:2]
    problem = crossbar_problem(text, 0, np.concatenate([drive, -drive]), np.zeros(4))
    current = answers(NgspiceEngine(), problem)["current"]
    apart = 1e-12 * np.max(np.abs(current))
    np.testing.assert_allclose(current[2:], -current[:2], rtol=0, atol=apart)


def test_inputs_nearer_than_ngspice_reads_are_counted(
    models: dict[str, Path], tmp_path: Path
) -> None:
    (folder,) = export_model(models["adc"], ["spice"], tmp_path)
    stored = dict(np.load(folder / "replay.npz"))
    levels = load_model(models["adc"]).array("transition_level")[0]
    stored["input"][3] = np.nextafter(levels[6], 2)
    stored["expected_code"][3] = 7
    np.savez(folder / "replay.npz", **stored)
    found = replay_export(folder).differences[0]
    assert found.compared == len(stored["input"]) - 1
    assert found.quantity == "code; 1 within 1e-14 V of a level left out"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("adc", r">0\.", ">0.0"),
        ("adc", r"Bbit2 b2", "Bbit2 b3"),
        ("linear", r"^(G0_2_1 .*) \S+$", r"\1 1e-3"),
        ("amplified", r"^(Vrest1 .*) \S+$", r"\1 0.5"),
    ],
)
def test_a_changed_subcircuit_is_found_out(
    models: dict[str, Path], tmp_path: Path, name: str, old: str, new: str
) -> None:
    (folder,) = export_model(models[name], ["spice"], tmp_path)
    path = folder / "imc_model.cir"
    text, count = re.subn(old, new, path.read_text(), flags=re.MULTILINE)
    assert count
    path.write_text(text)
    try:
        good = replay_export(folder).good
    except EngineError:
        good = False
    assert not good


def test_missing_codes_are_missing(tmp_path: Path) -> None:
    """Equal levels make one step of two codes; more steps than one node adds up are all there."""
    (tmp_path / "spice").mkdir()
    levels = np.sort(np.repeat(np.linspace(0.01, 0.99, 51), 5))
    lines = adc_subcircuit(levels, 0, 1.0)
    (tmp_path / "spice" / "imc_model.cir").write_text("\n".join(["* test", *lines, ""]))
    deck = ["Xadc in code b0 b1 b2 b3 b4 b5 b6 b7 imc_adc_0", "Vin in 0 0", ".control"]
    for v in (0.0, 0.02, 0.51, 0.6, 1.0):
        deck += [f"alter Vin = {v}", "op", "print v(code)", "destroy all"]
        code = ngspice(tmp_path, [*deck, "quit 0", ".endc"])["v(code)"]
        assert code == np.sum(v > levels)


def test_the_list_and_one_line_refusals(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, load in (("linear", "exact"), ("sinh", "approximated"), ("amplified", None)):
        (folder,) = export_model(models[name], ["spice"], tmp_path / name)
        items = json.loads((folder / "fidelity.json").read_text())
        listed = {item["quantity"]: item["treatment"] for item in items}
        assert listed.get("voltages of the sense ends") == load
        assert listed["currents drawn from the word lines"] == "dropped"
        assert listed["cells and wires"] == ("approximated" if name == "sinh" else "exact")
    (folder / "imc_model.cir").write_text("* empty\n* transresistance_ohm = 1.0\n")
    with pytest.raises(FileFormatError, match="no subcircuit imc_crossbar_0"):
        replay_export(folder)
    (folder / "imc_model.cir").unlink()
    with pytest.raises(FileFormatError, match=r"imc_model\.cir"):
        replay_export(folder)
    (folder,) = export_model(models["adc"], ["spice"], tmp_path)
    items = json.loads((folder / "fidelity.json").read_text())
    (levels,) = [item["how"] for item in items if item["quantity"] == "transition levels"]
    assert "ngspice reads numbers to about 1e-14" in levels
    monkeypatch.setenv("IMCCIRCUIT_NGSPICE", "no-such-simulator")
    with pytest.raises(SetupError, match="ngspice"):
        replay_export(folder)


def test_commands_in_a_subcircuit_are_not_run(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["adc"], ["spice"], tmp_path)
    path = folder / "imc_model.cir"
    path.write_text(path.read_text().replace("\nBpart0", "\n.control\nquit\n.endc\nBpart0"))
    with pytest.raises(Exception, match="control block"):
        replay_export(folder)


def test_a_level_that_is_no_number_is_one_line() -> None:
    text = ".subckt imc_adc_0 in code b0\nBcode code 0 v={(v(in)>half)}\n.ends imc_adc_0"
    with pytest.raises(FileFormatError, match="imc_adc_0: a level is none"):
        levels_of(text, 0)
