"""Every verb, used wrongly: one line, the documented exit code, nothing written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_case import Cli

from imccircuit.benches.crossbar_parameters import CrossbarParameters

USAGE = [
    ([], ""),
    (["foo"], "foo"),
    (["run"], "recipe"),
    (["run", "adc_sar8", "--bad"], "--bad"),
    (["run", "nope"], "adc_sar8"),
    (["run", "missing.toml"], "missing.toml"),
    (["run", "digits"], "accuracy"),
    (["run", "adc_sar8", "-j", "0"], "jobs"),
    (["run", "adc_sar8", "--resume", "--fresh"], "exclude"),
    (["run", "adc_sar8", "--set", "circuit.bist=8"], "bits"),
    (["run", "adc_sar8", "--set", "circuit.comparator_offset=1 mF"], "dimension"),
    (["run", "adc_sar8", "--set", "engine=hspice"], "nodal"),
    (["run", "adc_sar8", "--set", "nothing"], "key=value"),
    (["run", "crossbar_ir_drop", "--set", "circuit.conductances=no.npz:g"], "no such file"),
    (["accuracy", "adc_sar8"], "study"),
    (["accuracy", "digits", "--set", "network.test_images=3"], "200"),
    (["show", "no.h5"], "no such"),
    (["status", "no.h5"], "neither"),
    (["fit", "no.h5"], "no such"),
    (["check", "no.h5", "--against", "no.h5"], "no such"),
    (["export", "no.h5", "--to", "numpy"], "no such"),
    (["plot", "no.h5"], "no such"),
    (["netlist", "nope"], "adc_sar8"),
    (["list", "wires"], "wires"),
]


@pytest.mark.parametrize(("arguments", "word"), USAGE, ids=[" ".join(a) or "-" for a, _ in USAGE])
def test_one_line_and_exit_1(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli(*arguments)
    assert ended.code == 1
    assert word in ended.err
    assert ended.err.count("\n") <= 1
    assert "Traceback" not in ended.out + ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_results_file(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "torn.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n and then nothing of use")
    for verb in (["show"], ["fit"], ["plot"], ["netlist"], ["status"]):
        ended = cli(*verb, path)
        assert ended.code == 1
        assert ended.err.count("\n") == 1
        assert "torn.h5" in ended.err


def test_pictures_that_do_not_exist(cli: Cli, adc_results: Path, tmp_path: Path) -> None:
    for arguments, word in (
        (["--kind", "ir-drop"], "transfer"),
        (["--point", "3"], "0 to 0"),
        (["--kind", "inl", "--sample", "3"], "0 to 0"),
        (["--kind", "inl", "-o", tmp_path / "x.bmp"], ".svg"),
        (["-o", tmp_path / "x.png"], "--kind"),
        (["--kind", "inl", "-o", tmp_path / "no" / "x.png"], "No such"),
    ):
        ended = cli("plot", adc_results, *arguments)
        assert ended.code == 1, arguments
        assert word in ended.err
    assert list(tmp_path.iterdir()) == []


SINH = ["--set", "engine=nodal", "--set", "circuit.cell=1r_sinh",
        "--set", "circuit.device_card=rram_sinh"]  # fmt: skip


def test_an_engine_that_cannot_solve_the_circuit_is_refused_at_once(cli: Cli) -> None:
    ended = cli("run", "crossbar_ir_drop", "--dry-run", *SINH)
    assert ended.code == 1
    words = "engine = 'nodal': it cannot solve cell = \"1r_sinh\"; allowed: ngspice"
    assert words in ended.err
    swept = 'sweep=[{"circuit.readout" = ["ideal", "tia"]}]'
    ended = cli("run", "crossbar_ir_drop", "--dry-run", "--set", "engine=nodal", "--set", swept)
    assert (ended.code, "readout" in ended.err) == (1, True)


def test_failed_points_exit_2_and_are_written(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, settings = tmp_path / "out.h5", SINH
    monkeypatch.setattr(CrossbarParameters, "unfit_engines", lambda _: {})
    ended = cli("run", "crossbar_ir_drop", "-o", path, *settings)
    assert ended.code == 2
    assert "refused" in ended.out
    assert path.is_file()
    shown = cli("show", path)
    assert shown.code == 0
    assert "point 0 sample 0: refused" in shown.out


def test_missing_simulator_exits_4_and_writes_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMCCIRCUIT_NGSPICE", "/nonexistent/ngspice")
    ended = cli("run", "adc_sar8")
    assert ended.code == 4
    assert ended.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ngspice
def test_ctrl_c_drains_exits_130_and_resumes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imccircuit", "run", "adc_sar8_mismatch", "--samples", "40",
               "--set", "circuit.bits=4", "-j", "1", "-o", "out.h5"]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    ledger = tmp_path / "out.h5.work" / "ledger.jsonl"
    deadline = time.monotonic() + 60
    while not (ledger.is_file() and ledger.read_bytes().count(b"\n") > 1):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in err
    assert (tmp_path / "out.h5").is_file()  # what there is can be looked at
    resumed = subprocess.run([*command, "--resume"], cwd=tmp_path, timeout=120, check=False)
    assert resumed.returncode == 0
    assert not ledger.exists()


def test_foreign_files_are_not_replaced(cli: Cli, crossbar_results: Path, tmp_path: Path) -> None:
    before = crossbar_results.read_bytes()
    assert cli("fit", crossbar_results, "-o", crossbar_results).code == 1
    assert crossbar_results.read_bytes() == before
    model = tmp_path / "model.h5"
    assert cli("fit", crossbar_results, "-o", model).code == 0
    content = model.read_bytes()
    ended = cli("run", "crossbar_ir_drop", "--set", "engine=nodal", "-o", model)
    assert ended.code == 1
    assert "not replaced" in ended.err
    assert model.read_bytes() == content
    recipe = tmp_path / "mine.toml"
    recipe.write_text('bench = "adc_transfer"')
    assert cli("netlist", "adc_sar8", "-o", recipe).code == 1
    assert recipe.read_text() == 'bench = "adc_transfer"'


@pytest.mark.parametrize("setting", ["array.recipe=adc_sar8", "converter.recipe=crossbar_ir_drop"])
def test_a_study_with_the_wrong_recipe(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli("accuracy", "digits", "--set", setting)
    assert ended.code == 1
    assert "bench" in ended.err.splitlines()[-1]


def test_chips_that_do_not_differ_are_one(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "same.h5"
    settings = ["--set", "engine=nodal", "--set", "circuit.rows=4", "--set", "circuit.cols=3"]
    assert cli("run", "crossbar_ir_drop", "--samples", 12, "-o", path, *settings).code == 0
    ended = cli("fit", path, "-o", tmp_path / "m.h5")
    # Five of the eight input vectors are held out, not copies of the chip.
    assert "held out: 15 values of 1 chip(s)" in ended.out


def test_show_of_a_sweep_names_its_points(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "sweep.h5"
    axes = 'sweep=[{"circuit.row_segment_resistance" = ["1 ohm", "3 ohm"]}]'
    assert (
        cli("run", "crossbar_ir_drop", "--set", "engine=nodal", "--set", axes, "-o", path).code == 0
    )
    assert "circuit.row_segment_resistance" in cli("show", path).out
    report = cli("plot", path, "--point", 1, "--kind", "ir-drop", "--json").out
    assert "sweep-ir-drop-p1.png" in report
