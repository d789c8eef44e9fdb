"""The ramp converter in ngspice against closed forms.

Truth, written down here and nowhere taken from the library. A current I into C with R to ground,
released at v0 = I·(R ∥ R_on), is

    v(t) = I·R + (v0 − I·R)·exp(−t/RC).

A comparator with one pole τ, at rest before, sees A + B·exp(−t/RC) + D·exp(−t/τ), with A = I·R,
B = (v0 − A)/(1 − τ/RC), D = v0 − A − B. A column counts edge k, at t_k = k·T_clk, while
input + offset > what it sees; so T[k] is what it sees at t_k, less its offset.

A staircase's step k is V_ref·k/2^B (R-2R ladder), or V_ref·Σ C_k b_k/(C_a + C_line) (capacitors);
the ladder's is solved node by node here.

Tolerance: 0.005 LSB for what a reltol of 1e-5 leaves of 256 LSB, and linear reading between steps
of two clocks, which costs 0.645·(2/256)²/… < 0.0001 LSB.
"""

import numpy as np
import pytest
from driving import measure
from scipy import constants

from imccircuit.benches.ramp_parameters import RampParameters
from imccircuit.benches.ramp_transfer import BENCH
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

FULL, CLOCK, CAP, R_OUT, R_ON = 0.6, 4e-9, 1e-12, 50e6, 1e3
TOLERANCE_LSB = 0.005


def run(quantities=(), entropy=0, conditions=None, **circuit):
    tables = {"circuit": circuit, "conditions": conditions or {}}
    parameters = RampParameters.model_validate(tables, context={"trusted": True})
    return measure(BENCH, parameters, NgspiceEngine(), quantities=quantities, entropy=entropy)


def ideal_levels(bits, tau, offset):
    current = FULL * CAP / (2**bits * CLOCK)
    t = np.arange(1, 2**bits) * CLOCK
    a, start = current * R_OUT, current * R_OUT * R_ON / (R_OUT + R_ON)
    b = (start - a) / (1 - tau / (R_OUT * CAP))
    seen = a + b * np.exp(-t / (R_OUT * CAP)) + (start - a - b) * np.exp(-t / tau)
    return seen - offset


def end_point_inl(levels):
    k = np.arange(len(levels))
    q = (levels[-1] - levels[0]) / (len(levels) - 1)
    return (levels - levels[0]) / q - k


def test_ideal_ramp_is_an_exponential():
    found = run(columns=2, comparator_offset=0.004)
    truth = ideal_levels(8, 1e-9, 0.004)
    lsb = FULL / 256
    for column in found["column_level"]:
        np.testing.assert_allclose(column / lsb, truth / lsb, atol=TOLERANCE_LSB)
    # The curvature of the reference design: T/(8·RC) of 256 LSB, less its higher orders.
    assert np.max(end_point_inl(truth)) == pytest.approx(0.645, abs=0.005)
    assert np.max(end_point_inl(found["transition_level"])) == pytest.approx(0.645, abs=0.005)
    assert np.max(found["loop_difference"]) == 0
    # At one temperature the output resistance keeps what the reset leaves: kT/C at every edge.
    ktc = np.sqrt(constants.k * 300.15 / CAP)
    np.testing.assert_allclose(found["ramp_noise"], ktc, rtol=1e-3)


def test_offset_lowers_and_delay_shifts_by_the_slope():
    base = run(bits=5, columns=1, output_resistance=1e12)["transition_level"]
    offset = run(bits=5, columns=1, output_resistance=1e12, comparator_offset=0.01)
    lsb = FULL / 32
    np.testing.assert_allclose(
        (offset["transition_level"] - base) / lsb, -0.01 / lsb, atol=TOLERANCE_LSB
    )
    slow = run(bits=5, columns=1, output_resistance=1e12, comparator_delay=2e-9)
    # Far behind the release: a pole lags by slope times its time constant.
    moved = (slow["transition_level"] - base)[5:] / lsb
    np.testing.assert_allclose(moved, -1e-9 / CLOCK, atol=TOLERANCE_LSB)


def test_capacitor_staircase_divides_by_charge():
    found = run(ramp="cdac", bits=4, columns=1, unit_capacitor=32e-15, line_capacitor=20e-15,
                comparator_delay=0.4e-9)  # fmt: skip
    k, array = np.arange(1, 16), 16 * 32e-15
    truth = FULL * k * 32e-15 / (array + 20e-15)
    np.testing.assert_allclose(
        found["transition_level"] * 16 / FULL, truth * 16 / FULL, atol=TOLERANCE_LSB
    )


def ladder_by_nodes(bits, r, code):
    """Last node of a terminated R-2R ladder, by Kirchhoff's current law."""
    g = np.zeros((bits, bits))
    drive = np.zeros(bits)
    for bit in range(bits):
        g[bit, bit] += 1 / (2 * r)
        drive[bit] = ((code >> bit) & 1) * FULL / (2 * r)
    g[0, 0] += 1 / (2 * r)
    for bit in range(bits - 1):
        g[bit : bit + 2, bit : bit + 2] += np.array([[1, -1], [-1, 1]]) / r
    return np.linalg.solve(g, drive)[-1]


def test_resistor_staircase_is_a_ladder():
    # A delay below a clock moves no level of a staircase: it stands still at the edges.
    for delay in (0.2e-9, 0.4e-9):
        found = run(ramp="ladder", bits=4, columns=1, comparator_delay=delay)
        truth = np.array([ladder_by_nodes(4, 1e3, code) for code in range(1, 16)])
        np.testing.assert_allclose(
            found["transition_level"] * 16 / FULL, truth * 16 / FULL, atol=TOLERANCE_LSB
        )


def test_codes_of_given_inputs():
    inputs = (np.arange(16) * 7 % 16 + 0.5) / 16
    circuit = {"bits": 4, "columns": 1, "output_resistance": 1e12, "comparator_delay": 0.1e-9}
    tables = {"circuit": circuit, "stimulus": {"loop_input": inputs}}
    parameters = RampParameters.model_validate(tables, context={"trusted": True})
    found = measure(BENCH, parameters, NgspiceEngine())
    np.testing.assert_array_equal(found["loop_code"], np.arange(16) * 7 % 16)
