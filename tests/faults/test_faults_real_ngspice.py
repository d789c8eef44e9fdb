"""Decks that fail in the real ngspice, each with its status, its reason and what is kept of it."""

import os
import re
import shutil
import subprocess
import time
from dataclasses import replace

import numpy as np
import pytest
from fake import divider
from PySpice.Spice.Netlist import Circuit

from imccircuit.benches.problem import OperatingPoint, Probe, Problem, Transient
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(
        shutil.which(os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")) is None,
        reason="ngspice is not installed",
    ),
]

FLOATING = "c1 a f 1e-12\nc2 f 0 1e-12\n"


def text_problem(text, vectors=("v(b)",), analysis=None, alterations=({},)):
    circuit = Circuit("text")
    circuit.V("1", "a", circuit.gnd, 1.0)
    circuit.raw_spice = text
    probe = Probe("x", vectors, (len(vectors),), 10.0)
    return Problem(circuit, analysis or OperatingPoint(), (probe,), alterations, label="it fails")


CASES = {
    "model": (text_problem("d1 a b nomodel\nr1 b 0 1"), Status.REFUSED, r"d1 a b nomodel .*model"),
    "subcircuit": (
        text_problem("x1 a b nosub\nr1 b 0 1"),
        Status.REFUSED,
        r"unknown subckt.*nosub",
    ),
    "parameter": (text_problem("r1 a b {nope}\nr2 b 0 1"), Status.REFUSED, r"Undefined .*\[nope\]"),
    "line": (text_problem("q1 a b 1k"), Status.REFUSED, r"q1 a b 1k"),
    "vector": (
        divider(vectors=("v(b)", "v(nowhere)")),
        Status.BAD_OUTPUT,
        r"vector v\(nowhere\) is missing",
    ),
    "current": (
        divider(vectors=("v(b)", "i(vnowhere)")),
        Status.BAD_OUTPUT,
        r"vector i\(vnowhere\) is missing",
    ),
    "alteration": (
        text_problem("r1 a b 1\nr2 b 0 1", alterations=({"vnot": 1.0},)),
        Status.NO_CONVERGENCE,
        r"no such device .*vnot",
    ),
    "singular": (
        text_problem("v2 a 0 2\nr1 a b 1\nr2 b 0 1"),
        Status.NO_CONVERGENCE,
        r"singular matrix",
    ),
    "time step": (
        # From 1 ns on dv/dt = exp(20 v)·1e9 V/s: the solution ends at a finite time.
        text_problem(
            "b1 0 b i=time>1e-9 ? 1e-3*exp(20*v(b)) : 0\nc1 b 0 1e-12\nr1 b 0 1000",
            analysis=Transient(5e-9, 1e-10, 1e-10),
        ),
        # Sparse gives up; KLU steps over the pole to hundreds of volts, which the bound catches.
        (Status.NO_CONVERGENCE, Status.UNPHYSICAL),
        r"[Tt]imestep too small|reaches .* bound 10",
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("solver", ["klu", "sparse"])
def test_failing_deck(name, solver):
    problem, status, reason = CASES[name]
    engine = NgspiceEngine(solver=solver, timeout_s=10)
    good = divider(3000.0)
    (wanted,) = engine.solve([good])
    started = time.monotonic()
    before, outcome, after = engine.solve([good, problem, good])
    assert time.monotonic() - started < 5
    assert outcome.status in (status if isinstance(status, tuple) else (status,))
    assert re.search(reason, outcome.reason)
    assert "\n" not in outcome.reason
    assert outcome.kept_deck == ""
    for other in (before, after):
        np.testing.assert_array_equal(other.answer.final("x"), wanted.answer.final("x"))
        np.testing.assert_allclose(other.answer.final("x")[:, 0], [0.75, 1.5], rtol=1e-14)


@pytest.mark.parametrize("name", ["model", "singular"])
def test_the_kept_deck_fails_again_with_the_command_in_it(tmp_path, name):
    problem, _, _ = CASES[name]
    engine = NgspiceEngine(keep_failed=tmp_path / "failed", timeout_s=10)
    good, outcome = engine.solve([divider(), problem])
    assert good.kept_deck == ""
    kept = [path.name for path in (tmp_path / "failed").iterdir()]
    assert kept == ["it_fails.cir"]
    assert outcome.kept_deck == str(tmp_path / "failed" / "it_fails.cir")
    text = (tmp_path / "failed" / "it_fails.cir").read_text()
    assert f"* failed: {outcome.reason}" in text
    (command,) = re.findall(r"^\* again: (.*)$", text, re.MULTILINE)
    again = subprocess.run(
        [engine.ngspice.path, *command.split()[1:]],
        cwd=tmp_path / "failed",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    said = " ".join((again.stderr + again.stdout).split())
    assert outcome.reason.split(":")[-1].strip() in said
    assert not (tmp_path / "failed" / "imccircuit.raw").exists()


def test_a_kept_deck_of_an_unbelievable_answer_gives_that_answer(tmp_path):
    problem = replace(divider(), label="")  # no label: the hash names the file
    problem = replace(problem, probes=(replace(problem.probes[0], bound=0.1),))
    engine = NgspiceEngine(keep_failed=tmp_path, timeout_s=10)
    (outcome,) = engine.solve([problem])
    assert outcome.status is Status.UNPHYSICAL
    (kept,) = tmp_path.iterdir()
    assert kept.stem == outcome.deck_sha256[:12]
    done = subprocess.run(
        [engine.ngspice.path, "-b", "-n", kept.name],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0
    assert (tmp_path / "imccircuit.raw").exists()


def test_a_floating_node_is_rescued_by_the_shunt_rung_and_says_so():
    """No DC path: ngspice gives up by itself and converges with a resistor at every node."""
    engine = NgspiceEngine(timeout_s=10)
    floating = divider(1000.0, text=FLOATING, vectors=("v(b)", "v(f)"))
    clean, outcome = engine.solve([divider(), floating])
    assert outcome.status is Status.GOOD
    assert outcome.rung == "shunt"
    assert clean.rung == "default"
    # Two capacitors are open for a DC current, so the shunt pulls their node to ground; the shunt
    # of 1e13 ohm beside 1 kohm is one part in 1e10.
    np.testing.assert_allclose(outcome.answer.final("x"), [[0.5, 0], [1.0, 0]], atol=1e-9)


def test_an_answer_after_gmin_stepping_is_good():
    """A chain of diodes with plain Newton switched off; what the stepping prints is no failure."""
    text = (
        ".model d d is=1e-16\n"
        + "".join(f"d{k} n{k} n{k + 1} d\n" for k in range(1, 40))
        + "rs a n1 1\nre n40 0 1\nb1 b 0 v=v(n2)\n"
    )
    problem = replace(text_problem(text), options={"noopiter": ""})
    (outcome,) = NgspiceEngine(timeout_s=10).solve([problem])
    assert outcome.status is Status.GOOD, outcome.reason
    assert outcome.rung == "default"
    (plain,) = NgspiceEngine(timeout_s=10).solve([text_problem(text)])
    # Two ways to the same solution, each within the default reltol.
    np.testing.assert_allclose(outcome.answer.final("x"), plain.answer.final("x"), rtol=1e-3)
