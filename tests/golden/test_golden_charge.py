"""Charge-domain columns with ideal switches in ngspice against charge conservation by hand."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import numpy as np
import pytest
from charge_truth import UNIT_F, VDD, line_f, parameters, run, shared_voltage, step_v
from driving import measure

from imccircuit.benches.bench import Variation
from imccircuit.benches.charge_chip import make_chip
from imccircuit.devices.draws import Draws
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice
OLD = os.environ.get("IMCCIRCUIT_NGSPICE_OLD")
# A must: below a hundredth of one product. What is left is leakage of 10 Tohm switches.
MOST_LSB = 0.01
LUMPED = {"column_segment_resistance": "0 ohm", "row_segment_resistance": "0 ohm"}


@pytest.fixture(scope="module")
def engine():
    return NgspiceEngine()


def chip(**kwargs):
    return make_chip(parameters(**kwargs), Variation(Draws(3, 0), frozenset({"unit_capacitor"})))


def solve(engine, problem):
    (outcome,) = engine.solve([problem])
    assert outcome.status is Status.GOOD, outcome.reason
    assert outcome.rung == "default"
    return outcome.answer.final("output")


def outputs(engine, drawn):
    return solve(engine, drawn.operation(range(len(drawn.bits)), 1))


def truth(drawn, product):
    stored = drawn.array.stored[None]
    bits = drawn.bits[:, :, None]
    products = bits * stored if product == "and" else 1 - np.abs(bits - stored)
    return shared_voltage(products, drawn.array.capacitors_f)


@pytest.mark.parametrize("product", ["and", "xnor"])
@pytest.mark.parametrize("rows", [1, 64, 256, 1024])
def test_charge_is_conserved(engine, product, rows):
    drawn = chip(circuit={"rows": rows, "product": product, **LUMPED}, stimulus={"batch": 4})
    # The ends of the range, and drawn vectors of several densities.
    drawn.bits[0], drawn.bits[1] = 0, 1
    error = outputs(engine, drawn) - truth(drawn, product)
    assert np.max(np.abs(error)) < MOST_LSB * step_v(rows)


def test_array_with_wires(engine):
    """12 columns of 32 cells, 2 ohm of wire a cell: settled, so still charge conservation."""
    drawn = chip(circuit={"rows": 32, "cols": 12, "product": "xnor"}, stimulus={"batch": 3})
    error = outputs(engine, drawn) - truth(drawn, "xnor")
    assert np.max(np.abs(error)) < MOST_LSB * step_v(32)


def test_order_of_batch_and_of_rows(engine):
    drawn = chip(circuit={"rows": 64, **LUMPED}, stimulus={"batch": 5})
    before = outputs(engine, drawn)
    order = np.array([3, 0, 4, 2, 1])
    np.testing.assert_array_equal(outputs(engine, replace(drawn, bits=drawn.bits[order])),
                                  before[order])  # fmt: skip
    rows = np.random.default_rng(7).permutation(64)
    array = replace(
        drawn.array,
        capacitors_f=drawn.array.capacitors_f[rows],
        stored=drawn.array.stored[rows],
    )
    after = outputs(engine, replace(drawn, array=array, bits=drawn.bits[:, rows]))
    # The same sums in another order: rounding, for the elements are linear. 1e-11 was seen.
    assert np.max(np.abs(after - before)) < 1e-8 * step_v(64)


def in_a_row(engine, drawn, order):
    """Outputs of operations that follow each other in one transient, in the order of the batch."""
    problem = drawn.operation([0], len(order))
    cycle, edge = drawn.array.cycle_s, 1e-12
    waves = []
    for row in range(drawn.array.rows):
        levels = drawn.bits[order, row]
        # Bits change with the beginning of an operation, long before they are used.
        points = [f"0 {levels[0]}"]
        for k in range(1, len(order)):
            points += [f"{k * cycle!r} {levels[k - 1]}", f"{k * cycle + edge!r} {levels[k]}"]
        waves.append(f"Ix_{row} 0 x_{row} pwl({' '.join(points)})")
    kept = re.sub(r"^Ix_\d+ .*\n", "", problem.circuit.raw_spice, flags=re.MULTILINE)
    problem.circuit.raw_spice = kept + "\n" + "\n".join(waves)
    run_in = replace(problem, alterations=({"vstart": 0.0},), probes=problem.probes[:1])
    (outcome,) = engine.solve([run_in])
    assert outcome.status is Status.GOOD, outcome.reason
    (found,) = outcome.answer.runs
    ends = cycle * np.arange(1, len(order) + 1)
    return np.interp(ends, found.axis, found.values["output"][:, 0])


def test_consecutive_inputs_leave_no_history(engine):
    drawn = chip(circuit={"rows": 32, **LUMPED}, stimulus={"batch": 5})
    drawn.bits[0], drawn.bits[1] = 0, 1
    alone = truth(drawn, "and")[:, 0]
    for order in ([0, 1, 2, 3, 4, 1, 0], [4, 0, 3, 1, 2]):
        found = in_a_row(engine, drawn, order)
        assert np.max(np.abs(found - alone[order])) < MOST_LSB * step_v(32)


def test_short_reset_leaves_history(engine):
    """A check of the check: 64 cells behind 300 kohm switches remember."""
    slow = {"rows": 64, "switch_on_resistance": "300 kohm", "phase_time": "10 ns",
            "share_time": "100 ns", **LUMPED}  # fmt: skip
    found = run(engine, measure, circuit=slow, stimulus={"batch": 3})
    # The line's time constant is 75 kohm (four cells wide) times 21 fF and a reset lasts 9.5 ns.
    left = np.exp(-9.5e-9 / (75e3 * line_f(64)))
    assert found.history > 0.2 * left * line_f(64) / UNIT_F
    assert found.history > 0.01


def charge_left(rows, wire_ohm, line, time_s):
    """Share of a line's charge that a reset at its end leaves: the RC ladder's own modes."""
    ladder = np.zeros((rows, rows))
    for k in range(rows - 1):
        ladder[np.ix_([k, k + 1], [k, k + 1])] += np.array([[1, -1], [-1, 1]]) / wire_ohm
    # The reset switch of 1 kohm, four cells wide, behind one more segment.
    ladder[-1, -1] += 1 / (wire_ohm + 250)
    rates, modes = np.linalg.eigh(ladder / (line / rows))
    return np.mean(modes @ (np.exp(-rates * time_s) * (modes.T @ np.ones(rows))))


def test_reset_of_a_long_line(engine):
    """A line of 64 times 2 kohm keeps some charge over a reset of 2 ns, and so many products."""
    circuit = {"rows": 64, "column_segment_resistance": "2 kohm", "share_time": "100 ns",
               "row_segment_resistance": "0 ohm", "weight_pattern": "ones"}  # fmt: skip
    drawn = chip(circuit=circuit, stimulus={"batch": 1})
    drawn.bits[0] = 0
    full = shared_voltage(np.ones((1, 64, 1)), np.full((64, 1), UNIT_F))[0, 0]
    # From three quarters of an edge of 0.2 ns to a quarter of that at the end of the phase.
    kept = charge_left(64, 2e3, line_f(64), 1.9e-9) * full * line_f(64)
    expected = kept / (np.sum(drawn.array.capacitors_f) + line_f(64))
    assert expected > step_v(64)
    # 1 %: the integration's damping of a mode at steps of a fortieth of a phase.
    np.testing.assert_allclose(outputs(engine, drawn)[0, 0], expected, rtol=0.01)


def test_superposition_and_scaling(engine):
    """Linear capacitors: disjoint active sets add, and all goes with the supply."""
    drawn = chip(circuit={"rows": 48, "weight_pattern": "ones", **LUMPED}, stimulus={"batch": 3})
    some = np.random.default_rng(2).integers(0, 2, 48)
    drawn.bits[0], drawn.bits[1], drawn.bits[2] = some, 1 - some, 1
    found = outputs(engine, drawn)
    assert abs(found[0] + found[1] - found[2])[0] < MOST_LSB * step_v(48)
    double = replace(drawn.array.technology, supply_v=2 * VDD)
    doubled = outputs(engine, replace(drawn, array=replace(drawn.array, technology=double)))
    np.testing.assert_allclose(doubled, 2 * found, atol=MOST_LSB * step_v(48))


def charge_energy_j(drawn, index, vdd=VDD):
    """Step by step: what the row drivers' supply gives in an operation that follows its like.

    It charges the wire of every active row from ground to VDD, and every active capacitor from
    the voltage that was shared before. Then the rows go back to ground through the drivers.
    """
    array = drawn.array
    before = shared_voltage(drawn.bits[:, :, None] * array.stored[None], array.capacitors_f, vdd)
    active = drawn.bits[index][:, None] * array.stored
    plates = np.sum(active * array.capacitors_f * (vdd - before[index]))
    wires = drawn.bits[index].sum() * array.cols * array.row_f * vdd
    return vdd * (plates + wires)


@pytest.mark.parametrize(
    "circuit",
    [
        {"rows": 24, "cols": 3, **LUMPED},
        # Wires: steps are finer still, and a line that floats is to keep its voltage.
        {"rows": 8, "cols": 2},
        pytest.param({"rows": 1024, "cols": 1, **LUMPED}, marks=pytest.mark.long),
    ],
)
def test_energy_is_that_of_the_charge(engine, circuit):
    kwargs = {
        "circuit": circuit,
        "stimulus": {"batch": 4, "cost_vectors": 4},
    }
    drawn = chip(**kwargs)
    found = run(engine, measure, **kwargs, quantities=("unit_capacitor",), entropy=3)
    np.testing.assert_array_equal(found.input, drawn.bits)
    expected = np.mean([charge_energy_j(drawn, index) for index in range(4)])
    # To 1 %, as must be; a current that jumps is integrated between time points.
    assert abs(found.energy[0] / expected - 1) < 0.01
    assert found.energy_returned[0] < 0.01 * expected
    # One gate a row toggles twice where the row is driven: 1 fJ at 1.2 V in the card.
    toggles = 2 * np.mean(drawn.bits.sum(axis=1))
    np.testing.assert_allclose(found.energy[1], toggles * 1e-15 * (VDD / 1.2) ** 2)
    assert np.isnan(found.energy[2])
    assert np.isnan(found.area)


def test_latency_is_that_of_the_phases_and_the_charge(engine):
    """Sharing of equal cells is one exponential: R/N, into line and cells in series."""
    circuit = {"rows": 16, "weight_pattern": "ones", "switch_on_resistance": "100 kohm",
               "switch_off_resistance": "10 Tohm", "reset_width": 100.0, **LUMPED}  # fmt: skip
    found = run(
        engine, measure, circuit=circuit, stimulus={"inputs": [[1] * 16], "cost_vectors": 1}
    )
    total, line = 16 * UNIT_F, line_f(16)
    tau = 100e3 / 16 * total * line / (total + line)
    settle = tau * np.log(found.output_voltage[0, 0] / (step_v(16) / 2))
    # Sharing begins after two phases of 2 ns, at three quarters of an edge of 10 % of one.
    begin = 2 * 2e-9 + 0.75 * 0.2e-9
    assert abs(found.latency - begin - settle) < 0.05 * settle + 0.01e-9


def test_klu_and_sparse_agree():
    drawn = chip(circuit={"rows": 64}, stimulus={"batch": 3})
    klu, sparse = (outputs(NgspiceEngine(solver=name), drawn) for name in ("klu", "sparse"))
    # Rounding, but it may shift a time step. 3e-10 was seen.
    assert np.max(np.abs(klu - sparse)) < 1e-6 * step_v(64)


@pytest.mark.skipif(OLD is None, reason="IMCCIRCUIT_NGSPICE_OLD names no older ngspice")
def test_older_ngspice_agrees(engine):
    drawn = chip(circuit={"rows": 64}, stimulus={"batch": 3})
    old = outputs(NgspiceEngine(executable=OLD, timeout_s=60), drawn)
    assert np.max(np.abs(old - outputs(engine, drawn))) < 1e-4 * step_v(64)
