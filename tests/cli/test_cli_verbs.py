"""Every verb, used as a user would."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
from cli_case import Cli

from imccircuit.engines.ngspice import locate


def test_doctor_reports_the_simulator_and_its_solver(cli: Cli) -> None:
    ended = cli("doctor", "--json")
    report = json.loads(ended.out)
    assert ended.code == 0
    assert report["good"] is True
    assert report["ngspice"]["solver"] in ("klu", "sparse")
    assert report["ngspice"]["xspice"] is True
    assert "klu" in cli("doctor").out or report["ngspice"]["solver"] == "sparse"


def test_doctor_without_a_simulator_exits_4(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMCCIRCUIT_NGSPICE", "/nonexistent/ngspice")
    ended = cli("doctor", "--json")
    assert ended.code == 4
    assert json.loads(ended.out)["ngspice"] is None
    assert ended.err.count("\n") == 1
    assert "IMCCIRCUIT_NGSPICE" in ended.err


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("recipes", "adc_sar8"),
        ("recipes", "digits"),
        ("benches", "crossbar_mvm"),
        ("cards", "rram_techC"),
        ("surrogates", "adc"),
        ("targets", "numpy"),
    ],
)
def test_list_names_what_there_is(cli: Cli, what: str, name: str) -> None:
    rows = json.loads(cli("list", what, "--json").out)
    assert name in [row["name"] for row in rows]
    assert name in cli("list", what).out


def test_recipes_say_what_they_yield(cli: Cli) -> None:
    rows = {row["name"]: row for row in json.loads(cli("list", "recipes", "--json").out)}
    assert "transition_level" in rows["adc_sar8"]["yields"]
    assert "cell_voltage" in rows["crossbar_ir_drop"]["yields"]
    assert all(row["takes"] for row in rows.values())


def test_dry_run_says_shapes_and_writes_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli("run", "adc_sar8_mismatch", "--samples", 7, "--dry-run", "--json")
    report = json.loads(ended.out)
    assert report["measurements"] == 7
    assert report["shapes"][0]["transition_level"] == [1, 7, 255]
    assert list(tmp_path.iterdir()) == []


def test_run_writes_to_results_by_default(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli("run", "crossbar_ir_drop", "--set", "engine=nodal", "--set", "circuit.rows=2")
    assert ended.code == 0
    assert (tmp_path / "results" / "crossbar_ir_drop.h5").is_file()
    left = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert left == ["crossbar_ir_drop.h5", "crossbar_ir_drop.h5.log"]


def test_arrays_from_a_file_beside_the_user(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    conductance = np.array([[1e-5, 2e-5, 4e-5], [3e-5, 0.0, 1e-6]])
    voltage = np.array([[0.1, 0.2], [0.0, -0.1]])
    np.savez("mine.npz", g=conductance, v=voltage)
    ended = cli(
        "run", "crossbar_ir_drop", "-o", "out.h5", "--set", "engine=nodal",
        "--set", "circuit.conductances=mine.npz:g", "--set", "stimulus.voltages=mine.npz:v",
        "--set", "circuit.row_segment_resistance=0 ohm",
        "--set", "circuit.column_segment_resistance=0 ohm",
    )  # fmt: skip
    assert ended.code == 0
    with h5py.File("out.h5") as file:
        # Ideal wires: Ohm and Kirchhoff, nothing else.
        np.testing.assert_allclose(file["output_current"][0, 0], voltage @ conductance, rtol=1e-14)
        assert file["cell_voltage"].shape == (1, 1, 2, 2, 3)


def test_show_gives_figures(cli: Cli, adc_results: Path, crossbar_results: Path) -> None:
    report = json.loads(cli("show", adc_results, "--json").out)
    inl = next(row for row in report["figures"] if row["name"] == "largest |INL| (end-point)")
    # By hand: 16 levels of C_a = 32 fF; T[k] = S_k · 16/32 fF in LSB of 1/16:
    # the weights are 1, 2.05, 3.95, 8 units, so T = 1, 2.05, 3.05, 3.95, 4.95, 6, 7, 8, … and
    # INL[k] = T[k] − k against the end-point line from 1 to 15: 0.05 at 2, 3, −0.05 at 4, 5, ….
    assert abs(inl["worst"]) == pytest.approx(0.05, abs=1e-4)
    assert "INL" in cli("show", adc_results).out
    assert "IR drop" in cli("show", crossbar_results).out


def test_status_of_a_finished_run(cli: Cli, adc_results: Path) -> None:
    report = json.loads(cli("status", adc_results, "--json").out)
    assert report["state"] == "finished"
    assert report["status"] == {"good": 1}


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_plot_writes_each_format(cli: Cli, adc_results: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"inl{suffix}"
    assert cli("plot", adc_results, "--kind", "inl", "-o", target).code == 0
    assert target.stat().st_size > 1000


def test_plot_draws_all_there_is(cli: Cli, crossbar_results: Path) -> None:
    report = json.loads(cli("plot", crossbar_results, "--json").out)
    names = sorted(Path(path).name for path in report["pictures"])
    assert names == ["crossbar-error.png", "crossbar-ir-drop.png"]


@pytest.mark.ngspice
@pytest.mark.parametrize("problem", [0, 2])
def test_netlist_runs_with_plain_ngspice(
    cli: Cli, adc_results: Path, tmp_path: Path, problem: int
) -> None:
    deck = tmp_path / "deck.cir"
    assert cli("netlist", adc_results, "--problem", problem, "-o", deck).code == 0
    ended = subprocess.run(
        [locate(), "-b", "-n", deck.name],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0
    assert (tmp_path / "imccircuit.raw").stat().st_size > 1000


def test_netlist_of_results_is_the_deck_that_was_run(cli: Cli, adc_results: Path) -> None:
    ended = cli("netlist", adc_results)
    assert ended.err == ""  # a deck whose hash differs from the recorded one is warned of
    changed = cli("netlist", "adc_sar8")
    assert ended.out != changed.out


def test_fit_check_and_export(cli: Cli, crossbar_results: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.h5"
    fitted = cli("fit", crossbar_results, "-o", model, "--json")
    assert fitted.code == 0
    report = json.loads(fitted.out)
    assert report["verdict"]["state"] == "pass"
    # The data came from 1 ohm wires in a solver that the fit only sees through its numbers.
    assert report["parameters"]["r_row_ohm"]["value"] == pytest.approx(1.0, rel=1e-3, abs=0)
    assert cli("check", model, "--against", crossbar_results).code == 0
    assert "verdict: pass" in cli("show", model).out
    exported = cli("export", model, "--to", "numpy,bundle", "-o", tmp_path / "out")
    assert exported.code == 0
    line = exported.out.splitlines()[0]
    assert line.startswith("verdict: pass (nrmse of output_current: ")
    exported = cli("export", model, "--to", "numpy", "-o", tmp_path / "out", "--json")
    told = json.loads(exported.out)
    assert (told["verdict"], told["headline"]) == ("pass", line)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bundle", "numpy"]
