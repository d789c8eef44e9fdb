"""Runs of a plan: what they record, what they refuse, how they stop and how they go on."""

import numpy as np
import pytest
from sweep_bench import recipe, resistances
from sweep_helpers import contents, log_lines, plan_of, run

from imccircuit.benches.crossbar_parameters import CrossbarParameters
from imccircuit.engines.contract import Status
from imccircuit.errors import InputError, StorageError, UsageError
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.sweeps import dispatch
from imccircuit.sweeps.ledger import Ledger, read_entries, work_folder
from imccircuit.sweeps.run import Stopper


def test_a_run_writes_what_ohms_law_says(tmp_path):
    plan = plan_of(3, samples=2, quantities=["drawn"], size=2)
    summary = run(plan, tmp_path / "r.h5")
    assert summary.complete
    assert summary.counts == {Status.GOOD: 6}
    assert not work_folder(tmp_path / "r.h5").exists()
    data = read_results(tmp_path / "r.h5").dataset
    expected = np.broadcast_to(1 / (1000 + np.arange(3)[:, None, None]), (3, 2, 2))
    # One resistor between ideal wires: division and a sparse solve, a few roundings.
    np.testing.assert_allclose(data["current"].values, expected, rtol=1e-14)
    np.testing.assert_array_equal(data["code"].values, [[0, 1]] * 3)
    np.testing.assert_array_equal(data["circuit.resistance"].values, [1000, 1001, 1002])


def test_failures_are_marked_and_the_others_stand(tmp_path):
    plan = Plan(
        recipe(
            sweep=[{"circuit.what": ["work", "fail", "refuse", "work"]}],
            variation={"samples": 2},
        )
    )
    summary = run(plan, tmp_path / "r.h5", jobs=2)
    assert summary.counts == {Status.GOOD: 4, Status.MEASUREMENT_FAILED: 2, Status.REFUSED: 2}
    assert summary.complete
    assert summary.failed == 4
    results = read_results(tmp_path / "r.h5")
    assert [(p, s, status) for p, s, status, _ in results.failures()] == [
        (1, 0, "measurement_failed"), (1, 1, "measurement_failed"),
        (2, 0, "refused"), (2, 1, "refused"),
    ]  # fmt: skip
    assert {reason for *_, reason in results.failures()} == {
        "told to fail",
        "the nodal engine solves linear resistive arrays only; use engine = ngspice",
    }
    current = results.dataset["current"].values
    assert np.isfinite(current[[0, 3]]).all()
    assert np.isnan(current[[1, 2]]).all()
    assert (results.dataset["code"].values[[1, 2]] == -1).all()


def test_a_sweep_over_the_cell_is_half_refused_by_nodal(tmp_path, monkeypatch):
    """If nobody noticed before that it cannot solve them."""
    monkeypatch.setattr(CrossbarParameters, "unfit_engines", lambda _: {})
    sets = ["engine=nodal", "circuit.rows=3", "circuit.cols=2",
            'sweep=[{"circuit.cell"=["1r","1t1r"]}]']  # fmt: skip
    summary = run(Plan(load_recipe("crossbar_ir_drop", sets)), tmp_path / "r.h5")
    assert summary.counts == {Status.GOOD: 1, Status.REFUSED: 1}
    data = read_results(tmp_path / "r.h5").dataset
    assert list(data["circuit.cell"].values) == ["1r", "1t1r"]


def test_a_bug_in_a_bench_is_seen_and_the_work_before_it_is_kept(tmp_path):
    plan = Plan(recipe(sweep=[{"circuit.what": ["work", "bug"]}]))
    with pytest.raises(AttributeError, match="a bug in a bench"):
        run(plan, tmp_path / "r.h5")
    assert len(list(read_entries(work_folder(tmp_path / "r.h5")))) == 1


def test_serial_and_parallel_files_are_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(dispatch, "_WORTH_WORKERS_S", 0.0)
    monkeypatch.setattr(dispatch, "_TRIAL_MIN_S", 0.0)
    plan = plan_of(8, samples=3, quantities=["drawn", "other"])
    run(plan, tmp_path / "one.h5", jobs=1)
    run(plan, tmp_path / "two.h5", jobs=2)
    assert contents(tmp_path / "one.h5") == contents(tmp_path / "two.h5")


def test_a_small_plan_starts_no_worker(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a worker pool was started")

    monkeypatch.setattr(dispatch, "ProcessExecutor", refuse)
    summary = run(plan_of(300), tmp_path / "r.h5", jobs=4)
    assert summary.complete


def test_new_refuses_unfinished_work_and_resume_goes_on(tmp_path, log):
    output = tmp_path / "r.h5"
    stopper = Stopper()
    plan = plan_of(6)
    summary = run(plan, output, stopper=stopper, progress=lambda s: stopper.request())
    assert summary.interrupted
    assert 0 < summary.done < 6
    assert not read_results(output).complete
    status = read_results(output).dataset["status"].values[:, 0]
    assert list(status) == [0] * summary.done + [1] * (6 - summary.done)
    assert len(read_results(output).failures()) == 6 - summary.done
    with pytest.raises(UsageError, match=r"unfinished work in .*r\.h5\.work \(\d of 6 done\); use "
                       "--resume or --fresh$"):  # fmt: skip
        run(plan, output)
    with pytest.raises(UsageError, match=r"of another recipe, card or version \(digest, tasks"):
        run(plan_of(7), output, mode="resume")
    again = run(plan, output, mode="resume")
    assert again.complete
    assert again.already == summary.done
    assert len(log_lines(log)) == 6
    run(plan, tmp_path / "whole.h5")
    assert contents(output) == contents(tmp_path / "whole.h5")


def test_resume_starts_where_there_is_nothing_and_ends_where_all_is_done(tmp_path, log):
    output = tmp_path / "sub" / "r.h5"
    assert run(plan_of(3), output, mode="resume").complete
    before = output.stat().st_mtime_ns
    summary = run(plan_of(3), output, mode="resume")
    assert (summary.done, summary.already, summary.complete) == (3, 3, True)
    assert output.stat().st_mtime_ns == before
    assert len(log_lines(log)) == 3
    with pytest.raises(UsageError, match=r"holds another run .* use --fresh"):
        run(plan_of(4), output, mode="resume")


def test_fresh_needs_no_old_file_and_forgets_one(tmp_path, log):
    output = tmp_path / "r.h5"
    assert run(plan_of(2), output, mode="fresh").complete
    stopper = Stopper()
    run(plan_of(3), output, mode="fresh", stopper=stopper, progress=lambda s: stopper.request())
    assert run(plan_of(4), output, mode="fresh").done == 4
    assert read_results(output).dataset.sizes["point"] == 4


def test_a_part_without_its_ledger_says_so(tmp_path):
    output = tmp_path / "r.h5"
    stopper = Stopper()
    run(plan_of(3), output, stopper=stopper, progress=lambda s: stopper.request())
    for path in sorted(work_folder(output).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with pytest.raises(UsageError, match=r"part of a run whose r\.h5\.work is gone"):
        run(plan_of(3), output, mode="resume")


def test_what_a_kill_left_after_the_file_was_written_is_removed(tmp_path):
    output = tmp_path / "r.h5"
    run(plan_of(2), output)
    shards = work_folder(output) / "shards"
    shards.mkdir(parents=True)
    (shards / "00000000.npz").write_bytes(b"")
    (work_folder(output) / "lock").touch()
    assert run(plan_of(2), output, mode="resume").already == 2
    assert not work_folder(output).exists()


@pytest.mark.parametrize("mode", ["new", "resume", "fresh"])
def test_a_foreign_file_is_not_replaced(tmp_path, mode):
    output = tmp_path / "thesis.h5"
    output.write_text("three years of work")
    with pytest.raises(UsageError, match="no results file and is not replaced"):
        run(plan_of(1), output, mode=mode)
    assert output.read_text() == "three years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.h5"]


def test_outputs_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a folder"):
        run(plan_of(1), tmp_path)
    with pytest.raises((UsageError, StorageError), match=r"cannot be (read|written)"):
        run(plan_of(1), tmp_path / "file" / "r.h5")


def test_axes_that_do_not_go_together_are_refused_before_anything_is_written(tmp_path):
    plan = Plan(recipe(sweep=[{"circuit.size": [1, 7]}, {"circuit.extra": [0, 7]}]))
    with pytest.raises(InputError, match="14 columns; allowed: up to 8"):
        run(plan, tmp_path / "r.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_torn_last_line_costs_one_chunk(tmp_path, log):
    output = tmp_path / "r.h5"
    stopper = Stopper()
    run(plan_of(6), output, stopper=stopper,
        progress=lambda s: stopper.request() if s.done > 2 else None)  # fmt: skip
    ledger = work_folder(output) / "ledger.jsonl"
    whole = ledger.read_bytes()
    done = sum(len(e["records"]) for e in list(read_entries(work_folder(output))))
    last = len(list(read_entries(work_folder(output)))[-1]["records"])
    ledger.write_bytes(whole[:-7])
    summary = run(plan_of(6), output, mode="resume")
    assert summary.already == done - last
    run(plan_of(6), tmp_path / "whole.h5")
    assert contents(output) == contents(tmp_path / "whole.h5")


@pytest.mark.parametrize("damage", ["{", "[]", '{"shard": "../../x.npz", "records": []}',
                                    '{"shard": "00000000.npz", "records": [[0, 0]]}'])  # fmt: skip
def test_a_damaged_line_is_named_and_fresh_gets_past_it(tmp_path, damage):
    output = tmp_path / "r.h5"
    stopper = Stopper()
    run(plan_of(6), output, stopper=stopper,
        progress=lambda s: stopper.request() if s.done > 2 else None)  # fmt: skip
    ledger = work_folder(output) / "ledger.jsonl"
    lines = ledger.read_text().splitlines()
    ledger.write_text("\n".join([lines[0], damage, *lines[2:], ""]))
    with pytest.raises(UsageError, match=r"ledger\.jsonl: line 2 is damaged; use --fresh"):
        run(plan_of(6), output, mode="resume")
    assert run(plan_of(6), output, mode="fresh").complete


def test_missing_and_damaged_shards_are_named(tmp_path):
    output = tmp_path / "r.h5"
    stopper = Stopper()
    run(plan_of(6), output, stopper=stopper, progress=lambda s: stopper.request())
    shard = work_folder(output) / "shards" / "00000000.npz"
    shard.write_bytes(shard.read_bytes()[:40])
    with pytest.raises(UsageError, match=r"shard 00000000\.npz is damaged .*use --fresh"):
        run(plan_of(6), output, mode="resume")
    shard.unlink()
    with pytest.raises(UsageError, match=r"shard 00000000\.npz is missing; use --fresh"):
        run(plan_of(6), output, mode="resume")


def test_one_run_at_a_time(tmp_path):
    output = tmp_path / "r.h5"
    with Ledger(output), pytest.raises(UsageError, match="another run is writing"):
        run(plan_of(2), output)
    assert run(plan_of(2), output, mode="resume").complete


def test_a_lock_of_a_removed_folder_locks_nothing(tmp_path, monkeypatch):
    import fcntl

    output = tmp_path / "r.h5"
    real, calls = fcntl.flock, []

    def flock(descriptor, how):
        calls.append(how)
        if len(calls) == 1:  # the run before ends just now and removes its folder
            (work_folder(output) / "lock").unlink()
        return real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with Ledger(output), pytest.raises(UsageError, match="another run"):
        Ledger(output).__enter__()
    assert len(calls) == 4  # the refused one looked who holds the lock


def test_max_fail_stops_early(tmp_path):
    plan = Plan(recipe(circuit={"what": "fail", "delay": "1 ms"},
                       sweep=[{"circuit.resistance": resistances(400)}]))  # fmt: skip
    summary = run(plan, tmp_path / "r.h5", max_fail_percent=50.0)
    assert summary.stopped_by_max_fail
    assert 20 <= summary.done < 400
    assert not summary.interrupted
    assert not read_results(tmp_path / "r.h5").complete


def test_a_changed_card_stops_workers(tmp_path):
    from imccircuit import library
    from imccircuit.engines.registry import EngineOptions
    from imccircuit.sweeps.executors import Job

    card = tmp_path / "mine.toml"
    card.write_text((library.path("device_models") / "capacitor_28nm.toml").read_text())
    plan = Plan(load_recipe("adc_sar8", [f"circuit.capacitor_card={card}"]))
    digest = plan.digest
    card.write_text(card.read_text() + "\n# changed\n")
    with pytest.raises(UsageError, match="a card was changed while the run goes on"):
        Job(load_recipe("adc_sar8", [f"circuit.capacitor_card={card}"]), digest, EngineOptions(), {}
            ).worker()  # fmt: skip
