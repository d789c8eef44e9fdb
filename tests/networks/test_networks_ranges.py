"""Ranges and gain against a search of their own."""

from __future__ import annotations

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.networks.ranges import calibrate_gain, calibrate_range, quantise


def test_converter_gives_middles_of_its_steps() -> None:
    np.testing.assert_allclose(quantise([-1, 0, 0.9, 1.0, 3.9, 9.0], 4.0, 2),
                               [0.5, 0.5, 0.5, 1.5, 3.5, 3.5])  # fmt: skip


def test_maximum_and_percentile() -> None:
    values = np.arange(1, 101) / 100.0
    full, clipped, error = calibrate_range(values, "maximum", 8)
    assert (full, clipped) == (1.0, 0.0)
    # 100 values, four places of each 25 steps apart: no error is beyond half a step.
    assert error < 0.5 / 256 * 1.01
    full, clipped, _ = calibrate_range(values, "percentile", 8, 90.0)
    assert full == pytest.approx(0.901, abs=1e-12)  # numpy's linear rule between 0.90 and 0.91
    assert clipped == pytest.approx(0.1, abs=1e-12)


def test_least_error_clips_an_outlier_and_not_a_uniform_law() -> None:
    rng = np.random.default_rng(1)
    uniform = rng.random(20000)
    full, _, error = calibrate_range(uniform, "least_error", 6)
    assert full == pytest.approx(1.0, abs=0.011)  # candidates are 0.0096 apart
    assert error == pytest.approx(1 / 64 / np.sqrt(12), rel=0.03, abs=0)
    # One value of 10 in 20000: at full scale F the rounding of 2^4 steps costs F²/(12·256) on all,
    # clipping (10 − F)²/20000 on one. The sum is least at F/3072 = (10 − F)/20000: F = 1.33; from
    # there on the law of rounding holds, for F is above 1.
    spiked = np.append(uniform, 10.0)
    full, clipped, _ = calibrate_range(spiked, "least_error", 4)
    assert full == pytest.approx(10 / (1 + 20000 / 3072), abs=0.12)
    assert clipped == pytest.approx(1 / 20001, abs=1e-12)
    assert calibrate_range(spiked, "maximum", 4)[2] > calibrate_range(spiked, "least_error", 4)[2]


def test_gain_is_the_projection() -> None:
    assert calibrate_gain([2.0, 4.0], [1.0, 2.0]) == 2.0
    assert calibrate_gain([1.0, 0.0], [1.0, 1.0]) == 0.5
    assert calibrate_gain([1.0], [0.0]) == 1.0


@pytest.mark.parametrize(
    ("values", "rule", "percentile", "word"),
    [
        ([0.0, 0.0], "maximum", 99, "no range"),
        ([np.nan, 1.0], "maximum", 99, "no range"),
        ([1.0], "largest", 99, "maximum, percentile, least_error"),
        ([1.0], "percentile", 0, "above 0 to 100"),
        ([0.0, 0.0, 1.0], "percentile", 10, "higher"),
    ],
)
def test_bad_calibration_is_one_line(values, rule, percentile, word) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        calibrate_range(values, rule, 8, percentile)
    assert "\n" not in str(caught.value)
