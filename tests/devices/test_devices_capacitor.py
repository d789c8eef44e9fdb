"""Capacitor mismatch against the published law and against sums of unit capacitors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from imccircuit.devices.cards import load_card
from imccircuit.errors import UsageError


def test_published_law():
    card = load_card("capacitor_28nm", "capacitor")
    c_ff = np.array([0.5, 1.0, 2.0, 40.0])
    expected = 2.1 * 10**-2.5 * np.sqrt(c_ff) * 1e-15
    # The card gives the coefficient to 14 digits.
    assert_allclose(card.sigma_f(c_ff * 1e-15), expected, rtol=1e-13)


def test_pessimistic_law():
    card = load_card("capacitor_pessimistic", "capacitor")
    assert_allclose(card.sigma_f(2e-15), 0.02 * 2e-15, rtol=1e-14)
    assert_allclose(card.sigma_f(8e-15), 0.01 * 8e-15, rtol=1e-14)


def test_bank_has_the_moments_of_summed_units():
    card = load_card("capacitor_pessimistic", "capacitor")
    units = np.array([1, 4, 128])
    drawn = card.draw_capacitors(np.random.default_rng(2), np.tile(units, (50_000, 1)), 2e-15)
    assert drawn.min() > 0
    # Five standard errors of mean and deviation of 5e4 nearly Gaussian draws.
    sd = 0.02 * 2e-15 * np.sqrt(units)
    assert np.all(np.abs(drawn.mean(axis=0) - 2e-15 * units) < 5 * sd / np.sqrt(5e4))
    assert_allclose(drawn.std(axis=0), sd, rtol=5 / np.sqrt(1e5))
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 2])[0, 1]) < 5 / np.sqrt(5e4)


def test_bank_is_distributed_as_summed_units():
    card = load_card("capacitor_pessimistic", "capacitor")
    summed = card.draw_capacitors(np.random.default_rng(3), np.ones((20_000, 8)), 2e-15).sum(axis=1)
    bank = card.draw_capacitors(np.random.default_rng(4), np.full(20_000, 8), 2e-15)
    from scipy import stats

    # Two samples of one law: p below 1e-4 would be one seed in ten thousand.
    assert stats.ks_2samp(summed, bank).pvalue > 1e-4


def test_no_units_is_no_capacitor_and_a_wider_bank_shifts_nothing():
    card = load_card("capacitor_28nm", "capacitor")
    few = card.draw_capacitors(np.random.default_rng(1), [0, 2, 4], 1e-15)
    more = card.draw_capacitors(np.random.default_rng(1), [0, 2, 64, 8], 1e-15)
    assert few[0] == 0
    assert np.array_equal(few[:2], more[:2])


@pytest.mark.parametrize(("units", "unit_f"), [([1.5], 1e-15), ([-1], 1e-15), ([1], 0.0)])
def test_impossible_banks_are_refused(units, unit_f):
    card = load_card("capacitor_28nm", "capacitor")
    with pytest.raises(UsageError):
        card.draw_capacitors(np.random.default_rng(1), units, unit_f)
