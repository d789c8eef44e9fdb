"""Spread of a 1T1R cell's current by cause: SPICE against the slopes of a series circuit by hand.

A cell alone in its column is a series of bit line (R_b), resistor R, transistor and source line
with clamp (R_s). With the transistor's I(V_d, V_s, V_T) and its conductances g_d = ∂I/∂V_d,
g_s = −∂I/∂V_s, g_m = −∂I/∂V_T, a small change gives

    dI·(1 + g_d·(R + R_b) + g_s·R_s) = −g_d·R·I·dlnR − g_m·dV_T .

So σ/µ is, to first order, |dlnI/dlnR|·σ_lnR or |dlnI/dV_T|·σ_VT.
"""

import numpy as np
import pytest
from column_truth import transistor
from driving import measure

from imccircuit.benches.irc_column import BENCH
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

ROWS, READ, WIRE, CLAMP, NOMINAL = 16, 0.2, 2.0, 20.0, 1e4
STEP_V = 1e-3
"""For g_m, from both sides: its error, a third derivative times the step squared, is below 1e-3."""


def lines(rows=ROWS):
    """Resistance (row,) of bit line before and of source line behind each cell."""
    row = np.arange(rows)
    return WIRE * (row + 1), WIRE * (rows - row) + CLAMP


def series_current(law, ohm, before, behind):
    """Current (cell,) of the series, by bisection."""
    low, high = np.zeros(len(before)), np.full(len(before), READ / 5e3)
    for _ in range(60):
        i = (low + high) / 2
        above = law(READ - i * (ohm + before), i * behind, grid=False) > i
        low, high = np.where(above, i, low), np.where(above, high, i)
    return (low + high) / 2


def slopes(law, weaker, stronger, before, behind):
    """dlnI/dlnR and dlnI/dV_T (cell,) by the formula of this file."""
    i = series_current(law, NOMINAL, before, behind)
    at = (READ - i * (NOMINAL + before), i * behind)
    g_d, g_s = law(*at, dx=1, grid=False), -law(*at, dy=1, grid=False)
    g_m = (stronger(*at, grid=False) - weaker(*at, grid=False)) / (2 * STEP_V)
    damping = 1 + g_d * (NOMINAL + before) + g_s * behind
    return -g_d * NOMINAL / damping, -g_m / i / damping


def first_order(slope, change, rest):
    """σ/µ to first order, and by how much the second order may move it.

    ``rest`` (end, cell) is what first order leaves of the current's ratio at both ends of the drawn
    range, ±m. With a second derivative that rises or falls steadily, what it leaves of a change δ
    is at most the larger one times (δ/m)².
    """
    ratio = 1 + slope * change
    left = np.abs(rest).max() * np.square(change / np.abs(change).max())
    sigma, mean = np.std(ratio, ddof=1), ratio.mean()
    off_sigma = np.sqrt(np.sum(left**2) / (len(change) - 1))
    off_mean = left.mean()
    spread = sigma / mean
    return spread, (off_sigma + spread * off_mean) / (mean - off_mean)


@pytest.mark.parametrize("gate", [0.5, pytest.param(0.7, marks=pytest.mark.long), 1.2])
def test_spread_by_cause_is_slope_times_spread_to_second_order(tmp_path, gate):
    tables = {"circuit": {"rows": ROWS, "word_line_voltage": gate}, "stimulus": {"active_rows": 2}}
    parameters = BENCH.parameters.model_validate(tables, context={"trusted": True})
    found = measure(BENCH, parameters, NgspiceEngine(), entropy=3,
                    quantities=("conductance", "threshold"))  # fmt: skip
    shift = found["threshold_shift"]
    resistor = -np.log(found["low_conductance"] / 1e-4)
    before, behind = lines()
    law = transistor(tmp_path, gate)
    weaker = transistor(tmp_path, gate, extra=f"delvto={STEP_V}")
    stronger = transistor(tmp_path, gate, extra=f"delvto={-STEP_V}")
    by_r, by_v = slopes(law, weaker, stronger, before, behind)
    nominal = series_current(law, NOMINAL, before, behind)

    most = np.abs(resistor).max()
    ends = [series_current(law, NOMINAL * np.exp(end), before, behind) / nominal - 1 - by_r * end
            for end in (-most, most)]  # fmt: skip
    spread, slack = first_order(by_r, resistor, ends)
    assert slack < 0.1 * spread
    # 1e-4 of the spread: splines, and the leakage of the other transistors, 1e-4 of a cell.
    assert found["relative_spread"][1] == pytest.approx(spread, abs=slack + 1e-4 * spread, rel=0)

    most, ends = np.abs(shift).max(), []
    for end in (-most, most):
        moved = transistor(tmp_path, gate, extra=f"delvto={end}")
        current = series_current(moved, NOMINAL, before, behind)
        ends.append(current / nominal - 1 - by_v * end)
    spread, slack = first_order(by_v, shift, ends)
    assert slack < 0.25 * spread
    assert found["relative_spread"][2] == pytest.approx(spread, abs=slack + 1e-3 * spread, rel=0)


def test_reference_column_by_hand(tmp_path):
    """The middle cell of 64 rows: 4 % in the resistor and 20 mV in the threshold, first order.

    Published: 3.5 % and 0.3 % at 1.2 V, 0.8 % and 20 % at 0.5 V. In saturation g_d is what decides
    how much of the resistor is left, and with V_ds of five thermal voltages it is small: what
    moves the transistor by some thermal voltages towards its triode region moves both figures.
    """
    before, behind = (line[31:32] for line in lines(64))

    def effects(gate, offset=0.0, **more):
        laws = [transistor(tmp_path, gate, extra=f"delvto={offset + step}", **more)
                for step in (0.0, STEP_V, -STEP_V)]  # fmt: skip
        by_r, by_v = slopes(*laws, before, behind)
        return -by_r[0] * 0.04, -by_v[0] * 0.02

    # The figures of this transistor, as the documentation states them, to their last digit.
    assert effects(1.2) == pytest.approx((0.0339, 0.0032), abs=5e-5, rel=0)
    assert effects(0.5) == pytest.approx((0.0035, 0.259), abs=5e-4, rel=0)
    # A threshold 25 mV lower, or 85 degC: both published figures within their rounding or nearly.
    resistor, threshold = effects(0.5, -0.025)
    assert resistor == pytest.approx(0.008, abs=0.0005, rel=0)
    assert threshold == pytest.approx(0.20, abs=0.015, rel=0)
    resistor, threshold = effects(0.5, temperature=85)
    assert resistor == pytest.approx(0.0072, abs=0.0001, rel=0)
    assert threshold == pytest.approx(0.182, abs=0.001, rel=0)
