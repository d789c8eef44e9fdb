"""Limits of a simulator, memory and cores; neither decides a number."""

import subprocess
import sys

import pytest
from sweep_helpers import contents, run

from imccircuit.engines import deck
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.sweeps import dispatch
from imccircuit.sweeps.executors import Job
from imccircuit.sweeps.run import RunOptions, run_plan


def crossbar(size, batch=1):
    settings = [f"circuit.rows={size}", f"circuit.cols={size}", f"stimulus.batch={batch}",
                "stimulus.cell_voltages=false"]  # fmt: skip
    return Plan(load_recipe("crossbar_ir_drop", settings))


@pytest.mark.ngspice
@pytest.mark.parametrize("memory_mb", [10, 60, pytest.param(160, marks=pytest.mark.long)])
def test_a_simulator_that_is_refused_memory_says_so(tmp_path, memory_mb):
    """10 MB do not hold the program; at 60 it gives up itself; at 160 its solver, KLU, does."""
    if memory_mb == 160 and NgspiceEngine().solver != "klu":
        pytest.skip("this ngspice has no KLU, and Sparse needs a minute")
    summary = run(crossbar(128), tmp_path / "r.h5", memory_bytes=memory_mb * 10**6)
    assert summary.counts == {Status.OUT_OF_MEMORY: 1}
    reason = f"out_of_memory: ngspice needs more memory than {memory_mb} MB"
    assert summary.reasons == {reason: 1}


@pytest.mark.ngspice
def test_limits_that_suffice_change_nothing(tmp_path):
    run(crossbar(8, batch=3), tmp_path / "plain.h5")
    limits = {"memory_bytes": 4 * 10**9, "timeout_s": 60.0, "cores_per_point": 2}
    run(crossbar(8, batch=3), tmp_path / "limits.h5", **limits)
    # The hash of every deck is in it.
    assert contents(tmp_path / "limits.h5") == contents(tmp_path / "plain.h5")


@pytest.mark.ngspice
def test_cores_of_a_point_are_in_its_deck_but_not_in_its_hash(monkeypatch):
    plan, texts = crossbar(2), []
    problem = next(plan.recipe.bench.measure(plan.parameters(0), plan.variation(0, 0)))
    real = deck.deck_text
    monkeypatch.setattr(deck, "deck_text", lambda *a, **k: texts.append(real(*a, **k)) or texts[-1])
    hashes = {NgspiceEngine(threads=count).solve([problem])[0].deck_sha256 for count in (1, 2)}
    assert len(hashes) == 1
    for count, text in zip((1, 2), texts, strict=True):
        assert f"set num_threads={count}\n" in text


@pytest.mark.parametrize(
    ("jobs", "cores_per_point", "slots"), [(0, 1, 8), (0, 2, 4), (0, 3, 2), (0, 16, 1), (5, 2, 5)]
)
def test_so_many_fewer_run_side_by_side(tmp_path, monkeypatch, jobs, cores_per_point, slots):
    started = []

    class Recorded(dispatch.SerialExecutor):
        def __init__(self, job: Job, count):
            super().__init__(job, dispatch.Stopper())
            started.append((count, job.options.threads))

    monkeypatch.setattr(dispatch, "cores", lambda: 8)
    monkeypatch.setattr(dispatch, "ProcessExecutor", Recorded)
    monkeypatch.setattr(dispatch, "_WORTH_WORKERS_S", 0.0)
    monkeypatch.setattr(dispatch, "_TRIAL_MIN_S", 0.0)
    settings = ["circuit.rows=2", "circuit.cols=2", "engine=nodal", "variation.samples=40"]
    plan = Plan(load_recipe("crossbar_ir_drop", settings))
    options = RunOptions(jobs=jobs, cores_per_point=cores_per_point)
    assert run_plan(plan, tmp_path / "r.h5", options).complete
    assert started == ([(slots, cores_per_point)] if slots > 1 else [])


def test_a_script_that_its_workers_would_run_again(tmp_path):
    """Without the guard every worker starts the sweep itself and dies: one line, not a loop."""
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from imccircuit.recipes.load import load_recipe\n"
        "from imccircuit.recipes.plan import Plan\n"
        "from imccircuit.sweeps import dispatch\n"
        "from imccircuit.sweeps.run import RunOptions, run_plan\n"
        "dispatch._WORTH_WORKERS_S = dispatch._TRIAL_MIN_S = 0.0\n"
        "settings = ['circuit.rows=2', 'circuit.cols=2', 'engine=nodal', 'variation.samples=400']\n"
        "plan = Plan(load_recipe('crossbar_ir_drop', settings))\n"
        "run_plan(plan, Path('r.h5'), RunOptions(jobs=2))\n"
    )
    command = [sys.executable, str(script)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300, check=False)
    assert b"worker processes die as they start" in ended.stderr.splitlines()[-1]
