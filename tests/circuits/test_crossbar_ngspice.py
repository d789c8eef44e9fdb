"""The crossbar's netlist solved by ngspice, against nodal analysis and hand calculation.

ngspice is called here directly, so that these tests judge the netlist and not the engine.
"""

import json
import re
import shutil
import subprocess
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from imccircuit import library
from imccircuit.circuits.crossbar import (
    cell_voltage_vectors,
    crossbar,
    output_current_vectors,
    output_voltage_vectors,
)
from imccircuit.circuits.crossbar_parts import SinhCell, TiaReadout, TransistorCell
from imccircuit.nodal import ResistiveArray, solve_array, solve_sinh_array
from imccircuit.nodal.solve import turned

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed"),
]

CASES = json.loads((Path(__file__).parents[1] / "golden" / "crossbar_hand.json").read_text())[
    "cases"
]
# Newton ends when two iterations agree to reltol; it converges quadratically, so at 1e-6 what is
# left is rounding. A linear array needs no option.
TIGHT = "reltol=1e-6"
PAPER = "reltol=1e-9 vntol=1e-12 abstol=1e-16"


@pytest.fixture
def operating_point(tmp_path):
    def run(circuit, vectors, options=""):
        deck = tmp_path / "deck.cir"
        deck.write_text(f"{circuit}.options klu {options}\n.save all\n.op\n.end\n")
        done = subprocess.run(
            ["ngspice", "-b", "-n", "-r", "out.raw", deck.name],
            check=False, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
        raw = tmp_path / "out.raw"
        assert raw.is_file(), done.stderr
        header, _, body = raw.read_bytes().partition(b"Binary:\n")
        names = re.findall(r"^\t\d+\t(\S+)\t", header.decode(), re.MULTILINE)
        values = np.frombuffer(body)
        assert len(values) == len(names)  # one point
        known = dict(zip(names, values, strict=True))
        return np.array([known[vector] for vector in vectors])

    return run


def close(got, wanted, relative):
    assert np.max(np.abs(got - wanted)) <= relative * np.max(np.abs(wanted))


def random_array(rng, rows, cols, r):
    conductance = rng.choice([1e-6, 1e-4], (rows, cols)) * rng.uniform(0.9, 1.1, (rows, cols))
    return ResistiveArray(conductance, *r)


def currents_and_cells(run, array, circuit, options=""):
    cols = array.shape[1]
    word, bit = cell_voltage_vectors(array)
    values = run(circuit, output_current_vectors(cols) + word + bit, options)
    sides = values[cols:].reshape(2, *array.shape)
    return values[:cols], sides[0] - sides[1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_hand_solved(operating_point, case):
    ohm = np.array(case["cell_ohm"], dtype=float)
    array = ResistiveArray(np.where(np.isnan(ohm), 0.0, 1.0 / ohm), *case["r"])
    got = currents_and_cells(operating_point, array, crossbar(array, case["voltage"]))
    # Rounding of a few additions; ngspice reads decimal numbers to a few units in the last place.
    close(got[0], np.array([float(Fraction(x)) for x in case["current"]]), 1e-14)
    cells = [[float(Fraction(x)) for x in line] for line in case["cell_voltage"]]
    close(got[1], np.array(cells), 1e-14)


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("r", [(5, 3, 0, 0), (5, 3, 100, 20)])
def test_linear_against_nodal(operating_point, size, r):
    rng = np.random.default_rng(size)
    array, voltage = random_array(rng, size, size, r), rng.uniform(-0.3, 0.3, size)
    current, cell = currents_and_cells(operating_point, array, crossbar(array, voltage))
    wanted = solve_array(array, voltage)
    close(current, wanted.output_current_a[0], 1e-10)
    close(cell, wanted.cell_voltage_v[0], 1e-10)
    np.testing.assert_allclose(current, wanted.output_current_a[0], rtol=1e-8)


@pytest.mark.parametrize("r", list(product((0, 7), (0, 3), (0, 100), (0, 20))))
def test_every_combination_of_ideal_wires(operating_point, r):
    rng = np.random.default_rng(7)
    conductance = rng.uniform(1e-6, 1e-4, (5, 4))
    conductance[2, :] = 0  # an open row and an open column: nothing may float
    conductance[:, 1] = 0
    array, voltage = ResistiveArray(conductance, *r), rng.uniform(-0.3, 0.3, 5)
    current, cell = currents_and_cells(operating_point, array, crossbar(array, voltage))
    wanted = solve_array(array, voltage)
    close(current, wanted.output_current_a[0], 1e-12)
    close(cell, wanted.cell_voltage_v[0], 1e-12)


@pytest.mark.parametrize(("size", "v0"), [(32, 0.25), (32, 0.05), (64, 0.1)])
def test_sinh_against_newton(operating_point, size, v0):
    rng = np.random.default_rng(size)
    array, voltage = random_array(rng, size, size, (5, 3, 0, 0)), rng.uniform(-0.3, 0.3, size)
    law = v0 * rng.uniform(0.8, 1.2, array.shape)
    circuit = crossbar(array, voltage, cell=SinhCell(law))
    current, cell = currents_and_cells(operating_point, array, circuit, TIGHT)
    wanted = solve_sinh_array(array, law, voltage)
    close(current, wanted.output_current_a[0], 1e-10)
    close(cell, wanted.cell_voltage_v[0], 1e-10)


def tia_resistance(readout):
    # The amplifier holds out at -A·v, so the feedback takes (1 + A)·v/Rf; Rin takes v/Rin.
    return 1 / (1 / readout.r_in_ohm + (1 + readout.gain) / readout.r_feedback_ohm)


@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize(
    "readout", [TiaReadout(100.0, 1e3), TiaReadout(1e4, 1e4), TiaReadout(1e3, 2e4, 200.0)]
)
def test_tia_is_a_sense_resistance(operating_point, size, readout):
    """Ten digits, KLU included: a reference node in the amplifier once cost all but six."""
    rng = np.random.default_rng(size)
    array, voltage = random_array(rng, size, size, (5, 3, 10, 7)), rng.uniform(-0.3, 0.3, size)
    vectors = output_current_vectors(size) + output_voltage_vectors(size)
    got = operating_point(crossbar(array, voltage, readout=readout), vectors)
    z = tia_resistance(readout)
    seen = ResistiveArray(array.conductance_s, 5, 3, 10, 7 + z)
    current = solve_array(seen, voltage).output_current_a[0]
    close(got[:size], current, 1e-10)
    close(got[size:], -readout.gain * z * current, 1e-10)


def test_tia_offset_drives_the_bit_lines(operating_point):
    """Superposition: the drivers, and each amplifier as a source at the end of its bit line."""
    size, rng = 16, np.random.default_rng(5)
    array, voltage = random_array(rng, size, size, (5, 3, 10, 7)), rng.uniform(-0.3, 0.3, size)
    offset = rng.normal(0, 2e-3, size)
    readout = TiaReadout(1e3, 1e4, 500.0, offset)
    got = operating_point(crossbar(array, voltage, readout=readout), output_current_vectors(size))
    # Open circuit: the input sits between out = A·(vos - v) behind Rf and Rin to ground, so
    # v·(1/Rin + (1 + A)/Rf) = A·vos/Rf.
    z = tia_resistance(readout)
    open_v = z * readout.gain * offset / readout.r_feedback_ohm
    seen = ResistiveArray(array.conductance_s, 5, 3, 10, 7 + z)
    back = turned(seen)  # its rows are the bit lines, last column first
    cells = solve_array(back, open_v[::-1]).cell_voltage_v[0] * back.conductance_s
    wanted = solve_array(seen, voltage).output_current_a[0] - cells.sum(axis=1)[::-1]
    close(got, wanted, 1e-10)


def test_1t1r_level_1_by_hand(operating_point):
    """Ideal wires: each cell is R in series with a triode transistor, a quadratic equation."""
    rng = np.random.default_rng(6)
    conductance, voltage = rng.uniform(1e-5, 1e-4, (4, 4)), np.array([0.05, 0.1, 0.15, 0.2])
    width, length, kp, threshold, gate = 2e-6, 1e-6, 1e-4, 0.4, 1.2
    model = f".model nsimple nmos level=1 vto={threshold} kp={kp} lambda=0 gamma=0 is=1e-30"
    cell = TransistorCell("nsimple", gate, width, length, lib_text=model)
    circuit = crossbar(ResistiveArray(conductance), voltage, cell=cell)
    got = operating_point(circuit, output_current_vectors(4), PAPER + " gmin=1e-18")
    # beta·(vov·x - x²/2) = G·(v - x) for the drain voltage x.
    beta, overdrive, v = kp * width / length, gate - threshold, voltage[:, None]
    slope = beta * overdrive + conductance
    x = (slope - np.sqrt(slope**2 - 2 * beta * conductance * v)) / beta
    # PAPER's reltol; the square root cancels about three digits less than that leaves.
    close(got, (conductance * (v - x)).sum(axis=0), 1e-9)


def test_1t1r_bsim4_cells_are_independent_with_ideal_wires(operating_point):
    rng = np.random.default_rng(8)
    conductance, voltage = rng.uniform(1e-5, 1e-4, (4, 4)), np.full(4, 0.2)
    shift = rng.normal(0, 0.03, (4, 4))
    lib = library.find("device_models", "mos_generic", ".lib")

    def current(g, v, delta, mobility=None):
        cell = TransistorCell("imc_nmos", 1.2, 1e-7, 6e-8, lib, "tt", "", delta, mobility)
        circuit = crossbar(ResistiveArray(g), v, cell=cell)
        return operating_point(circuit, output_current_vectors(g.shape[1]), PAPER)

    whole = current(conductance, voltage, shift)
    single = np.zeros(4)
    for i, j in product(range(4), range(4)):
        single[j] += current(conductance[i : i + 1, j : j + 1], [0.2], shift[i, j])[0]
    close(whole, single, 1e-9)  # PAPER's reltol
    # Below the resistors alone, above half of them: the transistor is a switch that is on.
    ceiling = voltage @ conductance
    assert np.all(whole < ceiling)
    assert np.all(whole > 0.5 * ceiling)
    assert np.all(current(conductance, voltage, shift + 0.05) < whole)
    assert np.all(current(conductance, voltage, shift, 1.2) > whole)
