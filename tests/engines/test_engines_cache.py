"""The cache of answers: it gives what was simulated, never anything else, and never stops a run."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from contract import EngineContract, array_problem, numbers

from imccircuit.benches.problem import OperatingPoint, Probe, Problem, Transient
from imccircuit.engines import store as store_module
from imccircuit.engines.cached import CachedEngine
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.engines.store import AnswerStore, cache_folder

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(
        shutil.which(os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")) is None,
        reason="ngspice is not installed",
    ),
]


class Counting(NgspiceEngine):
    """Counts the problems that are simulated."""

    def __init__(self, **options):
        super().__init__(**options)
        self.simulated = 0

    def solve(self, problems):
        self.simulated += len(problems)
        return super().solve(problems)


@pytest.fixture
def store(tmp_path):
    return AnswerStore(tmp_path / "cache")


@pytest.fixture
def inner():
    return Counting(timeout_s=20)


@pytest.fixture
def engine(inner, store):
    return CachedEngine(inner, store)


class TestCached(EngineContract):
    @pytest.fixture
    def engine(self, inner, store):
        return CachedEngine(inner, store)


def divider(path, resistance="1k"):
    """1 V over a resistor of a file's subcircuit and 1 kohm."""
    path.write_text(f".subckt part a b\nr1 a b {resistance}\n.ends\n")
    text = f".include {path}\nv1 in 0 1\nx1 in out part\nr2 out 0 1k"
    return Problem(text, OperatingPoint(), (Probe("out", ("v(out)",), (1,), 2.0),))


def out(engine, problem):
    (outcome,) = engine.solve([problem])
    return float(outcome.answer.final("out")[0, 0])


def test_a_second_look_simulates_nothing_and_says_the_same(engine, inner, store):
    problems = [array_problem(seed)[0] for seed in range(3)]
    first = engine.solve(problems)
    again = CachedEngine(inner, AnswerStore(store.path.parent)).solve(problems[::-1])[::-1]
    assert inner.simulated == 3
    assert [numbers(a) for a in first] == [numbers(b) for b in again]
    for a, b in zip(first, again, strict=True):
        assert (a.rung, a.deck_sha256) == (b.rung, b.deck_sha256)
        assert b.wall_s == 0


def test_transients_come_back_bit_for_bit(engine, inner):
    text = "v1 in 0 pulse(0 1 1n 1n)\nr1 in out 1k\nc1 out 0 1p"
    problem = Problem(text, Transient(1e-8, 1e-10, 1e-10), (Probe("out", ("v(out)",), (1,), 2.0),),
                      alterations=({"r1": 1e3}, {"r1": 3e3}))  # fmt: skip
    assert numbers(engine.solve([problem])[0]) == numbers(engine.solve([problem])[0])
    assert inner.simulated == 1


@pytest.mark.parametrize(
    "change",
    [
        {"temperature_degc": 28.0},
        {"options": {"reltol": 1e-4}},
        {"alterations": ({"v1": 1.0},)},
        {"probes": (Probe("out", ("v(in)",), (1,), 2.0),)},
        {"probes": (Probe("out", ("v(out)",), (1,), 2.5),)},
        {"analysis": Transient(1e-9, 1e-10, 1e-10)},
    ],
)
def test_whatever_is_changed_is_simulated(engine, inner, tmp_path, change):
    problem = divider(tmp_path / "part.lib")
    engine.solve([problem])
    engine.solve([replace(problem, **change)])
    assert inner.simulated == 2


def test_an_edited_file_is_no_hit_whatever_its_time_says(engine, inner, tmp_path):
    path = tmp_path / "part.lib"
    problem = divider(path)
    assert out(engine, problem) == pytest.approx(1 / 2, abs=1e-9)
    stamp = path.stat().st_mtime_ns
    edited = divider(path, "3k")
    os.utime(path, ns=(stamp, stamp))  # same name, same size, same time
    assert out(engine, edited) == pytest.approx(1 / 4, abs=1e-9)
    assert inner.simulated == 2
    divider(path)
    assert out(engine, problem) == pytest.approx(1 / 2, abs=1e-9)
    assert inner.simulated == 2


def test_an_edited_file_of_a_file_is_no_hit(engine, inner, tmp_path):
    problem = divider(tmp_path / "outer.lib")
    (tmp_path / "sub").mkdir()
    (tmp_path / "outer.lib").write_text('.include "sub/inner.lib"\n')
    found = []
    for value in ("1k", "3k", "1k"):
        divider(tmp_path / "sub" / "inner.lib", value)
        found.append(out(engine, problem))
    # ngspice prints ten digits of a voltage and solves to more.
    assert found == pytest.approx([1 / 2, 1 / 4, 1 / 2], abs=1e-9)
    assert inner.simulated == 2


def test_a_file_elsewhere_with_the_same_content_is_a_hit(engine, inner, tmp_path):
    (tmp_path / "other").mkdir()
    engine.solve([divider(tmp_path / "part.lib")])
    engine.solve([divider(tmp_path / "other" / "part.lib")])
    assert inner.simulated == 1


def test_a_file_that_changes_while_it_is_simulated_is_not_stored(store, tmp_path):
    path = tmp_path / "part.lib"

    class Editing(Counting):
        def solve(self, problems):
            answers = super().solve(problems)
            divider(path, "3k")
            return answers

    problem = divider(path)
    CachedEngine(Editing(timeout_s=20), store).solve([problem])
    assert store.usage()[0] == 0


def test_a_deck_that_reads_files_in_another_way_is_never_stored(engine, store, tmp_path):
    problem = divider(tmp_path / "part.lib")
    path = tmp_path / "part.lib"
    path.write_text(path.read_text() + '.model m filesource (file="levels.txt")\n')
    assert engine.solve([problem])[0].status is Status.GOOD
    assert store.usage()[0] == 0


def test_a_failure_is_tried_again(engine, inner, store):
    problem = replace(array_problem(1)[0], circuit="r1 1 0 nonsense")
    for _ in range(2):
        assert engine.solve([problem])[0].status is not Status.GOOD
    assert inner.simulated == 2
    assert store.usage()[0] == 0


def test_another_solver_is_another_answer(store):
    problem, _ = array_problem(2)
    sparse = Counting(timeout_s=20, solver="sparse")
    CachedEngine(Counting(timeout_s=20), store).solve([problem])
    CachedEngine(sparse, store).solve([problem])
    assert sparse.simulated == (1 if sparse.options != NgspiceEngine().options else 0)


def test_a_changed_answer_is_forgotten(engine, inner, store):
    problem, _ = array_problem(2)
    wanted = numbers(engine.solve([problem])[0])
    with sqlite3.connect(store.path) as connection:
        (row,) = connection.execute("SELECT row FROM answers").fetchone()
        torn = row[:-1] + bytes([row[-1] ^ 1])
        connection.execute("UPDATE answers SET row = ?", (torn,))
    connection.close()
    assert numbers(engine.solve([problem])[0]) == wanted
    assert inner.simulated == 2


@pytest.mark.parametrize("damage", ["garbage", "folder", "truncated"])
def test_a_broken_file_costs_the_cache_and_nothing_else(engine, store, inner, damage, caplog):
    problem, _ = array_problem(2)
    wanted = numbers(engine.solve([problem])[0])
    store.close()
    if damage == "garbage":
        store.path.write_bytes(b"not a database at all" * 100)
    elif damage == "truncated":
        store.path.write_bytes(store.path.read_bytes()[:5000])
    else:
        store.path.unlink()
        store.path.mkdir()
    fresh = CachedEngine(inner, AnswerStore(store.path.parent))
    for _ in range(2):
        assert numbers(fresh.solve([problem])[0]) == wanted
    assert inner.simulated == 3
    assert "is not used" in caplog.text


def test_the_least_used_are_forgotten_when_room_is_short(store, monkeypatch):
    answers = [store_module.Stored(NgspiceEngine().solve([array_problem(k)[0]])[0].answer, "d", "")
               for k in range(3)]  # fmt: skip
    now = 1_000_000
    monkeypatch.setattr(time, "time", lambda: now)
    for k in range(600):
        now += 10_000
        store.put({k.to_bytes(32, "little"): answers[k % 3]})
        store.get([(0).to_bytes(32, "little")])  # used again and again
    full = store.usage()[1]
    store.set_limit(full // 2)
    count, used, limit = store.usage()
    assert limit == full // 2
    assert used <= limit
    # What is left fills the room: no more than a tenth and a page too much was forgotten.
    assert used > 0.8 * limit
    assert 0 < count < 600
    kept = store.get([k.to_bytes(32, "little") for k in range(600)])
    assert (0).to_bytes(32, "little") in kept
    assert (1).to_bytes(32, "little") not in kept
    assert (599).to_bytes(32, "little") in kept


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from contract import array_problem, numbers
from imccircuit.engines.cached import CachedEngine
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.engines.store import AnswerStore
import json
engine = CachedEngine(NgspiceEngine(timeout_s=60), AnswerStore(Path(sys.argv[1])))
problems = [array_problem(seed)[0] for seed in range(12)]
print(json.dumps([numbers(engine.solve([problem])[0]) for problem in problems]))
"""


def test_two_runs_at_once(store, engine, inner):
    command = [sys.executable, "-c", WRITER.format(folder=str(Path(__file__).parent)),
               str(store.path.parent)]  # fmt: skip
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert said[0] == said[1]
    assert [process.returncode for process in both] == [0, 0]
    mine = [numbers(outcome) for outcome in engine.solve([array_problem(k)[0] for k in range(12)])]
    assert json.loads(json.dumps(mine)) == said[0]
    assert inner.simulated == 0


def test_where_the_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("IMCCIRCUIT_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("IMCCIRCUIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "imccircuit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "imccircuit"
