"""Capacitors of a bank that deviate together."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from imccircuit import library
from imccircuit.devices.cards import load_card
from imccircuit.errors import InputError


def bank(tmp_path, correlation):
    text = library.find("device_models", "capacitor_pessimistic", ".toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(text + f'\nbank_correlation = {{ value = "{correlation}", source = "test" }}\n')
    return load_card(path, "capacitor")


def draws(card, units, count):
    return np.array(
        [card.draw_capacitors(np.random.default_rng(k), np.array(units), 2e-15)
         for k in range(count)]
    )  # fmt: skip


def test_moments_and_correlation_of_units(tmp_path):
    count = 20_000
    drawn = draws(bank(tmp_path, 0.4), [1, 1, 1], count)
    assert_allclose(drawn.mean(axis=0), 2e-15, rtol=5 * 0.02 / np.sqrt(count))
    assert_allclose(drawn.std(axis=0), 0.02 * 2e-15, rtol=5 / np.sqrt(2 * count))
    pairs = np.corrcoef(drawn.T)[~np.eye(3, dtype=bool)]
    assert_allclose(pairs, 0.4, atol=5 * (1 - 0.4**2) / np.sqrt(count))
    assert drawn.min() > 0


def test_a_sum_of_correlated_units(tmp_path):
    count, n, rho = 20_000, 16, 0.3
    drawn = draws(bank(tmp_path, rho), [n], count)[:, 0]
    # Variance of a sum of n units of equal correlation: n·σ²·(1 + (n − 1)·ρ).
    expected = 0.02 * 2e-15 * np.sqrt(n * (1 + (n - 1) * rho))
    assert_allclose(drawn.std(), expected, rtol=5 / np.sqrt(2 * count))


def test_ratios_see_only_the_own_part(tmp_path):
    drawn = draws(bank(tmp_path, "100 %"), [1, 8], 20)
    assert_allclose(drawn[:, 1] / drawn[:, 0], 8.0, rtol=1e-12)
    assert len(np.unique(drawn[:, 0])) == 20


def test_no_correlation_changes_nothing(tmp_path):
    plain = load_card("capacitor_pessimistic", "capacitor")
    assert_allclose(draws(bank(tmp_path, 0), [1, 2, 4], 5), draws(plain, [1, 2, 4], 5), rtol=1e-12)


def test_an_impossible_correlation(tmp_path):
    with pytest.raises(InputError, match="bank_correlation"):
        bank(tmp_path, 1.5)
