"""The surrogate of front ends against curves that are known in closed form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import write
from synthetic_ports import LEVELS, RANGE_A, ideal_tia, mirrors, write_mirrors

from imccircuit.results.read import read_results
from imccircuit.surrogates.fit import check, fit_results
from imccircuit.surrogates.front_end import FrontEndSurrogate
from imccircuit.surrogates.front_end_law import TransferLaw, calibration_levels

MIRROR = ["circuit.amplifier.offset_sigma=1 mV", 'variation.quantities=["offset"]']


def fit(path: Path, chips: list) -> FrontEndSurrogate:
    model = fit_results(write(path, "readout_tia", MIRROR, chips))
    assert isinstance(model, FrontEndSurrogate)
    return model


def test_an_amplifier_of_finite_gain_shows_its_own_numbers(tmp_path):
    model = fit_results(write(tmp_path / "r.h5", "readout_tia", [], [ideal_tia(gain=50.0)]))
    # By hand: R_f/(1 + A), and R_f·A/(1 + A) from it.
    seen = 10e3 / 51
    assert model.value("input_resistance") == pytest.approx(seen, abs=1e-8)
    # Convention of all surrogates: V = V_0 - R_t·I, so that of an inverting read-out is positive.
    assert model.value("transresistance") == pytest.approx(10e3 - seen, abs=1e-8)
    # A file from before that held the slope.
    old = model.model.parameters["transresistance"]
    former = replace(
        model.model,
        parameters={**model.model.parameters, "transresistance": replace(old, value=-old.value)},
        settings={"bench": "readout_transfer"},
    )
    assert FrontEndSurrogate(former).value("transresistance") == old.value
    assert model.value("zero_output") == pytest.approx(0.6, abs=1e-12)
    assert model.value("input_voltage") == pytest.approx(0.6, abs=1e-12)
    assert model.value("output_bow") == pytest.approx(0.0, abs=1e-12)
    assert model.verdict.state == "pass"
    # The output stopped at the low end; at the high end nobody knows.
    assert model.value("low_stop") == pytest.approx(0.1, abs=1e-12)
    assert np.isnan(model.model.parameters["high_stop"].sigma)
    # Energy is that of the modelled blocks, and the note names the other.
    assert model.value("energy") == pytest.approx(1.2e-12, abs=1e-20)
    assert "amplifier" in model.model.parameters["energy"].note
    assert "area" not in model.model.parameters


def test_beyond_the_range_it_runs_straight_into_its_stop():
    law = TransferLaw(np.linspace(0, RANGE_A, LEVELS), np.zeros(LEVELS))
    # A parabola, V = 1 - x·(1 + 0.2·x) with x = I/range: slope -1 at 0 and -1.4 at the end.
    x = law.current_a / RANGE_A
    numbers = law.fit(law.current_a, (1 - x * (1 + 0.2 * x))[None])[0]
    assert law.voltage(numbers, np.array(0.25 * RANGE_A)) == pytest.approx(0.7375, abs=1e-12)
    assert law.voltage(numbers, np.array(1.5 * RANGE_A)) == pytest.approx(-0.2 - 0.7, abs=1e-12)
    assert law.voltage(numbers, np.array(-0.5 * RANGE_A)) == pytest.approx(1.5, abs=1e-12)


def test_what_all_chips_share_is_found_once(tmp_path):
    # A ripple that no polynomial of third order follows, 0.3 LSB, the same on every chip.
    ripple = 5e-4 * np.cos(np.pi * np.arange(LEVELS))
    chips = mirrors(20, seed=1)
    for chip in chips:
        chip["output_voltage"] = chip["output_voltage"] + ripple
    model = fit(tmp_path / "r.h5", chips)
    assert model.verdict.state == "pass"
    # From level to level it swings by twice 0.5 mV; a cubic follows a tenth of it at most inside.
    swing = np.abs(np.diff(model.array("output_residual")))[4:12]
    np.testing.assert_allclose(swing, 1e-3, rtol=0, atol=1e-4)


def test_what_a_chip_has_alone_fails_the_gate(tmp_path):
    rng = np.random.default_rng(1)
    chips = mirrors(20, seed=1)
    for chip in chips:
        # Of the order of 0.2 LSB at every level, another on every chip: nothing can predict it.
        chip["output_voltage"] = chip["output_voltage"] + 3e-4 * rng.standard_normal(LEVELS)
    model = fit(tmp_path / "r.h5", chips)
    assert model.verdict.state == "fail"
    assert "max_error" in model.verdict.reason


def test_a_held_out_chip_shows_only_its_calibration(tmp_path):
    chips = mirrors(20, seed=1)
    model = fit(tmp_path / "a.h5", chips)
    hidden = np.flatnonzero(model.array("held_out"))
    others = np.setdiff1d(np.arange(LEVELS), calibration_levels(np.linspace(0, RANGE_A, LEVELS)))
    for chip in hidden:
        chips[chip]["output_voltage"][others] += 1e-3
    again = fit(tmp_path / "b.h5", chips)
    np.testing.assert_array_equal(again.own, model.own)
    assert again.verdict.state == "fail"
    # And what the fit does see, it sees.
    chips[int(np.flatnonzero(model.array("held_out") == 0)[0])]["output_voltage"][others] += 1e-3
    assert not np.array_equal(fit(tmp_path / "c.h5", chips).own, model.own)


def test_drawn_chips_have_the_spread_of_the_fitted_ones(tmp_path):
    model = fit_results(write_mirrors(tmp_path / "r.h5", 100, seed=1))
    drawn = model.sample_chips(2000, seed=3)["input_coefficient"][:, 0]
    # Input offsets were drawn with 2.5 mV. 80 chips tell σ to 8 %, 2000 draws to 1.6 %: 3 sigma.
    assert drawn.std() == pytest.approx(2.5e-3, abs=0.24 * 2.5e-3)
    row = model.sample_chips(3, seed=3)
    given = {f"{curve}_v": values[2] for curve, values in row.items()}
    found = model.predict(current_a=RANGE_A / 2, **given)
    # Bow and asymmetry stand at one and nothing in the middle of the range.
    numbers, common = row["input_coefficient"][2], model.array("input_residual")[LEVELS // 2]
    middle = numbers[0] + numbers[2] + common
    assert found["input_voltage_v"] == pytest.approx(middle, abs=1e-12)


@pytest.mark.parametrize(("spread", "state"), [(1.0, "pass"), (3.0, "fail"), (0.25, "fail")])
def test_chips_of_another_spread_are_told(tmp_path, spread, state):
    model = fit_results(write_mirrors(tmp_path / "r.h5", 60, seed=1))
    others = write_mirrors(tmp_path / "o.h5", 30, seed=5, spread=spread)
    verdict = check(model, read_results(others))
    assert verdict.state == state
    assert ("spread_factor" in verdict.reason) == (state == "fail")
    assert verdict.chips == 30


def test_chips_of_the_fit_are_not_counted_again(tmp_path):
    model = fit_results(write_mirrors(tmp_path / "r.h5", 20, seed=1))
    longer = write_mirrors(tmp_path / "more.h5", 30, seed=1)
    # 15 of the first 20 were fitted: they are no news.
    assert check(model, read_results(longer)).chips == 15


def test_too_few_chips_are_not_judged(tmp_path):
    model = fit_results(write_mirrors(tmp_path / "r.h5", 9, seed=1))
    assert model.verdict.state == "not judged"
    assert model.verdict.chips == 0
