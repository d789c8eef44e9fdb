"""Which error of a population of levels is injected: that of its levels, not of a prediction."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# The folder is on the path by itself only when its own tests are collected.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "surrogates"))

from synthetic_levels import flash, write_dut, write_levels

from imccircuit.networks.residuals import residuals_of, without_error
from imccircuit.surrogates.fit import fit_results

LSB = 1 / 64
# A front end whose output is off by 1 mV over 1 kohm.
ARRAY: Any = SimpleNamespace(
    value=lambda _: 1e3,
    verdict=SimpleNamespace(errors=(SimpleNamespace(quantity="output", unit="V", rms=1e-3),)),
)


def test_levels_that_replay_their_conversions_have_the_error_of_those(tmp_path: Path) -> None:
    model = fit_results(write_dut(tmp_path / "d.h5", flash(40, 1)))
    few, loop = model.verdict.errors
    assert loop.quantity != few.quantity
    # Independent errors of 0.1 LSB: a few codes tell nothing of the others.
    assert few.rms > 3 * loop.rms
    found = residuals_of(ARRAY, model)
    # Whole conversions 0.02 LSB on either side of each level bracket it: that much at most.
    assert found.level_v == pytest.approx(0.02 * LSB, abs=1e-9)
    assert found.voltage_over_ohm == pytest.approx(1e-6, abs=1e-15)
    assert without_error(ARRAY, model) == ()


def test_levels_without_conversions_have_none_and_that_is_said(tmp_path: Path) -> None:
    model = fit_results(write_levels(tmp_path / "l.h5", flash(40, 1)))
    assert residuals_of(ARRAY, model).level_v == 0.0
    assert without_error(ARRAY, model) == ("converter",)
