"""No simulator outlives its run on the workers of a Dask cluster, whoever is killed."""

import json
import os
import signal

import pytest
from dask_processes import LONG_S, Cluster, fake_ngspice, is_alive, kill, start_command, wait_for
from sweep_helpers import plan_of, run

from imccircuit.engines.contract import Status
from imccircuit.sweeps.run import Stopper

pytestmark = pytest.mark.xdist_group("dask-simulators")


class Running:
    """A run with two simulations that never end, on one worker of two threads."""

    def __init__(self, folder):
        self.output = folder / "r.h5"
        program = fake_ngspice(folder)
        program.with_name("behaviour.json").write_text(json.dumps({"name": "hang"}))
        self.calls = program.with_name("calls.jsonl")
        self.env = {"IMCCIRCUIT_NGSPICE": str(program)}
        self.cluster = Cluster(folder / "cluster")
        self.command = None
        try:
            self.cluster.add("one", threads=2, **self.env)
            self.cluster.wait(1)
            words = ["run", "crossbar_ir_drop", "--no-cache", "-o", self.output]
            sweep = 'sweep=[{circuit.row_segment_resistance=["1 ohm", "2 ohm"]}]'
            for setting in ("circuit.rows=2", "circuit.cols=2", sweep):
                words += ["--set", setting]
            words += ["--executor", "dask", "--scheduler", self.cluster.address]
            self.command = start_command(*words, folder=folder, **self.env)
            self.processes = wait_for(self._both)
        except BaseException:
            self.end()
            raise

    def _both(self):
        assert self.command.poll() is None, self.command.communicate()
        found = self.hanging()
        return found if len(found) == 2 else None

    def hanging(self, key="pid"):
        """Process ids of all simulators that live; with ``child`` of what they have started."""
        if not self.calls.exists():
            return set()
        calls = [json.loads(line) for line in self.calls.read_text().splitlines()]
        return {call[key] for call in calls if is_alive(call.get(key, 0))}

    def gone(self):
        return not self.hanging()

    def end(self):
        if self.command:
            kill(self.command)
            self.command.communicate()
        self.cluster.end()
        # ngspice has no children; those of the fake are its own affair.
        for pid in self.hanging("child"):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def running(tmp_path):
    made = Running(tmp_path)
    yield made
    made.end()


@pytest.mark.long
def test_ctrl_c_drains_and_another_ends_all_simulators(running):
    running.command.send_signal(signal.SIGINT)
    assert "Ctrl-C again kills it" in running.command.stderr.readline()
    assert running.hanging() == running.processes
    running.command.send_signal(signal.SIGINT)
    out, error = running.command.communicate(timeout=LONG_S)
    assert running.command.returncode == 130
    assert (out, error) == ("", "imccircuit: interrupted; what was finished is kept\n")
    wait_for(running.gone)
    check_that_workers_go_on(running)


def test_a_killed_client_takes_its_simulators_along(running):
    kill(running.command)
    wait_for(running.gone)
    check_that_workers_go_on(running)


def check_that_workers_go_on(running):
    """They are free, and nothing of the run before is in the way of the next."""
    output = running.output.with_name("next.h5")
    summary = run(plan_of(4), output, executor="dask", scheduler=running.cluster.address)
    assert summary.counts == {Status.GOOD: 4}
    assert running.gone()


@pytest.mark.long
def test_a_run_that_is_stopped_ends_no_simulator_of_another(running):
    running.cluster.add("two")
    running.cluster.wait(2)
    stopper, plan = Stopper(), plan_of(4, delay="1 s")
    summary = run(plan, running.output.with_name("other.h5"), executor="dask", stopper=stopper,
                  scheduler=running.cluster.address,
                  progress=lambda _: stopper.request())  # fmt: skip
    assert summary.interrupted
    assert stopper.requests == 2
    assert running.hanging() == running.processes


@pytest.mark.long
def test_a_killed_worker_takes_its_simulators_along(running):
    running.cluster.add("two", **running.env)
    running.cluster.wait(2)
    os.kill(running.cluster.workers["one"].pid, signal.SIGKILL)
    wait_for(lambda: not running.hanging() & running.processes)
    wait_for(running.hanging)  # the other worker takes over


@pytest.mark.long
def test_a_killed_scheduler_ends_run_and_simulators(running):
    kill(running.cluster.scheduler)
    out, error = running.command.communicate(timeout=LONG_S)
    assert running.command.returncode == 4
    assert (out, error.count("\n")) == ("", 1)
    assert error.endswith(" is gone; start it again and go on with --resume\n")
    wait_for(running.gone)
