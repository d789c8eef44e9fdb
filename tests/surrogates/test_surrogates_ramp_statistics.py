"""Populations of ramp converters of known law, against surrogates with a right and wrong σ."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from synthetic import Floats, write
from synthetic_columns import FULL_SCALE_V, ramp_chip
from typer.testing import CliRunner

from imccircuit.cli.verbs import app
from imccircuit.errors import ExitCode, UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates.base import ModelArray, Parameter
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.ramp_adc import RampAdcSurrogate
from imccircuit.surrogates.ramp_statistics import compare_ramps
from imccircuit.surrogates.statistics import check_statistics

BITS, COLUMNS = 5, 3
CODES = 2**BITS - 1
SLOPE, BEND, BEND_SIGMA, OWN = 0.01, 0.05, 0.06, 3e-3
"""σ of the slope relative to 1, curvature and its σ, σ of a column's offset in V."""
SETTINGS = [f"circuit.bits={BITS}", f"circuit.columns={COLUMNS}"]


def drawn_chip(rng: np.random.Generator, factor: float = 1.0) -> dict[str, Floats]:
    slope, bend, *own = rng.standard_normal(2 + COLUMNS) * factor
    return ramp_chip(
        bits=BITS, slope=1 + SLOPE * slope, curvature=BEND + BEND_SIGMA * bend,
        offsets=OWN * np.array(own),
    )  # fmt: skip


@cache
def levels(count: int, seed: int) -> Floats:
    """Levels (chip, column, code) of the law above."""
    rng = np.random.default_rng(seed)
    return np.array([drawn_chip(rng)["column_level"] for _ in range(count)])


def results(path: Path, count: int, seed: int, factor: float = 1.0) -> Path:
    rng = np.random.default_rng(seed)
    chips = [drawn_chip(rng, factor) for _ in range(count)]
    return write(path, "adc_ramp8_mismatch", SETTINGS, chips)


def known(folder: Path, ramps: float = 1.0, columns: float = 1.0) -> RampAdcSurrogate:
    """Surrogate whose population is the law itself, σ of ramps or of columns wrong by a factor."""
    model = fit_results(results(folder / "small.h5", 12, 1))
    assert isinstance(model, RampAdcSurrogate)
    # The mean of the columns' offsets, 1/n of their variance, is the offset of the chip's ramp.
    ramp = np.diag([OWN**2 / COLUMNS, (SLOPE * FULL_SCALE_V) ** 2, BEND_SIGMA**2, 0.0])
    arrays = dict(model.model.arrays)
    for name, values in (
        ("population_mean", np.array([0.0, FULL_SCALE_V, BEND, 0.0])),
        ("population_covariance", ramps**2 * ramp),
        ("column_covariance", columns**2 * np.diag([OWN**2, 0.0])),
    ):
        arrays[name] = ModelArray(values, arrays[name].units, arrays[name].dims, name)
    parameters = {**model.model.parameters, "chips": Parameter("chips", 400.0, "1")}
    return RampAdcSurrogate(replace(model.model, arrays=arrays, parameters=parameters))


def test_a_thousand_chips_agree_with_their_own_law(tmp_path: Path) -> None:
    report = compare_ramps(known(tmp_path), levels(1000, 11))
    assert report.state == "agrees", str(report)
    assert report.test is not None
    assert report.column_test is not None
    assert (report.test.parameters, report.column_test.parameters) == (3, 1)
    # Two contrasts of three columns; one test a chip.
    assert (report.test.fresh_chips, report.column_test.fresh_chips) == (1000, 2000)
    # End-point INL of span·x(1 − κx/2): κ/2 (x1 + x2 − …) leaves span·κ/2·(x − x1)(x2 − x) but for
    # κ²; its σ over chips in LSB, one LSB being the span over 2^bits less a share κ.
    x = np.arange(1, CODES + 1) / 2**BITS
    expected = BEND_SIGMA / 2 * (x - x[0]) * (x[-1] - x) * 2**BITS
    # 10,000 drawn chips know an rms to 1 %; second orders of κ are 0.05.
    rms = float(np.sqrt(np.mean(expected[1:-1] ** 2)))
    assert report.rows[0].sigma_lsb == pytest.approx(rms, rel=0.06, abs=0)


def test_inl_that_is_the_solvers_is_no_disagreement(tmp_path: Path) -> None:
    """Ramps with one curvature, and levels to 3e-4 LSB: what is left of INL says nothing."""
    model = known(tmp_path)
    arrays = dict(model.model.arrays)
    covariance = np.array(arrays["population_covariance"].values)
    covariance[2, 2] = 0.0
    arrays["population_covariance"] = replace(arrays["population_covariance"], values=covariance)
    rng = np.random.default_rng(14)
    straight = [
        ramp_chip(bits=BITS, slope=1 + SLOPE * rng.standard_normal(), curvature=BEND,
                  offsets=OWN * rng.standard_normal(COLUMNS))["column_level"]
        for _ in range(50)
    ]  # fmt: skip
    noise = 3e-4 * model.lsb_v * rng.standard_normal((50, COLUMNS, CODES))
    report = compare_ramps(
        RampAdcSurrogate(replace(model.model, arrays=arrays)), np.array(straight) + noise
    )
    assert (report.state, report.rows) == ("open", ())
    assert report.test is not None
    assert report.test.parameters == 2


@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_fifty_chips_reject_a_sigma_of_ramps_that_is_wrong(tmp_path: Path, factor: float) -> None:
    report = compare_ramps(known(tmp_path, ramps=factor), levels(50, 12))
    assert report.state == "disagrees", str(report)
    assert report.test is not None
    assert report.test.p_value < report.level


@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_fifty_chips_reject_a_sigma_of_columns_that_is_wrong(tmp_path: Path, factor: float) -> None:
    """No INL or DNL shows it, nor the mean of the columns: that is what their own test is for."""
    report = compare_ramps(known(tmp_path, columns=factor), levels(50, 12))
    assert report.state == "disagrees", str(report)
    assert "test of columns" in report.reason
    assert report.test is not None
    assert report.test.p_value >= report.level


def test_few_right_chips_leave_it_open(tmp_path: Path) -> None:
    report = compare_ramps(known(tmp_path), levels(50, 13))
    assert report.state == "open", str(report)


@pytest.mark.parametrize(("factor", "state"), [(1.0, "open"), (1.6, "disagrees")])
def test_the_command_leaves_out_chips_of_the_fit(tmp_path: Path, factor: float, state: str) -> None:
    fitted = results(tmp_path / "a.h5", 60, 5)
    model = fit_results(fitted)
    model.save(tmp_path / "m.h5")
    other = results(tmp_path / "b.h5", 50, 6, factor)
    arguments = ["check", str(tmp_path / "m.h5"), "--statistics", "--json", "--against"]
    ended = CliRunner().invoke(app, [*arguments, str(other)])
    found = json.loads(ended.stdout)["statistics"]
    assert (found["state"], found["chips"]) == (state, 50)
    if state == "disagrees":
        assert ended.exit_code == ExitCode.BELOW_GATE
    # The same seed with more samples: its first chips are those of the fit.
    assert isinstance(model, RampAdcSurrogate)
    more = results(tmp_path / "c.h5", 90, 5)
    held = int(np.count_nonzero(model.array("held_out")))
    assert check_statistics(model, read_results(more)).chips == 30 + held
    assert check_statistics(model, read_results(fitted)).chips == held


def test_chips_of_the_fit_alone_are_refused(tmp_path: Path) -> None:
    path = results(tmp_path / "a.h5", 9, 5)  # too few to hold any out
    with pytest.raises(UsageError, match="none of 9 chips fresh"):
        check_statistics(fit_results(path), read_results(path))
    one = results(tmp_path / "one.h5", 1, 5)
    with pytest.raises(UsageError, match="one chip"):
        check_statistics(fit_results(one), read_results(one))
