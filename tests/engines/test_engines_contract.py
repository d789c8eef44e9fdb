"""Every engine, and two stand-ins, pass the contract."""

import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contract import EngineContract, array_problem, kirchhoff, numbers

from imccircuit.benches.problem import Answer, OperatingPoint, Run
from imccircuit.engines.contract import Outcome, Status
from imccircuit.engines.deck import LADDER
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.engines.nodal import NodalEngine
from imccircuit.engines.process import run
from imccircuit.engines.registry import EngineOptions, make_engine
from imccircuit.errors import SetupError, StorageError

FAKE = Path(__file__).parents[1] / "faults" / "fake_ngspice.py"
OLD = os.environ.get("IMCCIRCUIT_NGSPICE_OLD")
needs_ngspice = pytest.mark.skipif(
    shutil.which(os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")) is None,
    reason="ngspice is not installed",
)


class DenseEngine:
    """The smallest engine there can be."""

    name = "dense"

    def versions(self):
        return {"engine": "dense", "version": "1", "solver": "lapack"}

    def solve(self, problems):
        return [self._one(problem) for problem in problems]

    def _one(self, problem):
        if problem.array is None or not isinstance(problem.analysis, OperatingPoint):
            return Outcome(Status.REFUSED, reason="not a resistive array")
        runs = []
        for vector in problem.row_voltage_v:
            parts = kirchhoff(problem.array.conductance_s, vector)
            values = {p.name: x[None] for p, x in zip(problem.probes, parts, strict=True)}
            for probe in problem.probes:
                if np.max(np.abs(values[probe.name])) > probe.bound:
                    return Outcome(Status.UNPHYSICAL, reason=f"{probe.name} beyond its bound")
            runs.append(Run(np.zeros(1), values))
        return Outcome(Status.GOOD, Answer(tuple(runs)))


class TestDense(EngineContract):
    @pytest.fixture
    def engine(self):
        return DenseEngine()


class TestNodal(EngineContract):
    @pytest.fixture
    def engine(self):
        return NodalEngine()

    @pytest.mark.parametrize("change", ["nan", "rows", "runs", "probe", "shape"])
    def test_refuses_what_does_not_fit(self, engine, change):
        problem, _ = array_problem(1)
        probe = problem.probes[0]
        changed = {
            "nan": {"row_voltage_v": problem.row_voltage_v * np.nan},
            "rows": {"row_voltage_v": problem.row_voltage_v[:, :2]},
            "runs": {"row_voltage_v": problem.row_voltage_v[:1]},
            "probe": {"probes": (replace(probe, name="noise"),)},
            "shape": {"probes": (replace(probe, shape=(2, 1)),)},
        }[change]
        (outcome,) = engine.solve([replace(problem, **changed)])
        assert outcome.status is Status.REFUSED
        assert outcome.reason
        assert "\n" not in outcome.reason


@pytest.mark.ngspice
@needs_ngspice
class TestNgspice(EngineContract):
    @pytest.fixture(params=["klu", "sparse"])
    def engine(self, request):
        return NgspiceEngine(solver=request.param, timeout_s=30)

    def test_solver_is_what_was_asked_for(self, engine):
        assert engine.solver in engine.versions()["solver"]
        assert ("klu" in engine.options) == (engine.solver == "klu")

    def test_many_problems_share_a_process(self, engine):
        """Hundreds of problems: none is judged by another's sentinel, and none runs twice."""
        problems = [array_problem(seed, rows=1, cols=1, batch=1)[0] for seed in range(300)]
        started = time.monotonic()
        outcomes = engine.solve(problems)
        spent = time.monotonic() - started
        assert {outcome.status for outcome in outcomes} == {Status.GOOD}
        # All shares of one process add up to it: a problem run again would have its own time.
        assert sum(outcome.wall_s for outcome in outcomes) <= spent
        assert len({outcome.wall_s for outcome in outcomes}) == 1

    def test_hash_of_a_deck_does_not_depend_on_its_place(self, engine):
        problems = [array_problem(seed)[0] for seed in range(2)]
        hashes = [outcome.deck_sha256 for outcome in engine.solve(problems)]
        assert len(set(hashes)) == 2
        assert hashes[::-1] == [o.deck_sha256 for o in engine.solve(problems[::-1])]
        assert hashes[1] == engine.solve([problems[1]])[0].deck_sha256


@pytest.mark.ngspice
@needs_ngspice
class TestNgspiceSideBySide(EngineContract):
    @pytest.fixture
    def engine(self):
        return NgspiceEngine(timeout_s=30, processes=3)

    def test_order_stays(self, engine):
        problems = [array_problem(seed)[0] for seed in range(7)]
        alone = NgspiceEngine().solve(problems)
        assert [o.deck_sha256 for o in engine.solve(problems)] == [o.deck_sha256 for o in alone]

    def test_what_ends_one_ends_the_others(self, engine, monkeypatch, tmp_path):
        def process(problems, _rung):
            if problems[0].label == "0":
                raise StorageError("no room")
            run(["sleep", "600"], tmp_path, timeout_s=1000.0, env=dict(os.environ))
            return [Outcome(Status.GOOD)] * len(problems)

        monkeypatch.setattr(engine, "_process", process)
        problems = [replace(array_problem(k)[0], label=str(k)) for k in range(3)]
        started = time.monotonic()
        with pytest.raises(StorageError):
            engine.solve(problems)
        assert time.monotonic() - started < 300


@pytest.mark.ngspice
@pytest.mark.skipif(OLD is None, reason="IMCCIRCUIT_NGSPICE_OLD names no older ngspice")
class TestOlderNgspice(EngineContract):
    @pytest.fixture
    def engine(self):
        return NgspiceEngine(executable=OLD, timeout_s=30)


class TestFakeNgspice(EngineContract):
    """The stand-in of the fault tests, when it behaves."""

    @pytest.fixture
    def engine(self, tmp_path):
        path = tmp_path / "ngspice"
        path.write_text(f"#!{sys.executable} -IS\n{FAKE.read_text()}")
        path.chmod(0o755)
        return NgspiceEngine(executable=str(path), timeout_s=30)


@pytest.mark.ngspice
@needs_ngspice
def test_engines_agree():
    problems = [array_problem(seed, rows=6, cols=5)[0] for seed in range(3)]
    nodal = NodalEngine().solve(problems)
    for solver in ("klu", "sparse"):
        for one, other in zip(nodal, NgspiceEngine(solver=solver).solve(problems), strict=True):
            for probe in problems[0].probes:
                a, b = one.answer.final(probe.name), other.answer.final(probe.name)
                assert np.max(np.abs(a - b)) <= 1e-12 * np.max(np.abs(a))


def test_an_outcome_has_an_answer_if_and_only_if_it_is_good():
    with pytest.raises(ValueError, match="if and only if"):
        Outcome(Status.GOOD)
    with pytest.raises(ValueError, match="if and only if"):
        Outcome(Status.CRASH, Answer(()))


def test_rungs_have_names_of_their_own():
    assert LADDER[0].name == "default"
    assert not LADDER[0].options
    assert len({rung.name for rung in LADDER}) == len(LADDER)


@pytest.mark.ngspice
@needs_ngspice
def test_engines_by_name(tmp_path, monkeypatch):
    problem, _ = array_problem(3)
    answers = [
        make_engine(name, EngineOptions(timeout_s=20, keep_failed=tmp_path)).solve([problem])[0]
        for name in ("nodal", "ngspice")
    ]
    assert [len(numbers(outcome)) for outcome in answers] == [2, 2]
    monkeypatch.setenv("IMCCIRCUIT_NGSPICE", str(tmp_path / "nowhere"))
    with pytest.raises(SetupError, match="install ngspice"):
        make_engine("ngspice")
