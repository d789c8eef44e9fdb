"""The ngspice engine in front of an ngspice that misbehaves in every way seen, and in others."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from fake import all_dead, divider
from fake_ngspice import FLOOD_BYTES

from imccircuit.engines.contract import Status
from imccircuit.engines.deck import LADDER
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import SetupError

# Starting and ending a few processes on a loaded machine.
SLACK_S = 30.0


def assert_divides(outcome, r_ohm):
    assert outcome.status is Status.GOOD, outcome.reason
    volt = np.array([1.0, 2.0])
    wanted = np.stack([volt * r_ohm / (1e3 + r_ohm), -volt / (1e3 + r_ohm)], axis=1)
    # Two divisions and a handful of roundings.
    np.testing.assert_allclose(outcome.answer.final("x"), wanted, rtol=1e-14)


OP, TRAN = False, True
# behaviour, analysis, status, reason
FAULTS = [
    ("crash", OP, Status.CRASH, r"ended by signal 11"),
    ("killed", OP, Status.CRASH, r"signal 9; the kernel does that when memory runs out"),
    ("killed in a line", TRAN, Status.CRASH, r"ended by signal 9"),
    ("exit 1", OP, Status.CRASH, r"exited with 1"),
    ("no raw", OP, Status.BAD_OUTPUT, r"wrote no raw file"),
    ("half a raw file", OP, Status.BAD_OUTPUT, r"raw file: .*"),
    ("half a raw file", TRAN, Status.BAD_OUTPUT, r"raw file: .*"),
    ("no points", OP, Status.BAD_OUTPUT, r"raw file: .* 0 points"),
    ("more points than data", OP, Status.BAD_OUTPUT, r"raw file: .*"),
    ("complex", OP, Status.BAD_OUTPUT, r"raw file: flags 'complex', not real"),
    ("foreign title", OP, Status.BAD_OUTPUT, r"another circuit's title"),
    ("no sentinel", OP, Status.BAD_OUTPUT, r"did not reach the end"),
    ("quits", OP, Status.BAD_OUTPUT, r"did not reach the end"),
    ("vector too few", OP, Status.BAD_OUTPUT, r"vector i\(v1\) is missing"),
    ("nan", OP, Status.UNPHYSICAL, r"x in run 0 is not finite"),
    ("nan", TRAN, Status.UNPHYSICAL, r"x in run 0 is not finite"),
    ("huge", OP, Status.UNPHYSICAL, r"x reaches 1e\+30 in run 0, bound 10"),
    ("stops early", OP, Status.BAD_OUTPUT, r"raw file: .* 0 points"),
    ("stops early", TRAN, Status.NO_CONVERGENCE, r"run 0 stopped at 2.5e-09 s of 5e-09 s"),
    ("time is nan", TRAN, Status.BAD_OUTPUT, r"time is not finite in run 0"),
    ("time runs back", TRAN, Status.BAD_OUTPUT, r"time runs backwards in run 0"),
    ("no second analysis", OP, Status.NO_CONVERGENCE, r"run 1 gave no plot of its own"),
]


@pytest.mark.parametrize(("name", "transient", "status", "reason"), FAULTS)
def test_fault_alone_and_among_others(fake, name, transient, status, reason):
    engine = fake.engine()
    fake.behave(name, when="culprit")
    bad = divider(3000.0, transient=transient, name="culprit")
    started = time.monotonic()
    (alone,) = engine.solve([bad])
    before, found, after = engine.solve([divider(500.0), bad, divider(2000.0, transient=True)])
    assert time.monotonic() - started < SLACK_S
    for outcome in (alone, found):
        assert outcome.status is status
        assert outcome.answer is None
        assert re.search(reason, outcome.reason)
        assert "\n" not in outcome.reason
    assert_divides(before, 500.0)
    assert_divides(after, 2000.0)
    assert all_dead(fake.processes(), SLACK_S)


def test_a_hang_ends_soon_after_its_timeout_with_all_its_children(fake):
    engine = fake.engine(timeout_s=0.5)
    fake.behave("hang", when="culprit")
    started = time.monotonic()
    (outcome,) = engine.solve([divider(name="culprit")])
    spent = time.monotonic() - started
    assert outcome.status is Status.TIMEOUT
    assert outcome.reason == "no answer in 0.5 s a problem"
    assert 0.5 <= spent < 0.5 + SLACK_S
    assert len(fake.processes()) == 2  # the fake and its child: a timeout climbs no ladder
    assert all_dead(fake.processes(), SLACK_S)


def test_a_hang_among_others_costs_only_itself(fake):
    engine = fake.engine(timeout_s=0.4)
    fake.behave("hang", when="culprit")
    started = time.monotonic()
    first, bad, last = engine.solve([divider(500.0), divider(name="culprit"), divider(2000.0)])
    # All three may use the time of three; then the culprit alone the time of one.
    assert time.monotonic() - started < 4 * 0.4 + SLACK_S
    assert bad.status is Status.TIMEOUT
    assert_divides(first, 500.0)
    assert_divides(last, 2000.0)
    assert all_dead(fake.processes(), SLACK_S)


def test_an_interrupted_engine_leaves_no_process(fake):
    """Ctrl-C in a worker is an exception in the middle of the wait."""
    engine = fake.engine(timeout_s=60)
    fake.behave("hang")
    previous = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.solve([divider()])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert len(fake.processes()) == 2
    assert all_dead(fake.processes(), SLACK_S)


def test_a_simulator_dies_with_the_python_that_started_it(fake):
    fake.behave("hang", when="culprit")
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from fake import divider\n"
        "from imccircuit.engines.ngspice import NgspiceEngine\n"
        "NgspiceEngine(executable=sys.argv[1], timeout_s=60).solve([divider(name='culprit')])\n"
    )
    here = os.path.dirname(__file__)  # noqa: PTH120
    parent = subprocess.Popen([sys.executable, "-c", script, str(fake.path), here])
    try:
        deadline = time.monotonic() + 20
        while len(fake.processes()) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        (pid,) = {call["pid"] for call in fake.calls()}
        assert not all_dead([pid], 0.1)
    finally:
        parent.kill()
        parent.wait()
    assert all_dead([pid], 2.0)


def test_benign_notes_are_no_failure(fake):
    engine = fake.engine()
    fake.behave("benign notes")
    for outcome, r_ohm in zip(engine.solve([divider(500.0), divider(700.0)]), (500.0, 700.0)):  # noqa: B905
        assert_divides(outcome, r_ohm)
        assert outcome.rung == "default"
    assert len({call["pid"] for call in fake.calls()}) == 1  # nothing was run again


@pytest.mark.parametrize(
    "line",
    [
        "Error: no such vector v(c)",
        "  ERROR: fatal error in ngspice",
        "Error during 'write': no writable vector found.",
        "Warning: singular matrix:  check nodes b and c",
        "doAnalyses: TRAN:  Timestep too small; time = 1e-12",
        "tran simulation(s) aborted: run simulation(s) aborted",
        "doAnalyses: iteration limit reached",
    ],
)
def test_a_reported_failure_is_one_although_everything_else_is_right(fake, line):
    engine = fake.engine()
    fake.behave("reports", line=line)
    (outcome,) = engine.solve([divider()])
    assert outcome.status is Status.NO_CONVERGENCE
    assert outcome.reason == " ".join(line.split())


def test_a_flood_of_output_is_neither_kept_in_memory_nor_a_failure(fake):
    import resource

    engine = fake.engine()
    fake.behave("flood", when="culprit")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    first, second, third = engine.solve(
        [divider(500.0), divider(700.0, name="culprit"), divider(900.0)]
    )
    assert_divides(first, 500.0)
    assert_divides(second, 700.0)
    assert_divides(third, 900.0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    assert grown < FLOOD_BYTES


@pytest.mark.parametrize(
    ("heals", "rung", "steps"),
    [("rshunt", "shunt", 2), ("optran 0", "optran", 3), ("itl4=100", "gear", 4)],
)
def test_the_rung_that_helps_is_recorded(fake, heals, rung, steps):
    engine = fake.engine()
    fake.behave("stops early", when="culprit", unless=heals)
    first, found = engine.solve([divider(500.0), divider(700.0, transient=True, name="culprit")])
    assert_divides(found, 700.0)
    assert found.rung == rung
    assert first.rung == "default"
    culprit = [call for call in fake.calls() if "tran 5e-09 5e-09" not in call]
    assert len({call["pid"] for call in culprit}) == 1 + steps  # together, then alone on each rung
    assert [step.name for step in LADDER][steps - 1] == rung


def test_if_no_rung_helps_the_first_reason_stands(fake):
    engine = fake.engine()
    fake.behave("huge")
    (outcome,) = engine.solve([divider()])
    assert outcome.status is Status.UNPHYSICAL
    assert "bound 10" in outcome.reason
    assert outcome.rung == "default"
    assert len({call["pid"] for call in fake.calls()}) == len(LADDER)


def test_only_what_options_may_heal_climbs_the_ladder(fake):
    engine = fake.engine()
    fake.behave("crash")
    assert engine.solve([divider()])[0].status is Status.CRASH
    assert len({call["pid"] for call in fake.calls()}) == 1


@pytest.mark.parametrize("fault", ["no divider", "not executable", "not a program", "missing"])
def test_no_engine_without_a_working_simulator(fake, fault):
    path = fake.path
    if fault == "no divider":
        fake.behave("no divider")
    elif fault == "not executable":
        path = path.with_name("other")
        path.write_text("text")
    elif fault == "not a program":
        path = path.with_name("other")
        path.write_bytes(b"\x00\x01")
        path.chmod(0o755)
    else:
        path = path.with_name("missing")
    with pytest.raises(SetupError) as caught:
        NgspiceEngine(executable=str(path))
    assert "install ngspice" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_deck_that_cannot_be_kept_ends_no_run(fake, tmp_path):
    (tmp_path / "file").write_text("no folder")
    engine = fake.engine(keep_failed=tmp_path / "file" / "failed")
    fake.behave("crash")
    (outcome,) = engine.solve([divider()])
    assert outcome.status is Status.CRASH
    assert outcome.kept_deck == ""
