"""The surrogate of digital-to-analog converters against parts that are known."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_ports import (
    CODES,
    DAC_BITS,
    REFERENCE_V,
    dac_chip,
    groups,
    pulses,
    strings,
    write_dac,
)

from imccircuit.results.read import read_results
from imccircuit.surrogates.dac_law import bridge, step_variance
from imccircuit.surrogates.fit import check, fit_results

LSB = REFERENCE_V / 2**DAC_BITS


def test_weights_are_shares_of_the_capacitance(tmp_path):
    caps = np.array([1.0, 2.1, 3.9, 8.2, 15.9, 32.3])
    total = caps.sum() + 1.0
    bits = (CODES[:, None] >> np.arange(DAC_BITS)) & 1
    chip = dac_chip(REFERENCE_V * bits @ caps / total, 2, DAC_BITS + 1)
    model = fit_results(write_dac(tmp_path / "r.h5", "capacitor", [chip]))
    found = [model.value(f"bit_weight_{k}") for k in range(DAC_BITS)]
    np.testing.assert_allclose(found, REFERENCE_V * caps / total, rtol=0, atol=1e-12)
    assert model.verdict.state == "pass"
    assert model.predict(code=5)["output_level_v"] == pytest.approx(
        REFERENCE_V * (caps[0] + caps[2]) / total, abs=1e-12
    )


def test_what_switches_inject_into_all_chips_is_found_once(tmp_path):
    chips = groups(20, seed=1, injected_v=0.5 * LSB)
    model = fit_results(write_dac(tmp_path / "r.h5", "capacitor", chips))
    assert model.verdict.state == "pass"
    one = fit_results(write_dac(tmp_path / "one.h5", "capacitor", chips[:1]))
    assert one.verdict.state == "fail"


def test_levels_of_their_own_fail_the_gate(tmp_path):
    rng = np.random.default_rng(2)
    chips = groups(20, seed=1)
    for chip in chips:
        chip["output_level"] = chip["output_level"] + 0.1 * LSB * rng.standard_normal(len(CODES))
    model = fit_results(write_dac(tmp_path / "r.h5", "capacitor", chips))
    assert model.verdict.state == "fail"
    assert "max_error" in model.verdict.reason


def test_steps_of_a_string_spread_as_its_resistors(tmp_path):
    model = fit_results(write_dac(tmp_path / "r.h5", "string", strings(30, seed=1)))
    fitted = model.model.parameters["step_sigma"]
    # Resistors were drawn with 1 %; 24 chips of 63 steps tell σ to 1/√(2·23·63) = 1.9 %.
    assert fitted.sigma == pytest.approx(0.0186 * fitted.value, abs=1e-3 * fitted.value)
    assert fitted.value == pytest.approx(0.01 * LSB, abs=3 * fitted.sigma)
    assert model.verdict.state == "pass"
    drawn = model.sample_chips(2000, seed=1)["output_level"]
    # Half of 64 steps against the other half: σ·√(64·½·½); 2000 draws tell it to 1.6 %.
    assert drawn[:, 32].std() == pytest.approx(4 * fitted.value, abs=0.05 * 4 * fitted.value)
    assert np.all(drawn[:, 0] == drawn[0, 0])


def test_a_bridge_is_pinned_at_both_ends():
    normal = np.random.default_rng(1).standard_normal((20_000, 4))
    walks = np.array([bridge(row, 2.0) for row in normal])
    # σ²(min(i, j) - i·j/N) for N = 4; 20,000 draws tell a variance of 4 to 1 %.
    exact = 4.0 * np.array([[0, 0, 0, 0], [0, 0.75, 0.5, 0.25], [0, 0.5, 1, 0.5],
                            [0, 0.25, 0.5, 0.75]])  # fmt: skip
    np.testing.assert_allclose(walks.T @ walks / len(walks), exact, rtol=0, atol=0.16)
    variance, freedom = step_variance(walks)
    assert variance == pytest.approx(4.0, abs=0.08)
    assert freedom == 19_999 * 3


def test_pulses_have_an_offset_and_a_clock(tmp_path):
    model = fit_results(write_dac(tmp_path / "r.h5", "pulse_width", pulses(20, seed=1)))
    # The short pulses' own shape, 3 ps at most, pulls the line by a part of it.
    assert model.value("offset") == pytest.approx(5e-12, abs=1e-12)
    assert model.value("clock_time") == pytest.approx(1e-9, abs=1e-13)
    assert model.predict(code=0)["output_level_s"] == pytest.approx(0.0, abs=1e-18)
    first = model.predict(code=1, chip=0)["output_level_s"]
    generator = np.random.default_rng(1)
    own = 1e-9 + 1e-12 * (5 + generator.standard_normal()) - 3e-12 * np.exp(-1.0)
    assert first == pytest.approx(own, abs=1e-17)


@pytest.mark.parametrize("kind", ["capacitor", "string"])
@pytest.mark.parametrize(("spread", "state"), [(0.01, "pass"), (0.03, "fail"), (0.003, "fail")])
def test_chips_of_another_spread_are_told(tmp_path, kind, spread, state):
    drawn = {"capacitor": groups, "string": strings}[kind]
    model = fit_results(write_dac(tmp_path / "r.h5", kind, drawn(40, 1)))
    others = write_dac(tmp_path / "o.h5", kind, drawn(20, 7, spread))
    verdict = check(model, read_results(others))
    assert verdict.state == state
    assert ("spread_factor" in verdict.reason) == (state == "fail")
    note = next(note for note in verdict.notes if "INL" in note)
    assert ("which agrees" in note) == (state == "pass")


def test_chips_of_the_fit_are_not_counted_again(tmp_path):
    model = fit_results(write_dac(tmp_path / "r.h5", "string", strings(20, seed=1)))
    longer = write_dac(tmp_path / "o.h5", "string", strings(30, seed=1))
    assert check(model, read_results(longer)).chips == 15


@pytest.mark.parametrize(("kind", "code"), [("capacitor", 37), ("string", 38)])
def test_a_held_out_chip_shows_only_its_calibration(tmp_path, kind, code):
    # Neither code is one at which a chip shows its numbers.
    chips = {"capacitor": groups, "string": strings}[kind](20, 1)
    model = fit_results(write_dac(tmp_path / "a.h5", kind, chips))
    for chip in np.flatnonzero(model.array("held_out")):
        chips[chip]["output_level"][code] += 0.2 * LSB
    again = fit_results(write_dac(tmp_path / "b.h5", kind, chips))
    np.testing.assert_array_equal(again.array("number"), model.array("number"))
    assert again.verdict.state == "fail"


def test_too_few_chips_are_not_judged(tmp_path):
    model = fit_results(write_dac(tmp_path / "r.h5", "string", strings(9, seed=1)))
    assert model.verdict.state == "not judged"
