"""Ternary pairs into the sense amplifier: against numpy with wires and a tabulated transistor.

The columns are solved by Newton's method on Kirchhoff's law (`column_truth`), the amplifier is a
comparison of two numbers. Nothing here comes from the library but the drawn conductances.
"""

import numpy as np
import pytest
from column_truth import column_current, transistor
from driving import measure

from imccircuit.benches.sense_amp import BENCH, OUTSIDE, RIGHT, TIE, UNDECIDED, WRONG
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

ROWS = 12
LRS, HRS = 1e-4, 1e-5
WEIGHTS = np.array([1, -1, 0, 1, 1, -1, -1, 0, 1, -1, 0, -1], dtype=float)
INPUTS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],  # +1, one cell active
        [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],  # -1
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],  # a tie
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],  # -1 of twelve
        [1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 0],  # +4
    ],
    dtype=float,
)
TABLE_RTOL = 2e-6
"""As in test_golden_irc_column.py: splines at a pitch of 4 mV."""


def run(circuit=None, **stimulus):
    tables = {
        "circuit": {
            "mapping": "ternary",
            "rows": ROWS,
            **(circuit or {}),
            "pair": {"word_line_voltage": 0.6, "weights": WEIGHTS},
        },
        "stimulus": {"inputs": INPUTS, **stimulus},
    }
    parameters = BENCH.parameters.model_validate(tables, context={"trusted": True})
    return measure(BENCH, parameters, NgspiceEngine())


def by_numpy(folder, bias_rows=0):
    """(pair, side) currents: weights as LRS/HRS, HRS/HRS, HRS/LRS, then always-on LRS rows."""
    on, off = transistor(folder, 0.6), transistor(folder, 0.0)
    found = np.empty((len(INPUTS), 2))
    for k, active in enumerate(INPUTS > 0):
        rows = np.append(active, np.ones(bias_rows, dtype=bool))
        for side, sign in enumerate((1, -1)):
            cells = np.append(np.where(sign == WEIGHTS, LRS, HRS), np.full(bias_rows, LRS))
            found[k, side] = column_current(on, off, cells, rows)
    return found


@pytest.mark.parametrize("bias_rows", [0, 3])
def test_currents_and_outcomes_against_numpy(tmp_path, bias_rows):
    low, high, offset = 8e-6, 80e-6, 1e-6
    found = run({"level": "behavioural", "range_low": low, "range_high": high, "offset": offset,
                 "bias_rows": bias_rows})  # fmt: skip
    expected = by_numpy(tmp_path, bias_rows)
    np.testing.assert_allclose(found["pair_input"], expected, rtol=TABLE_RTOL)
    np.testing.assert_array_equal(found["ideal_sum"], INPUTS @ WEIGHTS)
    np.testing.assert_array_equal(found["ternary_weight"], WEIGHTS)
    difference, mean = expected[:, 0] - expected[:, 1], expected.mean(axis=1)
    # No pair lies so close to an end of the range that the search's step, 0.3 %, decides.
    assert np.min(np.abs(np.log(mean[:, None] / [low, high]))) > 0.01
    inside = (mean > low) & (mean < high)
    plus = difference + offset > 0
    np.testing.assert_array_equal(found["decision"], np.where(inside, plus, 2))
    truth = INPUTS @ WEIGHTS
    outcome = np.where(plus == (truth > 0), RIGHT, WRONG)
    outcome = np.where(inside, outcome, OUTSIDE)
    outcome = np.where(truth == 0, TIE, outcome)
    np.testing.assert_array_equal(found["outcome"], outcome)
    right = np.mean(outcome[truth != 0] == RIGHT)
    assert found["right_share"] == pytest.approx(right, rel=1e-12, abs=0)
    # What the extra bias is for: a single active cell is below the range without it, and twelve
    # active rows with it are above.
    assert (found["outcome"][0] == OUTSIDE) == (bias_rows == 0)
    assert (found["outcome"][3] == OUTSIDE) == (bias_rows == 3)


def test_extra_bias_lifts_the_mean_and_not_the_sum(tmp_path):
    """By hand: three rows add three cells' current to each side; wires take some of it."""
    without, lifted = by_numpy(tmp_path), by_numpy(tmp_path, 3)
    on, off = transistor(tmp_path, 0.6), transistor(tmp_path, 0.0)
    cell = column_current(on, off, np.full(ROWS, LRS), np.arange(ROWS) == 5)
    lift = (lifted - without).mean(axis=1)
    # A column of at most 8 cells' current and 20 ohm: 2 ohm a segment and 20 ohm of clamp at 3
    # more cells raise the source line by up to 46 ohm · 30 uA = 1.4 mV, some per cent of 60 mV.
    np.testing.assert_allclose(lift, 3 * cell, rtol=0.06)
    step = without[:, 0] - without[:, 1]
    np.testing.assert_allclose(lifted[:, 0] - lifted[:, 1], step, rtol=0.06, atol=0.02 * cell)


def test_transistors_decide_the_pairs(tmp_path):
    """Every pair is a whole cell apart, the offset of a matched latch a twentieth of one."""
    found = run({"bias_rows": 1, "unit_current": 8e-6})
    np.testing.assert_allclose(found["pair_input"], by_numpy(tmp_path, 1), rtol=TABLE_RTOL)
    truth = INPUTS @ WEIGHTS
    np.testing.assert_array_equal(found["decision"][truth != 0], (truth > 0)[truth != 0])
    np.testing.assert_array_equal(found["outcome"], np.where(truth == 0, TIE, RIGHT))
    assert np.all(found["outcome"] != UNDECIDED)
