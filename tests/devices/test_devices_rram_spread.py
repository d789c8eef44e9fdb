"""The laws of spread that an RRAM card may name."""

import shutil

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from imccircuit import library
from imccircuit.devices.cards import load_card
from imccircuit.errors import InputError

SOURCE = 'source = "test"'


@pytest.fixture
def card_with(tmp_path):
    """Write rram_sinh with another table of spread and load it."""
    text = library.find("device_models", "rram_sinh", ".toml").read_text()

    def load(spread):
        path = tmp_path / "mine.toml"
        path.write_text(text[: text.index("[spread]")] + "[spread]\n" + spread)
        return load_card(path, "rram")

    return load


def drawn(card, shape, nominal=20e-6, seed=1):
    return card.spread_at().draw(np.random.default_rng(seed), np.full(shape, nominal))


def refused(card_with, spread):
    with pytest.raises(InputError) as caught:
        card_with(spread)
    assert "\n" not in str(caught.value)
    return caught.value


def test_skewed(card_with):
    card = card_with(
        f'law = "skewed"\nskew = {{ value = "1.5", {SOURCE} }}\n'
        f'relative_sd = {{ value = "40 %", {SOURCE} }}\n'
    )
    values = drawn(card, 200_000)
    assert_allclose(values.mean(), 20e-6, rtol=5 * 0.4 / np.sqrt(200_000))
    assert_allclose(values.std(), 8e-6, rtol=0.02)
    assert_allclose(stats.skew(values), 1.5, rtol=0.1)
    assert values.min() > 0


def test_skew_beyond_reach(card_with):
    error = refused(
        card_with,
        f'law = "skewed"\nskew = {{ value = "0.2", {SOURCE} }}\n'
        f'relative_sd = {{ value = "60 %", {SOURCE} }}\n',
    )
    assert error.key == "spread.law"
    # Cornish and Fisher: −6.0 + 0.2·(36 − 1)/6 = −4.83 deviations at 1e-9, so sd/mean 0.207 there.
    assert error.allowed == "up to 0.205"


def test_empirical(card_with, tmp_path):
    values = np.random.default_rng(3).lognormal(0.0, 0.3, 500)
    (tmp_path / "t.csv").write_text("value\n" + "\n".join(repr(float(v)) for v in values) + "\n")
    card = card_with('law = "empirical"\ntable = "t.csv"\n')
    assert [file.name for file in card.source_files()] == ["mine.toml", "t.csv"]
    found = drawn(card, 100_000)
    assert_allclose(found.mean(), 20e-6, rtol=5 * 0.3 / np.sqrt(100_000))
    assert_allclose(found.std() / found.mean(), values.std() / values.mean(), rtol=0.02)
    wide = card_with(
        f'law = "empirical"\ntable = "t.csv"\nrelative_sd = {{ value = "5 %", {SOURCE} }}\n'
    )
    assert_allclose(drawn(wide, 100_000).std(), 1e-6, rtol=0.02)


def test_empirical_faults(card_with, tmp_path):
    error = refused(card_with, 'law = "empirical"\ntable = "none.csv"\n')
    assert (error.key, error.problem) == ("spread.table", "no such file")
    (tmp_path / "t.csv").write_text("value\n")
    assert "too few rows" in refused(card_with, 'law = "empirical"\ntable = "t.csv"\n').problem
    (tmp_path / "t.csv").write_text("share,value\n0.1,2\n0.5,1\n")
    error = refused(card_with, 'law = "empirical"\ntable = "t.csv"\n')
    assert (error.file, error.key, error.value) == ("t.csv", "value", 1.0)


def grouped(value, group="row"):
    return (
        f'law = "lognormal"\nrelative_sd = {{ value = "4 %", {SOURCE} }}\n'
        f'correlation = {{ value = "{value}", {SOURCE} }}\ngroup = "{group}"\n'
    )


def test_correlated_rows(card_with):
    values = drawn(card_with(grouped("0.3")), (20_000, 3))
    pairs = np.corrcoef(values.T)[~np.eye(3, dtype=bool)]
    # At 4 % a lognormal law is a normal one to 1e-3.
    assert_allclose(pairs, 0.3, atol=5 * 0.91 / np.sqrt(20_000) + 1e-3)


def test_correlation_of_a_measured_spread(tmp_path):
    shutil.copy(library.path("data") / "rram_relax_stats.csv", tmp_path)
    text = library.find("device_models", "rram_techC", ".toml").read_text()
    text = text.replace("../data/", "") + (
        f'correlation = {{ value = "1", {SOURCE} }}\ngroup = "chip"\n'
    )
    path = tmp_path / "mine.toml"
    path.write_text(text)
    spread = load_card(path, "rram").spread_at()
    values = spread.draw(np.random.default_rng(0), np.full((4, 5), 39e-6))
    assert_allclose(values, values[0, 0], rtol=1e-9)


@pytest.mark.parametrize("value", ["1.2", "-10 %"])
def test_impossible_correlation(card_with, value):
    error = refused(card_with, grouped(value))
    assert error.key == "spread.correlation.value"
    assert error.allowed


def test_unknown_group_and_half_a_group(card_with):
    error = refused(card_with, grouped("0.3", "block"))
    assert error.key == "spread.group"
    assert "'row'" in error.allowed
    lone = grouped("0.3").rpartition("group")[0]
    assert refused(card_with, lone).allowed == "both, or neither"
    assert "unit" in str(refused(card_with, grouped("0.3").replace('"0.3"', "0.3")))
