"""Runs that die, whose workers die, or that are told to stop: with processes and signals."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sweep_bench import recipe, resistances
from sweep_helpers import children, contents, log_lines, plan_of, run

from imccircuit.engines.contract import Status
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.sweeps import dispatch
from imccircuit.sweeps.ledger import read_entries, work_folder
from imccircuit.sweeps.run import Stopper

# -- with worker processes ---------------------------------------------------------------------


@pytest.fixture
def eager(monkeypatch):
    """Start workers after the first measurement."""
    monkeypatch.setattr(dispatch, "_WORTH_WORKERS_S", 0.0)
    monkeypatch.setattr(dispatch, "_TRIAL_MIN_S", 0.0)


def test_a_worker_killed_from_outside_changes_nothing(tmp_path, eager, log):
    killed = []

    def kill_one(summary):
        if not killed and (workers := children()) and summary.done > 1:
            os.kill(workers[0], signal.SIGKILL)
            killed.append(workers[0])

    plan = plan_of(30, delay="20 ms")
    summary = run(plan, tmp_path / "r.h5", jobs=2, progress=kill_one)
    assert killed
    assert summary.counts == {Status.GOOD: 30}
    assert children() == []
    run(plan, tmp_path / "whole.h5")
    assert contents(tmp_path / "r.h5") == contents(tmp_path / "whole.h5")


def test_a_measurement_that_kills_its_worker_is_given_up_and_blames_no_other(tmp_path, eager, log):
    what = ["work"] * 6 + ["kill_workers"] + ["work"] * 5
    plan = Plan(
        recipe(
            circuit={"delay": "20 ms"},
            sweep=[{"circuit.what": what, "circuit.resistance": resistances(12)}],
        )
    )
    summary = run(plan, tmp_path / "r.h5", jobs=2)
    assert summary.counts == {Status.GOOD: 11, Status.CRASH: 1}
    assert read_results(tmp_path / "r.h5").failures() == [
        (6, 0, "crash", "its worker process died 2 times")
    ]


def test_stopper_drains_workers_and_then_kills_them(tmp_path, eager, log):
    output, stopper = tmp_path / "r.h5", Stopper()
    plan = plan_of(12, delay="100 ms")
    summary = run(plan, output, jobs=2, stopper=stopper,
                  progress=lambda s: stopper.request() if s.done > 2 else None)  # fmt: skip
    assert summary.interrupted
    assert len(log_lines(log)) == summary.done  # what was in flight is recorded
    stopper, slow = Stopper(), plan_of(12, delay="30 s")
    threading.Timer(0.5, stopper.request).start()
    threading.Timer(0.6, stopper.request).start()
    started = time.monotonic()
    old = signal.signal(signal.SIGALRM, lambda *_: stopper.request())
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.0)  # the first one is measured in this thread
        summary = run(slow, tmp_path / "slow.h5", jobs=2, stopper=stopper)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert time.monotonic() - started < 10
    assert summary.interrupted
    assert summary.done == 0
    assert children() == []
    assert (read_results(tmp_path / "slow.h5").dataset["status"].values == Status.NOT_RUN).all()


# -- kill -9 -----------------------------------------------------------------------------------

HERE = Path(__file__).parent


def wait_until_gone(pids):
    until = time.monotonic() + 5
    while (alive := [pid for pid in pids if Path(f"/proc/{pid}").exists()]) and (
        time.monotonic() < until
    ):
        time.sleep(0.01)
    return alive


def recorded(output):
    return {(row[0], row[1]) for entry in list(read_entries(work_folder(output)))
            for row in entry["records"]}  # fmt: skip


def check_kills(folder, moments, jobs, log):
    """Kill a run at each moment, let it end at last, and compare with an undisturbed run."""
    output, counts = folder / "r.h5", {}
    command = [sys.executable, str(HERE / "kill_me.py"), str(output), "30", str(jobs)]
    for moment in moments:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(moment)
        below = children(process.pid)
        process.kill()
        process.communicate()
        assert wait_until_gone(below) == []
        lines = log_lines(log)
        for point, sample in recorded(output):
            counts.setdefault((point, sample), lines.count(f"{1000 + point:g} {sample}"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lines = log_lines(log)
    for (point, sample), count in counts.items():
        assert lines.count(f"{1000 + point:g} {sample}") == count
    assert len(set(lines)) == 30
    # In flight at a kill is one chunk a worker and one that waits, each at most half of the plan.
    assert len(lines) <= 30 + len(moments) * (jobs + 1) * 15
    os.environ.pop("IMC_TEST_LOG")
    run(plan_of(30, quantities=["drawn"], delay="10 ms"), folder / "whole.h5")
    assert contents(output) == contents(folder / "whole.h5")
    assert not work_folder(output).exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_and_resumed(tmp_path, log, jobs):
    check_kills(tmp_path, [0.0, 0.1, 0.2] if jobs == 1 else [0.7], jobs, log)


@pytest.mark.long
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_at_fifty_moments(tmp_path, monkeypatch, jobs):
    monkeypatch.setenv("IMC_TEST_MAIN", str(os.getpid()))
    for seed in range(10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        monkeypatch.setenv("IMC_TEST_LOG", str(folder / "log.txt"))
        moments = np.random.default_rng(seed).uniform(0.0, 0.4 if jobs == 1 else 1.5, 5)
        check_kills(folder, moments, jobs, folder / "log.txt")


# -- with ngspice ------------------------------------------------------------------------------

needs_ngspice = [
    pytest.mark.ngspice,
    pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed"),
]


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def start_long_simulation(output, jobs):
    command = [sys.executable, str(HERE / "stop_me.py"), str(output), str(jobs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 20
    seen = []
    while time.monotonic() < until:
        below = children(process.pid)
        running = [pid for pid in below if name_of(pid) == "ngspice"]
        # The engine's probe of ngspice is a simulator too, but a short one.
        if len(running) == jobs and running == seen and process.poll() is None:
            return process, below
        seen = running
        time.sleep(0.3)
    process.kill()
    raise AssertionError(f"no simulator was started: {process.communicate()}")


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("how", ["kill", "twice"])
def test_no_simulator_outlives_a_run(tmp_path, jobs, how):
    process, below = start_long_simulation(tmp_path / "r.h5", jobs)
    if how == "kill":
        process.kill()
        process.communicate()
    else:
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None  # it drains
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=5)
        assert (out, err) == ("interrupted True, done 0\n", "")
        assert not read_results(tmp_path / "r.h5").complete
    assert wait_until_gone(below) == []


test_no_simulator_outlives_a_run.pytestmark += needs_ngspice
