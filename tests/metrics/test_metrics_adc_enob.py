"""Effective bits of records and levels made by hand; weights and toggles counted by hand."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics.adc_enob import compute_sine_fit, compute_static_enob
from imccircuit.metrics.adc_split import compute_cdac_weights
from imccircuit.metrics.sar_logic import compute_sar_toggles


def ideal(bits, full_scale=1.0):
    return np.arange(1, 2**bits) / 2**bits * full_scale


@pytest.mark.parametrize("bits", [3, 8, 12])
def test_ideal_levels_have_all_their_bits(bits):
    assert compute_static_enob(ideal(bits)) == pytest.approx(bits, abs=1e-6)
    # Neither gain nor offset costs anything.
    assert compute_static_enob(3 + 0.7 * ideal(bits)) == pytest.approx(bits, abs=1e-6)


def test_noise_as_large_as_quantisation_costs_half_a_bit():
    quantisation = 1 / 256 / np.sqrt(12)
    found = compute_static_enob(np.stack([ideal(8)] * 2), [quantisation, 0.0])
    np.testing.assert_allclose(found, [7.5, 8.0], atol=1e-6)


def test_levels_with_errors_against_brute_force():
    """A million inputs converted one by one; the straight line by numpy's least squares."""
    rng = np.random.default_rng(0)
    levels = np.sort(ideal(6) + rng.normal(0, 0.4 / 64, 63))
    width = (levels[-1] - levels[0]) / 62
    inputs = np.linspace(levels[0] - width, levels[-1] + width, 1_000_001)
    codes = np.searchsorted(levels, inputs)
    line = np.polyval(np.polyfit(codes, inputs, 1), codes)
    rms = np.sqrt(np.mean((inputs - line) ** 2))
    expected = np.log2((inputs[-1] - inputs[0]) / (np.sqrt(12) * rms))
    assert compute_static_enob(levels) == pytest.approx(expected, abs=1e-4)


def test_levels_that_are_none():
    found = compute_static_enob(np.stack([ideal(3), np.full(7, np.nan), np.full(7, 0.5)]))
    assert np.isnan(found).tolist() == [False, True, True]
    with pytest.raises(UsageError, match="last axis"):
        compute_static_enob(np.arange(6))


def record(n, cycles, bits, phase=0.3):
    angle = 2 * np.pi * cycles * np.arange(n) / n + phase
    half = 2 ** (bits - 1)
    return half - 0.5 + (half - 0.5) * np.cos(angle)


def test_rounded_sine_has_all_its_bits():
    found = compute_sine_fit(np.round(record(4096, 479, 8)), 479, 8)
    assert found.enob == pytest.approx(8, abs=0.03)
    assert found.amplitude_lsb == pytest.approx(127.5, abs=0.02)
    assert found.offset_lsb == pytest.approx(127.5, abs=0.02)
    assert found.phase_rad == pytest.approx(0.3, abs=1e-3)
    # SINAD = 6.02·B + 1.76 dB of a full-scale sine.
    assert found.sinad_db == pytest.approx(6.02 * 8 + 1.76, abs=0.2)


def test_a_second_tone_is_what_is_left():
    """Codes need not be whole here: a harmonic of rms r leaves exactly r."""
    n, cycles = 512, 37
    harmonic = 0.5 * np.cos(2 * np.pi * 3 * cycles * np.arange(n) / n)
    found = compute_sine_fit(record(n, cycles, 8) + harmonic, cycles, 8)
    rms = 0.5 / np.sqrt(2)
    assert found.rms_lsb == pytest.approx(rms, rel=1e-9, abs=0)
    assert found.enob == pytest.approx(np.log2(256 / (np.sqrt(12) * rms)), rel=1e-9, abs=0)
    assert found.sinad_db == pytest.approx(20 * np.log10(127.5 / 0.5), rel=1e-9, abs=0)


@pytest.mark.parametrize(("n", "cycles"), [(4, 1), (64, 0), (64, 33), (64, 8)])
def test_records_that_are_not_coherent_are_refused(n, cycles):
    with pytest.raises(UsageError):
        compute_sine_fit(np.zeros(n), cycles, 8)


def test_a_binary_array_is_its_own_weights():
    weights = compute_cdac_weights([1.0, 2.0, 4.0], 1.0, 3.0)
    assert weights.bit_f.tolist() == [1, 2, 4]
    assert (weights.dummy_f, weights.load_f, weights.input_f) == (1, 11, 8)
    np.testing.assert_allclose(weights.levels_v(0.8), 0.1 * np.arange(1, 8), rtol=1e-14)
    # An offset counts by the load over the input's capacitance: 11/8.
    np.testing.assert_allclose(
        weights.levels_v(0.8, 8e-3), 0.1 * np.arange(1, 8) - 11e-3, rtol=1e-12
    )


def test_an_exact_bridge_makes_a_split_array_binary():
    """Three units and a dummy below a bridge of 4/3 units weigh a quarter of themselves."""
    weights = compute_cdac_weights([1.0, 2.0, 1.0, 2.0], 1.0, 0.0, lower_bits=2, bridge_f=4 / 3)
    np.testing.assert_allclose(weights.bit_f, [0.25, 0.5, 1.0, 2.0])
    assert weights.input_f == pytest.approx(4, rel=1e-6, abs=0)
    # 4 units in series with the bridge are one unit: that and the upper 3.
    assert weights.load_f == pytest.approx(4, rel=1e-6, abs=0)
    np.testing.assert_allclose(weights.levels_v(1.0), np.arange(1, 16) / 16)


@pytest.mark.parametrize(
    "wrong", [{"lower_bits": 3, "bridge_f": 1.0}, {"lower_bits": 1}, {"bridge_parasitic_f": -1.0}]
)
def test_arrays_that_cannot_be(wrong):
    with pytest.raises(UsageError):
        compute_cdac_weights([1.0, 2.0, 4.0], 1.0, 0.0, **wrong)


def test_toggles_of_two_bits_by_hand():
    """Two bits have 4 cycles: sample, try bit 1, try bit 0, hold; each row its outputs in them.

    Code 0: of each bit the stage rises and falls (2), its inverse likewise (2), the trial likewise
    (2): 12. The other gates stay low. Clock: 4 flip-flops, 2 edges, 4 cycles: 32.
    Code 3, bit 1: stage 2, inverse 2; take is up while tried 2; hold is up for two cycles 2; next
    is up for three 2; kept for two 2; trial for three 2: 14. Bit 0: the same, but hold and kept for
    one cycle: 14.
    """
    assert compute_sar_toggles(0, 2) == 12 + 32
    assert compute_sar_toggles([0, 3], 2).tolist() == [44, 28 + 32]
    assert compute_sar_toggles(np.zeros((2, 3), dtype=int), 8).shape == (2, 3)
