"""Levels from firing times, on comparators whose law is written down here."""

import numpy as np
import pytest

from imccircuit.benches.bench import MeasurementError
from imccircuit.benches.ramp_probe import inputs_towards_first_edge, levels_at_edges

CLOCK_S, LSB_V = 4e-9, 2e-3
EDGES_S = 16e-9 + CLOCK_S * np.arange(1, 256)


def fired_at(time_s, offset_v=0.0, corner_clocks=0.7):
    """Input in V that fires at a time: a bent line, and below a corner the comparator recovers.

    There it takes 20 LSB to fire one clock earlier: its firing time all but stands still.
    """
    clocks = (np.asarray(time_s) - 16e-9) / CLOCK_S
    bent = clocks + 0.5 * np.exp(-clocks / 20) + 1e-5 * clocks**2
    bent -= 19 * np.maximum(corner_clocks - clocks, 0)
    return LSB_V * bent - offset_v


def converted(inputs_v, offsets_v):
    """Firing times (input, column) in s: the law above, upside down."""
    time = np.linspace(1e-9, 1.2e-6, 100_001)
    return np.stack([np.interp(inputs_v, fired_at(time, offset), time, left=np.inf, right=np.inf)
                     for offset in offsets_v], axis=1)  # fmt: skip


def probed(offsets_v):
    """Inputs and firing times once no column asks for more, and how many rounds that took."""
    span = LSB_V * 264
    inputs = LSB_V * 258 - span * (1 + np.cos(np.pi * np.linspace(0, 1, 33))) / 2
    since, rounds = converted(inputs, offsets_v), 0
    while len(more := inputs_towards_first_edge(inputs, since, EDGES_S[0], CLOCK_S)):
        inputs, rounds = np.sort(np.append(inputs, more)), rounds + 1
        since = converted(inputs, offsets_v)
    return inputs, since, rounds


@pytest.mark.parametrize("offsets_v", [(0.0,), (0.0, 0.7e-3, -3.1e-3)])
def test_a_corner_before_the_first_edge_moves_no_level(offsets_v):
    inputs, since, rounds = probed(offsets_v)
    assert rounds <= 4
    for column, offset in enumerate(offsets_v):
        levels, told = levels_at_edges(inputs, since[:, column], EDGES_S, column)
        # A spline through knots up to 13 codes apart of a term that decays within 20 codes
        # is off by at most 5/384·13^4·0.5/20^4 = 0.001 LSB.
        np.testing.assert_allclose(levels, fired_at(EDGES_S, offset), rtol=0, atol=1e-3 * LSB_V)
        apart = np.diff(since[told, column])
        assert np.all(apart >= 0.5 * CLOCK_S)
        assert abs(since[told[0], column] - EDGES_S[0]) <= 0.05 * CLOCK_S


def test_many_columns_do_not_ask_for_an_input_each():
    inputs = LSB_V * np.linspace(-6, 258, 34)
    since = converted(inputs, np.linspace(-5e-3, 5e-3, 200))
    more = inputs_towards_first_edge(inputs, since, EDGES_S[0], CLOCK_S)
    assert len(more) == 32
    assert np.all(np.diff(more) > 0)


def test_what_does_not_fire_is_refused():
    inputs = LSB_V * np.linspace(-6, 258, 34)
    late = converted(inputs, [0.0])[:, 0]
    never = np.where(inputs > LSB_V * 100, np.inf, late)
    with pytest.raises(MeasurementError, match="column 3 fires at 14 of 34 inputs"):
        levels_at_edges(inputs, never, EDGES_S, 3)
    with pytest.raises(MeasurementError, match="not in order"):
        levels_at_edges(inputs, late[::-1], EDGES_S, 0)
    low = np.where(inputs > LSB_V * 230, np.inf, late)
    with pytest.raises(MeasurementError, match=r"column 1 does not fire within 2.* LSB of an end"):
        levels_at_edges(inputs, low, EDGES_S, 1)
    slow = late + 10 * CLOCK_S
    with pytest.raises(MeasurementError, match="later count_start"):
        levels_at_edges(inputs, slow, EDGES_S, 1)
