"""Power that goes into a crossbar: by hand, and as what all its resistors turn into heat."""

import numpy as np
import pytest
from driving import measure

from imccircuit.benches.crossbar_mvm import BENCH
from imccircuit.benches.crossbar_parameters import CrossbarParameters
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.engines.nodal import NodalEngine

pytestmark = pytest.mark.ngspice

SIEMENS = 1e-6 * np.array([[10, 40], [20, 30], [50, 5]])
VOLTS = np.array([[0.1, 0.2, 0.05], [0.0, 0.1, 0.2], [0.2, 0.2, 0.2]])
NO_WIRES = {"row_segment_resistance": 0.0, "column_segment_resistance": 0.0}


def run(engine, volts=VOLTS, siemens=SIEMENS, power=True, **circuit):
    given = {"circuit": {"conductances": siemens, **circuit},
             "stimulus": {"voltages": volts, "cell_voltages": False, "power": power}}  # fmt: skip
    return measure(
        BENCH, CrossbarParameters.model_validate(given, context={"trusted": True}), engine
    )


@pytest.mark.parametrize("engine", [NgspiceEngine, NodalEngine])
def test_without_wires_every_cell_takes_the_square_of_its_voltage(engine):
    found = run(engine(), **NO_WIRES)["array_power"]
    # First vector: 0.01·50 + 0.04·50 + 0.0025·55 = 2.6375 uW.
    assert found[0] == pytest.approx(2.6375e-6, abs=1e-15)
    np.testing.assert_allclose(found, VOLTS**2 @ SIEMENS.sum(axis=1), rtol=0, atol=1e-15)


def heat(siemens, volts, r_driver, r_row, r_col, r_sense, end):
    """Power in all resistors between drivers and bit lines' ends, which ``end`` ties to voltages.

    ``end``: conductance and voltage behind it, where an amplifier is; None for 0 V.
    """
    rows, cols = siemens.shape
    word = np.arange(rows * cols).reshape(rows, cols)
    bit, foot, source = word + rows * cols, 2 * rows * cols, 2 * rows * cols + cols
    parts = [(source + i, word[i, 0], r_driver + r_row) for i in range(rows)]
    parts += [(word[i, j - 1], word[i, j], r_row) for i in range(rows) for j in range(1, cols)]
    parts += [(bit[i - 1, j], bit[i, j], r_col) for i in range(1, rows) for j in range(cols)]
    parts += [(bit[-1, j], foot + j, r_col + r_sense) for j in range(cols)]
    parts += [(word[i, j], bit[i, j], 1 / siemens[i, j]) for i in range(rows) for j in range(cols)]
    size = source + rows
    matrix, into = np.zeros((size, size)), np.zeros((size, len(volts)))
    for a, b, ohm in parts:
        matrix[[a, b], [a, b]] += 1 / ohm
        matrix[[a, b], [b, a]] -= 1 / ohm
    fixed = list(range(source, size))
    feet = np.arange(foot, source)
    if end is None:
        fixed += list(feet)
    else:
        matrix[feet, feet] += end[0]
        into[feet] += end[0] * end[1]
    known = np.zeros((size, len(volts)))
    known[source:] = volts.T
    free = np.setdiff1d(np.arange(size), fixed)
    right = into[free] - matrix[np.ix_(free, fixed)] @ known[fixed]
    known[free] = np.linalg.solve(matrix[np.ix_(free, free)], right)
    return sum((known[a] - known[b]) ** 2 / ohm for a, b, ohm in parts)


WIRES = {"row_segment_resistance": 30.0, "column_segment_resistance": 20.0,
         "driver_resistance": 50.0, "sense_resistance": 10.0}  # fmt: skip


@pytest.mark.parametrize("engine", [NgspiceEngine, NodalEngine])
def test_with_wires_it_is_the_heat_of_all_resistors(engine):
    found = run(engine(), **WIRES)["array_power"]
    wanted = heat(SIEMENS, VOLTS, 50.0, 30.0, 20.0, 10.0, None)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-15)


def test_what_goes_into_amplifiers_is_not_in_it():
    gain, feedback, offset = 100.0, 5e3, 0.03
    found = run(NgspiceEngine(), readout="tia", tia_gain=gain, tia_feedback_resistance=feedback,
                tia_offset=offset, **WIRES)["array_power"]  # fmt: skip
    # V_out = A·(V_os − V): what feeds the input back is (1 + A)/R_f to A·V_os/(1 + A).
    admittance = (1 + gain) / feedback + 1e-9
    end = (admittance, gain * offset / feedback / admittance)
    wanted = heat(SIEMENS, VOLTS, 50.0, 30.0, 20.0, 10.0, end)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)


def test_sinh_cells_take_voltage_times_current():
    found = run(NgspiceEngine(), cell="1r_sinh", sinh_voltage=0.15, **NO_WIRES)["array_power"]
    each = 0.15 * np.sinh(VOLTS / 0.15)
    np.testing.assert_allclose(found, (VOLTS * each) @ SIEMENS.sum(axis=1), rtol=0, atol=1e-14)


@pytest.mark.parametrize("readout", ["clamp_mirror", "integrator"])
def test_other_front_ends_take_what_cells_leave(readout):
    # One row: a column's current flows through one cell, which turns I²/G into heat.
    found = run(NgspiceEngine(), VOLTS[:, :1] + 0.1, SIEMENS[:1], readout=readout, **NO_WIRES)
    wanted = np.sum(found["output_current"] ** 2 / SIEMENS[0], axis=1)
    assert wanted.min() > 1e-7
    # An integrator's bit line moves, and what its line's capacitance takes is below this.
    np.testing.assert_allclose(found["array_power"], wanted, rtol=0, atol=1e-10)


def test_transistors_of_cells_are_in_it():
    one = run(NgspiceEngine(), VOLTS[:, :1], SIEMENS[:1, :1], cell="1t1r", **NO_WIRES)
    wanted = VOLTS[:, 0] * one["output_current"][:, 0]
    np.testing.assert_allclose(one["array_power"], wanted, rtol=0, atol=1e-12)


def test_currents_are_the_same_whether_or_not_it_is_asked():
    with_it, without = (run(NgspiceEngine(), power=power, **WIRES) for power in (True, False))
    assert "array_power" not in without
    np.testing.assert_allclose(
        with_it["output_current"], without["output_current"], rtol=0, atol=1e-16
    )
