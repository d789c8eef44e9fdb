"""The ADC surrogate against converters whose capacitors are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import (
    Floats,
    adc_chip,
    adc_population,
    checked,
    search,
    static_levels,
    transitions,
    write,
)

from imccircuit.benches.adc_transfer import checked_codes
from imccircuit.errors import UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.base import ModelArray
from imccircuit.surrogates.fit import check, fit_results

CAPS = np.array([1.0, 2.02, 3.99, 8.05, 15.9, 32.2])


def fit(path: Path, chips: list, *settings: str, recipe: str = "adc_sar8_mismatch") -> AdcSurrogate:
    bits = len(chips[0]["bit_capacitor"]) if chips[0] is not None else 6
    model = fit_results(write(path / "r.h5", recipe, [f"circuit.bits={bits}", *settings], chips))
    assert isinstance(model, AdcSurrogate)
    return model


def test_synthetic_codes_are_those_the_bench_checks() -> None:
    assert checked(8) == checked_codes(8).tolist()


def test_one_chip_converts_as_the_search_does(tmp_path: Path) -> None:
    model = fit(tmp_path, [adc_chip(CAPS, 1.0, 2e-3)])
    static = static_levels(CAPS, 1.0, 2e-3)
    voltage = np.random.default_rng(1).uniform(-0.05, 1.05, 500)
    expected = [search(static, 6, v) for v in voltage]
    np.testing.assert_array_equal(model.convert(voltage), expected)
    np.testing.assert_array_equal(model.convert(voltage.reshape(5, 100)).ravel(), expected)
    assert model.verdict.state == "pass"
    # Brackets of 0.01 LSB on both sides: the level in the middle is off by 0.01 LSB at most.
    (gate,) = model.verdict.gates
    assert gate.value == pytest.approx(0.01, rel=1e-6, abs=0)


def test_fitted_weights_are_the_capacitor_ratios(tmp_path: Path) -> None:
    model = fit(tmp_path, [adc_chip(CAPS, 1.0, 2e-3)])
    # Exact but for rounding of a least-squares fit.
    np.testing.assert_allclose(model.array("bit_weight")[0], CAPS / (CAPS.sum() + 1), rtol=1e-12)
    np.testing.assert_allclose(model.array("level_offset")[0], -2e-3, rtol=1e-10)


def test_missing_codes_are_kept(tmp_path: Path) -> None:
    # The largest capacitor 5 % low: codes around mid scale can never come out.
    caps = CAPS.copy()
    caps[-1] *= 0.95
    chips = adc_population(30, seed=2)
    chips[0] = adc_chip(caps, 1.0, 0.0)
    model = fit(tmp_path, chips)
    levels = transitions(static_levels(caps, 1.0, 0.0), 6)
    assert np.any(np.diff(levels) == 0)
    np.testing.assert_allclose(model.levels_v(0), levels, atol=1e-12)


def test_a_chip_whose_conversions_disagree_with_its_levels_fails(tmp_path: Path) -> None:
    chip = dict(adc_chip(CAPS, 1.0, 0.0))
    # Static levels 0.1 LSB too high: injected charge that the null method did not see.
    chip["transition_level"] = chip["transition_level"] + 0.1 / 64
    model = fit(tmp_path, [chip])
    assert model.verdict.state == "fail"
    assert model.verdict.gates[0].value == pytest.approx(0.11, rel=1e-6, abs=0)
    assert "max_error" in model.verdict.reason


def test_inputs_a_user_chose_are_judged_by_their_codes(tmp_path: Path) -> None:
    inputs = np.linspace(0.02, 0.98, 31)
    listed = "stimulus.loop_input=[" + ", ".join(repr(float(v)) for v in inputs) + "]"
    right = adc_chip(CAPS, 1.0, 0.0, inputs=inputs)
    model = fit(tmp_path, [right], listed)
    assert (model.verdict.state, model.verdict.gates[0].value) == ("pass", 0.0)
    wrong = {**right, "transition_level": right["transition_level"] + 1.0 / 64}
    assert fit(tmp_path, [wrong], listed).verdict.state == "fail"


def test_a_population_predicts_held_out_chips(tmp_path: Path) -> None:
    model = fit(tmp_path, adc_population(40, seed=1))
    verdict = model.verdict
    assert verdict.state == "pass", str(verdict)
    assert verdict.chips == 8
    assert np.count_nonzero(model.array("held_out")) == 8
    levels = verdict.errors[0]
    assert levels.max < 1e-12  # the law is exact; what is left is rounding
    assert levels.skill == pytest.approx(1.0, abs=1e-9)


def test_a_held_out_chip_that_breaks_the_law_fails(tmp_path: Path) -> None:
    chips = adc_population(40, seed=1)
    hidden = np.flatnonzero(fit(tmp_path, chips).array("held_out"))
    bad = dict(chips[hidden[3]])
    code = 21  # not among the checked ones
    bad["transition_level"] = bad["transition_level"].copy()
    bad["transition_level"][code - 1] += 0.2 / 64
    chips[hidden[3]] = bad
    verdict = fit(tmp_path, chips).verdict
    assert verdict.state == "fail"
    assert verdict.gates[0].value == pytest.approx(0.2, rel=1e-6, abs=0)


def scaled(model: AdcSurrogate, factor: float, part: slice) -> AdcSurrogate:
    """The same model with the σ of some parameters wrong."""
    cov = model.array("population_covariance").copy()
    cov[part] *= factor
    cov[:, part] *= factor
    arrays = dict(model.model.arrays)
    old = arrays["population_covariance"]
    arrays["population_covariance"] = ModelArray(cov, old.units, old.dims, old.long_name)
    return AdcSurrogate(replace(model.model, arrays=arrays))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_sigma_fails_at_40_samples(tmp_path: Path, factor: float) -> None:
    for seed in range(5):
        model = fit(tmp_path, adc_population(40, seed=seed))
        results = read_results(tmp_path / "r.h5")
        assert check(model, results).state == "pass"
        verdict = check(scaled(model, factor, slice(0, 6)), results)
        assert verdict.state == "fail"
        assert "spread_factor" in verdict.reason


def test_a_wrong_sigma_of_the_offset_fails_at_40_samples(tmp_path: Path) -> None:
    model = fit(tmp_path, adc_population(40, seed=1))
    verdict = check(scaled(model, 6.0, slice(6, 7)), read_results(tmp_path / "r.h5"))
    assert verdict.state == "fail"
    assert "offset_spread_factor" in verdict.reason


def test_chips_of_another_process_fail(tmp_path: Path) -> None:
    model = fit(tmp_path, adc_population(40, seed=1))
    other = write(
        tmp_path / "other.h5", "adc_sar8_mismatch", ["circuit.bits=6"],
        adc_population(20, seed=9, spread=0.03),
    )  # fmt: skip
    verdict = check(model, read_results(other))
    assert (verdict.state, verdict.chips) == ("fail", 20)


def test_drawn_chips_follow_the_law_of_the_measured_ones(tmp_path: Path) -> None:
    model = fit(tmp_path, adc_population(300, seed=4, bits=4))
    drawn = model.sample_chips(4000, seed=1)
    # Drawn from 240 chips: the σ of σ is 1/√480 = 4.6 %; five times that is 23 %.
    weight = drawn["bit_weight"]
    unit = 1 / 16
    # σ of C_k/ΣC for independent C: √(w(1-w)) σ_u/√(Σ units) with w = 2^k/16.
    share = 2.0 ** np.arange(4) * unit
    expected = 0.01 * np.sqrt(share * (1 - share) / 16)
    np.testing.assert_allclose(weight.std(axis=0), expected, rtol=0.23)
    np.testing.assert_allclose(drawn["level_offset"].std(), 1e-3, rtol=0.23)
    assert np.all(np.diff(drawn["transition_level"], axis=1) >= 0)


def test_few_chips_are_not_judged(tmp_path: Path) -> None:
    verdict = fit(tmp_path, adc_population(9, seed=1)).verdict
    assert verdict.state == "not judged"
    assert "too few" in verdict.reason
    gates = "max_error <= 0.05 LSB, spread_factor <= 1.75, offset_spread_factor <= 4"
    assert verdict.notes[-1] == f"gates that were not judged: {gates}"
    judged = fit(tmp_path, adc_population(10, seed=1)).verdict
    assert judged.chips == 5
    assert "gates that were not judged" not in str(judged)


def test_failed_chips_are_left_out_and_counted(tmp_path: Path) -> None:
    chips: list = adc_population(32, seed=1)
    chips[3] = chips[30] = None
    model = fit(tmp_path, [chips[0], *chips[1:]])
    assert model.verdict.left_out == 2
    assert model.chips == 30
    assert 3 not in model.array("sample")
    assert np.all(np.isfinite(model.array("transition_level")))


def test_more_samples_of_the_same_seed_are_judged_without_those_of_the_fit(tmp_path: Path) -> None:
    chips = adc_population(40, seed=1)
    model = fit(tmp_path, chips[:20])
    more = write(tmp_path / "more.h5", "adc_sar8_mismatch", ["circuit.bits=6"], chips)
    fitted = int(np.count_nonzero(model.array("held_out") == 0))
    assert check(model, read_results(more)).chips == 40 - fitted


def test_results_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = fit(tmp_path, [adc_chip(CAPS, 1.0, 0.0)], recipe="adc_sar8")
    many = write(
        tmp_path / "m.h5", "adc_sar8_mismatch", ["circuit.bits=6"], adc_population(3, seed=1)
    )
    with pytest.raises(UsageError, match="3 chips"):
        check(model, read_results(many))
    small = write(tmp_path / "s.h5", "adc_sar8", ["circuit.bits=4"], [adc_chip(CAPS[:4], 1.0, 0.0)])
    with pytest.raises(UsageError, match="6 bits"):
        check(model, read_results(small))
    with pytest.raises(UsageError, match="no chip 1"):
        model.levels_v(1)


def test_levels_that_fall_are_not_physical(tmp_path: Path) -> None:
    model = fit(tmp_path, [adc_chip(CAPS, 1.0, 0.0)])
    levels: Floats = model.array("transition_level").copy()
    levels[0, 5] -= 1.0
    arrays = {
        **model.model.arrays,
        "transition_level": ModelArray(levels, "V", ("chip", "code"), ""),
    }
    broken = AdcSurrogate(replace(model.model, arrays=arrays))
    assert broken.admissibility() == ("transition levels fall",)
    verdict = check(broken, read_results(tmp_path / "r.h5"))
    assert verdict.state == "fail"
    assert "not physical" in verdict.reason


def test_a_curvature_that_all_chips_share_is_beside_the_weights(tmp_path: Path) -> None:
    """A fifth of an LSB of bow, as junctions of switches bend it, and what weights cannot say."""
    code, lsb = np.arange(1, 64), 1 / 64
    bow = 0.2 * lsb * 4 * (code / 64) * (1 - code / 64)
    design = np.array([[d >> k & 1 for k in range(6)] + [1] for d in code])
    beyond = bow - design @ np.linalg.lstsq(design, bow, rcond=None)[0]
    assert np.max(np.abs(beyond)) > 0.05 * lsb
    model = fit(tmp_path, adc_population(24, 3, curvature_v=bow))
    np.testing.assert_allclose(model.array("shared_level"), beyond, rtol=0, atol=1e-12)
    assert model.verdict.state == "pass", str(model.verdict)
    # Held-out chips, from the weights of a few codes: exact but for rounding.
    by_null = model.verdict.errors[0]
    assert by_null.max < 1e-9 * lsb
    assert "the curvature that all chips share" in by_null.note
    chips = adc_population(24, 3, curvature_v=bow)
    for k in (0, 11, 23):
        np.testing.assert_allclose(model.levels_v(k), chips[k]["transition_level"], atol=1e-12)
    # Drawn chips have it as well: the mean over many is the law's, to 5 standard errors.
    drawn = model.sample_chips(4000, seed=1)
    weights = np.column_stack([drawn["bit_weight"], drawn["level_offset"]])
    np.testing.assert_allclose(
        drawn["transition_level"], weights @ design.T + beyond, rtol=0, atol=1e-12
    )


def test_converters_of_ideal_switches_share_no_curvature(tmp_path: Path) -> None:
    model = fit(tmp_path, adc_population(24, 3))
    assert "shared_level" not in model.model.arrays
    assert "decision_level" not in model.model.arrays


def test_errors_that_each_chip_has_for_itself_are_no_curvature(tmp_path: Path) -> None:
    """A tenth of an LSB, independent: their mean over chips is noise, and not stored as a law."""
    rng = np.random.default_rng(6)
    chips = []
    for chip in adc_population(24, 3):
        chip["forced_level"] = chip["forced_level"] + 0.1 / 64 * rng.standard_normal(63)
        chip["transition_level"] = transitions(chip["forced_level"], 6)
        chips.append(chip)
    assert "shared_level" not in fit(tmp_path, chips).model.arrays


def test_too_few_chips_to_hold_any_out_share_nothing(tmp_path: Path) -> None:
    code = np.arange(1, 64)
    bow = 0.2 / 64 * 4 * (code / 64) * (1 - code / 64)
    model = fit(tmp_path, adc_population(4, 3, curvature_v=bow))
    assert model.verdict.state == "not judged"
    assert "shared_level" not in model.model.arrays


def test_parameters_have_their_standard_errors(tmp_path: Path) -> None:
    """Against the chips' capacitors: w_k = C_k/ΣC and o = -offset, 32 of them seen."""
    chips = adc_population(40, seed=1)
    model = fit(tmp_path, chips)
    code = np.arange(1, 64)
    design = np.array([[d >> k & 1 for k in range(6)] + [1] for d in code])
    forced = np.array([chip["forced_level"] for chip in chips])[model.array("held_out") == 0]
    own = np.linalg.lstsq(design, forced.T, rcond=None)[0]
    found = model.model.parameters
    names = [*(f"bit_weight_{k}" for k in range(6)), "offset"]
    for name, row in zip(names, own, strict=True):
        assert found[name].value == pytest.approx(row.mean(), abs=1e-12)
        assert found[name].sigma == pytest.approx(row.std(ddof=1) / np.sqrt(32), abs=1e-12)
    sigma = own[-1].std(ddof=1)
    assert found["offset_sigma"].value == pytest.approx(sigma, abs=1e-12)
    assert found["offset_sigma"].sigma == pytest.approx(sigma / np.sqrt(62), abs=1e-12)
    assert found["offset_sigma"].note == ""
    few = fit(tmp_path, chips[:7]).model.parameters["offset_sigma"]
    assert few.note.startswith("of 7 chips the covariance of 7 parameters has not full rank")


def test_parameters_of_one_chip_are_as_good_as_its_residual(tmp_path: Path) -> None:
    """Levels with errors of 0.1 mV: the textbook's covariance of a least-squares fit."""
    chip = dict(adc_chip(CAPS, 1.0, 2e-3))
    rng = np.random.default_rng(3)
    chip["forced_level"] = chip["forced_level"] + 1e-4 * rng.standard_normal(63)
    found = fit(tmp_path, [chip]).model.parameters
    design = np.array([[d >> k & 1 for k in range(6)] + [1] for d in range(1, 64)])
    own, left, _, _ = np.linalg.lstsq(design, chip["forced_level"], rcond=None)
    error = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * left[0] / (63 - 7))
    for k in range(6):
        assert found[f"bit_weight_{k}"].value == pytest.approx(own[k], abs=1e-12)
        assert found[f"bit_weight_{k}"].sigma == pytest.approx(error[k], abs=1e-12)
    assert found["offset"].sigma == pytest.approx(error[6], abs=1e-12)
    assert "offset_sigma" not in found
