"""INL and DNL of converters whose figures are known."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics.dac import compute_dac_inl_dnl


def test_a_line_has_no_nonlinearity_but_gain_and_offset():
    line = compute_dac_inl_dnl(0.1 + 0.03 * np.arange(16), full_scale=0.4)
    assert np.max(np.abs(line.inl_lsb)) < 1e-12
    assert np.max(np.abs(line.dnl_lsb)) < 1e-12
    assert line.q == pytest.approx(0.03, rel=1e-6, abs=0)
    assert line.offset == pytest.approx(0.1, rel=1e-6, abs=0)
    assert line.gain_error == pytest.approx(0.03 * 16 / 0.4 - 1, rel=1e-6, abs=0)


def test_one_bent_code_by_hand():
    # Codes 0 to 3 at 0, 1.3, 2, 3: code 1 is 0.3 high, its step 1.3, the next 0.7.
    line = compute_dac_inl_dnl([0.0, 1.3, 2.0, 3.0])
    assert line.inl_lsb == pytest.approx([0, 0.3, 0, 0], abs=1e-12)
    assert line.dnl_lsb == pytest.approx([0.3, -0.3, 0], abs=1e-12)
    assert line.monotonic
    assert not compute_dac_inl_dnl([0.0, 2.3, 2.0, 3.0]).monotonic


def test_best_fit_is_least_squares_and_dnl_sums_to_inl():
    values = np.cumsum(np.random.default_rng(3).uniform(0.5, 1.5, (5, 32)), axis=-1)
    line = compute_dac_inl_dnl(values, method="best-fit")
    for row, q, offset in zip(values, line.q, line.offset, strict=True):
        assert np.polyfit(np.arange(32), row, 1) == pytest.approx([q, offset], rel=1e-6, abs=0)
    ends = compute_dac_inl_dnl(values)
    assert np.cumsum(ends.dnl_lsb, axis=-1) == pytest.approx(ends.inl_lsb[:, 1:], abs=1e-9)
    assert ends.inl_lsb[:, -1] == pytest.approx(np.zeros(5), abs=1e-9)


def test_what_is_no_converter_is_not_good_or_refused():
    assert not compute_dac_inl_dnl([0.0, np.nan, 2.0, 3.0]).good
    falling = compute_dac_inl_dnl([3.0, 2.0, 1.0, 0.0])
    assert not falling.good
    assert np.isnan(falling.inl_lsb).all()
    for values in ([1.0, 2.0, 3.0], [1.0], 2.0):
        with pytest.raises(UsageError, match="2\\^bits"):
            compute_dac_inl_dnl(values)
    with pytest.raises(UsageError, match="best-fit"):
        compute_dac_inl_dnl([0.0, 1.0], method="median")
    with pytest.raises(UsageError, match="full scale"):
        compute_dac_inl_dnl([0.0, 1.0], full_scale=0.0)
