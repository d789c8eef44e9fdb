"""Sources that runs alter, written into the netlist."""

import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from imccircuit.benches.problem import OperatingPoint, Probe, Problem, Transient
from imccircuit.engines.contract import Status
from imccircuit.engines.deck import LADDER, control_lines, deck_text
from imccircuit.engines.driven import drive
from imccircuit.engines.ngspice import NgspiceEngine

RUNS = ({"va": 1.0, "vb": 0.25}, {"va": -2.0, "vb": 0.25}, {"va": 0.5, "vb": 0.25})
# A divider by 4 between two sources.
TEXT = "Va a 0 0\nVb b 0 0\nr1 a m 3000\nr2 m b 1000\n"
needs_ngspice = [
    pytest.mark.ngspice,
    pytest.mark.skipif(
        shutil.which(os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")) is None,
        reason="ngspice is not installed",
    ),
]


def problem_of(text=TEXT, runs=RUNS, vectors=("v(m)",), analysis=None):
    circuit = Circuit("text")
    circuit.raw_spice = text
    probe = Probe("x", vectors, (len(vectors),), 100.0)
    return Problem(circuit, analysis or OperatingPoint(continued=True), (probe,), runs)


def commands(problem):
    lines = control_lines(problem, drive(problem), LADDER[0], "x.raw")
    return [line for line in lines if not line.startswith("set ")]


def test_what_no_run_changes_stands_in_its_line():
    problem = problem_of(analysis=OperatingPoint())
    driven = drive(problem)
    assert "Vb b 0 0.25" in driven.netlist.splitlines()
    assert "Va a 0 0" in driven.netlist.splitlines()
    assert driven.alterations == ({"va": 1.0}, {"va": -2.0}, {"va": 0.5})
    single = problem_of(runs=RUNS[:1], analysis=Transient(1e-9, 1e-10, 1e-10))
    assert "Va a 0 1.0" in drive(single).netlist.splitlines()
    assert not any(
        line.startswith("alter v") for line in commands(single)[:-2] if "imc" not in line
    )


def test_all_runs_are_one_analysis():
    problem = problem_of()
    assert commands(problem) == ["dc v_imc_run 0 2 1", "write x.raw", "destroy all"]
    netlist = drive(problem).netlist.replace("\n+", "")
    (table,) = re.findall(r"^bVa a 0 v=pwl\((\S+), ?(.*)\)$", netlist, re.MULTILINE)
    assert [float(x) for x in table[1].split(",")] == [0, 1.0, 1, -2.0, 2, 0.5]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"analysis": OperatingPoint()}, "not allowed to go on"),
        ({"analysis": Transient(1e-9, 1e-10, 1e-10)}, "a transient"),
        ({"vectors": ("v(m)", "i(Va)")}, "its current is asked for"),
        ({"text": TEXT + "f1 0 m Va 2\n"}, "its current controls a source"),
        ({"text": TEXT + "b1 0 m i=2*i(va)\n"}, "its current stands in an expression"),
        ({"text": TEXT + "r3 m 0 r='1k*(1+i(va))'\n"}, "likewise, of a resistor"),
        ({"text": TEXT.replace("Va a 0 0", "Va a 0 dc 0 ac 1")}, "more than a number"),
        ({"text": TEXT.replace("Va a 0 0", "Va a 0 0\n+ ac 1")}, "likewise, in a second line"),
        ({"text": TEXT.replace("Va a 0 0", "x1 a s\n.subckt s a\nVa a 0 0\n.ends")}, "inside"),
        ({"runs": tuple({**run, "r1": 3e3 * k} for k, run in enumerate(RUNS, 1))}, "a resistor"),
    ],
)
def test_what_cannot_be_a_table_is_altered(change, why):
    problem = problem_of(**change)
    lines = commands(problem)
    for run in RUNS:
        assert f"alter va = {run['va']!r}" in lines, why
    assert "pwl" not in drive(problem).netlist


def test_elements_that_only_some_runs_alter_are_altered():
    runs = ({"va": 1.0}, {"vb": 1.0})
    assert drive(problem_of(runs=runs)).alterations == runs


class TestNgspice:
    pytestmark = needs_ngspice

    @pytest.mark.parametrize("solver", ["klu", "sparse"])
    def test_tables_give_the_values_of_their_runs(self, solver):
        values = np.random.default_rng(0).uniform(-1, 1, (250, 2))
        runs = tuple({"va": a, "vb": b} for a, b in values.tolist())
        (outcome,) = NgspiceEngine(solver=solver).solve([problem_of(runs=runs)])
        wanted = (values[:, 0] + 3 * values[:, 1]) / 4
        # A table is a straight line times the number of the run: 250 roundings of 2 V.
        assert np.max(np.abs(outcome.answer.final("x")[:, 0] - wanted)) < 250 * 2 * 2.3e-16

    @pytest.mark.parametrize("solver", ["klu", "sparse"])
    def test_a_vector_without_a_solution_takes_nobody_along(self, solver):
        # Beyond 0.5 V a current of 1 + 1000·exp(40·v) A into 1 ohm: v = i has no solution.
        text = "Va a 0 0\nr1 m 0 1\nb1 0 m i=v(a)>0.5 ? 1+1e3*exp(40*v(m)) : v(a)\n"
        inputs = (0.1, 0.2, 0.9, 0.3)
        bad = problem_of(text, tuple({"va": v} for v in inputs))
        good = replace(bad, alterations=tuple({"va": v} for v in inputs if v < 0.5))
        engine = NgspiceEngine(solver=solver)
        before, failed, after = engine.solve([good, bad, good])
        assert failed.status in (Status.NO_CONVERGENCE, Status.UNPHYSICAL)
        assert failed.reason
        assert failed.answer is None
        for outcome in (before, after):
            assert outcome.status is Status.GOOD
            assert outcome.answer.final("x")[:, 0] == pytest.approx([0.1, 0.2, 0.3], abs=1e-9)

    def test_a_deck_runs_alone(self, tmp_path):
        import subprocess

        deck = tmp_path / "deck.cir"
        deck.write_text(deck_text(problem_of(), title="imccircuit alone", options={}))
        ngspice = os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")
        subprocess.run([ngspice, "-b", "-n", deck.name], cwd=tmp_path, check=True, timeout=60,
                       capture_output=True)  # fmt: skip
        assert (tmp_path / "imccircuit.raw").is_file()
