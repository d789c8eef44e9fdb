"""Populations of converters whose spread is known, against surrogates with a right and wrong σ."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from synthetic import Floats, adc_chip, adc_population, static_levels, transitions, write
from typer.testing import CliRunner

from imccircuit.cli.verbs import app
from imccircuit.errors import ExitCode, UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.base import ModelArray, Parameter
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.statistics import check_statistics, compare

BITS, UNITS, SIGMA, OFFSET = 5, 32, 0.01, 1e-3


def known(tmp_path: Path, factor: float = 1.0, fitted: int = 400) -> AdcSurrogate:
    """Surrogate whose population is the law of independent units, σ wrong by a factor.

    w_k = C_k/C_a of p_k·n units out of n has covariance σ²/n (δ_jk p_j − p_j p_k) (delta method).
    """
    path = tmp_path / "small.h5"
    if not path.exists():
        settings = [f"circuit.bits={BITS}"]
        write(path, "adc_sar8_mismatch", settings, adc_population(12, 1, BITS))
    model = fit_results(path)
    assert isinstance(model, AdcSurrogate)
    share = 2.0 ** np.arange(BITS) / UNITS
    covariance = np.zeros((BITS + 1, BITS + 1))
    covariance[:-1, :-1] = SIGMA**2 / UNITS * (np.diag(share) - np.outer(share, share))
    covariance[-1, -1] = OFFSET**2
    arrays = dict(model.model.arrays)
    mean = np.append(share, 0.0)
    for name, values in (
        ("population_mean", mean),
        ("population_covariance", factor**2 * covariance),
    ):
        arrays[name] = ModelArray(values, arrays[name].units, arrays[name].dims, name)
    parameters = {
        **model.model.parameters,
        "fitted_chips": Parameter("fitted_chips", float(fitted), "1"),
    }
    return AdcSurrogate(replace(model.model, arrays=arrays, parameters=parameters))


@cache
def chips(count: int, seed: int) -> tuple[Floats, Floats]:
    """Levels and weights of converters with drawn units; the chip's own physics."""
    rng = np.random.default_rng(seed)
    units = 2.0 ** np.arange(BITS)
    levels, weights = [], []
    for _ in range(count):
        caps = units + SIGMA * np.sqrt(units) * rng.standard_normal(BITS)
        dummy, offset = 1 + SIGMA * rng.standard_normal(), OFFSET * rng.standard_normal()
        levels.append(transitions(static_levels(caps, dummy, offset), BITS))
        weights.append([*caps / (caps.sum() + dummy), -offset])
    return np.array(levels), np.array(weights)


def test_a_thousand_chips_agree_with_their_own_law(tmp_path: Path) -> None:
    report = compare(known(tmp_path), *chips(1000, 11))
    assert report.state == "agrees", str(report)
    assert report.test is not None
    assert report.test.p_value > 0.01
    # σ of the level of code 16 over that of the end-point line is known: w_4 less 16/31 of the
    # way from S_1 to S_31 plus what S_1 has left; by the covariance of independent units.
    share = 2.0 ** np.arange(BITS) / UNITS
    covariance = SIGMA**2 / UNITS * (np.diag(share) - np.outer(share, share))
    along = (np.arange(1, 32) - 1) / 30
    bits = (np.arange(1, 32)[:, None] >> np.arange(BITS)) & 1
    inl = (bits - bits[:1] - along[:, None] * (bits[-1:] - bits[:1])) * UNITS
    expected = np.sqrt(np.einsum("kp,pq,kq->k", inl, covariance, inl))[1:-1]
    (row, _) = report.rows
    assert row.codes == 29
    # 10,000 drawn chips know an rms to 1 %; clipping by the search and q_v are of second order.
    rms = float(np.sqrt(np.mean(expected**2)))
    assert row.sigma_lsb == pytest.approx(rms, rel=0.03, abs=0)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_thousand_chips_reject_a_sigma_wrong_by_a_fifth(tmp_path: Path, factor: float) -> None:
    report = compare(known(tmp_path, factor), *chips(1000, 11))
    assert report.state == "disagrees", str(report)
    # Each of the three says so by itself.
    assert [row.state for row in report.rows] == ["disagrees", "disagrees"]
    assert report.test is not None
    assert report.test.p_value < 0.01
    expected = pytest.approx(1 / factor, rel=0, abs=0.06)  # σ of 1000 chips: 2.2 %, and rms
    assert all(row.ratio == expected for row in report.rows)


def test_a_wrong_correlation_is_found(tmp_path: Path) -> None:
    """σ of every code may be right where the joint law is not: that is what the test is for."""
    levels, weights = chips(1000, 11)
    model = known(tmp_path)
    mixed = weights.copy()
    # The offset of a chip follows its largest capacitor: no INL or DNL shows it.
    largest = (weights[:, 4] - 0.5) / weights[:, 4].std()
    mixed[:, -1] = 0.6 * OFFSET * largest + 0.8 * weights[:, -1]
    report = compare(model, levels, mixed)
    assert [row.state for row in report.rows] == ["agrees", "agrees"]
    assert report.state == "disagrees"
    assert "test of weights and offset" in report.reason


def test_few_chips_leave_it_open(tmp_path: Path) -> None:
    report = compare(known(tmp_path), *chips(50, 41))
    assert report.state == "open", str(report)
    assert all(row.outside == 0 for row in report.rows)


def test_a_constant_surrogate_of_chips_that_vary_disagrees(tmp_path: Path) -> None:
    report = compare(known(tmp_path, 1e-9), *chips(50, 42))
    assert report.state == "disagrees"
    assert "does not vary" in report.reason


def test_the_command_says_so_and_leaves_out_chips_of_the_fit(tmp_path: Path) -> None:
    settings = [f"circuit.bits={BITS}"]
    fitted = write(tmp_path / "a.h5", "adc_sar8_mismatch", settings, adc_population(40, 5, BITS))
    wide = adc_population(60, 6, BITS, spread=0.02)
    mixed = write(
        tmp_path / "b.h5", "adc_sar8_mismatch", settings, [*adc_population(40, 5, BITS)[:10], *wide]
    )
    fit_results(fitted).save(tmp_path / "m.h5")
    arguments = ["check", str(tmp_path / "m.h5"), "--against", str(mixed), "--statistics"]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == ExitCode.BELOW_GATE
    assert "statistics: disagrees" in ended.stdout
    as_json = CliRunner().invoke(app, [*arguments, "--json"])
    found = json.loads(as_json.stdout)["statistics"]
    # 60 new ones, and those of the ten that the fit held out.
    model = fit_results(fitted)
    assert found["chips"] == 60 + int(np.count_nonzero(model.array("held_out")[:10]))
    assert found["state"] == "disagrees"
    assert {row["name"] for row in found["rows"]} == {"INL", "DNL"}


def test_what_has_no_population_is_refused(tmp_path: Path) -> None:
    settings = [f"circuit.bits={BITS}"]
    one = [adc_chip(2.0 ** np.arange(BITS), 1.0, 0.0)]
    path = write(tmp_path / "one.h5", "adc_sar8_mismatch", settings, one)
    with pytest.raises(UsageError, match="one chip"):
        check_statistics(fit_results(path), read_results(path))


def test_a_file_without_fresh_chips_is_refused_and_said_to_be_the_fits_own(tmp_path: Path) -> None:
    settings = [f"circuit.bits={BITS}"]
    # Nine chips are too few to hold any out, so the fit saw them all.
    path = write(tmp_path / "a.h5", "adc_sar8_mismatch", settings, adc_population(9, 5, BITS))
    fit_results(path).save(tmp_path / "m.h5")
    arguments = ["check", str(tmp_path / "m.h5"), "--against", str(path)]
    ended = CliRunner().invoke(app, [*arguments, "--statistics"])
    assert isinstance(ended.exception, UsageError)
    assert ended.exception.exit_code == ExitCode.USAGE
    assert "none of 9 chips fresh" in str(ended.exception)
    plain = CliRunner().invoke(app, arguments)
    assert plain.exit_code == ExitCode.GOOD
    assert "verdict: not judged" in plain.stdout
    assert "gates that were not judged: max_error <= " in plain.stdout
    assert "nothing is fresh" in plain.stdout
    others = write(tmp_path / "b.h5", "adc_sar8_mismatch", settings, adc_population(12, 6, BITS))
    new = CliRunner().invoke(app, [*arguments[:-1], str(others), "--json"])
    assert json.loads(new.stdout)["fresh"] is True
