"""Cells that conduct far better than their lines, against nodal analysis in sixty digits."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.nodal import (
    CellLaw,
    ResistiveArray,
    direct,
    effective_conductance,
    port_admittance,
    solve_array,
    solve_currents,
    solve_fast,
    solve_nonlinear,
)
from imccircuit.nodal.lines import solve_lines

# What `solve_fast` and `effective_conductance` promise, of the largest current.
PROMISED = 1e-10


def truth(array, voltage):
    """Currents (batch, col) at the near ends and cell voltages (batch, row, col).

    Gaussian elimination of Kirchhoff's current law in decimal numbers of 60 digits: of a matrix
    that is diagonally dominant it needs no pivots.
    """
    with localcontext() as context:
        context.prec = 60
        return _truth(array, np.atleast_2d(voltage))


def _truth(array, voltage):
    rows, cols = array.shape
    number = np.vectorize(Decimal, otypes=[object])
    row, col = (number(np.broadcast_to(r, array.shape)) for r in (array.r_row_ohm, array.r_col_ohm))
    driver = row[:, 0] + number(np.broadcast_to(array.r_driver_ohm, (rows,)))
    sense = col[-1] + number(np.broadcast_to(array.r_sense_ohm, (cols,)))
    names: dict[object, int] = {}

    def w(i, j):
        name = ("w", i, 0 if array.ideal_rows else j)
        return ("source", i) if driver[i] == 0 else names.setdefault(name, len(names))

    def b(i, j):
        name = ("b", 0 if array.ideal_cols else i, j)
        return ("ground", j) if sense[j] == 0 else names.setdefault(name, len(names))

    branches = []
    for i, j in np.ndindex(rows, cols):
        branches.append((w(i, j), b(i, j), Decimal(float(array.conductance_s[i, j]))))
        if j and not array.ideal_rows:
            branches.append((w(i, j - 1), w(i, j), 1 / row[i, j]))
        if i and not array.ideal_cols:
            branches.append((b(i - 1, j), b(i, j), 1 / col[i - 1, j]))
    branches += [(("source", i), w(i, 0), 1 / driver[i]) for i in range(rows) if driver[i]]
    branches += [(b(rows - 1, j), ("ground", j), 1 / sense[j]) for j in range(cols) if sense[j]]

    drive = number(voltage)
    matrix = np.full((len(names), len(names)), Decimal(0))
    right = np.full((len(names), len(drive)), Decimal(0))
    for start, end, s in branches:
        for own, other in ((start, end), (end, start)):
            if isinstance(own, int):
                matrix[own, own] += s
                if isinstance(other, int):
                    matrix[own, other] -= s
                elif other[0] == "source":
                    right[own] += s * drive[:, other[1]]
    for k in range(len(names)):
        factor = matrix[k + 1 :, k] / matrix[k, k]
        matrix[k + 1 :] -= np.outer(factor, matrix[k])
        right[k + 1 :] -= np.outer(factor, right[k])
    for k in reversed(range(len(names))):
        right[k] = (right[k] - matrix[k, k + 1 :] @ right[k + 1 :]) / matrix[k, k]

    def at(node):
        if isinstance(node, int):
            return right[node]
        return drive[:, node[1]] if node[0] == "source" else np.full(len(drive), Decimal(0))

    current = np.full((len(drive), cols), Decimal(0))
    cell = np.empty((len(drive), rows, cols))
    for i, j in np.ndindex(rows, cols):
        across = at(w(i, j)) - at(b(i, j))
        cell[:, i, j] = across
        current[:, j] += across * Decimal(float(array.conductance_s[i, j]))
    return current.astype(float), cell


def shorted(big, wires, *, open_lines=False, more=False):
    rng = np.random.default_rng(3)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (4, 5)))
    if open_lines:
        g[1], g[:, 2] = 0.0, 0.0
    g[2, 3] = big
    if more:
        # In the same lines, so that currents of shorts also go round.
        g[2, 0], g[0, 3], g[0, 0] = big, 3 * big, big / 7
    return ResistiveArray(g, *wires)


def agree(got, wanted, within=PROMISED):
    most = np.max(np.abs(wanted), axis=-1, keepdims=True)
    assert np.all(np.abs(got - wanted) <= within * most)


def test_the_truth_by_hand():
    """Two resistors in series, and two such lines in parallel on one bit line."""
    array = ResistiveArray([[0.5], [0.25]], 1.0, 0.0, 0.0, 2.0)
    # 1/3 S and 1/5 S from 1 V drivers meet 1/2 S to ground: 8/31 S in all, ground's part.
    current, cell = truth(array, [1.0, 1.0])
    assert current[0, 0] == pytest.approx(8 / 31, abs=1e-15)
    assert cell[0, :, 0] == pytest.approx([10 / 31, 12 / 31], abs=1e-15)


@pytest.mark.parametrize("more", [False, True], ids=["one", "loop"])
@pytest.mark.parametrize("open_lines", [False, True], ids=["all", "open"])
@pytest.mark.parametrize("wires", [(1.0, 1.0), (2.0, 3.0), (5.0, 3.0, 1e3, 100.0)])
@pytest.mark.parametrize("big", [1e2, 1e4, 1e5, 1e7, 1e9, 1e13])
def test_linear(big, wires, open_lines, more):
    array = shorted(big, wires, open_lines=open_lines, more=more)
    rows = array.shape[0]
    matrix, cell = truth(array, np.eye(rows))
    found = effective_conductance(array)
    assert np.max(np.abs(found - matrix)) <= PROMISED * np.max(matrix)
    voltage = np.random.default_rng(4).uniform(-0.3, 0.3, (3, rows))
    for solve in (solve_array, solve_fast):
        solution = solve(array, voltage)
        agree(solution.output_current_a, voltage @ matrix)
        # Two node voltages of 1e-11 each of the largest drive.
        wanted = np.tensordot(voltage, cell, 1)
        assert np.max(np.abs(solution.cell_voltage_v - wanted)) <= 2e-11 * np.max(np.abs(voltage))
    agree(solve_currents(array, voltage), voltage @ matrix)


@pytest.mark.parametrize("big", [1e5, 1e8, 1e12])
def test_what_it_says_about_ports(big):
    """1 V at the end of a bit line: turned round it is a driver, and its own lines are the ends."""
    array = shorted(big, (5.0, 3.0, 1e3, 100.0), more=True)
    cols = array.shape[1]
    side = ResistiveArray(array.conductance_s[::-1, ::-1].T, 3.0, 5.0, 100.0, 1e3)
    cell = truth(side, np.eye(cols))[1] * side.conductance_s
    wanted = cell.sum(axis=2)[::-1, ::-1]
    assert np.max(np.abs(port_admittance(array) - wanted)) <= PROMISED * np.max(np.abs(wanted))


@pytest.mark.parametrize(
    "wires",
    [(0.0, 3.0), (0.0, 3.0, 9.0, 2.0), (5.0, 0.0), (5.0, 0.0, 0.0, 2.0), (0.0, 0.0, 0.0, 2.0),
     (0.0, 0.0, 9.0, 0.0), (0.0, 0.0, 0.0, 0.0)],
)  # fmt: skip
@pytest.mark.parametrize("big", [1e5, 1e9])
def test_ideal_wires(big, wires):
    # Between two ideal lines a loop of shorts carries what no number of digits of drives decides.
    array = shorted(big, wires, more=False)
    voltage = np.random.default_rng(4).uniform(-0.3, 0.3, (3, 4))
    wanted = truth(array, voltage)[0]
    agree(solve_array(array, voltage).output_current_a, wanted)
    agree(solve_currents(array, voltage), wanted)
    agree(voltage @ effective_conductance(array), wanted)


def test_merged_lines_with_ends_are_refused():
    wires = (0.0, 0.0, 9.0, 2.0)
    allowed = shorted(1e5 / 11.001, wires)
    voltage = np.array([[0.1, 0.2, -0.3, 0.2]])
    agree(solve_array(allowed, voltage).output_current_a, truth(allowed, voltage)[0])
    for law in (CellLaw(), CellLaw.sinh(0.1)):
        with pytest.raises(UsageError) as caught:
            solve_currents(shorted(1e9, wires), voltage, law)
        assert str(caught.value) == (
            "conductances[2, 3] = 1e+09 S is too good for r_driver_ohm and r_sense_ohm of lines "
            "without wire resistance; allowed: up to 9.09e+03 S there, or a wire resistance"
        )


def test_the_solver_of_exports_refuses_what_it_would_round():
    """It has but node voltages: right to 1e-9 below its limit, and no answer above."""
    names = ("r_row_ohm", "r_col_ohm", "r_driver_ohm", "r_sense_ohm")
    wires = (2.0, 3.0, 10.0, 20.0)
    voltage = np.random.default_rng(4).uniform(-0.3, 0.3, (3, 4))
    # Lines of cell (2, 3): four and two segments, driver and sense end.
    allowed = shorted(0.99e5 / (4 * 2.0 + 2 * 3.0 + 30.0), wires)
    ohm = dict(zip(names, wires, strict=True))
    found = solve_lines(allowed.conductance_s, voltage, **ohm)[0]
    agree(found, truth(allowed, voltage)[0], 1e-9)
    with pytest.raises(ValueError, match="up to") as caught:
        solve_lines(shorted(1e8, wires).conductance_s, voltage, **ohm)
    assert str(caught.value) == (
        "conductance_s[2, 3] = 1e+08 S is too good for its lines of 44 ohm; "
        "allowed: up to 2.27e+03 S there"
    )


@pytest.mark.parametrize("big", [1e6, 1e9, 1e13])
def test_nonlinear_shorts(big):
    """One cell: its law and the wires' by hand; in an array: sinh that is linear for a short."""
    voltage, wires, rise = 0.2, 1.0 + 1.0, 1e-4
    one = ResistiveArray([[big]], 1.0, 1.0)
    # V = I (2 ohm + 1/g) + r I²: the root that does not cancel.
    linear = wires + 1 / big
    wanted = 2 * voltage / (linear + np.sqrt(linear**2 + 4 * rise * voltage))
    law = CellLaw.rise(rise)
    for found in (
        solve_currents(one, [voltage], law),
        solve_fast(one, [voltage], law).output_current_a,
        solve_nonlinear(one, law, [voltage]).output_current_a,
    ):
        assert found[0, 0] == pytest.approx(wanted, rel=PROMISED, abs=0)
    # Cells see less than 0.3 V of 1e7 V: the cube of that is nothing.
    array = shorted(big, (2.0, 3.0), more=True)
    drives = np.random.default_rng(4).uniform(-0.3, 0.3, (3, 4))
    agree(solve_currents(array, drives, CellLaw.sinh(1e7)), truth(array, drives)[0])


@pytest.mark.parametrize("seed", range(6))
def test_up_to_the_limit_the_compiled_solver_keeps_its_promise(seed, monkeypatch):
    """A cell just below the limit, in wires and ends of all kinds; and the elimination agrees."""
    from imccircuit.nodal import fast
    from imccircuit.nodal.graph import SHORT, compute_shortness

    rng = np.random.default_rng(seed)
    wires = 10 ** rng.uniform(-3, 3, 4)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (6, 4)))
    g[rng.random(g.shape) < 0.2] = 0.0
    place = tuple(rng.integers((6, 4)))
    g[place] = 1.0
    g[place] = 0.99 * SHORT / compute_shortness(ResistiveArray(g, *wires))[place]
    array = ResistiveArray(g, *wires)
    monkeypatch.setattr(fast, "_direct", None)
    voltage = rng.uniform(-0.3, 0.3, (3, 6))
    matrix = truth(array, np.eye(6))[0]
    agree(solve_currents(array, voltage), voltage @ matrix)
    eliminated = direct._eliminate(array)
    assert eliminated is not None
    assert np.max(np.abs(eliminated[0] - matrix)) <= PROMISED * np.max(matrix)
