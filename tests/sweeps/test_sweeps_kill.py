"""Runs killed with SIGKILL at many moments: nothing is lost, done twice, or left running."""

import json
import math
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from kill_me import plan_of
from sweep_helpers import children, contents, gone, log_lines, run

from imccircuit.sweeps.ledger import read_entries, work_folder

# Only a hang lasts as long as this.
PATIENCE_S = 120.0


class Runs:
    """`kill_me.py`, which starts runs."""

    def __init__(self):
        script = Path(__file__).with_name("kill_me.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, **told):
        """Process id of a run that has begun."""
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline().removeprefix("pid "))

    def ended(self):
        """Exit code and steps of the run, once it has ended."""
        return tuple(map(int, self._process.stdout.readline().split()))

    def close(self):
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def runs():
    made = Runs()
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Contents of the file of an undisturbed run, by number of points."""
    known = {}

    def of(count):
        if count not in known:
            path = tmp_path_factory.mktemp("whole") / "r.h5"
            run(plan_of(count, "0 s"), path)
            known[count] = contents(path)
        return known[count]

    return of


def without_delay(found):
    """The delay decides no number, but the recipe names it."""
    return {key: item for key, item in found.items() if not key.startswith("provenance/")}


def recorded(output):
    return [(row[0], row[1]) for entry in read_entries(work_folder(output))
            for row in entry["records"]]  # fmt: skip


def kill_over_the_growth(runs, output, kills, jobs):
    """Kill a run each time its ledger has grown by the same share; counts of what was measured."""
    log = output.with_name("log.txt")
    count = 8 * (kills + 1)
    told = {"output": str(output), "log": str(log), "count": count, "jobs": jobs}
    seen: dict[tuple[int, int], int] = {}
    sizes = []
    for kill in range(1, kills + 1):
        wanted = math.ceil(kill * count / (kills + 1))
        pid = runs.start(**told, hold=wanted + 3)
        deadline = time.monotonic() + PATIENCE_S
        while len(recorded(output)) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        below = children(pid)
        subprocess.run(["kill", "-9", str(pid)], check=True)
        assert runs.ended()[0] == -9
        assert gone(below, PATIENCE_S)
        sizes.append(work_folder(output).joinpath("ledger.jsonl").stat().st_size)
        lines = Counter(log_lines(log))
        for task in recorded(output):
            seen.setdefault(task, lines[f"{1000 + task[0]} {task[1]}"])
    assert sizes == sorted(set(sizes))  # each at a new moment
    pid = runs.start(**told)
    assert runs.ended()[0] == 0
    lines = Counter(log_lines(log))
    for (point, sample), times in seen.items():
        assert lines[f"{1000 + point} {sample}"] == times  # what is recorded is not done again
    assert len(lines) == count
    # Lost at a kill: a chunk a worker and one that waits, each of three at most.
    assert lines.total() <= count + kills * (jobs + 1) * 3
    assert not work_folder(output).exists()
    return count


@pytest.mark.parametrize(("jobs", "kills"), [(1, 5), (2, 1)])
def test_killed_over_the_growth_of_the_ledger(tmp_path, runs, whole, jobs, kills):
    count = kill_over_the_growth(runs, tmp_path / "r.h5", kills, jobs)
    assert without_delay(contents(tmp_path / "r.h5")) == without_delay(whole(count))


@pytest.mark.long
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_at_fifty_moments_of_the_growth(tmp_path, runs, whole, jobs):
    count = kill_over_the_growth(runs, tmp_path / "r.h5", 50, jobs)
    assert without_delay(contents(tmp_path / "r.h5")) == without_delay(whole(count))


def check_step(runs, folder, die_at, expected, points=4):
    """Kill a run before one step of writing, resume it, compare; the steps it would have had."""
    folder.mkdir()
    told = {"output": str(folder / "r.h5"), "log": str(folder / "log.txt"), "count": points,
            "jobs": 1}  # fmt: skip
    runs.start(**told, die_at=die_at)
    code, steps = runs.ended()
    assert code == (-9 if die_at else 0)
    if die_at:
        runs.start(**told, die_at=0)
        assert runs.ended()[0] == 0
    assert contents(folder / "r.h5") == expected
    left = {path.name for path in folder.iterdir()}
    assert left <= {"r.h5", "r.h5.log", "log.txt"}
    return steps


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_killed_before_a_step_of_writing(tmp_path, runs, whole, share):
    steps = check_step(runs, tmp_path / "whole", 0, whole(4))
    check_step(runs, tmp_path / "killed", math.ceil(share * steps), whole(4))


@pytest.mark.long
def test_killed_before_every_step_of_writing(tmp_path, runs, whole):
    steps = check_step(runs, tmp_path / "whole", 0, whole(4))
    assert steps > 30  # five a measurement, and those around them
    for step in range(1, steps + 1):
        check_step(runs, tmp_path / str(step), step, whole(4))
