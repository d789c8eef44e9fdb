"""Wires that differ, ends that differ, and lines with two ends."""

import subprocess

import numpy as np
import pytest

from imccircuit.circuits.crossbar import crossbar
from imccircuit.errors import UsageError
from imccircuit.nodal import CellLaw, ResistiveArray, solve_array, solve_fast, solve_nonlinear


def lopsided(rng, rows, cols):
    """Array in which every resistance differs and most lines have two ends."""
    far_w, far_b = rng.uniform(1, 100, rows), rng.uniform(1, 100, cols)
    far_w[0] = far_b[-1] = np.inf
    return ResistiveArray(
        rng.uniform(1e-6, 1e-4, (rows, cols)),
        r_row_ohm=rng.uniform(0.5, 50, (rows, cols)),
        r_col_ohm=rng.uniform(0.5, 50, (rows, cols)),
        r_driver_ohm=rng.uniform(0, 300, rows),
        r_sense_ohm=rng.uniform(0, 300, cols),
        r_driver_far_ohm=far_w,
        r_sense_far_ohm=far_b,
    )


def test_one_cell_between_four_ends():
    """Two drivers of 2+3 and 5 ohm in parallel, a cell of 1 kohm, ends of 4+6 and 10 ohm."""
    array = ResistiveArray(np.array([[1e-3]]), 2, 4, 3, 6, 5, 10)
    for solve in (solve_array, solve_fast):
        got = solve(array, [1.0])
        np.testing.assert_allclose(got.output_current_a, [[1 / 1007.5]], rtol=1e-11)
        np.testing.assert_allclose(got.col_node_v, [[[5 / 1007.5]]], rtol=1e-10)


def test_a_word_line_driven_from_both_sides_is_a_divider():
    """No cell conducts but the middle one of three: 10+1+1 ohm one way and 1+7 the other."""
    array = ResistiveArray(
        np.array([[0.0, 0.5, 0.0]]),
        r_row_ohm=np.array([[1.0, 1.0, 1.0]]),
        r_driver_ohm=10.0,
        r_driver_far_ohm=7.0,
        r_sense_ohm=np.array([1.0, 3.0, 2.0]),
    )
    wanted = 1 / (12 * 8 / 20 + 2 + 3)
    np.testing.assert_allclose(solve_array(array, [1.0]).output_current_a, [[0, wanted, 0]], 1e-14)


def test_numbers_are_arrays_of_them():
    rng = np.random.default_rng(1)
    g, voltage = rng.uniform(1e-6, 1e-4, (5, 4)), rng.uniform(-0.3, 0.3, (2, 5))
    plain = ResistiveArray(g, 5.0, 3.0, 100.0, 20.0)
    spelt = ResistiveArray(
        g, np.full((5, 4), 5.0), np.full((5, 4), 3.0), np.full(5, 100.0), np.full(4, 20.0)
    )
    assert plain.uniform
    assert not spelt.uniform
    for solve in (solve_array, solve_fast):
        np.testing.assert_array_equal(
            solve(plain, voltage).output_current_a, solve(spelt, voltage).output_current_a
        )


@pytest.mark.parametrize("law", [CellLaw(), CellLaw.sinh(0.08), CellLaw.rise(3e7)])
@pytest.mark.parametrize("shape", [(9, 6), (6, 17), (1, 4)])
def test_lopsided_arrays(shape, law):
    rng = np.random.default_rng(2)
    array, voltage = lopsided(rng, *shape), rng.uniform(-0.3, 0.3, (2, shape[0]))
    wanted = solve_array(array, voltage) if law.linear else solve_nonlinear(array, law, voltage)
    got = solve_fast(array, voltage, law)
    most = np.max(np.abs(wanted.output_current_a))
    assert np.max(np.abs(got.output_current_a - wanted.output_current_a)) <= 2e-10 * most
    assert np.max(np.abs(got.row_node_v - wanted.row_node_v)) <= 2e-11 * 0.3


@pytest.mark.ngspice
def test_lopsided_array_in_ngspice(tmp_path):
    """The same circuit, each resistor written out, with 1e-9 of the largest current."""
    rng = np.random.default_rng(3)
    rows, cols = 4, 3
    array, voltage = lopsided(rng, rows, cols), rng.uniform(-0.3, 0.3, rows)
    deck = ["lopsided", ".options reltol=1e-9 abstol=1e-18 vntol=1e-15 gmin=0"]
    count = 0

    def resistor(a, b, ohm):
        nonlocal count
        count += 1
        if np.isfinite(ohm):
            deck.append(f"r{count} {a} {b} {float(ohm)!r}")

    for i in range(rows):
        deck.append(f"vin{i} in{i} 0 {float(voltage[i])!r}")
        resistor(f"w{i}_{cols - 1}", f"in{i}", array.r_driver_far_ohm[i])
        for j in range(cols):
            driver = 0.0 if j else array.r_driver_ohm[i]
            resistor(
                f"w{i}_{j - 1}" if j else f"in{i}", f"w{i}_{j}", array.r_row_ohm[i, j] + driver
            )
            resistor(f"w{i}_{j}", f"b{i}_{j}", 1 / array.conductance_s[i, j])
            last = i + 1 == rows
            sense = array.r_sense_ohm[j] if last else 0.0
            after = f"s{j}" if last else f"b{i + 1}_{j}"
            resistor(f"b{i}_{j}", after, array.r_col_ohm[i, j] + sense)
    for j in range(cols):
        resistor(f"b0_{j}", f"s{j}", array.r_sense_far_ohm[j])
        deck.append(f"vs{j} s{j} 0 0")
    deck += [".control", "set numdgt=15", "op"]
    deck += [f"print i(vs{j})" for j in range(cols)] + ["quit", ".endc", ".end", ""]
    path = tmp_path / "lopsided.cir"
    path.write_text("\n".join(deck))
    said = subprocess.run(
        ["ngspice", "-b", str(path)], capture_output=True, text=True, check=False, timeout=60
    ).stdout
    got = [float(line.split("=")[1]) for line in said.splitlines() if line.startswith("i(vs")]
    wanted = solve_array(array, voltage).output_current_a[0]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-9 * np.max(np.abs(wanted)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"r_row_ohm": np.ones(3)}, "of shape (2, 3)"),
        ({"r_col_ohm": np.zeros((2, 3))}, "all be positive"),
        ({"r_driver_ohm": np.array([1.0, -1.0])}, "not negative"),
        ({"r_sense_far_ohm": 0.0}, "infinite where there is no far end"),
        ({"r_driver_far_ohm": np.nan}, "infinite where there is no far end"),
        ({"r_sense_ohm": "x"}, "must be a number"),
    ],
)
def test_refuses_resistances(options, words):
    with pytest.raises(UsageError) as caught:
        ResistiveArray(np.ones((2, 3)), **options)
    assert words in str(caught.value)


def test_refuses_what_others_cannot_build():
    mixed = ResistiveArray(np.ones((2, 3)), r_driver_ohm=np.array([0.0, 1.0]))
    with pytest.raises(UsageError, match="all are 0 or none is"):
        solve_array(mixed, [1.0, 1.0])
    with pytest.raises(UsageError, match="one resistance for all"):
        crossbar(lopsided(np.random.default_rng(4), 2, 2), np.ones(2))
