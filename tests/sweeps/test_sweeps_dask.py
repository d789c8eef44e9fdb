"""Runs on a Dask cluster of real processes: the same file as local, whoever dies meanwhile."""

import os
import signal
import socket
import sys

import dask
import pytest
from dask_processes import Cluster, fake_ngspice, kill
from sweep_bench import recipe, resistances
from sweep_helpers import contents, log_lines, plan_of, run

from imccircuit.cli.main import run_command
from imccircuit.engines.contract import Status
from imccircuit.errors import SetupError, StorageError
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.sweeps import dask_cluster, dispatch
from imccircuit.sweeps.dask_worker import _named
from imccircuit.sweeps.ledger import read_entries, work_folder
from imccircuit.sweeps.run import Stopper

# One cluster for all tests of the quick suite, so one process.
pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers that nannies start again; a chunk that killed one is suspected at once."""
    folder = tmp_path_factory.mktemp("dask") / "cluster"
    made = Cluster(folder, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        made.log = tmp_path_factory.mktemp("log") / "log.txt"  # of all that is measured
        made.add("one", nanny=True, IMC_TEST_LOG=str(made.log))
        made.add("two", nanny=True, IMC_TEST_LOG=str(made.log))
        made.wait(2)
        yield made
    finally:
        made.end()


@pytest.fixture
def small(tmp_path):
    """A cluster of one worker, to be broken."""
    made = Cluster(tmp_path / "cluster")
    try:
        made.add("one")
        made.wait(1)
        yield made
    finally:
        made.end()


def on(cluster, plan, output, **options):
    return run(plan, output, executor="dask", scheduler=cluster.address, **options)


def once(action, after=1):
    """A progress call that acts once so much is done."""
    acted = []

    def progress(summary):
        if summary.done >= after and not acted:
            acted.append(True)
            action()

    return progress


def recorded(output):
    return sum(len(entry["records"]) for entry in read_entries(work_folder(output)))


def other_version(folder):
    """Environment of a worker whose imccircuit is of another version."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text("import imccircuit\nimccircuit.__version__ = '0.0'\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}


# -- the same as local -------------------------------------------------------------------------


def test_dask_and_local_files_are_the_same_bit_for_bit(cluster, tmp_path):
    plan = plan_of(20, samples=3, quantities=["drawn", "other"], size=2)
    summary = on(cluster, plan, tmp_path / "dask.h5")
    assert summary.counts == {Status.GOOD: 60}
    run(plan, tmp_path / "local.h5")
    assert contents(tmp_path / "dask.h5") == contents(tmp_path / "local.h5")
    assert not work_folder(tmp_path / "dask.h5").exists()


@pytest.mark.ngspice
def test_monte_carlo_in_ngspice_is_the_same_and_the_command_needs_no_address(
    cluster, tmp_path, capfd
):
    words = ["run", "rram_iv", "--samples", "4", "--seed", "3", "--no-cache"]
    # As DASK_SCHEDULER_ADDRESS does, which Dask reads once.
    with dask.config.set({"scheduler-address": cluster.address}):
        assert run_command([*words, "-o", str(tmp_path / "d.h5"), "--executor", "dask"]) == 0
    assert run_command([*words, "-o", str(tmp_path / "l.h5"), "-j", "1"]) == 0
    assert capfd.readouterr().err == ""
    assert contents(tmp_path / "d.h5") == contents(tmp_path / "l.h5")


def test_failures_and_bugs_in_workers_are_those_of_local_runs(cluster, tmp_path):
    sweep = [{"circuit.what": ["work", "fail", "refuse", "work"]}]
    on(cluster, Plan(recipe(sweep=sweep)), tmp_path / "d.h5")
    run(Plan(recipe(sweep=sweep)), tmp_path / "l.h5")
    assert contents(tmp_path / "d.h5") == contents(tmp_path / "l.h5")
    bug = Plan(recipe(sweep=[{"circuit.what": ["work", "bug"]}]))
    with pytest.raises(AttributeError, match="a bug in a bench"):
        on(cluster, bug, tmp_path / "bug.h5")


def test_many_workers_get_longer_chunks(tmp_path):
    def chunk(slots, largest=256):
        made = dispatch.Dispatcher.__new__(dispatch.Dispatcher)
        made._again, made._task_s, made._tasks = [], 0.1, iter([(k, 0) for k in range(10**4)])
        made._summary = dispatch.Summary(tmp_path, 10**9)
        return len(made._chunk(slots, largest))

    assert [chunk(slots) for slots in (1, 100, 1000)] == [10, 10, 100]
    assert chunk(1000, largest=4) == 40


def test_time_of_a_point_is_that_on_one_core(tmp_path):
    """A run begins with a point on every core; its workers get chunks of a second all the same."""
    made = dispatch.Dispatcher.__new__(dispatch.Dispatcher)
    made._again, made._has_learned = [], False
    made._summary = dispatch.Summary(tmp_path, 10**9)
    made._task_s, made._tasks = 1.0, iter([(k, 0) for k in range(10**4)])
    first = made._chunk(1, 32, 64)
    assert len(first) == 64
    made._learn(dispatch.Chunk([None] * 64, 0.9), 64)
    assert made._task_s == pytest.approx(0.9, abs=1e-12)
    assert len(made._chunk(64, 256)) == 1
    # Fewer points than cores leave cores idle, and say nothing else of a point.
    made._has_learned = False
    made._learn(dispatch.Chunk([None] * 3, 0.9), 64)
    assert made._task_s == pytest.approx(0.9, abs=1e-12)
    # Short points: a second on all cores at once.
    made._task_s = 0.1
    assert len(made._chunk(1, 10**6, 4)) == 40


# -- workers that die --------------------------------------------------------------------------


def test_a_worker_killed_in_the_middle_changes_nothing(cluster, tmp_path):
    plan = plan_of(14, delay="50 ms", quantities=["drawn"])
    victim = cluster.measuring("one")
    assert victim != cluster.workers["one"].pid
    summary = on(cluster, plan, tmp_path / "d.h5",
                 progress=once(lambda: os.kill(victim, signal.SIGKILL), after=3))  # fmt: skip
    assert summary.counts == {Status.GOOD: 14}
    run(plan, tmp_path / "l.h5")
    assert contents(tmp_path / "d.h5") == contents(tmp_path / "l.h5")


def test_a_measurement_that_kills_its_worker_is_given_up_and_blames_no_other(cluster, tmp_path):
    what = ["work", "kill_workers", *["work"] * 5]
    sweep = [{"circuit.what": what, "circuit.resistance": resistances(7)}]
    plan = Plan(recipe(circuit={"delay": "20 ms"}, sweep=sweep))
    died = cluster.deaths()
    summary = on(cluster, plan, tmp_path / "d.h5")
    assert summary.counts == {Status.GOOD: 6, Status.CRASH: 1}
    assert cluster.deaths() == died + 1  # once suspected, it kills a process of its own
    failures = read_results(tmp_path / "d.h5").failures()
    assert failures == [(1, 0, "crash", "its worker process died 2 times")]


@pytest.mark.long
def test_as_dask_is_delivered_a_killer_ends_four_workers_and_blames_no_other(tmp_path):
    made = Cluster(tmp_path / "cluster")
    try:
        for name in ("one", "two"):
            made.add(name, nanny=True, threads=2)
        made.wait(2)
        what = ["work"] * 20 + ["kill_workers"] + ["work"] * 20
        sweep = [{"circuit.what": what, "circuit.resistance": resistances(41)}]
        plan = Plan(recipe(circuit={"delay": "50 ms"}, sweep=sweep))
        summary = on(made, plan, tmp_path / "d.h5")
        died = made.deaths()
    finally:
        made.end()
    assert summary.counts == {Status.GOOD: 40, Status.CRASH: 1}
    assert died == 4


@pytest.mark.long
def test_a_cluster_that_loses_all_workers_ends_the_run_resumable(small, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_cluster, "_NO_WORKER_S", 1.0)
    plan, output = plan_of(30, delay="20 ms"), tmp_path / "d.h5"
    with pytest.raises(SetupError, match=r"has had no worker for 1 s; go on with --resume$"):
        on(small, plan, output, progress=once(lambda: kill(small.workers["one"]), after=3))
    assert recorded(output) >= 3
    assert run(plan, output, mode="resume").complete


# -- workers that lack something ---------------------------------------------------------------


@pytest.mark.ngspice
@pytest.mark.parametrize("lacks", ["ngspice", pytest.param("version", marks=pytest.mark.long)])
def test_a_worker_without_the_ngspice_of_the_run_is_named_before_anything_runs(
    cluster, tmp_path, capfd, lacks
):
    program = "/nowhere/ngspice" if lacks == "ngspice" else fake_ngspice(tmp_path)
    cluster.add("lacking", IMCCIRCUIT_NGSPICE=str(program))
    address = cluster.wait(3)["lacking"]
    command = ["run", "rram_iv", "--no-cache", "-o", str(tmp_path / "d.h5")]
    try:
        code = run_command([*command, "--executor", "dask", "--scheduler", cluster.address])
    finally:
        cluster.remove("lacking", 2)
    error = capfd.readouterr().err
    assert code == 4
    assert error.count("\n") == 1
    why = {
        "ngspice": "no executable '/nowhere/ngspice'; install ngspice",
        "version": "ngspice 99 klu here, the run is of ngspice",
    }
    assert f"Dask worker lacking at {address}: {why[lacks]}" in error
    assert not work_folder(tmp_path / "d.h5").exists()  # the same command may be given again


def test_a_lacking_worker_that_joins_later_ends_the_run_and_loses_nothing(cluster, tmp_path):
    plan, output = plan_of(60, delay="20 ms"), tmp_path / "d.h5"
    cluster.log.unlink(missing_ok=True)

    def join():
        cluster.add("late", **other_version(tmp_path / "shim"))
        cluster.wait(3)

    try:
        named = r"^Dask worker late at tcp://127\.0\.0\.1:\d+: "
        why = r"imccircuit 0\.0 here, the run is of .*; install the same$"
        with pytest.raises(SetupError, match=named + why):
            on(cluster, plan, output, progress=once(join, after=2))
        before = recorded(output)
        assert before >= 2
        with pytest.raises(SetupError, match=r"^Dask worker late at .* imccircuit 0\.0 here"):
            on(cluster, plan, output, mode="resume")
        assert recorded(output) == before
    finally:
        cluster.remove("late", 2)
    assert on(cluster, plan, output, mode="resume").already == before
    assert len(log_lines(cluster.log)) == 60  # nothing twice: what was in flight was recorded
    run(plan, tmp_path / "l.h5")
    assert contents(output) == contents(tmp_path / "l.h5")


def test_a_worker_without_imccircuit_is_named(cluster, tmp_path):
    (tmp_path / "imccircuit.py").write_text("raise ModuleNotFoundError('it is not here')\n")
    cluster.add("bare", PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    address = cluster.wait(3)["bare"]
    try:
        with pytest.raises(SetupError, match=f"^Dask worker at {address}: .*it is not here"):
            on(cluster, plan_of(2), tmp_path / "d.h5")
    finally:
        cluster.remove("bare", 2)


def test_a_fault_that_a_worker_reports_keeps_its_exit_code():
    full = _named(StorageError("no room"), "Dask worker w at tcp://h:1")
    assert (type(full), str(full)) == (StorageError, "Dask worker w at tcp://h:1: no room")


# -- a scheduler that goes away ----------------------------------------------------------------


@pytest.mark.parametrize("where", ["local", pytest.param("new", marks=pytest.mark.long)])
def test_a_killed_scheduler_ends_the_run_resumable(small, tmp_path, where):
    plan, output = plan_of(30, delay="20 ms", quantities=["drawn"]), tmp_path / "d.h5"
    with pytest.raises(SetupError, match=r"^the Dask scheduler at tcp://127\.0\.0\.1:\d+ is gone; "
                       "start it again and go on with --resume$"):  # fmt: skip
        on(small, plan, output, progress=once(lambda: kill(small.scheduler), after=3))
    assert recorded(output) >= 3
    if where == "local":
        assert run(plan, output, mode="resume").already >= 3
    else:
        small.start_scheduler(0)
        small.add("again")
        assert on(small, plan, output, mode="resume").already >= 3
    run(plan, tmp_path / "l.h5")
    assert contents(output) == contents(tmp_path / "l.h5")


@pytest.mark.long
def test_a_scheduler_that_answers_no_more_ends_the_run(small, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_cluster, "_ANSWER_S", 1.0)
    monkeypatch.setattr(dask_cluster, "_CLOSE_S", 1.0)
    monkeypatch.setattr(dask_cluster, "_LOOK_AGAIN_S", 0.1)
    plan, output = plan_of(30, delay="20 ms"), tmp_path / "d.h5"
    stop = once(lambda: small.scheduler.send_signal(signal.SIGSTOP), after=3)
    with pytest.raises(SetupError, match=r"is gone; start it again and go on with --resume$"):
        on(small, plan, output, progress=stop)
    assert run(plan, output, mode="resume").complete


# -- asked to stop -----------------------------------------------------------------------------


def test_a_request_to_stop_drains(cluster, tmp_path):
    stopper, plan = Stopper(), plan_of(40, delay="50 ms")
    summary = on(cluster, plan, tmp_path / "d.h5", stopper=stopper,
                 progress=once(stopper.request, after=2))  # fmt: skip
    assert summary.interrupted
    assert 2 <= summary.done < 40
    assert on(cluster, plan, tmp_path / "d.h5", mode="resume").already == summary.done


# -- wrong use ---------------------------------------------------------------------------------


def command(tmp_path, *words):
    words = ["run", "crossbar_ir_drop", "--set", "engine=nodal", "--set", "circuit.rows=2",
             "--set", "circuit.cols=2", "-o", str(tmp_path / "r.h5"), *words]  # fmt: skip
    return run_command(words)


def test_the_scheduler_is_missing_or_needs_dask(tmp_path, capfd):
    assert command(tmp_path, "--executor", "dask") == 1
    assert "no Dask scheduler; give --scheduler tcp://HOST:8786" in capfd.readouterr().err
    assert command(tmp_path, "--scheduler", "tcp://localhost:1") == 1
    assert "--scheduler needs --executor dask" in capfd.readouterr().err
    assert command(tmp_path, "--executor", "dask", "-j", "2") == 1
    assert "--jobs is of this machine" in capfd.readouterr().err
    assert list(tmp_path.glob("*.h5*")) == [tmp_path / "r.h5.log"]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "ftp://x:1", "tcp://127.0.0.1:none",
                                     "tls://127.0.0.1:1"])  # fmt: skip
def test_nobody_listens(tmp_path, capfd, monkeypatch, address):
    monkeypatch.setattr(dask_cluster, "_CONNECT_S", 1)
    assert command(tmp_path, "--executor", "dask", "--scheduler", address) == 4
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert f"no Dask scheduler answers at {address}" in error


def test_somebody_else_listens(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(dask_cluster, "_CONNECT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        assert command(tmp_path, "--executor", "dask", "--scheduler", address) == 4
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert f"no Dask scheduler answers at {address}" in error


@pytest.mark.long
def test_a_scheduler_without_workers_says_how_to_start_some(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(dask_cluster, "_FIRST_WORKER_S", 0.5)
    made = Cluster(tmp_path / "cluster")
    try:
        code = command(tmp_path, "--executor", "dask", "--scheduler", made.address)
    finally:
        made.end()
    assert code == 4
    expected = f"has no worker; start some: dask worker {made.address}\n"
    assert capfd.readouterr().err.endswith(expected)


def test_without_distributed_the_extra_is_named(tmp_path, capfd, monkeypatch):
    monkeypatch.delitem(sys.modules, "imccircuit.sweeps.dask_cluster")
    monkeypatch.delattr("imccircuit.sweeps.dask_cluster")
    monkeypatch.setitem(sys.modules, "dask", None)
    assert command(tmp_path, "--executor", "dask", "--scheduler", "tcp://127.0.0.1:1") == 4
    expected = '--executor dask needs dask; pip install "imccircuit[dask]"'
    assert expected in capfd.readouterr().err
