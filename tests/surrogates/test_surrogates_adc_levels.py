"""Populations of levels: converters that are no SAR, of which the law is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from synthetic import Floats, adc_population, write
from synthetic_levels import flash, ladder, write_dut, write_levels

from imccircuit.errors import FileFormatError
from imccircuit.results.read import read_results
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.adc_level_law import LevelLaw
from imccircuit.surrogates.base import Parameter
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import check, fit_results
from imccircuit.surrogates.statistics import check_statistics

BITS, COUNT, LSB = 6, 63, 1 / 64


def fitted(path: Path) -> AdcSurrogate:
    model = fit_results(path)
    assert isinstance(model, AdcSurrogate)
    return model


DRAWN = {"flash": flash(40, 1), "ladder": ladder(40, 1)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("levels")
    return {name: write_levels(folder / f"{name}.h5", DRAWN[name]) for name in DRAWN}


@pytest.fixture(scope="module")
def models(files: dict[str, Path]) -> dict[str, AdcSurrogate]:
    return {name: fitted(path) for name, path in files.items()}


def a_law(level: float, step: float) -> LevelLaw:
    rng = np.random.default_rng(3)
    return LevelLaw(
        mean_v=np.arange(1, 8) / 8,
        factor_v=1e-3 * rng.standard_normal((3, 7)),
        scale=rng.uniform(0.5, 1.5, 7),
        level_v=level,
        step_v=step,
    )


def written_out(law: LevelLaw) -> Floats:
    """FᵀF + W K W, element by element."""
    code = np.arange(1, 8)
    walk = np.minimum.outer(code, code) - np.outer(code, code) / 8
    k = law.level_v**2 * np.eye(7) + law.step_v**2 * walk
    return law.factor_v.T @ law.factor_v + np.outer(law.scale, law.scale) * k


@pytest.mark.parametrize(("level", "step"), [(2e-3, 0.0), (0.0, 3e-3), (1e-3, 2e-3)])
def test_the_covariance_is_the_one_that_is_stated(level: float, step: float) -> None:
    law = a_law(level, step)
    expected = written_out(law)
    every = law.covariance(np.arange(1, 8))
    np.testing.assert_allclose(every, expected, rtol=0, atol=1e-18)
    np.testing.assert_allclose(law.variance(), np.diag(expected), rtol=0, atol=1e-18)
    np.testing.assert_allclose(law.root().T @ law.root(), expected, rtol=0, atol=1e-18)
    # What chips are drawn with is the root: unit vectors show it, little enough not to reorder.
    small = 1e-3 * np.eye(law.variates)
    np.testing.assert_allclose(
        (law.draw(small) - law.mean_v) / 1e-3, law.root(), rtol=0, atol=1e-12
    )


def test_a_string_is_predicted_by_straight_lines_between_what_is_shown() -> None:
    """A random walk between two points: straight on the mean, variance s²(i - a)(b - i)/(b - a)."""
    step = 1e-3
    law = LevelLaw(np.arange(1, 64) / 64, np.zeros((0, 63)), np.ones(63), 0.0, step)
    shown = np.array([8, 24, 40, 63])
    levels = ladder(3, 1, sigma_lsb=0.02)
    mean, sigma = law.predict(levels, shown)
    place = np.concatenate([[0], shown, [64]])
    code = np.arange(1, 64)
    for own, row in zip(levels, mean, strict=True):
        away = np.concatenate([[0.0], (own - code / 64)[shown - 1], [0.0]])
        np.testing.assert_allclose(
            row, code / 64 + np.interp(code, place, away), rtol=0, atol=1e-12
        )
    after = np.searchsorted(place, code)
    low, high = place[after - 1], place[after]
    expected = step * np.sqrt((code - low) * (high - code) / (high - low))
    np.testing.assert_allclose(sigma, expected, rtol=0, atol=1e-9)


def test_drawn_levels_never_fall() -> None:
    law = LevelLaw(np.arange(1, 8) / 8, np.zeros((0, 7)), np.ones(7), 0.2, 0.0)
    levels = law.draw(np.random.default_rng(1).standard_normal((50, law.variates)))
    assert np.all(np.diff(levels, axis=1) >= 0)
    # The same levels in another order: nothing was moved to make them rise.
    normal = np.zeros((1, 7))
    assert law.draw(normal)[0] == pytest.approx(law.mean_v, abs=1e-15)


def band(values: Floats, drawn: Floats, figure) -> bool:
    """Whether a figure (entry,) of drawn chips is in the bootstrap's band of all entries, 99 %."""
    rng = np.random.default_rng(8)
    chips = len(values)
    again = np.array([figure(values[rng.integers(chips, size=chips)]) for _ in range(500)])
    middle, error = figure(values), again.std(axis=0)
    most = np.quantile(np.max(np.abs(again - middle) / error, axis=1), 0.99)
    return bool(np.all(np.abs(figure(drawn) - middle) <= most * error))


def log_sigma(levels: Floats) -> Floats:
    return np.log(levels.std(axis=0, ddof=1))


def steps_log_sigma(levels: Floats) -> Floats:
    return log_sigma(np.diff(levels, axis=1))


def correlations(levels: Floats) -> Floats:
    """Fisher's z of each code's correlation with the next one, and with that 16 codes on."""
    r = np.corrcoef(levels, rowvar=False)
    return np.arctanh(np.concatenate([np.diag(r, 1), np.diag(r, 16)]))


@pytest.mark.parametrize(
    ("name", "parameter", "other"),
    [("flash", "level_sigma", "step_sigma"), ("ladder", "step_sigma", "level_sigma")],
)
def test_drawn_chips_have_the_law_of_the_measured_ones(
    models: dict[str, AdcSurrogate], name: str, parameter: str, other: str
) -> None:
    levels, model = DRAWN[name], models[name]
    assert model.verdict.state == "pass", str(model.verdict)
    np.testing.assert_array_equal(model.array("transition_level"), levels)
    own = levels[model.array("held_out") == 0]
    drawn = model.sample_chips(4000, seed=1)["transition_level"]
    assert band(own, drawn, log_sigma)
    assert band(own, drawn, steps_log_sigma)
    assert band(own, drawn, correlations)
    # 0.1 LSB was drawn; the other error was not there.
    found = model.model.parameters[parameter]
    assert found.value == pytest.approx(0.1 * LSB, abs=5 * found.sigma)
    assert found.sigma < 0.05 * found.value
    assert model.value(other) < 0.03 * LSB


def test_independent_errors_are_not_predicted_and_the_verdict_says_so(
    models: dict[str, AdcSurrogate],
) -> None:
    verdict = models["flash"].verdict
    (figure,) = verdict.errors
    # 376 errors of 0.1 LSB: the rms is known to 1/√752 of itself, 4 %; four of these.
    assert figure.rms == pytest.approx(0.1 * LSB, abs=0.016 * LSB)
    assert figure.skill == pytest.approx(0.0, abs=0.1)
    assert {gate.name for gate in verdict.gates} == {
        "spread_factor", "spread_factor of steps", "offset_spread_factor",
    }  # fmt: skip
    text = str(verdict)
    assert "no gate, for the model does not predict chips" in text
    assert "law: levels of their own" in text
    assert "no whole conversion was measured" in text


def test_errors_that_run_on_are_predicted(models: dict[str, AdcSurrogate]) -> None:
    (figure,) = models["ladder"].verdict.errors
    # Every fourth code is shown; between, a walk has 3/4, 1 and 3/4 of a step's variance, 2.5/3 in
    # the mean. 8 chips of 15 gaps know the rms to 1/√240, 6.5 %; four of these.
    expected = np.sqrt(2.5 / 3) * 0.1 * LSB
    assert figure.rms == pytest.approx(expected, abs=0.26 * expected)
    assert figure.skill is not None
    assert figure.skill > 0.3


def test_whole_conversions_judge_the_levels_of_a_netlist(tmp_path: Path) -> None:
    levels = flash(20, 4)
    right = fitted(write_dut(tmp_path / "r.h5", levels)).verdict
    assert right.state == "pass", str(right)
    # Inputs 0.02 LSB on either side bracket the level: it is off by that much at most.
    assert right.gates[0].name == "max_error"
    assert right.gates[0].value == pytest.approx(0.02, abs=1e-9)
    wrong = fitted(write_dut(tmp_path / "w.h5", levels, 0.1 * LSB)).verdict
    assert wrong.state == "fail"
    assert wrong.gates[0].value == pytest.approx(0.12, abs=1e-9)


def test_a_sar_converter_of_another_bench_has_bit_weights(tmp_path: Path) -> None:
    levels = np.array([chip["transition_level"] for chip in adc_population(40, seed=1)])
    assert np.all(np.diff(levels, axis=1) > 0)
    for path in (
        write_levels(tmp_path / "a.h5", levels),
        write_dut(tmp_path / "b.h5", levels),
    ):
        model = fitted(path)
        assert model.level_law is None
        assert "law: bit weights" in str(model.verdict)
        assert model.verdict.state == "pass", str(model.verdict)
    settings = [f"circuit.bits={BITS}"]
    bench = write(tmp_path / "c.h5", "adc_sar8_mismatch", settings, adc_population(40, seed=1))
    np.testing.assert_allclose(
        fitted(bench).array("population_mean"), model.array("population_mean"), rtol=1e-9
    )


def test_small_independent_errors_are_no_bit_weights_either(tmp_path: Path) -> None:
    """All within the gate of 0.05 LSB, but drawn from bit weights they would vary too little."""
    model = fitted(write_levels(tmp_path / "r.h5", flash(40, 3, sigma_lsb=0.008)))
    assert model.level_law is not None
    drawn = model.sample_chips(4000, seed=1)["transition_level"]
    # 32 chips of 63 levels know a common σ to 1/√4032; ten times that, for it is shrunk.
    rms = np.sqrt(np.mean(drawn.var(axis=0)))
    assert rms == pytest.approx(0.008 * LSB, abs=0.16 * 0.008 * LSB)


def scaled(model: AdcSurrogate, factor: float) -> AdcSurrogate:
    """The same with another σ of everything."""
    arrays = dict(model.model.arrays)
    for name in ("level_factor", "level_scale"):
        arrays[name] = replace(arrays[name], values=factor * arrays[name].values)
    return AdcSurrogate(replace(model.model, arrays=arrays))


@pytest.mark.parametrize("name", ["flash", "ladder"])
def test_a_wrong_population_fails(
    models: dict[str, AdcSurrogate], files: dict[str, Path], name: str
) -> None:
    model, results = models[name], read_results(files[name])
    for factor in (0.5, 2.0):
        verdict = check(scaled(model, factor), results)
        assert verdict.state == "fail"
        assert "spread_factor" in verdict.reason


def test_chips_of_another_process_fail(models: dict[str, AdcSurrogate], tmp_path: Path) -> None:
    other = write_levels(tmp_path / "o.h5", flash(20, 9, sigma_lsb=0.3))
    verdict = check(models["flash"], read_results(other))
    assert (verdict.state, verdict.chips) == ("fail", 20)


def test_a_wrong_correlation_fails_although_every_code_has_its_sigma(
    models: dict[str, AdcSurrogate], files: dict[str, Path]
) -> None:
    model = models["ladder"]
    assert model.level_law is not None
    law = model.level_law
    # Independent levels of the same σ, code by code: steps are then far too wide.
    arrays = dict(model.model.arrays)
    sigma = np.sqrt(law.variance())
    arrays["level_factor"] = replace(
        arrays["level_factor"], values=np.zeros_like(arrays["level_factor"].values)
    )
    arrays["level_scale"] = replace(arrays["level_scale"], values=sigma / 1e-3)
    parameters = {
        **model.model.parameters,
        "level_sigma": Parameter("level_sigma", 1e-3, "V"),
        "step_sigma": Parameter("step_sigma", 0.0, "V"),
    }
    wrong = AdcSurrogate(replace(model.model, arrays=arrays, parameters=parameters))
    verdict = check(wrong, read_results(files["ladder"]))
    assert verdict.state == "fail"
    assert "spread_factor of steps" in verdict.reason


def test_statistics_tell_a_right_population_from_a_wrong_one(tmp_path: Path) -> None:
    model = fitted(write_levels(tmp_path / "r.h5", flash(200, 1, bits=3)))
    fresh = read_results(write_levels(tmp_path / "f.h5", flash(1000, 2, bits=3)))
    report = check_statistics(model, fresh)
    assert report.state == "agrees", str(report)
    assert report.test is not None
    assert report.test.parameters == 2
    assert check_statistics(scaled(model, 1.2), fresh).state == "disagrees"


def test_a_saved_model_is_the_same_and_a_torn_one_is_refused(
    models: dict[str, AdcSurrogate], tmp_path: Path
) -> None:
    levels, model = DRAWN["flash"], models["flash"]
    model.save(tmp_path / "m.h5")
    again = AdcSurrogate.load(tmp_path / "m.h5")
    assert again.bits == BITS
    assert again.admissibility() == ()
    assert again.verdict == model.verdict
    np.testing.assert_array_equal(
        again.sample_chips(5, 3)["transition_level"], model.sample_chips(5, 3)["transition_level"]
    )
    volts = np.random.default_rng(1).uniform(0, 1, 200)
    found = again.predict(voltage_v=volts, chip=3)["code"]
    np.testing.assert_array_equal(found, (volts[:, None] > levels[3]).sum(axis=1))
    with h5py.File(tmp_path / "m.h5", "a") as file:
        del file["arrays/level_factor"]
    with pytest.raises(FileFormatError, match="level_factor"):
        load_model(tmp_path / "m.h5")


def test_more_samples_are_judged_without_those_of_the_fit(
    models: dict[str, AdcSurrogate], tmp_path: Path
) -> None:
    more = np.concatenate([DRAWN["flash"], flash(5, 6)])
    verdict = check(models["flash"], read_results(write_levels(tmp_path / "m.h5", more)))
    assert verdict.chips == 8 + 5


def test_few_chips_have_a_population_that_is_not_judged(tmp_path: Path) -> None:
    verdict = fitted(write_levels(tmp_path / "r.h5", flash(3, 7))).verdict
    assert verdict.state == "not judged"
    assert "too few" in verdict.reason


def test_a_temperature_is_the_domain_s_where_the_recipe_states_it(tmp_path: Path) -> None:
    path = tmp_path / "warm.h5"
    write_levels(path, DRAWN["flash"])
    recipe = path.with_suffix(".toml")
    recipe.write_text(recipe.read_text() + '[conditions]\ntemperature = "85 degC"\n')
    chips = [{"transition_level": row, "reference_voltage": np.asarray(1.0)}
             for row in DRAWN["flash"]]  # fmt: skip
    domain = fitted(write(path, str(recipe), [], chips)).domain
    assert domain["temperature"] == "85 degC"
    assert domain["varied from chip to chip"] == "not known: the chips were measured elsewhere"
