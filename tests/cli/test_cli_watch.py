"""Watching a run: from another terminal, on its own, in its log, by a program, after its death."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_case import Cli

from imccircuit.cli import progress

WATCH_ME = Path(__file__).with_name("watch_me.py")
# Only a hang lasts as long as this.
PATIENCE_S = 120.0
WHAT = ["work", "fail", "work", "work", "fail", "work", "work", "work", "work", "work"]


def write_recipe(folder: Path, what: list[str]) -> Path:
    path = folder / "fake.toml"
    axis = json.dumps(what)
    path.write_text(f'bench = "fake"\nengine = "nodal"\n[[sweep]]\n"circuit.what" = {axis}\n')
    return path


@pytest.fixture
def fake_bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(WATCH_ME.parents[1] / "sweeps"))
    import sweep_bench

    from imccircuit.benches import registry

    sweep_bench.register()
    yield
    del registry._BENCHES.modules["fake"]


def wait_for_entries(output: Path, records: int, process: subprocess.Popen[str]) -> None:
    ledger = output.with_name(output.name + ".work") / "ledger.jsonl"
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None
        if ledger.is_file():
            lines = ledger.read_text().split("\n")[1:-1]
            if sum(len(json.loads(line)["records"]) for line in lines) >= records:
                return
        time.sleep(0.01)
    raise AssertionError(f"no {records} records")


def test_the_life_and_death_of_a_run(
    cli: Cli, tmp_path: Path, fake_bench: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, output = tmp_path / "held", tmp_path / "r.h5"
    held.touch()
    monkeypatch.setenv("IMC_TEST_HOLD", str(held))
    recipe = write_recipe(tmp_path, [*WHAT, "hold"])
    process = subprocess.Popen(
        [sys.executable, str(WATCH_ME), "run", str(recipe), "-o", str(output), "-j", "1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for_entries(output, len(WHAT), process)
        report = json.loads(cli("status", output, "--json").out)
        assert (report["state"], report["done"], report["total"]) == ("running", 10, 11)
        assert report["status"] == {"good": 8, "measurement_failed": 2}
        assert report["reasons"] == {"measurement_failed: told to fail": 2}
        assert report["process"].startswith(f"{process.pid} on ")
        assert report["rate_per_s"] > 0
        assert report["left_s"] == pytest.approx(1 / report["rate_per_s"], rel=1e-6, abs=0)
        text = cli("status", output).out
        assert f"{output}: running, 10 of 11, 2 failed" in text
        assert re.search(
            rf"process {process.pid} on .*, [\d.e+]+/s, about \d+:\d\d:\d\d left", text
        )

        # The second run on the same output, in one line; it disturbs nothing.
        refused = cli("run", recipe, "-o", output, "--resume")
        assert refused.code == 1
        assert re.fullmatch(r"imccircuit: another run is writing .*r\.h5\.work\n", refused.err)
    finally:
        process.kill()
        process.communicate()

    report = json.loads(cli("status", output, "--json").out)
    assert (report["state"], report["done"]) == ("unfinished", 10)
    assert "left_s" not in report
    assert "go on with: imccircuit run RECIPE --resume" in cli("status", output).out
    log = (tmp_path / "r.h5.log").read_text()
    for word in (str(recipe), "11 of 11 to measure", "versions: ", "fake-p1-s0 measurement_failed"):
        assert word in log
    assert "done: " not in log

    held.unlink()
    ended = cli("run", recipe, "-o", output, "--resume")
    assert (ended.code, ended.err) == (2, "")
    assert "11 of 11 measured (1 now" in ended.out
    assert "2 × measurement_failed: told to fail" in ended.out
    whole = (tmp_path / "r.h5.log").read_text()
    assert whole.startswith(log)
    assert "1 of 11 to measure" in whole
    assert "done: 11 of 11 measured, 2 failed" in whole
    assert "2 × measurement_failed: told to fail" in whole
    report = json.loads(cli("status", output, "--json").out)
    assert (report["state"], report["done"]) == ("finished", 11)
    assert "finished, 11 of 11, 2 failed" in cli("status", output).out


def test_status_of_a_damaged_ledger_names_the_line(cli: Cli, tmp_path: Path) -> None:
    output = tmp_path / "r.h5"
    (tmp_path / "r.h5.work").mkdir()
    ledger = tmp_path / "r.h5.work" / "ledger.jsonl"
    head = '{"digest": "", "tasks": 4, "versions": {}}\n'
    for text, line in ((head + "what\n", 2), ("{}\n", 1), (head + '{"shard": 1}\n', 2)):
        ledger.write_text(text)
        ended = cli("status", output)
        assert ended.code == 1
        assert ended.err == f"imccircuit: {ledger}: line {line} is damaged; use --fresh\n"
    ledger.write_text(head + '{"shard": "0000')  # a torn last line is none
    assert "unfinished, 0 of 4" in cli("status", output).out
    ledger.write_text(head[:-5])  # killed before anything was recorded
    assert "unfinished, 0 of 0" in cli("status", output).out


def test_status_of_a_run_that_ends_while_it_is_looked_at(
    cli: Cli, adc_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imccircuit.cli import status

    output = tmp_path / "r.h5"
    output.write_bytes(adc_results.read_bytes())
    (tmp_path / "r.h5.work").mkdir()
    (tmp_path / "r.h5.work" / "ledger.jsonl").touch()

    def gone(folder: Path) -> object:
        raise FileNotFoundError(folder)

    monkeypatch.setattr(status, "read_entries", gone)
    assert "finished, 1 of 1" in cli("status", output).out


def test_json_lines_for_machines(
    cli: Cli, tmp_path: Path, fake_bench: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_JSON_EVERY_S", 0.0)
    recipe = write_recipe(tmp_path, WHAT)
    ended = cli("run", recipe, "-o", tmp_path / "r.h5", "--json")
    assert ended.code == 2
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert [line["event"] for line in lines[:-1]] == ["progress"] * (len(lines) - 1)
    assert len(lines) > 2
    assert [line["done"] for line in lines] == sorted(line["done"] for line in lines)
    last = lines[-1]
    assert last["event"] == "end"
    assert (last["done"], last["failed"], last["complete"]) == (10, 2, True)
    assert last["reasons"] == {"measurement_failed: told to fail": 2}
    assert last["rate_per_s"] > 0


def test_json_lines_end_after_an_error_too(cli: Cli, tmp_path: Path, fake_bench: None) -> None:
    recipe = write_recipe(tmp_path, WHAT)
    (tmp_path / "file").touch()
    ended = cli("run", recipe, "-o", tmp_path / "file" / "r.h5", "--json")
    last = json.loads(ended.out.splitlines()[-1])
    assert (last["event"], last["exit_code"]) == ("end", ended.code)
    assert ended.code != 0
    assert last["error"] in ended.err


def test_a_hopeless_sweep_stops_early_with_a_summary_by_reason(
    cli: Cli, tmp_path: Path, fake_bench: None
) -> None:
    recipe, output = write_recipe(tmp_path, ["fail", "fail", "refuse"] * 100), tmp_path / "r.h5"
    ended = cli("run", recipe, "-o", output, "--max-fail", 30, "-j", 1)
    assert ended.code == 2
    found = re.match(r"stopped by --max-fail: (\d+) of 300 measured .*, (\d+) failed\n", ended.out)
    assert found
    assert 20 <= int(found[1]) < 300
    assert found[1] == found[2]
    assert re.search(r"^  \d+ × measurement_failed: told to fail$", ended.out, re.MULTILINE)
    assert re.search(r"^  \d+ × refused: the nodal engine", ended.out, re.MULTILINE)
    assert ended.err == "imccircuit: unfinished; go on with the same command and --resume\n"
    again = cli("run", recipe, "-o", output, "--max-fail", 30, "--resume", "--json")
    last = json.loads(again.out.splitlines()[-1])
    assert last["stopped_by_max_fail"]
    assert not last["complete"]
    assert sum(last["reasons"].values()) == last["failed"] == last["done"]
    # Who wants all of them gets them.
    assert cli("run", recipe, "-o", output, "--resume").code == 2
    assert json.loads(cli("status", output, "--json").out)["done"] == 300


@pytest.mark.parametrize("columns", [80, pytest.param(160, marks=pytest.mark.long)])
def test_the_bar_on_a_terminal(tmp_path: Path, columns: int) -> None:
    recipe = write_recipe(tmp_path, [*WHAT, "fail_at_length"])
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(WATCH_ME), "run", str(recipe), "-o", str(tmp_path / "r.h5"), "-j", "1",
         "--set", 'circuit.delay="20 ms"'],
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm"},
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    out = b""
    try:
        while data := os.read(ours, 65536):
            out += data
    except OSError:  # what a terminal gives when its last program has gone
        pass
    os.close(ours)
    assert process.wait(PATIENCE_S) == 2
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.decode()).replace("\r", "\n")
    assert re.search(r"measuring .* 11/11 0:00:00 [\d.e+]+/s", text)
    assert re.search(r"^3 failed: 2 × measurement_failed: told to fail", text, re.MULTILINE)
    assert "Traceback" not in text


def test_a_reason_with_brackets_is_no_markup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from imccircuit.engines.contract import Status
    from imccircuit.results.schema import TaskRecord
    from imccircuit.sweeps.state import Summary

    summary = Summary(tmp_path / "r.h5", 2)
    summary.count([TaskRecord(0, 0, Status.REFUSED, "no file [/tmp/x] [bold]")])
    with progress._bar(Console(stderr=True, force_terminal=True, width=80), 2) as update:
        update(summary)
    assert "1 × refused: no file [/tmp/x] [bold]" in capsys.readouterr().err


# -- before a run has begun ---------------------------------------------------------------------


@pytest.mark.parametrize("module", ["", "numpy", "_multiarray_umath", "_pydantic_core"])
def test_ctrl_c_while_modules_are_loaded(tmp_path: Path, module: str) -> None:
    """At the first module that is loaded, and in the middle of others."""
    code = (
        "import signal, sys\n"
        "import imccircuit.cli.main as m\n"
        "sys.argv = ['imccircuit', 'run', 'adc_sar8']\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.rpartition('.')[2] == {module!r} or not {module!r}:\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "m.main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert ended.returncode == 130
    assert re.fullmatch(r"imccircuit: interrupted; .*\n", ended.stderr)
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_before_a_run_has_begun(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imccircuit.cli import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "load_recipe", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    ended = cli("run", "adc_sar8")
    assert ended.code == 130
    assert ended.err == "imccircuit: interrupted; what was finished is kept\n"
    assert list(tmp_path.iterdir()) == []


# -- what is refused ----------------------------------------------------------------------------


def test_a_finished_file_of_another_recipe_is_not_replaced(
    cli: Cli, tmp_path: Path, fake_bench: None
) -> None:
    output = tmp_path / "r.h5"
    assert cli("run", write_recipe(tmp_path, ["work"]), "-o", output).code == 0
    before = output.read_bytes()
    other = write_recipe(tmp_path, ["work", "work"])
    for arguments in ([], ["--resume"]):
        ended = cli("run", other, "-o", output, *arguments)
        assert ended.code == 1
        assert ended.err.count("\n") == 1
        assert "--fresh" in ended.err
        assert output.read_bytes() == before
    assert cli("run", other, "-o", output, "--fresh").code == 0


def test_folders_of_cards(cli: Cli, tmp_path: Path) -> None:
    for arguments in (["run", "adc_sar8", "--dry-run"], ["netlist", "adc_sar8"], ["list", "cards"]):
        ended = cli(*arguments, "--library", "/no/such")
        assert ended.code == 1
        assert re.fullmatch(r"imccircuit: .*--library.* '/no/such' does not exist.\n", ended.err)
    shipped = Path(__file__).parents[2] / "device_models" / "capacitor_28nm.toml"
    text = shipped.read_text()
    (tmp_path / "mine.toml").write_text(text)
    (tmp_path / "capacitor_28nm.toml").write_text(
        re.sub(r'(?m)^description = ".*"', 'description = "measured here"', text, count=1)
    )
    (tmp_path / "recipe.toml").write_text('bench = "adc_transfer"\n')  # no card
    rows = json.loads(cli("list", "cards", "--library", tmp_path, "--json").out)
    what = {row["name"]: row["what"] for row in rows}
    assert what["capacitor_28nm"] == "measured here"
    assert {"mine", "rram_techC"} <= set(what)
    assert "recipe" not in what
    assert cli("list", "recipes", "--library", tmp_path).code == 1
