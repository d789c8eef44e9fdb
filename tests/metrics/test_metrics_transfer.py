"""Lines through a transfer curve and the range in which it keeps to one."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics.transfer import (
    Line,
    compute_best_fit,
    compute_end_point,
    compute_linear_range,
)

X = np.linspace(-1.0, 3.0, 9)


def test_lines_of_a_parabola_by_hand():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    ends, fit = compute_end_point(x, x**2), compute_best_fit(x, x**2)
    assert (ends.slope, ends.at_zero) == (3.0, 0.0)
    # Least squares through (0, 0), (1, 1), (2, 4), (3, 9): 3x − 1.
    np.testing.assert_allclose((fit.slope, fit.at_zero), (3.0, -1.0), atol=1e-12)


def test_straight_curve_has_one_line_and_no_end():
    for compute in (compute_best_fit, compute_end_point):
        line = compute(X, 2 * X - 1)
        np.testing.assert_allclose((line.slope, line.at_zero), (2.0, -1.0), atol=1e-12)
    assert np.isnan(compute_linear_range(X, 2 * X - 1, Line(2.0, -1.0), 1e-6)).all()


def test_linear_range_between_points_and_on_one_side():
    curve = np.minimum(X, 1.75)  # leaves y = x at 1.75 by x − 1.75
    low, high = compute_linear_range(X, curve, Line(1.0, 0.0), 0.5)
    assert np.isnan(low).all()
    # 0.25 off at 2, 0.75 off at 2.5: half at 2.25.
    np.testing.assert_allclose(high, (2.25, 1.75), rtol=1e-12)


def test_range_is_empty_where_the_middle_is_off_already():
    (low, _), (high, _) = compute_linear_range(X, X + 1.0, Line(1.0, 0.0), 0.5)
    assert low == high == X[4]


def test_line_needs_two_points():
    with pytest.raises(UsageError, match="two points"):
        compute_best_fit(np.zeros(3), np.zeros(3))
