"""Levels against whole conversions: seven levels one volt apart, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from imccircuit.surrogates.loop_error import compute_loop_error, loop_figure
from imccircuit.surrogates.verdict import ErrorFigure

LEVELS = np.arange(1.0, 8.0)
SPIKE = 0.2 * (LEVELS == 4)


def figure(model: np.ndarray, truth: np.ndarray) -> ErrorFigure:
    """Whole conversions 0.01 V below and above each true level."""
    inputs = (truth[:, None] + [-0.01, 0.01]).ravel()
    codes = np.searchsorted(truth, inputs)
    found = compute_loop_error(model, inputs, codes, 1.0, bracketed=True)
    return loop_figure([found], 1.0, bracketed=True)


def test_levels_inside_their_brackets_have_no_skill_but_a_note() -> None:
    """max = rms = half a bracket whatever the model: that says nothing of it."""
    found = figure(LEVELS + SPIKE, LEVELS + SPIKE)
    assert (found.max, found.rms) == pytest.approx((0.01, 0.01), abs=1e-9)
    assert found.skill is None
    assert "no more than the search's bracket: SPICE contradicts no level" in str(found)


def test_skill_is_that_of_the_upper_bound() -> None:
    # A straight model: six levels are 0.01 V from an end of their bracket, the fourth 0.21 V. The
    # best line of seven levels leaves 6/7 of a spike in their middle and -1/7 of it elsewhere.
    found = figure(LEVELS, LEVELS + SPIKE)
    rms, line = np.sqrt((6 * 0.01**2 + 0.21**2) / 7), 0.2 * np.sqrt(6) / 7
    assert found.skill == pytest.approx(1 - rms / line, abs=1e-9)
    assert found.note == "upper bound"


def test_straight_levels_leave_nothing_to_improve_on() -> None:
    found = figure(LEVELS + 0.1, LEVELS)
    assert found.max == pytest.approx(0.11, abs=1e-9)
    assert found.skill is None
    assert "cannot tell the levels from a straight line" in found.note


def test_chosen_inputs_are_not_bracketed() -> None:
    # The model says 2.6 is code 2; SPICE gave 3, whose interval begins 0.4 V higher.
    found = compute_loop_error(LEVELS, np.array([2.6, 5.5]), np.array([3, 5]), 1.0, bracketed=False)
    shown = loop_figure([found], 1.0, bracketed=False)
    assert shown.max == pytest.approx(0.4, abs=1e-9)
    assert shown.skill is None
    assert shown.note == "distance of an input from its code's interval"
