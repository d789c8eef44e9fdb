"""Runs whose workers die, or that are told to stop, by a signal or by a closed terminal."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest
from sweep_bench import recipe, resistances
from sweep_helpers import children, contents, gone, log_lines, plan_of, run

from imccircuit.engines.contract import Status
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.sweeps import dispatch
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


def test_asked_once_a_run_drains_its_workers(tmp_path, eager, log):
    output, stopper = tmp_path / "r.h5", Stopper()
    plan = plan_of(12, delay="100 ms")

    def ask_once(summary):
        # A second request, at the next report, would end what is in flight.
        if summary.done > 2 and not stopper.requests:
            stopper.request()

    summary = run(plan, output, jobs=2, stopper=stopper, progress=ask_once)
    assert summary.interrupted
    assert len(log_lines(log)) == summary.done  # what was in flight is recorded


def test_asked_twice_a_run_leaves_a_measurement_of_its_own_thread(tmp_path):
    stopper = Stopper()

    def ask_twice():
        while stopper._measuring is None:
            time.sleep(0.01)
        stopper.request()
        os.kill(os.getpid(), signal.SIGALRM)

    asking = threading.Thread(target=ask_twice)
    before = signal.signal(signal.SIGALRM, lambda *_: stopper.request())
    try:
        asking.start()
        started = time.monotonic()
        summary = run(plan_of(12, delay="600 s"), tmp_path / "r.h5", jobs=2, stopper=stopper)
    finally:
        signal.signal(signal.SIGALRM, before)
    asking.join()
    assert time.monotonic() - started < 300
    assert (summary.interrupted, summary.done) == (True, 0)
    assert children() == []
    assert (read_results(tmp_path / "r.h5").dataset["status"].values == Status.NOT_RUN).all()


# -- with ngspice ------------------------------------------------------------------------------

# Only a hang lasts as long as this.
PATIENCE_S = 120.0


def simulators(pid):
    """Processes below ``pid`` that simulate; the engine's look at the program's version is none."""
    found = []
    for child in children(pid):
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"main.cir" in words:
            found.append(child)
    return found


def parents(pids):
    """Process ids of their parents; of one that has ended meanwhile there is none."""
    found = set()
    for pid in pids:
        try:
            found.add(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]))
        except OSError:
            continue
    return found


def wait_for_simulators(process, count, owners):
    """As many, of that many processes: a run begins with all of them in one, before workers."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        found = simulators(process.pid)
        if len(found) == count and len(parents(found)) == owners:
            return found
        time.sleep(0.02)
    process.kill()
    raise AssertionError(f"no {count} simulators were started: {process.communicate()[1]}")


@pytest.fixture
def start(tmp_path):
    """Start long simulations; whatever a failed test leaves of them is killed."""
    started = []

    def begin(jobs, owners=None, **options):
        command = [sys.executable, str(Path(__file__).with_name("stop_me.py"))]
        process = subprocess.Popen(
            [*command, str(tmp_path / "r.h5"), str(jobs)],
            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, **options},
        )
        started.append(process)
        return process, wait_for_simulators(process, jobs, owners or jobs)

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.ngspice
@pytest.mark.parametrize(
    ("number", "jobs"),
    [
        (signal.SIGKILL, 2),
        pytest.param(signal.SIGKILL, 1, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, 1, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, 2, marks=pytest.mark.long),
    ],
)
def test_no_simulator_outlives_a_run_that_a_signal_ends(start, number, jobs):
    process, _ = start(jobs)
    below = children(process.pid)
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == -number
    assert gone(below, PATIENCE_S)


@pytest.mark.ngspice
def test_no_simulator_outlives_a_run_killed_before_it_has_workers(start):
    process, found = start(2, owners=1)
    assert parents(found) == {process.pid}
    process.kill()
    assert gone(found, PATIENCE_S)


@pytest.mark.ngspice
@pytest.mark.parametrize(
    ("number", "jobs"),
    [
        (signal.SIGINT, 2),
        pytest.param(signal.SIGINT, 1, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, 1, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, 2, marks=pytest.mark.long),
    ],
)
def test_asked_twice_a_run_kills_its_simulators(start, number, jobs, tmp_path):
    process, found = start(jobs, start_new_session=True)
    below = children(process.pid)
    process.send_signal(number)
    assert "Ctrl-C again kills it" in process.stderr.readline()
    assert [pid for pid in found if not gone([pid], 0)] == found  # it drains
    # A terminal's Ctrl-C goes to all of its processes.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    assert process.wait(PATIENCE_S) == 130
    assert gone(below, PATIENCE_S)
    assert "Traceback" not in process.stderr.read()


@pytest.mark.ngspice
@pytest.mark.long
def test_no_simulator_outlives_its_worker(start):
    process, found = start(2)
    os.kill(parents(found).pop(), signal.SIGKILL)
    assert gone(found, PATIENCE_S)  # the other worker is ended too, and both begin again
    again = wait_for_simulators(process, 1, 1)
    assert not set(again) & set(found)
    process.kill()
    assert gone(again, PATIENCE_S)


@pytest.mark.ngspice
@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.long)])
def test_no_simulator_outlives_a_terminal_that_is_closed(start, jobs):
    ours, theirs = pty.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process, _ = start(jobs, preexec_fn=take_terminal, **ends)
    below = children(process.pid)
    os.close(theirs)
    os.close(ours)
    assert process.wait(PATIENCE_S) == -signal.SIGHUP
    assert gone(below, PATIENCE_S)
