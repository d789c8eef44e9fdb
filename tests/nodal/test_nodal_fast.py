"""The compiled solver against the sparse direct one and the numpy solver of lines."""

import numpy as np
import pytest

from imccircuit.errors import EngineError, UsageError
from imccircuit.nodal import (
    CellLaw,
    ResistiveArray,
    fast,
    newton,
    solve_array,
    solve_currents,
    solve_fast,
    solve_nonlinear,
)
from imccircuit.nodal.cells import LINEAR
from imccircuit.nodal.lines import solve_lines

# What the solver promises, see `solve_fast`, and as much again for the rounding of the other one.
VOLTAGE, CURRENT = 2e-11, 2e-10
LAWS = {"linear": LINEAR, "sinh": CellLaw.sinh(0.08), "rise": CellLaw.rise(3e7)}


def exact(array, voltage, law):
    if law.linear:
        return solve_array(array, voltage)
    return solve_nonlinear(array, law, voltage)


def agree(array, voltage, law=LINEAR, direct=False):
    """Compiled against direct solver, and that the compiled one did it unless ``direct``."""
    wanted, got = exact(array, voltage, law), solve_fast(array, voltage, law)
    scale = np.max(np.abs(voltage), axis=1)[:, None, None]
    for name in ("row_node_v", "col_node_v", "cell_voltage_v"):
        worst = np.abs(getattr(got, name) - getattr(wanted, name))
        assert np.all(worst <= VOLTAGE * scale), name
    most = np.max(np.abs(wanted.output_current_a), axis=1)[:, None]
    for current in (got.output_current_a, solve_currents(array, voltage, law)):
        assert np.all(np.abs(current - wanted.output_current_a) <= CURRENT * most)
    none = np.empty((0, *array.shape))
    failed = fast._solve_compiled(array, voltage, law, np.zeros(array.shape[1]), none, none)[1]
    assert np.any(failed) == direct


def random_array(rng, rows, cols, r, low=1e-6, high=1e-4, open_share=0.1):
    g = np.exp(rng.uniform(np.log(low), np.log(high), (rows, cols)))
    g[rng.random((rows, cols)) < open_share] = 0.0
    return ResistiveArray(g, *r)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 13), (13, 1), (8, 8), (17, 5), (5, 23), (16, 31)])
def test_shapes(shape, law):
    rng = np.random.default_rng(sum(shape))
    voltage = rng.uniform(-0.3, 0.3, (3, shape[0]))
    agree(random_array(rng, *shape, (5.0, 3.0, 100.0, 20.0)), voltage, law)


@pytest.mark.parametrize("law", [LINEAR, LAWS["sinh"]], ids=["linear", "sinh"])
def test_wires_far_better_than_their_ends(law):
    """Two steps alone leave 1e-9 there: each shrinks the error by less than its precision."""
    rng = np.random.default_rng(6)
    g = rng.uniform(1e-6, 1e-4, (128, 128))
    agree(ResistiveArray(g, 1e-3, 1e-3, 100.0, 50.0), rng.uniform(0, 0.2, (1, 128)), law)


@pytest.mark.parametrize("law", [LINEAR, LAWS["sinh"]], ids=["linear", "sinh"])
def test_more_lines_than_a_vector_has_lanes(law):
    rng = np.random.default_rng(5)
    array = random_array(rng, 130, 150, (5.0, 3.0, 100.0, 20.0))
    agree(array, rng.uniform(-0.3, 0.3, (1, 130)), law)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("wires", [(1e-3, 1e-3), (1e-3, 1e4), (1e4, 1e-3), (1e4, 1e4)])
def test_badly_scaled(wires, law):
    """Cells over seven decades in wires over seven decades: a loop of the answer's own error."""
    rng = np.random.default_rng(7)
    array = random_array(rng, 19, 12, (*wires, 0.0, 0.0), 1e-9, 1e-2, 0.2)
    agree(array, rng.uniform(-0.3, 0.3, (2, 19)), law)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_open_and_shorted_lines(law):
    rng = np.random.default_rng(8)
    g = rng.uniform(1e-6, 1e-4, (11, 9))
    g[3], g[:, 4], g[5, 6] = 0.0, 0.0, 0.1
    agree(ResistiveArray(g, 5.0, 3.0, 50.0, 50.0), rng.uniform(-0.3, 0.3, (2, 11)), law)
    nothing = ResistiveArray(np.zeros((3, 2)), 1.0, 1.0)
    assert np.all(solve_currents(nothing, np.ones((1, 3)), law) == 0.0)


def test_a_short_far_better_than_its_wires():
    """A unit in the last place of 0.3 V is 1e-9 of the current in 1 kS; the line's end knows it."""
    rng = np.random.default_rng(14)
    g = rng.uniform(1e-6, 1e-4, (11, 9))
    g[5, 6] = 1e3
    array, voltage = ResistiveArray(g, 1e3, 1e3), rng.uniform(-0.3, 0.3, (2, 11))
    none = np.empty((0, *array.shape))
    current, failed = fast._solve_compiled(
        array, voltage, LINEAR, np.zeros(array.shape[1]), none, none
    )
    assert not np.any(failed)
    solution = solve_array(array, voltage)
    wanted = solution.col_node_v[:, -1] / 1e3
    assert np.max(np.abs(current - wanted)) <= CURRENT * np.max(np.abs(wanted))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("r", [(0.0, 3.0, 9.0, 2.0), (5.0, 0.0, 0.0, 2.0), (0.0, 0.0, 0.0, 0.0)])
def test_ideal_wires_are_solved_elsewhere(r, law):
    rng = np.random.default_rng(9)
    array, voltage = random_array(rng, 6, 7, r), rng.uniform(-0.3, 0.3, (2, 6))
    wanted = exact(array, voltage, law).output_current_a
    most = np.max(np.abs(wanted))
    assert np.max(np.abs(solve_currents(array, voltage, law) - wanted)) <= CURRENT * most
    assert np.max(np.abs(solve_fast(array, voltage, law).output_current_a - wanted)) <= 1e-15 * most


def test_rise_against_the_solver_of_lines():
    rng = np.random.default_rng(10)
    g, voltage = rng.uniform(1e-6, 4e-5, (9, 6)), rng.uniform(-0.2, 0.2, (4, 9))
    names = ("r_row_ohm", "r_col_ohm", "r_driver_ohm", "r_sense_ohm")
    r = dict(zip(names, (5.0, 7.0, 100.0, 30.0), strict=True))
    wanted, cell = lines_answer = solve_lines(g, voltage, **r, r_rise_ohm_per_a=3e7)
    assert len(lines_answer) == 2
    got = solve_fast(ResistiveArray(g, **r), voltage, CellLaw.rise(3e7))
    assert np.max(np.abs(got.output_current_a - wanted)) <= CURRENT * np.max(np.abs(wanted))
    assert np.max(np.abs(got.cell_voltage_v - cell)) <= 1e-10 * 0.2


def test_batches_are_split_alike_whatever_the_threads(monkeypatch):
    import numba

    rng = np.random.default_rng(11)
    array, voltage = random_array(rng, 9, 9, (5.0, 5.0)), rng.uniform(0, 0.3, (50, 9))
    voltage[3], voltage[20] = 0.0, voltage[19]
    for law in LAWS.values():
        answers = []
        for threads in (1, 4):
            monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
            answers.append(solve_currents(array, voltage, law))
        np.testing.assert_array_equal(*answers)
        agree(array, voltage, law)
    alone = solve_currents(array, voltage[17])
    np.testing.assert_array_equal(alone[0], solve_currents(array, voltage)[17])


def test_kirchhoff_holds_as_reported():
    rng = np.random.default_rng(12)
    array, voltage = random_array(rng, 9, 14, (5.0, 5.0)), rng.uniform(0, 0.3, (2, 9))
    # Errors of 1e-11 of 0.3 V through 5 ohm; a solution off by 1 % leaves 1e-6 A and more.
    assert 0 < solve_fast(array, voltage).kcl_residual_a <= 4 * 1e-11 * 0.3 / 5


def test_what_does_not_converge_is_solved_directly_or_refused(monkeypatch):
    rng = np.random.default_rng(13)
    array, voltage = random_array(rng, 9, 9, (5.0, 5.0)), rng.uniform(0, 0.3, (2, 9))
    monkeypatch.setattr(newton, "_MOST_STEPS", 1)
    for law in LAWS.values():
        agree(array, voltage, law, direct=True)
    monkeypatch.setattr("imccircuit.nodal.sinh._MAX_STEPS", 1)
    with pytest.raises(EngineError, match="converge"):
        solve_currents(array, voltage, LAWS["sinh"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CellLaw.sinh(0.0), "positive"),
        (lambda: CellLaw.rise(-1.0), "not negative"),
        (lambda: solve_currents(ResistiveArray(np.ones((2, 2)), 1.0, 1.0), [1.0]), "2 rows"),
        (
            lambda: solve_fast(
                ResistiveArray(np.ones((2, 2)), 1.0, 1.0), [1.0, 1.0], CellLaw.sinh(np.ones(2))
            ),
            "of shape (2, 2)",
        ),
        (
            lambda: solve_currents(
                ResistiveArray(np.ones((1, 1)), 1.0, 1.0), [6.0], CellLaw.sinh(0.1)
            ),
            "50 V0",
        ),
    ],
)
def test_refuses(make, words):
    with pytest.raises(UsageError) as caught:
        make()
    assert words in str(caught.value)
