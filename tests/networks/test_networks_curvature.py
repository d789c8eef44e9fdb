"""Curvature of converters, which bit weights cannot say, on the tiles of a study."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from imccircuit.networks.chips import IDEAL, Scales, draw_tile
from imccircuit.networks.hardware import Hardware
from imccircuit.networks.network_tables import SensitivityTable
from imccircuit.networks.sensitivity import OnImages, compute_sensitivity, costliest
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.adc_levels import fit_weights
from imccircuit.surrogates.base import ModelArray

BITS, LSB = 8, 1 / 256
CODES = np.arange(1, 256)
IDEAL_LEVELS = CODES * LSB
# A bow of one LSB and, on every fourth code, a step of as much: levels then stand out of order.
BOW = LSB * (4 * (CODES / 256) * (1 - CODES / 256) + (CODES % 4 == 0))
DIGITS = np.full((6, 4), 7)


def remade(converter: AdcSurrogate, change: dict, without: tuple[str, ...] = ()) -> AdcSurrogate:
    """The converter with other arrays."""
    arrays = {k: v for k, v in converter.model.arrays.items() if k not in without}
    arrays |= {name: ModelArray(values, "V", (), name) for name, values in change.items()}
    return AdcSurrogate(replace(converter.model, arrays=arrays))


@pytest.fixture
def shared(population):
    """The population with the part of the bow that bit weights cannot say."""
    design = np.column_stack([*((CODES >> k & 1) for k in range(BITS)), np.ones(255)])
    beyond = BOW - design @ np.linalg.lstsq(design, BOW, rcond=None)[0]
    assert np.max(np.abs(beyond)) > 0.3 * LSB
    return replace(population, converter=remade(population.converter, {"shared_level": beyond}))


@pytest.fixture
def single(population):
    """One chip as the fit stores it: weights of its levels, and the levels themselves."""
    decisions = IDEAL_LEVELS + BOW
    weights = fit_weights(decisions[None], BITS)
    change = {
        "bit_weight": weights[:, :-1],
        "level_offset": weights[:, -1],
        "decision_level": decisions[None],
    }
    gone = ("population_mean", "population_covariance")
    return replace(population, converter=remade(population.converter, change, gone))


def drawn(population, scales):
    return draw_tile(population, DIGITS, 15, 1e-3, 5, scales)


def searched(decisions, voltage):
    """Code of a conversion, bit by bit."""
    code = 0
    for bit in reversed(range(BITS)):
        trial = code | 1 << bit
        code = trial if voltage > decisions[trial - 1] else code
    return code


def test_a_measured_chip_converts_by_its_own_levels(single) -> None:
    decisions = single.converter.array("decision_level")[0]
    assert np.any(np.diff(decisions) < 0)
    levels = drawn(single, Scales()).levels_v
    voltages = np.random.default_rng(1).uniform(-0.01, 1.01, 2000)
    expected = np.array([searched(decisions, v) for v in voltages])
    for column in levels:
        np.testing.assert_array_equal(np.searchsorted(column, voltages), expected)


def test_a_measured_chip_without_curvature_has_its_bit_weights_alone(single) -> None:
    tile = drawn(single, Scales(curvature=0.0))
    bits = (CODES[:, None] >> np.arange(BITS)) & 1
    by_weights = bits @ tile.bit_weight_v[0] + tile.level_offset_v[0]
    voltages = np.random.default_rng(1).uniform(-0.01, 1.01, 2000)
    expected = [searched(by_weights, v) for v in voltages]
    np.testing.assert_array_equal(np.searchsorted(tile.levels_v[0], voltages), expected)
    assert not np.allclose(tile.levels_v, drawn(single, Scales()).levels_v, rtol=0, atol=0.1 * LSB)


@pytest.mark.parametrize("axis", ["mismatch", "offsets", "wires", "spread"])
def test_no_other_axis_brings_the_curvature(axis, population, shared) -> None:
    """The same draws, whether chips share a curvature or not."""
    scales = replace(IDEAL, **{axis: 1.0})
    with_it, without = drawn(shared, scales), drawn(population, scales)
    np.testing.assert_array_equal(with_it.levels_v, without.levels_v)


def test_curvature_alone_is_that_of_all_columns(shared) -> None:
    beyond = shared.converter.shared_level_v
    np.testing.assert_array_equal(drawn(shared, IDEAL).levels_v, np.tile(IDEAL_LEVELS, (4, 1)))
    for factor in (0.2, 1.0):
        decisions = IDEAL_LEVELS + factor * beyond
        voltages = np.random.default_rng(2).uniform(0, 1, 1000)
        expected = [searched(decisions, v) for v in voltages]
        for column in drawn(shared, replace(IDEAL, curvature=factor)).levels_v:
            np.testing.assert_array_equal(np.searchsorted(column, voltages), expected)


def test_curvature_stays_where_mismatch_and_offsets_are_taken_away(shared) -> None:
    real = drawn(shared, replace(Scales(), mismatch=0.0, offsets=0.0)).levels_v
    alone = drawn(shared, replace(IDEAL, curvature=1.0)).levels_v
    np.testing.assert_array_equal(real, alone)


def test_converters_without_curvature_are_as_they_were(population) -> None:
    one, other = (drawn(population, Scales(curvature=c)) for c in (0.0, 1.0))
    np.testing.assert_array_equal(one.levels_v, other.levels_v)


def test_a_study_names_the_curvature(mlp, population, digits) -> None:
    """Levels that all stand a full scale too high let no code come, so one class is answered."""
    x, _, test, classes, _ = digits
    converter = remade(population.converter, {"shared_level": np.ones(255)})
    hardware = Hardware(mlp.network, mlp.mapping, replace(population, converter=converter), x)
    table = SensitivityTable(model="mlp", chips=2, curvature=(0, 1), mismatch=(0, 1))
    points = compute_sensitivity([OnImages(hardware, test, classes)], table, 1)
    found = {(p.axis, p.value, p.others): p.mean for p in points}
    largest_class = np.max(np.bincount(classes)) / len(classes)
    for value in (0.0, 1.0):
        assert found["mismatch", value, False] > 0.6
        assert found["mismatch", value, True] <= largest_class
    assert found["curvature", 0.0, False] > 0.6
    assert found["curvature", 0.0, True] > 0.6
    assert found["curvature", 1.0, False] <= largest_class
    named = costliest(points)
    assert named is not None
    assert named[0] == "curvature"
