"""Noise of the ADC surrogate: where it comes from, what it does, and that it can be repeated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from synthetic import adc_chip, adc_population, write

from imccircuit.errors import UsageError
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.fit import fit_results

SIGMA_V = 2e-3
CAPS = np.array([1.0, 2.02, 3.99, 8.05, 15.9, 32.2])


def fit(path: Path, chips: list, *settings: str) -> AdcSurrogate:
    recipe, given = "adc_sar8_mismatch", ["circuit.bits=6", *settings]
    model = fit_results(write(path / "r.h5", recipe, given, chips))
    assert isinstance(model, AdcSurrogate)
    return model


def noisy(chip: dict) -> dict:
    return {**chip, "noise_sigma": np.asarray(SIGMA_V)}


def test_without_noise_in_the_results_a_seed_is_refused(tmp_path: Path) -> None:
    model = fit(tmp_path, [adc_chip(CAPS, 1.0, 0.0)])
    assert model.domain["noise"] == "none"
    with pytest.raises(UsageError, match="knows no noise"):
        model.convert(0.5, seed=1)


def test_noise_is_a_parameter_and_repeats(tmp_path: Path) -> None:
    model = fit(tmp_path, [noisy(adc_chip(CAPS, 1.0, 0.0))])
    assert model.value("noise_sampled") == pytest.approx(SIGMA_V, rel=1e-12, abs=0)
    assert model.value("noise_decision") == 0.0
    assert "2 mV" in model.domain["noise"]
    voltage = np.random.default_rng(1).uniform(0, 1, 1000)
    codes = model.convert(voltage, seed=3)
    assert np.any(codes != model.convert(voltage))
    assert np.any(codes != model.convert(voltage, seed=4))
    model.save(tmp_path / "m.h5")
    again = AdcSurrogate.load(tmp_path / "m.h5")
    np.testing.assert_array_equal(again.predict(voltage_v=voltage, seed=3)["code"], codes)
    parts = [model.convert(voltage[a:b], seed=3, first_index=a) for a, b in ((0, 7), (7, 1000))]
    np.testing.assert_array_equal(np.concatenate(parts), codes)


def test_an_input_on_a_level_is_decided_by_the_noise(tmp_path: Path) -> None:
    model = fit(tmp_path, [noisy(adc_chip(CAPS, 1.0, 0.0))])
    for shift in (0.0, 0.5, -1.0):
        voltage = np.full(40000, model.levels_v()[20] + shift * SIGMA_V)
        share = np.mean(model.convert(voltage, seed=5) >= 21)
        expected = norm.cdf(shift)
        assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / 40000)


def test_the_comparators_part_is_drawn_in_each_decision(tmp_path: Path) -> None:
    chips = [noisy(adc_chip(CAPS, 1.0, 0.0))]
    settings = ("circuit.comparator_noise=1 mV", "circuit.parasitic_capacitor=64 fF",
                "circuit.unit_capacitor=2 fF")  # fmt: skip
    model = fit(tmp_path, chips, *settings)
    # 64 units of 2 fF, and half as much parasitic: what the comparator sees is 2/3 of the input.
    assert model.value("noise_decision") == pytest.approx(1.5e-3, rel=1e-9, abs=0)
    sampled = model.value("noise_sampled")
    assert sampled == pytest.approx(np.sqrt(SIGMA_V**2 - 1.5e-3**2), rel=1e-9, abs=0)
    voltage = np.random.default_rng(1).uniform(0, 1, 500)
    codes = model.convert(voltage, seed=3)
    assert np.any(codes != model.convert(voltage))
    assert np.max(np.abs(codes - model.convert(voltage))) <= 1
    quiet = {name: replace(model.model.parameters[name], value=value)
             for name, value in (("noise_sampled", 0.0), ("noise_decision", 1e-12))}  # fmt: skip
    silent = AdcSurrogate(replace(model.model, parameters={**model.model.parameters, **quiet}))
    np.testing.assert_array_equal(silent.convert(voltage, seed=3), model.convert(voltage))


def test_noise_of_many_chips_comes_from_those_of_the_fit(tmp_path: Path) -> None:
    chips = [{**chip, "noise_sigma": np.asarray(1e-3 * (1 + k % 2))}
             for k, chip in enumerate(adc_population(40, seed=1))]  # fmt: skip
    model = fit(tmp_path, chips)
    used = model.array("held_out") == 0
    sigma = np.where(np.arange(40) % 2 == 0, 1e-3, 2e-3)[used]
    parameter = model.model.parameters["noise_sampled"]
    assert parameter.value == pytest.approx(np.sqrt(np.mean(sigma**2)), rel=1e-12, abs=0)
    # σ of a mean power of two values, through the derivative of the root.
    error = np.std(sigma**2, ddof=1) / np.sqrt(len(sigma)) / (2 * parameter.value)
    assert parameter.sigma == pytest.approx(error, rel=1e-12, abs=0)
    voltage = np.random.default_rng(1).uniform(0, 1, 300)
    assert np.any(model.convert(voltage, 3, seed=1) != model.convert(voltage, 3))
