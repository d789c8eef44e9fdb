"""What a print of a model's parameters says of what the data do not tell."""

from __future__ import annotations

import math

import pytest

from imccircuit.cli.model_report import open_question, parameter_text
from imccircuit.surrogates.base import Parameter


@pytest.mark.parametrize(
    ("value", "sigma", "note", "text"),
    [(-3.9e-15, 61e-15, "", "x = -3.9 fs ± 61 fs  (not told from 0)"),
     (-1.9e-9, 1e-9, "of one chip", "x = -1.9 ns ± 1 ns  (not told from 0; of one chip)"),
     (-2.1e-9, 1e-9, "", "x = -2.1 ns ± 1 ns"),
     (2.1e-9, 1e-9, "of one chip", "x = 2.1 ns ± 1 ns  (of one chip)"),
     # Not fitted: 0 is what it is.
     (0.0, 0.0, "", "x = 0 s"),
     (1e-9, math.nan, "", "x = 1 ns  (not told by these data)"),
     (1e-9, math.nan, "below 1 ns", "x = 1 ns  (below 1 ns)")],
)  # fmt: skip
def test_what_the_data_do_not_tell_is_said(value, sigma, note, text) -> None:
    assert parameter_text(Parameter("x", value, "s", sigma, note)) == text


def test_a_number_without_unit_and_one_that_is_told() -> None:
    assert parameter_text(Parameter("chips", 8.0, "1")) == "chips = 8"
    assert open_question(Parameter("gain", 1.0, "V", 0.01)) == ""
