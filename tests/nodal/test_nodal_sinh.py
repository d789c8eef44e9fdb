"""Arrays of sinh cells: closed cases, Kirchhoff, limits."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.nodal import ResistiveArray, solve_array, solve_sinh_array


def test_ideal_wires_are_the_law_itself():
    rng = np.random.default_rng(1)
    g, v = rng.uniform(0, 1e-4, (5, 4)), rng.uniform(-0.5, 0.5, (2, 5))
    v0 = rng.uniform(0.1, 0.3, (5, 4))
    wanted = np.einsum("ij,bij->bj", g * v0, np.sinh(v[:, :, None] / v0))
    got = solve_sinh_array(ResistiveArray(g), v0, v).output_current_a
    np.testing.assert_allclose(got, wanted, rtol=1e-14)


def test_one_cell_chosen_backwards():
    # Cell voltage 0.2 V chosen: I = 1e-4·0.05·sinh(4), drive = 0.2 V + 1125 ohm·I.
    current = 1e-4 * 0.05 * np.sinh(4.0)
    array = ResistiveArray(np.array([[1e-4]]), 2, 3, 1000, 120)
    solution = solve_sinh_array(array, 0.05, [0.2 + 1125 * current])
    np.testing.assert_allclose(solution.output_current_a, [[current]], rtol=1e-14)
    np.testing.assert_allclose(solution.cell_voltage_v, [[[0.2]]], rtol=1e-14)


@pytest.mark.parametrize("v0", [0.02, 0.1, 1.0])
def test_kirchhoff_and_symmetries(v0):
    rng = np.random.default_rng(2)
    array = ResistiveArray(rng.uniform(1e-6, 1e-4, (12, 9)), 5, 3, 100, 20)
    voltage = rng.uniform(-0.3, 0.3, (3, 12))
    solution = solve_sinh_array(array, v0, voltage)
    cell = array.conductance_s * v0 * np.sinh(solution.cell_voltage_v / v0)
    # Rounding of node voltages through the steepest cell and the wires, see the linear test.
    slope = np.max(array.conductance_s * np.cosh(solution.cell_voltage_v / v0))
    assert solution.kcl_residual_a <= 5e-16 * max(slope, 1 / 3)
    first = voltage - 105 * cell.sum(axis=2)
    np.testing.assert_allclose(first, solution.row_node_v[:, :, 0], rtol=0, atol=1e-14)
    end = 23 * solution.output_current_a
    np.testing.assert_allclose(end, solution.col_node_v[:, -1], rtol=0, atol=1e-14)
    turned = solve_sinh_array(array, v0, -voltage).output_current_a  # the law is odd
    np.testing.assert_allclose(turned, -solution.output_current_a, rtol=1e-11)


def test_large_v0_is_the_linear_array():
    array = ResistiveArray(np.full((8, 8), 1e-4), 5, 5)
    voltage = np.linspace(0, 0.2, 8)
    linear = solve_array(array, voltage).output_current_a
    # sinh(x)/x - 1 = x²/6 with x = 0.2/1e4.
    got = solve_sinh_array(array, 1e4, voltage).output_current_a
    np.testing.assert_allclose(got, linear, rtol=(0.2 / 1e4) ** 2 / 6 + 1e-13)


@pytest.mark.parametrize(
    ("v0", "voltage", "words"),
    [
        (0.0, [0.1, 0.1], "positive"),
        (np.ones(3), [0.1, 0.1], "shape"),
        (0.001, [0.1, 0.1], "50 V0"),
        (0.1, [0.1], "2 rows"),
    ],
)
def test_refuses(v0, voltage, words):
    with pytest.raises(UsageError, match=words):
        solve_sinh_array(ResistiveArray(np.ones((2, 2))), v0, voltage)
