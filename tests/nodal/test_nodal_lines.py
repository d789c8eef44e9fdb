"""The numpy-only line solver against the sparse direct solver."""

import ast
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from imccircuit.nodal import ResistiveArray, lines, solve_array, solve_sinh_array

NAMES = ("r_row_ohm", "r_col_ohm", "r_driver_ohm", "r_sense_ohm")
# The solver promises 1e-10 (its constants); 1e-9 leaves room for the other's rounding.
TOLERANCE = 1e-9


def compare(conductance, voltage, r, v0=None):
    array = ResistiveArray(conductance, *r)
    linear = v0 is None
    wanted = solve_array(array, voltage) if linear else solve_sinh_array(array, v0, voltage)
    options = dict(zip(NAMES, r, strict=True))
    current, cell = lines.solve_lines(conductance, voltage, v0_v=v0, **options)
    scale = np.max(np.abs(wanted.output_current_a))
    assert np.max(np.abs(current - wanted.output_current_a)) <= TOLERANCE * scale
    worst = np.max(np.abs(cell - wanted.cell_voltage_v))
    assert worst <= TOLERANCE * np.max(np.abs(voltage))


@pytest.mark.parametrize("r", list(product((0.0, 7.0), (0.0, 3.0), (0.0, 100.0), (0.0, 20.0))))
@pytest.mark.parametrize("v0", [None, 0.05])
def test_every_combination_of_ideal_wires(r, v0):
    rng = np.random.default_rng(1)
    conductance = rng.uniform(0, 1e-3, (5, 9))
    conductance[rng.random((5, 9)) < 0.2] = 0.0
    compare(conductance, rng.uniform(-0.3, 0.3, (3, 5)), r, v0)


def test_per_cell_v0_and_a_zero_vector():
    rng = np.random.default_rng(2)
    voltage = rng.uniform(-0.3, 0.3, (3, 7))
    voltage[1] = 0.0
    conductance, v0 = rng.uniform(1e-6, 1e-4, (7, 4)), rng.uniform(0.05, 0.3, (7, 4))
    compare(conductance, voltage, (5, 3, 0, 0), v0)
    compare(conductance, np.zeros((2, 7)), (5, 3, 0, 0))


@pytest.mark.parametrize(
    ("size", "r", "g"), [(128, 5.0, 1e-4), (64, 0.01, 1e-4), (64, 500.0, 1e-3)]
)
@pytest.mark.parametrize("v0", [None, 0.1])
def test_extreme(size, r, g, v0):
    """All cells on at 128×128; wires far better than cells; wires as bad as cells."""
    voltage = np.random.default_rng(3).uniform(0, 0.3, (1, size))
    compare(np.full((size, size), g), voltage, (r, r, 0, 0), v0)


def test_steep_cells_need_damping():
    rng = np.random.default_rng(4)
    compare(rng.uniform(1e-6, 1e-4, (8, 8)), np.full((1, 8), 0.4), (5, 5, 50, 50), 0.01)


RISE = 3e7
"""ohm/A: about that of a minimum-size transistor of 5 kohm with 0.4 V of overdrive."""


def test_a_cell_whose_resistance_rises_is_a_quadratic_equation():
    g, volts = np.array([[5e-5]]), np.array([[0.2], [-0.2], [0.0]])
    current, cell = lines.solve_lines(g, volts, r_driver_ohm=100.0, r_sense_ohm=50.0,
                                      r_rise_ohm_per_a=RISE)  # fmt: skip
    ohm = 1 / 5e-5 + 150.0
    root = (-ohm + np.sqrt(ohm**2 + 4 * RISE * 0.2)) / (2 * RISE)
    np.testing.assert_allclose(current[:, 0], [root, -root, 0.0], rtol=1e-9)
    np.testing.assert_allclose(cell[:, 0, 0], volts[:, 0] - 150.0 * current[:, 0], rtol=1e-9)


def test_an_array_of_such_cells_is_one_of_the_resistors_that_they_are():
    """The linear solver with each cell's V/I, found by repetition: it shrinks tenfold a turn."""
    rng = np.random.default_rng(6)
    g, volts = rng.uniform(1e-6, 4e-5, (6, 5)), rng.uniform(0.02, 0.2, (1, 6))
    r = (5.0, 7.0, 100.0, 30.0)
    current, cell = lines.solve_lines(
        g, volts, **dict(zip(NAMES, r, strict=True)), r_rise_ohm_per_a=RISE
    )
    as_resistors = g
    for _ in range(30):
        found = solve_array(ResistiveArray(as_resistors, *r), volts)
        as_resistors = 1 / (1 / g + RISE * as_resistors * np.abs(found.cell_voltage_v[0]))
    np.testing.assert_allclose(current, found.output_current_a, rtol=TOLERANCE)
    np.testing.assert_allclose(cell, found.cell_voltage_v, rtol=TOLERANCE)
    with pytest.raises(ValueError, match="not both"):
        lines.solve_lines(g, volts, v0_v=0.1, r_rise_ohm_per_a=RISE)


def test_imports_numpy_alone():
    tree = ast.parse(Path(lines.__file__).read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    assert found - set(sys.stdlib_module_names) == {"numpy"}


def test_refuses_and_gives_up():
    with pytest.raises(ValueError, match="do not fit"):
        lines.solve_lines(np.ones((2, 2)), np.ones((1, 3)))
    with pytest.raises(RuntimeError, match="converge"):
        lines.solve_lines(np.ones((2, 2)), np.full((1, 2), np.nan), r_row_ohm=1.0)
