"""Linear nodal analysis against hand-solved circuits, exact fractions and badcrossbar."""

import json
import logging
import warnings
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import imccircuit
from imccircuit.errors import UsageError
from imccircuit.nodal import ResistiveArray, effective_conductance, solve_array, solve_crossbar

CASES = json.loads((Path(__file__).parents[1] / "golden" / "crossbar_hand.json").read_text())[
    "cases"
]
# Every wire, driver and sense resistance present or ideal.
IDEAL_OR_NOT = list(product((0.0, 7.0), (0.0, 3.0), (0.0, 100.0), (0.0, 20.0)))


def fractions(nested):
    return np.array([[float(Fraction(x)) for x in np.atleast_1d(line)] for line in nested])


def random_array(rng, rows, cols, r):
    conductance = rng.choice([1e-6, 1e-4], (rows, cols)) * rng.uniform(0.9, 1.1, (rows, cols))
    conductance[rng.random((rows, cols)) < 0.1] = 0.0
    return ResistiveArray(conductance, *r)


def close(got, wanted, relative):
    assert np.max(np.abs(got - wanted)) <= relative * np.max(np.abs(wanted))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_hand_solved(case):
    ohm = np.array(case["cell_ohm"], dtype=float)  # null becomes NaN: an open cell
    solution = solve_array(
        ResistiveArray(np.where(np.isnan(ohm), 0.0, 1.0 / ohm), *case["r"]), case["voltage"]
    )
    # A handful of roundings.
    close(solution.output_current_a, fractions([case["current"]]), 2e-15)
    close(solution.cell_voltage_v[0], fractions(case["cell_voltage"]), 2e-15)


def exact_currents(conductance, voltage, r):
    """Column currents in exact arithmetic, straight from Kirchhoff's current law."""
    rows, cols = conductance.shape
    r_row, r_col, r_driver, r_sense = (Fraction(x) for x in r)
    size = 2 * rows * cols
    w = {(i, j): i * cols + j for i in range(rows) for j in range(cols)}
    b = {key: index + rows * cols for key, index in w.items()}
    a = [[Fraction(0)] * (size + 1) for _ in range(size)]

    def link(p, q, g):  # q: a node, or a fixed voltage
        a[p][p] += g
        if isinstance(q, int):
            a[q][q] += g
            a[p][q] -= g
            a[q][p] -= g
        else:
            a[p][size] += g * q

    for i, j in product(range(rows), range(cols)):
        link(w[i, j], b[i, j], Fraction(float(conductance[i, j])))
        if j:
            link(w[i, j - 1], w[i, j], 1 / r_row)
        else:
            link(w[i, 0], Fraction(float(voltage[i])), 1 / (r_row + r_driver))
        if i + 1 < rows:
            link(b[i, j], b[i + 1, j], 1 / r_col)
        else:
            link(b[i, j], Fraction(0), 1 / (r_col + r_sense))
    for k in range(size):  # Gauss-Jordan; positive definite, so no pivot search
        pivot = a[k][k]
        a[k] = [x / pivot for x in a[k]]
        for m in range(size):
            if m != k and a[m][k]:
                factor = a[m][k]
                a[m] = [x - factor * y for x, y in zip(a[m], a[k], strict=True)]
    ends = [a[b[rows - 1, j]][size] / (r_col + r_sense) for j in range(cols)]
    return np.array([float(current) for current in ends])


@pytest.mark.parametrize("r", [(5, 3, 100, 20), (0.001, 0.002, 0, 0), (1e4, 1e5, 1e3, 0)])
def test_exact_arithmetic(r):
    # Wires up to a billion times better than cells: the rounding of a matrix entry 2/r_wire is
    # then as large as 1e-7 of a cell, and only the refinement from branch voltages is exact.
    rng = np.random.default_rng(1)
    array = random_array(rng, 4, 5, r)
    voltage = rng.uniform(-0.3, 0.3, 4)
    exact = exact_currents(array.conductance_s, voltage, r)
    close(solve_array(array, voltage).output_current_a[0], exact, 1e-14)


@pytest.fixture(scope="module")
def badcrossbar():
    with warnings.catch_warnings(record=True):
        # It sets filters of its own and warns that its plotting library is missing.
        import badcrossbar
    logging.disable(logging.INFO)
    yield badcrossbar
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("rows", "cols"), [(32, 32), (64, 48), (1, 5), (7, 1)])
def test_badcrossbar(badcrossbar, rows, cols):
    rng = np.random.default_rng(rows)
    resistance = rng.uniform(1e4, 1e6, (rows, cols))
    voltage = rng.uniform(-0.3, 0.3, (3, rows))
    solution = solve_crossbar(1 / resistance, voltage, r_row_ohm=5, r_col_ohm=3)
    other = badcrossbar.compute(voltage.T, resistance, r_i_word_line=5, r_i_bit_line=3)
    # Another solver, other roundings: badcrossbar itself is good to about 1e-13 here.
    close(solution.output_current_a, other.currents.output, 1e-9)
    across = other.voltages.word_line - other.voltages.bit_line
    close(solution.cell_voltage_v, np.moveaxis(across, 2, 0), 1e-9)


@pytest.mark.parametrize("r", IDEAL_OR_NOT)
def test_laws(r):
    """Kirchhoff at every node, Tellegen, superposition, scaling, permutation, reciprocity."""
    rng = np.random.default_rng(3)
    array = random_array(rng, 9, 6, r)
    voltage = rng.uniform(-0.3, 0.3, (4, 9))
    solution = solve_array(array, voltage)
    g, current = array.conductance_s, solution.output_current_a
    cell = g * solution.cell_voltage_v
    # A node voltage of 0.3 V is known to 6e-17 V; through 3 ohm that is 2e-17 A, a few of them.
    assert solution.kcl_residual_a <= 2e-16
    row_current = cell.sum(axis=2)
    if r[0] > 0:
        first = voltage - (r[0] + r[2]) * row_current
        np.testing.assert_allclose(first, solution.row_node_v[:, :, 0], rtol=0, atol=1e-15)
    if r[1] > 0:
        segment = np.cumsum(cell, axis=1)
        drop = -np.diff(solution.col_node_v, axis=1)  # downwards, towards the sensing node
        np.testing.assert_allclose(drop, r[1] * segment[:, :-1], rtol=0, atol=1e-15)
        end = (r[1] + r[3]) * current
        np.testing.assert_allclose(solution.col_node_v[:, -1], end, rtol=0, atol=1e-15)

    supplied = (voltage * row_current).sum(axis=1)
    behind = np.cumsum(cell[:, :, ::-1], axis=2)[:, :, ::-1]  # current of each row segment
    above = np.cumsum(cell, axis=1)  # current of each column segment
    used = (cell * solution.cell_voltage_v).sum(axis=(1, 2))
    used += r[0] * (behind**2).sum(axis=(1, 2)) + r[1] * (above**2).sum(axis=(1, 2))
    used += r[2] * (row_current**2).sum(axis=1) + r[3] * (current**2).sum(axis=1)
    np.testing.assert_allclose(used, supplied, rtol=1e-13)

    both = solve_array(array, voltage[0] + 2 * voltage[1]).output_current_a[0]
    close(both, current[0] + 2 * current[1], 1e-14)
    order = [2, 0, 3, 1]
    close(solve_array(array, voltage[order]).output_current_a, current[order], 1e-15)
    scaled = ResistiveArray(g * 4, *(x / 4 for x in r))  # a power of two: no rounding
    close(solve_array(scaled, voltage).output_current_a, 4 * current, 1e-14)

    matrix = effective_conductance(array)  # 6 columns: found from the sense side
    close(voltage @ matrix, current, 1e-14)
    unit = solve_array(array, np.eye(9)).output_current_a
    close(matrix, unit, 1e-14)
    wide = ResistiveArray(g.T, *r)
    close(effective_conductance(wide), solve_array(wide, np.eye(6)).output_current_a, 1e-14)


def test_ideal_wires_are_a_matrix_product():
    rng = np.random.default_rng(4)
    g, v = rng.uniform(0, 1e-4, (6, 5)), rng.uniform(-1, 1, (2, 6))
    close(solve_crossbar(g, v).output_current_a, v @ g, 1e-15)


def test_many_rows_effective_matrix_in_chunks():
    array = random_array(np.random.default_rng(5), 70, 75, (5, 3, 0, 0))
    voltage = np.random.default_rng(6).uniform(0, 0.2, 70)
    close(
        voltage @ effective_conductance(array),
        solve_array(array, voltage).output_current_a[0],
        1e-13,
    )


def test_public_entry_and_one_vector():
    solution = imccircuit.solve_crossbar([[1e-3, 0.0]], [1.0], r_row_ohm=500, r_col_ohm=500)
    np.testing.assert_allclose(solution.output_current_a, [[5e-4, 0]], rtol=1e-15)
    assert solution.cell_voltage_v.shape == (1, 1, 2)
    assert solve_crossbar([[1.0]], np.zeros((0, 1)), r_row_ohm=1).output_current_a.shape == (0, 1)


@pytest.mark.parametrize(
    ("conductance", "voltage", "options", "words"),
    [
        ([1.0], [1.0], {}, "(row, col)"),
        ([[1.0], [1.0, 2.0]], [1.0], {}, "equal length"),
        ([[1.0, -1.0]], [1.0], {}, "not negative"),
        ([[np.nan]], [1.0], {}, "finite"),
        ([[1.0]], [1.0, 2.0], {}, "1 rows"),
        ([[1.0]], [[[1.0]]], {}, "(batch, 1)"),
        ([[1.0]], [np.inf], {}, "finite"),
        ([[1.0]], ["x"], {}, "numbers"),
        ([[1.0]], [1.0], {"r_row_ohm": -1.0}, "r_row_ohm"),
    ],
)
def test_refuses(conductance, voltage, options, words):
    with pytest.raises(UsageError) as caught:
        solve_crossbar(conductance, voltage, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
