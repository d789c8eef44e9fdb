"""Optimum of the word-line voltage: against curves whose minimum is known."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics.word_line import (
    compute_cell_spread,
    compute_step_spread,
    compute_word_line_optimum,
)

VOLTAGE = np.linspace(0.5, 1.2, 8)


def curve(centre, chips=1):
    """exp of a parabola around ``centre``: what the fit between the points is exact for."""
    return 0.03 * np.exp(2 * (VOLTAGE[:, None] - centre) ** 2) * np.ones(chips)


def test_exact_on_a_parabola_of_the_logarithm():
    found = compute_word_line_optimum(VOLTAGE, curve(0.873, 5))
    assert found.voltage_v == pytest.approx(0.873, abs=1e-9)
    assert found.figure == pytest.approx(0.03, rel=1e-9, abs=0)
    # All chips are alike: no uncertainty.
    assert (found.low_v, found.high_v) == pytest.approx((0.873, 0.873), abs=1e-9)
    assert found.edge_share == 0


def test_unequal_steps():
    some = np.array([0.5, 0.55, 0.8, 0.9, 1.2])
    figure = 0.03 * np.exp(2 * (some[:, None] - 0.77) ** 2)
    assert compute_word_line_optimum(some, figure).voltage_v == pytest.approx(0.77, abs=1e-9)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(60):
        noise = 1 + 0.03 * rng.standard_normal((8, 24))
        found = compute_word_line_optimum(VOLTAGE, curve(0.85, 24) * noise, resamples=200,
                                          seed=seed)  # fmt: skip
        hits += found.low_v <= 0.85 <= found.high_v
    # 54 of 60 expected; 47 is three standard deviations of a binomial below.
    assert hits >= 47


def test_optimum_at_an_end_is_refused():
    with pytest.raises(UsageError, match=r"end of the sweep, 1.2 V: sweep farther"):
        compute_word_line_optimum(VOLTAGE, curve(1.6))


@pytest.mark.parametrize(
    ("voltage", "spread", "message"),
    [
        ([0.5, 0.6], np.ones((2, 1)), "three or more"),
        ([0.5, 0.4, 0.6], np.ones((3, 1)), "ascending"),
        ([0.4, 0.5, 0.6], np.ones(3), r"\(3, chip\)"),
        ([0.4, 0.5, 0.6], np.zeros((3, 1)), "above 0"),
    ],
)
def test_what_does_not_fit(voltage, spread, message):
    with pytest.raises(UsageError, match=message):
        compute_word_line_optimum(voltage, spread)


def test_spreads():
    current = np.array([[1.0, 2.0, 3.0]])
    # Relative to each cell's own place in the column.
    assert compute_cell_spread(current, [1.0, 2.0, 3.0])[0] == 0
    assert compute_cell_spread(current, 2.0)[0] == pytest.approx(0.5, rel=1e-6, abs=0)
    assert compute_step_spread([9.0, 11.0], [1.0, 1.0]) == pytest.approx(1 / 9, rel=1e-6, abs=0)
    with pytest.raises(UsageError, match="larger"):
        compute_step_spread([1.0, 1.0], [2.0, 2.0])
