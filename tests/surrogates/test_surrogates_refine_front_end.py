"""Refinement of front ends: which currents are asked for, and how many SPICE points it saves."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from synthetic_ports import LEVELS, RANGE_A, write_mirrors

from imccircuit.cli.refinement import refine, refined_recipe
from imccircuit.errors import UsageError
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.data import held_out, measured_point
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.front_end import LEVELS as CURRENTS
from imccircuit.surrogates.front_end_refine import propose_currents
from imccircuit.surrogates.refine import choose_between, measured_once, merge
from imccircuit.sweeps.run import RunOptions, run_plan


def test_the_worst_interval_is_cut_in_its_middle() -> None:
    errors = {1: 4.0, 2: 9.0}
    values = np.array([0.0, 1.0, 2.0, 4.0])
    # By hand: e/w² is 4/2² = 1 at 1 and 9/3² = 1 at 2, so (1 + 1)·h² is 2, 2 and 8.
    assert choose_between(values, errors.__getitem__, 0.01, 1) == ((3.0,), 9.0)
    # Without room in the last interval the first of two that are alike; 9 stands beside a third.
    assert choose_between(values, errors.__getitem__, 0.01, 3) == ((0.5, 1.5, 3.0), 9.0)
    assert choose_between(values, errors.__getitem__, 0.8, 3) == (pytest.approx((2.8,), abs=1e-12),
                                                                  9.0)  # fmt: skip
    assert choose_between(values, errors.__getitem__, 1.5, 3) == ((), 0.0)


def test_a_knee_is_closed_in_on() -> None:
    """Straight lines between points of max(0, x - 0.7): only the intervals at 0.7 have an error."""

    def knee(x: np.ndarray) -> np.ndarray:
        return np.maximum(0.0, x - 0.7)

    def error_without(index: int, values: np.ndarray) -> float:
        kept = np.delete(values, index)
        return float(abs(np.interp(values[index], kept, knee(kept)) - knee(values[index])))

    values = np.linspace(0.0, 1.0, 5)
    for _ in range(5):
        (asked,), _ = choose_between(values, partial(error_without, values=values), 1e-3, 1)
        values = np.sort(np.append(values, asked))
    left = np.abs(np.interp(grid := np.linspace(0, 1, 1001), values, knee(values)) - knee(grid))
    # An even grid of as many points, 0.11 apart, is off by up to a quarter of that.
    even = np.linspace(0.0, 1.0, 10)
    assert left.max() < np.abs(np.interp(grid, even, knee(even)) - knee(grid)).max() / 2


def test_currents_are_asked_for_where_chips_bend_and_held_out_ones_are_not_looked_at(
    tmp_path: Path,
) -> None:
    measured = measured_once(write_mirrors(tmp_path / "a.h5", 10, 1))
    # Of a mirror that leaves saturation at 0.8 of the range, all chips alike.
    x = np.linspace(0, 1, LEVELS)
    bent = dict(measured.arrays)
    bent["output_voltage"] = bent["output_voltage"] + 0.2 * np.maximum(0, x - 0.8)
    measured = replace(measured, arrays=bent)
    proposal = propose_currents(measured, 2)
    assert all(0.6 * RANGE_A < value < RANGE_A for value in proposal.values)
    # LSB of 0.4 V/256: the knee of 0.2 V a range is missed by some of its 12.5 mV a step.
    assert 1.0 < proposal.doubt < 10.0
    hidden = held_out(measured.chips)
    spoilt = dict(measured.arrays)
    spoilt["output_voltage"] = spoilt["output_voltage"].copy()
    spoilt["output_voltage"][hidden] *= 1.5
    assert propose_currents(replace(measured, arrays=spoilt), 2) == proposal
    asked = refined_recipe(measured, proposal).parameters({}).stimulus
    np.testing.assert_allclose(asked.currents, proposal.values, rtol=1e-12)
    assert asked.inside == 2
    assert asked.beyond == 0


def test_too_few_currents_cannot_leave_one_out(tmp_path: Path) -> None:
    measured = measured_once(write_mirrors(tmp_path / "a.h5", 10, 1))
    few = replace(measured, arrays={**measured.arrays, CURRENTS: np.ones((10, 4))})
    with pytest.raises(UsageError, match="4 currents are too few"):
        propose_currents(few, 1)


def _run(folder: Path, name: str, recipe: str, settings: list[str]) -> Path:
    loaded = load_recipe(recipe, settings)
    assert run_plan(Plan(loaded), folder / name, RunOptions(jobs=1)).failed == 0
    return folder / name


@pytest.mark.ngspice
def test_chosen_currents_are_measured_as_levels_are(tmp_path: Path) -> None:
    settings = [
        "stimulus.levels=5", "stimulus.overdrive=0", "variation.samples=10",
        "circuit.amplifier.offset_sigma=1 mV", 'variation.quantities=["offset"]',
    ]  # fmt: skip
    name = "readout_clamp_mirror"
    whole = measured_once(_run(tmp_path, "a.h5", name, settings))
    alone = 'stimulus.currents=["5 uA", "10 uA"]'
    some = measured_once(_run(tmp_path, "b.h5", name, [*settings, alone]))
    np.testing.assert_allclose(
        some.arrays["output_voltage"][:, 1], whole.arrays["output_voltage"][:, 1], rtol=1e-9, atol=0
    )
    assert np.all(np.isnan(some.arrays["gain"]))
    with pytest.raises(UsageError, match="transfer at stimulus"):
        fit_results(tmp_path / "b.h5")
    new = measured_once(_run(tmp_path, "c.h5", name, [*settings, 'stimulus.currents=["5 uA"]']))
    merged = merge(whole, [new], propose_currents(whole, 1))
    np.testing.assert_allclose(merged.arrays[CURRENTS][3], [0, 5e-6, 1e-5, 2e-5, 3e-5, 4e-5])
    np.testing.assert_array_equal(
        merged.arrays["output_voltage"][:, 1], new.arrays["output_voltage"][:, 0]
    )


CIRCUITS = {
    # Both up to where the output runs out of room, which bends the end of the curve.
    "readout_tia_transistor": ["stimulus.current_high=56 uA", "stimulus.step_time=100 ns"],
    "readout_clamp_mirror_transistor": ["stimulus.current_high=85 uA"],
}
GATE_LSB = 0.25
"""Of 8 bits. It must lie above what the chips' own spread at the knee leaves however many points:
0.1 to 0.2 LSB, which is that of 101 even currents."""
_MOST_POINTS = 15


@pytest.mark.long
@pytest.mark.ngspice
@pytest.mark.parametrize("name", CIRCUITS)
def test_refinement_passes_a_gate_with_fewer_points_than_any_even_grid(
    tmp_path: Path, name: str
) -> None:
    """Points are currents; every model is judged on ten other chips at 101 currents."""
    settings = [*CIRCUITS[name], "stimulus.overdrive=0", "variation.samples=10",
                f"gates.max_error={GATE_LSB} LSB"]  # fmt: skip
    others = ["stimulus.levels=101", "variation.seed=2"]
    judged = measured_point(read_results(_run(tmp_path, "judge.h5", name, [*settings, *others])))

    def error(model: Surrogate) -> float:
        return next(g.value for g in model.judge(judged).gates if g.name == "max_error")

    five = _run(tmp_path, "five.h5", name, [*settings, "stimulus.levels=5"])
    asked, even = {5: error(refine(five, 0))}, {}
    while asked[max(asked)] > GATE_LSB and max(asked) < _MOST_POINTS:
        asked[max(asked) + 1] = error(refine(five, max(asked) - 4, jobs=1))
    assert asked[max(asked)] <= GATE_LSB, str(asked)
    # No even grid of as many points passes, nor one of fewer.
    for points in range(5, max(asked) + 1):
        grid = _run(tmp_path, f"{points}.h5", name, [*settings, f"stimulus.levels={points}"])
        even[points] = error(fit_results(grid))
    assert all(found > GATE_LSB for found in even.values()), f"{asked} against {even}"
