"""Full and read-only disks: one line, nothing lost, and `--resume` ends what was begun."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from own_mounts import run_with_mounts
from sweep_helpers import contents, plan_of, run

from imccircuit.errors import StorageError
from imccircuit.sweeps import log

DISK_ME = Path(__file__).with_name("disk_me.py")
POINTS, WORKING = 6, 3


def disk_runs(folder, *rooms):
    ended = run_with_mounts([sys.executable, str(DISK_ME), str(folder), *map(str, rooms)])
    # HDF5 that learns of a full disk complains on stderr for each of its objects.
    assert (ended.returncode, ended.stderr) == (0, "")
    return [json.loads(line) for line in ended.stdout.splitlines()]


def check_reports(reports):
    """What every report must hold; the names of the files that could not be written."""
    named = set()
    for report in reports:
        assert report["same"], report
        assert report["left"] == ["r.h5", "r.h5.log"]
        if not report["said"]:
            assert report["already"] == POINTS
            continue
        found = re.fullmatch(r"(.*) cannot be written: (No space left on device|Read-only file "
                             r"system)", report["said"])  # fmt: skip
        assert found, report
        named.add(re.sub(r"\d{8}", "N", found[1]))
        assert report["already"] == report["recorded"]
        # Lost and measured again is what was under way.
        assert WORKING <= report["measured"] <= WORKING + 1
    return named


EVERYWHERE = {"r.h5.work/ledger.jsonl", "r.h5.work/shards/N.npz", "r.h5"}


def test_a_disk_that_fills_up_at_any_step_loses_nothing(tmp_path):
    assert check_reports(disk_runs(tmp_path, 1, 5, 8, 14, 16, 24)) == EVERYWHERE


@pytest.mark.long
def test_a_disk_with_every_amount_of_room(tmp_path):
    reports = disk_runs(tmp_path, *range(1, 41))
    assert check_reports(reports) == EVERYWHERE
    assert not reports[-1]["said"]


def test_a_disk_that_becomes_read_only(tmp_path):
    (report,) = reports = disk_runs(tmp_path, "ro")
    assert check_reports(reports) == {"r.h5.work/shards/N.npz"}
    assert report["recorded"] == POINTS // 2


CROSSBAR = ("crossbar_ir_drop --set circuit.rows=16 --set circuit.cols=16 --set stimulus.batch=64 "
            "--set engine=nodal")  # fmt: skip
COMMAND = f"{sys.executable} -m imccircuit run"


def shell(folder, script):
    """Run a script that may mount on ``disk``; exit codes and stderr of its commands by name."""
    (folder / "disk").mkdir()
    head = 'step() { name=$1; shift; "$@" >$name.out 2>$name.err; echo "$name $?"; }\n'
    ended = run_with_mounts(["bash", "-c", head + script], cwd=folder)
    assert ended.stderr == ""
    pairs = [line.split() for line in ended.stdout.splitlines()]
    return {name: (int(code), (folder / f"{name}.err").read_text()) for name, code in pairs}


def test_the_command_says_it_in_one_line_with_exit_4_and_resumes(tmp_path):
    found = shell(
        tmp_path,
        f"""
mount -t tmpfs -o size=240k tmpfs disk
step full {COMMAND} {CROSSBAR} -o disk/r.h5
mount -o remount,size=20m disk
step again {COMMAND} {CROSSBAR} -o disk/r.h5 --resume
cp disk/r.h5 r.h5
mount -o remount,ro disk
step ro {COMMAND} {CROSSBAR} -o disk/other.h5
""",
    )
    assert found["full"] == (
        4, "imccircuit: disk/r.h5 cannot be written: No space left on device\n"
    )  # fmt: skip
    assert found["again"] == (0, "")
    assert found["ro"] == (
        4, "imccircuit: disk/other.h5.work cannot be written: Read-only file system\n"
    )  # fmt: skip
    command = [*COMMAND.split(), *CROSSBAR.split(), "-o", "whole.h5"]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert contents(tmp_path / "r.h5") == contents(tmp_path / "whole.h5")


SAR = "adc_sar8 --set circuit.bits=4 -j 1"


@pytest.mark.ngspice
@pytest.mark.long
def test_a_full_cache_stops_no_run_and_a_full_scratch_folder_blames_no_circuit(tmp_path):
    found = shell(
        tmp_path,
        f"""
mount -t tmpfs -o size=40k tmpfs disk
IMCCIRCUIT_CACHE=$PWD/disk step cache {COMMAND} {SAR} -o cache.h5
rm -rf disk/*
TMPDIR=$PWD/disk step scratch {COMMAND} {SAR} -o scratch.h5 --no-cache
mount -o remount,size=20m disk
TMPDIR=$PWD/disk step again {COMMAND} {SAR} -o scratch.h5 --no-cache --resume
""",
    )
    assert found["cache"] == (0, "")
    assert "is not used: database or disk is full" in (tmp_path / "cache.h5.log").read_text()
    code, err = found["scratch"]
    assert code == 4
    assert re.fullmatch(r"imccircuit: no room for a simulator in \S*disk: .*TMPDIR.*\n", err)
    assert found["again"] == (0, "")
    assert contents(tmp_path / "scratch.h5") == contents(tmp_path / "cache.h5")


def test_a_log_that_cannot_be_written_stops_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "log_file", lambda _: Path("/dev/full"))
    assert run(plan_of(2), tmp_path / "r.h5").complete


def test_a_run_that_was_refused_by_the_disk_lets_go_of_the_output(tmp_path, monkeypatch):
    """Also in the process that goes on after it, such as a notebook."""
    output = tmp_path / "r.h5"
    with monkeypatch.context() as patch:
        patch.setattr("os.write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(StorageError, match=r"r\.h5\.work cannot be written: No space left"):
            run(plan_of(2), output)
    assert run(plan_of(2), output).complete
