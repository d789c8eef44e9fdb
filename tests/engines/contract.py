"""What every engine must do: a test class that a test module subclasses with an ``engine`` fixture.

The problems are small crossbars with wires, which every engine can solve; their truth comes from a
dense matrix of Kirchhoff's current law written down here, with neither our solver nor ngspice.
"""

from dataclasses import replace

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from imccircuit.benches.problem import OperatingPoint, Probe, Problem, Transient
from imccircuit.circuits.crossbar import (
    cell_voltage_vectors,
    crossbar,
    output_current_vectors,
)
from imccircuit.engines.contract import Outcome, Status
from imccircuit.nodal import ResistiveArray

R_ROW, R_COL, R_DRIVER, R_SENSE = 5.0, 3.0, 100.0, 20.0
# A dozen nodes, conductances from 1e-6 S to 0.3 S: elimination in double precision keeps more than
# 12 of 16 digits, whoever does it and in whatever order.
RELATIVE = 1e-12


def kirchhoff(conductance, voltage):
    """Column currents and node voltages of one input vector: (col,), (row, col), (row, col)."""
    rows, cols = conductance.shape
    w = np.arange(rows * cols).reshape(rows, cols)
    b = w + rows * cols
    matrix, right = np.zeros((2 * rows * cols,) * 2), np.zeros(2 * rows * cols)

    def link(p, q, g):
        matrix[p, p] += g
        matrix[q, q] += g
        matrix[p, q] -= g
        matrix[q, p] -= g

    for i in range(rows):
        matrix[w[i, 0], w[i, 0]] += 1 / (R_ROW + R_DRIVER)
        right[w[i, 0]] += voltage[i] / (R_ROW + R_DRIVER)
        for j in range(cols):
            link(w[i, j], b[i, j], conductance[i, j])
            if j:
                link(w[i, j - 1], w[i, j], 1 / R_ROW)
            if i:
                link(b[i - 1, j], b[i, j], 1 / R_COL)
    for j in range(cols):
        matrix[b[-1, j], b[-1, j]] += 1 / (R_COL + R_SENSE)
    nodes = np.linalg.solve(matrix, right)
    return nodes[b[-1]] / (R_COL + R_SENSE), nodes[w], nodes[b]


def array_problem(seed, *, rows=3, cols=2, batch=2, bound=1.0):
    """A problem that every engine solves, and the wanted currents, word- and bit-line voltages."""
    rng = np.random.default_rng(seed)
    conductance = rng.uniform(1e-6, 1e-4, (rows, cols))
    inputs = rng.uniform(-0.3, 0.3, (batch, rows))
    array = ResistiveArray(conductance, R_ROW, R_COL, R_DRIVER, R_SENSE)
    word, bit = cell_voltage_vectors(array)
    problem = Problem(
        circuit=crossbar(array, inputs[0]),
        analysis=OperatingPoint(),
        probes=(
            Probe("output_current", output_current_vectors(cols), (cols,), bound),
            Probe("row_node_voltage", word, (rows, cols), 1.0),
            Probe("col_node_voltage", bit, (rows, cols), 1.0),
        ),
        alterations=tuple({f"vin_{i}": float(v) for i, v in enumerate(x)} for x in inputs),
        array=array,
        row_voltage_v=inputs,
        label=f"array {seed}",
    )
    wanted = [np.stack(part) for part in zip(*(kirchhoff(conductance, x) for x in inputs))]  # noqa: B905
    return problem, dict(
        zip(("output_current", "row_node_voltage", "col_node_voltage"), wanted, strict=True)
    )


def unsolvable_problem():
    """No resistive array, and a transistor without a model."""
    circuit = Circuit("nobody can solve this")
    circuit.V("1", "a", 0, 1.0)
    circuit.raw_spice = "r1 a b 1000\nm1 b a 0 0 no_such_model w=1u l=1u"
    return Problem(circuit, OperatingPoint(), (Probe("b", ("v(b)",), (), 10.0),), label="bad")


def unphysical_problem():
    """It can be solved, but its answer is beyond what its bench believes."""
    return array_problem(99, bound=1e-12)[0]


def assert_good(outcome, wanted):
    assert outcome.status is Status.GOOD, outcome.reason
    assert outcome.reason == ""
    for name, values in wanted.items():
        got = outcome.answer.final(name)
        assert got.shape == values.shape
        assert np.max(np.abs(got - values)) <= RELATIVE * np.max(np.abs(values))


def assert_bad(outcome, *statuses):
    assert outcome.status in statuses
    assert outcome.answer is None
    assert outcome.reason
    assert "\n" not in outcome.reason
    assert len(outcome.reason) <= 250


def numbers(outcome):
    """Everything an outcome says, for exact comparison."""
    runs = outcome.answer.runs
    return [(run.axis.tolist(), {k: v.tolist() for k, v in run.values.items()}) for run in runs]


class EngineContract:
    """Subclass with a fixture ``engine``."""

    def test_nothing_to_do(self, engine):
        assert engine.solve([]) == []

    def test_one_outcome_a_problem_in_order(self, engine):
        pairs = [array_problem(seed, rows=2 + seed % 3, batch=1 + seed % 2) for seed in range(6)]
        outcomes = engine.solve([problem for problem, _ in pairs])
        assert len(outcomes) == len(pairs)
        for outcome, (_, wanted) in zip(outcomes, pairs, strict=True):
            assert isinstance(outcome, Outcome)
            assert_good(outcome, wanted)
            assert outcome.rung == "default"
            assert outcome.wall_s >= 0

    def test_runs_that_go_on_from_one_another(self, engine):
        problem, wanted = array_problem(3, batch=7)
        (outcome,) = engine.solve([replace(problem, analysis=OperatingPoint(continued=True))])
        assert_good(outcome, wanted)
        assert len(outcome.answer.runs) == 7

    def test_runs_of_an_operating_point(self, engine):
        problem, _ = array_problem(1, batch=5)
        (outcome,) = engine.solve([problem])
        assert len(outcome.answer.runs) == 5
        for run in outcome.answer.runs:
            assert run.axis.tolist() == [0.0]
            assert set(run.values) == {probe.name for probe in problem.probes}
            for probe in problem.probes:
                assert run.values[probe.name].shape == (1, *probe.shape)
                assert run.values[probe.name].dtype == np.float64

    def test_same_answers_alone_and_in_a_batch_and_again(self, engine):
        problems = [array_problem(seed)[0] for seed in range(4)]
        together = [numbers(outcome) for outcome in engine.solve(problems)]
        alone = [numbers(engine.solve([problem])[0]) for problem in problems]
        assert together == alone
        assert together == [numbers(outcome) for outcome in engine.solve(problems)]
        assert together[::-1] == [numbers(outcome) for outcome in engine.solve(problems[::-1])]

    @pytest.mark.parametrize("place", [0, 1, 3])
    @pytest.mark.parametrize("make", [unsolvable_problem, unphysical_problem])
    def test_a_bad_problem_changes_no_other_answer(self, engine, make, place):
        problems = [array_problem(seed)[0] for seed in range(3)]
        wanted = [numbers(outcome) for outcome in engine.solve(problems)]
        mixed = [*problems[:place], make(), *problems[place:]]
        outcomes = engine.solve(mixed)
        bad = outcomes.pop(place)
        assert [numbers(outcome) for outcome in outcomes] == wanted
        assert_bad(bad, *(status for status in Status if status is not Status.GOOD))

    def test_only_bad_problems(self, engine):
        outcomes = engine.solve([unsolvable_problem(), unphysical_problem(), unsolvable_problem()])
        for outcome in outcomes:
            assert outcome.answer is None
            assert outcome.reason

    def test_an_unsolvable_problem_is_refused_in_one_line(self, engine):
        (outcome,) = engine.solve([unsolvable_problem()])
        assert_bad(outcome, Status.REFUSED)

    def test_bounds_are_enforced(self, engine):
        problem, wanted = array_problem(7)
        largest = float(np.max(np.abs(wanted["output_current"])))
        first, *others = problem.probes
        for factor, good in ((1 + 1e-9, True), (1 - 1e-9, False)):
            probe = replace(first, bound=factor * largest)
            (outcome,) = engine.solve([replace(problem, probes=(probe, *others))])
            if good:
                assert_good(outcome, wanted)
            else:
                assert_bad(outcome, Status.UNPHYSICAL)
                assert "output_current" in outcome.reason
                assert "bound" in outcome.reason

    def test_a_transient_is_solved_or_refused(self, engine):
        problem, wanted = array_problem(8)
        (outcome,) = engine.solve([replace(problem, analysis=Transient(1e-8, 1e-9, 1e-9))])
        if outcome.status is Status.GOOD:
            assert_good(outcome, wanted)  # nothing moves in a circuit of resistors
            for run in outcome.answer.runs:
                assert run.axis[0] == 0
                # The last step ends at the stop time but for rounding.
                assert abs(run.axis[-1] - 1e-8) <= 1e-17
                assert np.all(np.diff(run.axis) > 0)
        else:
            assert_bad(outcome, Status.REFUSED)

    def test_says_what_decides_its_numbers(self, engine):
        versions = engine.versions()
        assert set(versions) == {"engine", "version", "solver"}
        assert versions["engine"] == engine.name
        assert all(isinstance(text, str) and text for text in versions.values())
