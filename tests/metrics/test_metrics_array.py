"""Array errors against numbers worked out by hand."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics import (
    compute_column_error,
    compute_ir_drop,
    compute_kcl_residual,
    compute_nrmse,
    compute_worst_cell,
)


def test_ir_drop_by_hand():
    # Drives of 1, 0 and -0.5 V; binary fractions, so every result is exact.
    drive = np.array([1.0, 0.0, -0.5])[:, None]
    cell = np.array([[0.75, 0.5], [0.0, -0.125], [-0.5, -0.375]])
    drop = compute_ir_drop(cell, drive)
    np.testing.assert_array_equal(drop.drop_v, [[0.25, 0.5], [0.0, 0.125], [0.0, -0.125]])
    # A row at 0 V has no relative drop; a negative drive loses magnitude as a positive one does.
    np.testing.assert_array_equal(drop.relative, [[0.25, 0.5], [np.nan, np.nan], [0.0, 0.25]])
    assert (drop.worst_row, drop.worst_col, drop.worst_v) == (0, 1, 0.5)


def test_ir_drop_of_batches_keeps_a_failed_one_apart():
    cell = np.full((2, 3, 4), 0.9)
    cell[0, 2, 1] = 0.5
    cell[1, 0, 0] = np.nan
    drop = compute_ir_drop(cell, np.ones((2, 3, 1)))
    assert drop.worst_row.tolist() == [2, -1]
    assert drop.worst_col.tolist() == [1, -1]
    assert drop.worst_v[0] == 0.5
    assert np.isnan(drop.worst_v[1])


def test_row_voltages_are_not_broadcast_as_columns():
    with pytest.raises(UsageError, match="row, 1"):
        compute_ir_drop(np.ones((4, 4)), np.ones(4))
    with pytest.raises(UsageError, match="do not fit"):
        compute_ir_drop(np.ones((3, 4)), np.ones((4, 1)))
    with pytest.raises(UsageError, match="row, col"):
        compute_ir_drop(np.ones(4), np.ones(4))
    with pytest.raises(UsageError, match="empty"):
        compute_worst_cell(np.ones((0, 4)))


def test_column_error_by_hand():
    ideal = np.array([[4.0, -8.0, 0.0], [0.0, 0.0, 0.0]])
    output = np.array([[3.0, -7.0, 1.0], [0.0, 1.0, 0.0]])
    error = compute_column_error(output, ideal)
    np.testing.assert_array_equal(error.error_a, [[-1, 1, 1], [0, 1, 0]])
    np.testing.assert_array_equal(error.of_largest, [[-1 / 8, 1 / 8, 1 / 8], [np.nan] * 3])
    np.testing.assert_array_equal(error.of_own, [[-1 / 4, -1 / 8, np.nan], [np.nan] * 3])
    with pytest.raises(UsageError, match="one shape"):
        compute_column_error(output, ideal[0])


def test_nrmse_by_hand():
    # Truth 1 … 4: σ² = 5/4. Errors 1, -1, 1, -1: mean square 1. So sqrt(4/5).
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    predicted = truth + np.array([1, -1, 1, -1])
    assert compute_nrmse(predicted, truth) == pytest.approx(np.sqrt(0.8), rel=1e-15, abs=0)
    assert compute_nrmse(truth, truth) == 0
    # Always saying the mean scores 1 by definition, up to rounding of two square roots.
    assert compute_nrmse(np.full(4, 2.5), truth) == pytest.approx(1.0, rel=1e-15, abs=0)
    both = compute_nrmse(np.stack([predicted, truth]), np.stack([truth, truth]), axis=1)
    np.testing.assert_allclose(both, [np.sqrt(0.8), 0], rtol=1e-15)


def test_nrmse_has_the_unit_divided_out_and_keeps_nan():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=(2, 100))
    small = compute_nrmse(predicted * 1e-9, truth * 1e-9)
    # Scaling by 1e-9 rounds each number once: relative 1e-16, averaged over 100.
    assert small == pytest.approx(float(compute_nrmse(predicted, truth)), rel=1e-14, abs=0)
    truth[3] = np.nan
    assert np.isnan(compute_nrmse(predicted, truth))


def test_nrmse_refuses_a_constant_truth():
    # The σ that numpy finds for ten times 0.1 is 1.4e-17, not 0.
    with pytest.raises(UsageError, match="constant"):
        compute_nrmse(np.zeros(10), np.full(10, 0.1))
    with pytest.raises(UsageError, match="constant"):
        compute_nrmse(np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 3.0]]), axis=1)
    with pytest.raises(UsageError, match="one shape"):
        compute_nrmse([], [])
    with pytest.raises(UsageError, match="axis 2"):
        compute_nrmse([1.0], [2.0], axis=2)


def test_kcl_residual():
    current = np.array([[1.0, 2.0], [3.0, 4.0], [0.5, 0.25]])
    np.testing.assert_array_equal(compute_kcl_residual(current, [4.5, 6.0]), [0.0, 0.25])
    batch = np.stack([current, 2 * current])
    assert compute_kcl_residual(batch, np.zeros((2, 2))).shape == (2, 2)
    with pytest.raises(UsageError, match="do not fit"):
        compute_kcl_residual(current, [1.0, 2.0, 3.0])
