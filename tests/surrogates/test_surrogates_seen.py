"""Results that hold what the fit saw: the same seed again, with more chips or vectors.

Which chips and vectors are the fit's is known here, for the tests put them into the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import adc_population, array_and_drive, crossbar_chip, crossbar_settings, write
from synthetic_columns import (
    bits_of,
    charge_chip,
    charge_population,
    charge_settings,
    ramp_population,
    time_chip,
)
from synthetic_macro import results as macro_results
from typer.testing import CliRunner

from imccircuit.cli.verbs import app
from imccircuit.results.read import read_results
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.data import measured_point
from imccircuit.surrogates.fit import check, fit_results
from imccircuit.surrogates.seen import same_rows

FITTED, HIDDEN = 12, 5
"""Chips of a fit, and how many of them it holds out."""
SEEN = FITTED - HIDDEN


def time_population(count: int) -> list[Any]:
    rng = np.random.default_rng(2)
    voltage = np.random.default_rng(1).uniform(0.05, 0.4, (12, 4, 2))
    own = rng.standard_normal((count, 4, 2, 2)) * np.array([5e-12, 1e-11])
    return [time_chip(one, voltage) for one in own]


TIME = ("circuit.arrays=2", 'circuit.time_offset_sigma="5 ps"', "stimulus.vectors=12",
        'variation.quantities=["time_cells"]', "variation.seed=1")  # fmt: skip


def crossbars(count: int, batch: int = 14) -> list[Any]:
    drive = array_and_drive(6, 4, batch)[1]
    return [
        crossbar_chip(array_and_drive(6, 4, 1, seed=k)[0], drive, r_row=2.0, r_col=3.0)
        for k in range(count)
    ]


def file_of(kind: str, path: Path, count: int) -> Path:
    """Results of the first ``count`` chips of a population, as a repeated seed gives them."""
    if kind == "charge_column":
        chips = charge_population([0.01] * count, 16, 2, 40)
        return write(path, "charge_array", charge_settings(16, 2, 40), chips)
    if kind == "ramp_adc":
        slopes = 1 + 0.01 * np.random.default_rng(100).standard_normal(count)
        settings = ["circuit.bits=6", "circuit.columns=4"]
        chips = ramp_population(slopes, 4, 3e-3, 6, seed=200)
        return write(path, "adc_ramp8_mismatch", settings, chips)
    if kind == "time_accumulator":
        return write(path, "aidac_small", TIME, time_population(count))
    if kind == "crossbar":
        return write(path, "crossbar_ir_drop", crossbar_settings(6, 4, 14), crossbars(count))
    if kind == "macro":
        return macro_results(path, chips=count)
    return write(path, "adc_sar8_mismatch", ["circuit.bits=6"], adc_population(count, seed=1))


KINDS = ("charge_column", "ramp_adc", "time_accumulator", "crossbar", "macro", "adc")


@pytest.mark.parametrize("kind", KINDS)
def test_chips_of_the_fit_judge_nothing_again(tmp_path: Path, kind: str) -> None:
    model = fit_results(file_of(kind, tmp_path / "r.h5", FITTED))
    assert (model.kind, np.count_nonzero(model_mask(model))) == (kind, HIDDEN)
    more = read_results(file_of(kind, tmp_path / "more.h5", FITTED + 3))
    again = model.seen_again(measured_point(more))
    np.testing.assert_array_equal(again.left_out[:FITTED], model_mask(model) == 0)
    assert not again.left_out[FITTED:].any()
    verdict = check(model, more)
    assert verdict.chips == FITTED + 3 - SEEN
    assert verdict.notes[0].startswith(f"{SEEN} of {FITTED + 3} chips left out: the fit saw")


def model_mask(model: Surrogate) -> Any:
    name = "array.held_out" if model.kind == "macro" else "held_out"
    return model.array(name)


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_others_are_not_judged(tmp_path: Path, kind: str) -> None:
    model = fit_results(file_of(kind, tmp_path / "r.h5", FITTED))
    few = read_results(file_of(kind, tmp_path / "few.h5", FITTED - 4))
    assert np.count_nonzero(model_mask(model)[: FITTED - 4]) < 5
    verdict = check(model, few)
    assert (verdict.state, verdict.chips) == ("not judged", 0)
    assert "too few" in verdict.reason


@pytest.mark.parametrize("new", [1, 8])
def test_vectors_of_the_fit_judge_one_array_no_more(tmp_path: Path, new: int) -> None:
    """Of 20 vectors the fit saw 15; of 20 + n there are 5 + n to judge by, of n alone too few."""
    g, drive = array_and_drive(6, 4, 20 + new)

    def file(name: str, vectors: Any) -> Path:
        chip = crossbar_chip(g, vectors, r_row=2.0, r_col=3.0)
        settings = crossbar_settings(6, 4, len(vectors))
        return write(tmp_path / name, "crossbar_ir_drop", settings, [chip])

    model = fit_results(file("r.h5", drive[:20]))
    verdict = check(model, read_results(file("more.h5", drive)))
    assert (verdict.state, verdict.points) == ("pass", (5 + new) * 4)
    assert verdict.notes[0].startswith(f"15 of {20 + new} vectors left out")
    hidden = model.model.arrays["seen_item"].values.shape[1]
    assert hidden == 15
    known = measured_point(read_results(file("more.h5", drive)))
    seen = model.seen_again(known).left_out[:20]
    verdict = check(model, read_results(file("few.h5", drive[:20][seen][:12])))
    assert (verdict.state, verdict.points) == ("not judged", 0)
    assert verdict.reason.startswith("0 vectors that the fit did not see are too few")


def test_other_vectors_of_the_same_array_are_judged(tmp_path: Path) -> None:
    g, drive = array_and_drive(6, 4, 40)
    files = [
        write(tmp_path / f"{k}.h5", "crossbar_ir_drop", crossbar_settings(6, 4, 20),
              [crossbar_chip(g, part, r_row=2.0, r_col=3.0)])
        for k, part in enumerate((drive[:20], drive[20:]))
    ]  # fmt: skip
    model, others = fit_results(files[0]), read_results(files[1])
    assert not model.seen_again(measured_point(others)).left_out.any()
    assert check(model, others).points == 20 * 4


def test_one_column_again_is_judged_on_the_vectors_that_its_fit_did_not_see(
    tmp_path: Path,
) -> None:
    x, w = bits_of(16, 2, 50)
    caps = 1 + 0.01 * np.random.default_rng(3).standard_normal((16, 2))

    def file(name: str, count: int) -> Path:
        chips = [charge_chip(caps, x[:count], w)]
        return write(tmp_path / name, "charge_array", charge_settings(16, 2, count), chips)

    model = fit_results(file("r.h5", 40))
    more = read_results(file("more.h5", 50))
    hidden = model.array("held_out_vector") == 1
    # Vectors of few ones come twice by chance, and what the fit saw once it saw.
    known = {tuple(row) for row in x[:40][~hidden]}
    left = [tuple(row) not in known for row in x]
    assert np.count_nonzero(hidden) == 8
    assert check(model, more).points == np.count_nonzero(left) * 2
    seen = model.seen_again(measured_point(more)).left_out
    np.testing.assert_array_equal(~seen, left)


def test_chips_that_differ_in_offsets_only_are_told_apart(tmp_path: Path) -> None:
    """The same conductances and vectors, and another amplifier: that is another chip."""
    g, drive = array_and_drive(6, 4, 14)
    rng = np.random.default_rng(4)
    chips = [
        crossbar_chip(g, drive, r_row=2.0, r_col=3.0, gain=200.0, feedback=4e3, r_in=1e5,
                      amplifier_offset=1e-3 * rng.standard_normal(4))
        for _ in range(20)
    ]  # fmt: skip
    settings = [*crossbar_settings(6, 4, 14), "circuit.readout=tia"]
    model = fit_results(write(tmp_path / "r.h5", "crossbar_ir_drop", settings, chips[:12]))
    more = read_results(write(tmp_path / "m.h5", "crossbar_ir_drop", settings, chips))
    left_out = model.seen_again(measured_point(more)).left_out
    np.testing.assert_array_equal(left_out[:12], model.array("held_out") == 0)
    assert not left_out[12:].any()


def test_fresh_is_said_of_what_holds_nothing_of_the_fit(tmp_path: Path) -> None:
    run, model = CliRunner().invoke, tmp_path / "m.h5"
    fit_results(file_of("adc", tmp_path / "r.h5", FITTED)).save(model)
    others = write(
        tmp_path / "o.h5", "adc_sar8_mismatch", ["circuit.bits=6"], adc_population(12, seed=7)
    )
    more = file_of("adc", tmp_path / "more.h5", FITTED + 3)
    for path, fresh in ((others, True), (more, False), (tmp_path / "r.h5", False)):
        ended = run(app, ["check", str(model), "--against", str(path), "--json"])
        assert json.loads(ended.stdout)["fresh"] is fresh, path.name


def test_rows_are_the_same_within_a_tolerance() -> None:
    seen = np.array([[1.0, 2.0], [3.0, 4.0]])
    here = np.array([[3.0, 4.0 + 1e-12], [3.0, 4.1], [1.0, 2.0], [1.0, 4.0]])
    np.testing.assert_array_equal(same_rows(here, seen, 1e-9), [True, False, True, False])
    assert not same_rows(here, seen[:0], 1e-9).any()


def test_a_macro_of_another_rng_is_new(tmp_path: Path) -> None:
    model = fit_results(macro_results(tmp_path / "r.h5", chips=FITTED))
    others = read_results(macro_results(tmp_path / "o.h5", seed=3, chips=3))
    assert not model.seen_again(measured_point(others)).left_out.any()
