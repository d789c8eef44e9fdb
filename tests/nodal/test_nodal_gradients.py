"""Effective conductance, port admittance and gradients."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.nodal import (
    CellLaw,
    ResistiveArray,
    conductance_gradient,
    direct,
    effective_conductance,
    port_admittance,
    solve_array,
    solve_nonlinear,
)
from imccircuit.nodal.solve import turned

LAWS = {"linear": CellLaw(), "sinh": CellLaw.sinh(0.08), "rise": CellLaw.rise(3e7)}
ENDS = {
    "near": {},
    "far drivers": {"r_driver_far_ohm": 40.0},
    "far sense": {"r_sense_far_ohm": 30.0},
    "four ends": {"r_driver_far_ohm": 40.0, "r_sense_far_ohm": 30.0},
}


def some_array(rng, shape, ends):
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-3), shape))
    g[rng.random(shape) < 0.1] = 0.0
    return ResistiveArray(g, rng.uniform(1, 9, shape), rng.uniform(1, 9, shape), 20.0, 10.0, **ends)


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (12, 7), (7, 12)])
def test_effective_conductance_and_admittance(shape, ends):
    array = some_array(np.random.default_rng(1), shape, ends)
    wanted = solve_array(array, np.eye(shape[0])).output_current_a
    assert np.max(np.abs(effective_conductance(array) - wanted)) <= 1e-10 * np.max(wanted)
    # 1 V at sense end j: the turned array's word lines, whose currents are their cells' sums.
    side = turned(array)
    cell = solve_array(side, np.eye(shape[1])).cell_voltage_v * side.conductance_s
    ports = cell.sum(axis=2)[::-1, ::-1]
    assert np.max(np.abs(port_admittance(array) - ports)) <= 1e-10 * np.max(np.abs(ports))


@pytest.mark.parametrize("wires", [(1e-3, 1e-3), (1e-3, 1e4), (1e4, 1e4)])
def test_elimination_of_badly_scaled_arrays(wires):
    rng = np.random.default_rng(2)
    array = ResistiveArray(np.exp(rng.uniform(np.log(1e-9), np.log(1e-2), (20, 15))), *wires)
    wanted = solve_array(array, np.eye(20)).output_current_a
    matrix, admittance = direct._eliminate(array)
    assert np.max(np.abs(matrix - wanted)) <= 1e-10 * np.max(wanted)
    np.testing.assert_array_equal(admittance, admittance.T)


def test_an_elimination_that_went_wrong_is_found_out(monkeypatch):
    array = some_array(np.random.default_rng(3), (9, 5), {})
    wanted = solve_array(array, np.eye(9)).output_current_a
    honest = direct._eliminate
    monkeypatch.setattr(direct, "_eliminate", lambda a: tuple(1.001 * x for x in honest(a)))
    assert np.max(np.abs(effective_conductance(array) - wanted)) <= 1e-10 * np.max(wanted)
    cells = port_admittance(array)
    assert np.max(np.abs(cells - honest(array)[1])) <= 1e-10 * np.max(cells)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("ends", [ENDS["near"], ENDS["four ends"]], ids=["near", "four ends"])
@pytest.mark.parametrize("lifted", [0.0, 0.05])
def test_gradient_is_that_of_finite_differences(ends, law, lifted):
    rng = np.random.default_rng(4)
    shape = (5, 4)
    array = some_array(rng, shape, ends)
    g = np.maximum(array.conductance_s, 1e-6)
    voltage, weight = rng.uniform(-0.3, 0.3, (3, 5)), rng.uniform(-1, 1, (3, 4))
    ends = {"r_driver_ohm": 20.0, "r_sense_ohm": 10.0, **ends}
    sense = lifted * rng.uniform(-1, 1, 4)

    def make(conductance):
        return ResistiveArray(conductance, array.r_row_ohm, array.r_col_ohm, **ends)

    def loss(conductance):
        solved = solve_nonlinear(make(conductance), law, voltage, sense)
        return np.sum(weight * solved.output_current_a)

    got = conductance_gradient(make(g), voltage, weight, law, sense)
    # Steps of 1e-4 of G: 1e-8 of curvature, and 1e-16/1e-4 of rounding.
    wanted = np.empty(shape)
    for cell in np.ndindex(shape):
        step = np.zeros(shape)
        step[cell] = 1e-4 * g[cell]
        wanted[cell] = (loss(g + step) - loss(g - step)) / (2 * step[cell])
    rounding = 1e-15 * np.max(np.abs(loss(g))) / (1e-4 * g)
    assert np.all(np.abs(got - wanted) <= 1e-6 * np.max(np.abs(wanted)) + 10 * rounding)


def test_gradient_of_an_open_cell_is_that_of_the_first_siemens_in_it():
    rng = np.random.default_rng(5)
    g = rng.uniform(1e-5, 1e-4, (4, 4))
    g[1, 2] = 0.0
    voltage, weight = rng.uniform(-0.3, 0.3, (1, 4)), np.ones((1, 4))
    r = (3.0, 4.0, 10.0, 10.0)
    more = g.copy()
    more[1, 2] = 1e-9
    for law in LAWS.values():
        before, after = (
            np.sum(solve_nonlinear(ResistiveArray(x, *r), law, voltage).output_current_a)
            for x in (g, more)
        )
        got = conductance_gradient(ResistiveArray(g, *r), voltage, weight, law)[1, 2]
        np.testing.assert_allclose(got, (after - before) / 1e-9, rtol=1e-4)


@pytest.mark.parametrize(
    ("weight", "words"), [(np.ones((1, 3)), "shape (1, 2)"), (np.full((1, 2), np.nan), "finite")]
)
def test_refuses(weight, words):
    with pytest.raises(UsageError) as caught:
        conductance_gradient(ResistiveArray(np.ones((2, 2)), 1.0, 1.0), np.ones((1, 2)), weight)
    assert words in str(caught.value)
