"""A sweep whose simulator misbehaves at one point: that point has a reason, the others stand."""

import numpy as np
import pytest
from fake import all_dead

from imccircuit.engines.contract import Status
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.sweeps import dispatch
from imccircuit.sweeps.ledger import work_folder
from imccircuit.sweeps.run import RunOptions, run_plan

PATIENCE_S = 60.0
CULPRIT = "rw_0_0 in_0 w_0_0 5.0"
SETTINGS = [
    "circuit.rows=2", "circuit.cols=2", "stimulus.batch=2",
    'sweep=[{"circuit.row_segment_resistance"=["1 ohm","3 ohm","5 ohm","7 ohm","9 ohm"]}]',
]  # fmt: skip


def sweep(fake, output, monkeypatch, **options):
    monkeypatch.setenv("IMCCIRCUIT_NGSPICE", str(fake.path))
    plan = Plan(load_recipe("crossbar_ir_drop", SETTINGS))
    return run_plan(plan, output, RunOptions(**{"jobs": 1, **options}))


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("hang", Status.TIMEOUT, "no answer in 2 s a problem"),
        ("crash", Status.CRASH, "ngspice was ended by signal 11"),
        ("killed", Status.CRASH, "ngspice was ended by signal 9; the kernel does that when memory "
                                 "runs out"),
        ("half a raw file", Status.BAD_OUTPUT, "raw file: "),
    ],
)  # fmt: skip
def test_one_point_fails_with_its_reason(fake, tmp_path, monkeypatch, name, status, reason):
    output = tmp_path / "r.h5"
    fake.behave(name, when=CULPRIT)
    timeout_s = 2.0 if name == "hang" else 60.0
    summary = sweep(fake, output, monkeypatch, timeout_s=timeout_s)
    assert summary.complete
    assert summary.counts == {Status.GOOD: 4, status: 1}
    results = read_results(output)
    ((point, _, said, why),) = results.failures()
    assert (point, said) == (2, status.name.lower())
    assert why.startswith(reason)
    current = results.dataset["output_current"].values
    assert np.isnan(current[2]).all()
    assert np.isfinite(current[[0, 1, 3, 4]]).all()
    (kept,) = (work_folder(output) / "failed").iterdir()
    assert CULPRIT in kept.read_text()
    assert all_dead(fake.processes(), PATIENCE_S)


@pytest.mark.long
@pytest.mark.parametrize("name", ["hang", "crash"])
def test_workers_survive_it_too(fake, tmp_path, monkeypatch, name):
    monkeypatch.setattr(dispatch, "_WORTH_WORKERS_S", 0.0)
    monkeypatch.setattr(dispatch, "_TRIAL_MIN_S", 0.0)
    monkeypatch.setattr(dispatch, "_TRIAL_CHUNK", 1)
    fake.behave(name, when=CULPRIT)
    summary = sweep(fake, tmp_path / "r.h5", monkeypatch, jobs=2, timeout_s=10.0)
    assert summary.counts[Status.GOOD] == 4
    assert summary.failed == 1
    assert all_dead(fake.processes(), PATIENCE_S)
