"""Refinement: what is proposed, what is kept out of it, and what it saves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic_cells
from synthetic import write
from synthetic_cells import conductances, gated_chip, gated_settings, settings
from typer.testing import CliRunner

from imccircuit.cli.main import run_command
from imccircuit.cli.refinement import refined_recipe
from imccircuit.cli.verbs import app
from imccircuit.errors import UsageError
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.surrogates.base import REFINED, Surrogate
from imccircuit.surrogates.cell_refine import propose_word_lines
from imccircuit.surrogates.data import Measured, held_out, measured_point
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.refine import Proposal, fit_refined, measured_once, merge
from imccircuit.sweeps.run import RunOptions, run_plan

CHIPS = 10
WORD_LINES = Proposal("stimulus.word_line_voltages", "word_line", "word_line_voltage", (), "V", 0.0)


def cells(
    path: Path,
    words: tuple[float, ...],
    monkeypatch: pytest.MonkeyPatch,
    missing: int = -1,
) -> Measured:
    """Cells of `synthetic_cells` at these word lines; the same chips in every file."""
    monkeypatch.setattr(synthetic_cells, "WORD", words)
    rng = np.random.default_rng(7)
    chips = [
        gated_chip(g, 0.03 * shift, np.exp(0.05 * factor))
        for g, shift, factor in zip(
            conductances(CHIPS + 2, 1, 3), *rng.standard_normal((2, CHIPS + 2, 2, 1)), strict=True
        )
    ]
    kept = [None if k == missing else chip for k, chip in enumerate(chips)]
    return measured_once(write(path, "onet1r_iv", gated_settings(1), kept))


def test_word_lines_without_room_between_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (0.590, 0.595, 0.600, 0.605, 0.610)
    proposal = propose_word_lines(cells(tmp_path / "a.h5", words, monkeypatch), 2)
    assert proposal.values == ()
    assert proposal.doubt == 0.0


def test_the_bend_is_asked_for_and_held_out_chips_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = cells(tmp_path / "a.h5", (0.3, 0.6, 0.9, 1.2), monkeypatch)
    proposal = propose_word_lines(measured, 2)
    # A threshold of 0.4 V with a softness of 0.06 V: straight from two softnesses above on.
    assert all(0.3 < value < 0.9 for value in proposal.values)
    assert min(proposal.values) < 0.6
    assert len(proposal.values) == 2
    assert proposal.key == "stimulus.word_line_voltages"
    assert proposal.doubt > 0.02
    hidden = held_out(measured.chips)
    assert hidden is not None
    assert hidden[:4].any()  # chips that a fit to the first few would take
    spoilt = dict(measured.arrays)
    spoilt["cell_current"] = spoilt["cell_current"].copy()
    spoilt["cell_current"][hidden] *= 3.0
    assert propose_word_lines(replace(measured, arrays=spoilt), 2) == proposal
    again = refined_recipe(measured, proposal)
    asked = again.parameters({}).stimulus.word_line_voltages
    np.testing.assert_allclose(asked, proposal.values, rtol=1e-12)
    assert again.common.variation == measured.recipe.common.variation


def test_merged_files_are_in_order_and_all_in_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cells(tmp_path / "a.h5", (0.3, 0.45, 0.9, 1.2), monkeypatch)
    more = cells(tmp_path / "b.h5", (0.6,), monkeypatch)
    whole = cells(tmp_path / "c.h5", (0.3, 0.45, 0.6, 0.9, 1.2), monkeypatch)
    merged = merge(first, [more], WORD_LINES)
    for name in ("word_line_voltage", "cell_current", "gated_current"):
        np.testing.assert_array_equal(merged.arrays[name], whole.arrays[name])
    model = fit_refined(merged, [more])
    model.save(tmp_path / "m.h5")
    loaded = load_model(tmp_path / "m.h5")
    (source,) = json.loads(loaded.model.settings[REFINED])
    assert source["results_digest"] == more.results.provenance.digest
    # Chips of any of the files were seen, of no other.
    assert [loaded.was_fitted_to(m) for m in (first, more, whole)] == [True, True, False]
    assert loaded.verdict.chips == 5
    with pytest.raises(UsageError, match="measured twice"):
        merge(first, [first], WORD_LINES)
    fewer = cells(tmp_path / "d.h5", (0.6,), monkeypatch, missing=3)
    with pytest.raises(UsageError, match="other good chips"):
        merge(first, [fewer], WORD_LINES)


def test_what_has_nothing_to_refine_says_so(tmp_path: Path) -> None:
    chips = synthetic_cells.resistive_population(CHIPS, 1)
    path = write(tmp_path / "r.h5", "rram_iv", settings(2), chips)
    ended = CliRunner().invoke(app, ["fit", str(path), "--refine", "1"])
    assert isinstance(ended.exception, UsageError)
    assert "without transistor" in str(ended.exception)


@pytest.mark.long
@pytest.mark.ngspice
def test_one_word_line_that_is_asked_for_mends_a_coarse_grid(tmp_path: Path) -> None:
    """BSIM4 cells at 4 word lines and 1 that is asked for, judged on other chips at 19 others."""

    def run(name: str, words: np.ndarray, seed: int = 1) -> Path:
        listed = ", ".join(f'"{v:.5g} V"' for v in words)
        recipe = load_recipe("onet1r_iv", [
            f"stimulus.word_line_voltages=[{listed}]", 'circuit.levels=["39 uS", "8 uS"]',
            "circuit.cells=1", f"variation.samples={CHIPS}", f"variation.seed={seed}",
        ])  # fmt: skip
        assert run_plan(Plan(recipe), tmp_path / name, RunOptions(jobs=1)).failed == 0
        return tmp_path / name

    judged = measured_point(read_results(run("judge.h5", np.linspace(0.325, 1.175, 19), seed=2)))

    def error(model: Surrogate) -> float:
        return next(g.value for g in model.judge(judged).gates if g.name == "nrmse")

    four = run("four.h5", np.linspace(0.3, 1.2, 4))
    arguments = ["fit", str(four), "--refine", "1", "-j", "1"]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    refined = load_model(tmp_path / "four.model.h5")
    assert refined.array("word_line_voltage").size == 5
    assert load_model(tmp_path / "four.model.h5").was_fitted_to(
        measured_point(read_results(tmp_path / "four.refine1.h5"))
    )
    # A point at the bend must at least halve the error, or it was not worth its simulation.
    assert error(refined) < 0.5 * error(fit_results(four))
    # Nothing is simulated twice: what stands beside is used.
    stamp = (tmp_path / "four.refine1.h5").stat().st_mtime_ns
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (tmp_path / "four.refine1.h5").stat().st_mtime_ns == stamp


def test_a_point_and_a_refinement_exclude_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.h5").touch()
    assert run_command(["fit", str(tmp_path / "r.h5"), "--refine", "1", "--point", "0"]) == 1
    assert "--refine or --point" in capsys.readouterr().err
