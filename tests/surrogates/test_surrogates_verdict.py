"""Figures and states of a verdict, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imccircuit.surrogates.verdict import ErrorFigure, Gate, Verdict, judge, largest_error


def test_figures_by_hand() -> None:
    figure = ErrorFigure.of("level", "V", [3e-3, -4e-3, 0, 0], linear_error=[5e-3] * 4, lsb=1e-3)
    assert figure.max == 4e-3
    assert figure.rms == pytest.approx(2.5e-3, rel=1e-6, abs=0)  # √(25e-6 / 4)
    assert figure.skill == pytest.approx(0.5, rel=1e-6, abs=0)
    assert figure.count == 4
    assert "max 4 mV (4 LSB)" in str(figure)


def test_an_error_that_is_no_number_is_not_passed_over() -> None:
    good, bad = ErrorFigure.of("x", "V", [0.2]), ErrorFigure.of("y", "V", [0.1, np.nan])
    assert largest_error([good, ErrorFigure.of("z", "V", [-0.3])]) == 0.3
    for figures in ([good, bad], [bad, good]):
        assert math.isnan(largest_error(figures))
    assert not Gate.at_most("max_error", largest_error([good, bad]), 1.0, "V").holds
    # Nothing measured is no error.
    assert largest_error([good, ErrorFigure.of("x", "V", np.zeros(0))]) == 0.2


def test_skill_needs_something_to_improve_on() -> None:
    figure = ErrorFigure.of("x", "V", [0.0], linear_error=[1e-9], resolution=1e-8)
    assert figure.skill is None
    assert ErrorFigure.of("x", "V", [2.0], linear_error=[1.0]).skill == -1.0


def test_no_data_gives_no_number() -> None:
    figure = ErrorFigure.of("x", "V", np.zeros(0))
    assert math.isnan(figure.max)
    assert figure.count == 0


def test_a_gate_does_not_hold_for_nan() -> None:
    assert Gate.at_most("x", 1.0, 1.0, "1").holds
    assert not Gate.at_most("x", math.nan, 1.0, "1").holds
    assert str(Gate.at_most("x", 2.0, 1.0, "LSB")) == "x: 2 LSB exceeds 1 LSB"
    assert str(Gate.at_most("x", 0.5, 1.0, "1")) == "x: 0.5 <= 1"


def test_states() -> None:
    good, bad = Gate.at_most("a", 1, 2, "1"), Gate.at_most("b", 3, 2, "1")
    assert judge((good,), ())[0] == "pass"
    assert judge((good, bad), ()) == ("fail", "b: 3 exceeds 2")
    assert judge((good,), ("levels fall",)) == ("fail", "not physical: levels fall")


def test_the_headline_has_the_figures() -> None:
    gates = (Gate.at_most("max_error", 0.5, 1, "LSB"), Gate.at_most("spread", 1.25, 2, "1"))
    found = Verdict("pass", "every gate holds on held-out data", gates)
    assert found.headline() == "verdict: pass (max_error: 0.5 LSB <= 1 LSB; spread: 1.25 <= 2)"
    assert Verdict("not judged", "too few").headline() == "verdict: not judged (too few)"
    bad = (Gate.at_most("max_error", 3, 1, "LSB"), gates[1])
    assert Verdict(*judge(bad, ()), bad).headline() == (
        "verdict: fail (max_error: 3 LSB exceeds 1 LSB)"
    )


def test_json_keeps_everything() -> None:
    verdict = Verdict(
        "fail",
        "why",
        (Gate.at_most("g", math.nan, 2.0, "LSB"),),
        (ErrorFigure.of("x", "V", [1.0], lsb=0.5), ErrorFigure.of("y", "A", [])),
        7, 2, 1, "ngspice 46", {"input": "0 V to 1 V"}, ("a note",),
    )  # fmt: skip
    again = Verdict.from_json(verdict.to_json())
    assert str(again) == str(verdict)
    assert again.domain == verdict.domain
    assert "NaN" not in verdict.to_json()
    for line in ("verdict: fail (why)", "7 values of 2 chip(s), against ngspice 46", "a note"):
        assert line in str(again)


def test_a_foreign_state_is_refused() -> None:
    with pytest.raises(ValueError, match="splendid"):
        Verdict.from_json('{"state": "splendid"}')
