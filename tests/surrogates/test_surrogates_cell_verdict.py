"""The verdict on a population of cells: wrong ones must not pass, right ones must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic import write
from synthetic_cells import (
    LEVELS,
    conductances,
    gated_chip,
    gated_settings,
    resistive_chip,
    resistive_population,
    settings,
)

from imccircuit.errors import UsageError
from imccircuit.results.read import Results, read_results
from imccircuit.surrogates.base import ModelArray, Parameter
from imccircuit.surrogates.cell import CellSurrogate
from imccircuit.surrogates.cell_fit import fit_blocks
from imccircuit.surrogates.cell_law import CellLaw
from imccircuit.surrogates.fit import check, fit_results

# As many as the shipped recipes have.
CHIPS, CELLS = 60, 6
GATED = [np.array([[39e-6], [5e-6]]), np.zeros((2, 1)), np.ones((2, 1))]


def population(
    folder: Path, g: NDArray[np.float64], name: str = "r.h5"
) -> tuple[CellSurrogate, Results]:
    path = write(folder / name, "rram_iv", settings(g.shape[2]), [resistive_chip(c) for c in g])
    model = fit_results(path)
    assert isinstance(model, CellSurrogate)
    return model, read_results(path)


def changed(model: CellSurrogate, name: str, values: NDArray[np.float64]) -> CellSurrogate:
    old = model.model.arrays[name]
    array = ModelArray(values, old.units, old.dims, old.long_name)
    return CellSurrogate(replace(model.model, arrays={**model.model.arrays, name: array}))


def without_shares(model: CellSurrogate) -> CellSurrogate:
    names = [f"cell_conductance_{part}_share" for part in ("chip", "level", "cell")]
    lost = {name: Parameter(name, 0.0, "1") for name in names}
    return CellSurrogate(replace(model.model, parameters={**model.model.parameters, **lost}))


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> tuple[CellSurrogate, Results]:
    return population(tmp_path_factory.mktemp("p"), conductances(CHIPS, CELLS, seed=1))


def test_a_right_population_passes(right: tuple[CellSurrogate, Results]) -> None:
    assert right[0].verdict.state == "pass", str(right[0].verdict)
    names = [gate.name for gate in right[0].verdict.gates]
    assert names[2:] == [f"{key} of cell conductance" for key in
                         ("spread_factor", "mean_shift", "chip_spread_factor")]  # fmt: skip


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("factor", [0.5, 2.0, 5.0])
def test_one_level_of_wrong_spread_fails(
    right: tuple[CellSurrogate, Results], level: int, factor: float
) -> None:
    sd = right[0].array("cell_conductance_sd").copy()
    sd[level] *= factor
    verdict = check(changed(right[0], "cell_conductance_sd", sd), right[1])
    assert verdict.state == "fail", str(verdict)
    assert "spread_factor" in verdict.reason


@pytest.mark.parametrize("levels", [[0], [1], [0, 1]])
@pytest.mark.parametrize("shift", [-1.0, 1.0, 3.0])
def test_a_level_of_wrong_mean_fails(
    right: tuple[CellSurrogate, Results], levels: list[int], shift: float
) -> None:
    mean = right[0].array("cell_conductance_mean").copy()
    mean[levels] += shift * right[0].array("cell_conductance_sd")[levels]
    verdict = check(changed(right[0], "cell_conductance_mean", mean), right[1])
    assert verdict.state == "fail", str(verdict)
    assert "mean_shift" in verdict.reason


def test_few_chips_pass_nothing_that_they_cannot_tell(tmp_path: Path) -> None:
    model, results = population(tmp_path, conductances(20, 2, seed=1))
    assert model.verdict.state == "not judged"
    assert "too few chips to tell" in model.verdict.reason
    sd = model.array("cell_conductance_sd") * [1.0, 2.0]
    assert check(changed(model, "cell_conductance_sd", sd), results).state != "pass"


@pytest.mark.long
def test_right_populations_of_many_seeds_pass(tmp_path: Path) -> None:
    states = [
        population(tmp_path, conductances(CHIPS, CELLS, seed, cv=0.3), f"{seed}.h5")[
            0
        ].verdict.state
        for seed in range(100, 120)
    ]
    # At 95 % each, fewer than 17 of 20 have a chance below 2 %; and none may be called wrong.
    assert states.count("pass") >= 17, states
    assert "fail" not in states


@pytest.mark.parametrize("part", ["chip", "level", "place"])
def test_what_cells_share_is_found_drawn_and_judged(tmp_path: Path, part: str) -> None:
    model, results = population(tmp_path, conductances(CHIPS, CELLS, seed=4, **{part: 0.9}))
    assert model.verdict.state != "fail", str(model.verdict)
    shared = model.spread("cell_conductance").shared
    kept = {"chip": shared.chip, "level": shared.level, "place": shared.cell}
    # 48 fitted chips; σ of an intraclass correlation near 0.9 is 0.03 (chip), five times that.
    assert kept.pop(part) == pytest.approx(0.9, abs=0.15)
    assert list(kept.values()) == [0, 0]
    # Correlation of drawn cells: within a level, at one place of two levels, apart.
    drawn = np.log(model.sample_chips(400, seed=1)["cell_conductance"])
    r = np.corrcoef(drawn.reshape(400, -1).T).reshape(2, CELLS, 2, CELLS)
    found = (r[0, 0, 0, 1], r[0, 0, 1, 0], r[0, 0, 1, 1])
    truth = {"chip": (1, 1, 1), "level": (1, 0, 0), "place": (0, 1, 0)}[part]
    # 400 chips: σ is 0.05 at ρ = 0; and what the fit missed.
    np.testing.assert_allclose(found, 0.9 * np.array(truth), atol=0.2)
    verdict = check(without_shares(model), results)
    assert verdict.state == "fail", str(verdict)
    assert "chip_spread_factor" in verdict.reason


def test_one_cell_a_level_says_what_cannot_be_told(tmp_path: Path) -> None:
    model, _ = population(tmp_path, conductances(60, 1, seed=2, chip=0.8))
    assert model.value("cell_conductance_chip_share") == pytest.approx(0.8, abs=0.2)
    assert "cannot be told" in str(model.verdict)


def test_a_level_that_varies_where_the_model_says_none_fails(tmp_path: Path) -> None:
    g = conductances(20, 2, seed=3)
    g[:, 1] = LEVELS[1]
    model, _ = population(tmp_path, g)
    other = write(tmp_path / "o.h5", "rram_iv", settings(2), resistive_population(20, seed=8))
    verdict = check(model, read_results(other))
    assert verdict.state == "fail"
    assert "is the same for all cells of the model" in verdict.reason


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ('circuit.levels=["38 uS", "5 uS"]', "levels differs: 38 µS, 5 µS there, 39 µS, 5 µS in"),
        ('circuit.read_time="1e5 s"', "read time differs: 100 ks there, 1 s in the model"),
        ("circuit.device_card=rram_techB", "device card differs.*: rram_techB .* rram_techC "),
        ("variation.quantities=[]", "varied from chip to chip differs: nothing there"),
    ],
)
def test_results_of_other_conditions_are_refused(tmp_path: Path, setting: str, says: str) -> None:
    model, _ = population(tmp_path, conductances(10, 2, seed=1))
    chips = resistive_population(10, seed=9)
    other = write(tmp_path / "o.h5", "rram_iv", settings(2, setting), chips)
    with pytest.raises(UsageError, match=says):
        check(model, read_results(other))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("conditions.corner=ff", "corner differs: ff there, tt in the model"),
        ('circuit.transistor_width="240 nm"', "transistor width differs: 240 nm there, 120 nm in"),
        (
            'conditions.temperature="85 degC"',
            "temperature differs: 85 degC there, 27 degC in the model",
        ),
    ],
)
def test_results_of_other_transistors_are_refused(tmp_path: Path, setting: str, says: str) -> None:
    chips = [gated_chip(*GATED)]
    model = fit_results(write(tmp_path / "r.h5", "onet1r_iv", gated_settings(1), chips))
    other = write(tmp_path / "o.h5", "onet1r_iv", gated_settings(1, setting), chips)
    with pytest.raises(UsageError, match=says):
        check(model, read_results(other))


def test_the_default_read_time_is_the_cards(tmp_path: Path) -> None:
    model, _ = population(tmp_path, conductances(10, 2, seed=1))
    chips = resistive_population(10, seed=9)
    text = settings(2, 'circuit.read_time="1.0 s"')
    assert check(model, read_results(write(tmp_path / "o.h5", "rram_iv", text, chips))).reason


@pytest.mark.parametrize("own", [(1e4, 0.0, 0.0), (0.0, -1e300, 1e5), (-1e9, 1e300, -1e5)])
def test_the_law_saturates_cleanly(own: tuple[float, float, float]) -> None:
    bit, word = np.linspace(0.05, 0.3, 6), np.linspace(0.3, 1.2, 6)
    law = CellLaw.of(bit, word, 27.0)
    for curvature in (-1e12, 0.0, 1e12):
        shared = np.zeros(len(law.physical) + law.coefficients)
        shared[:4] = curvature, 0.4, 1.3, -7.0
        numbers = np.array(own)
        assert np.all(np.isfinite(law.current(shared, numbers, bit, word)))
        for part in law.derivatives(shared, numbers, bit, word, len(shared)):
            assert np.all(np.isfinite(part))


def test_currents_of_another_transistor_are_judged_without_a_warning(tmp_path: Path) -> None:
    """Warnings are errors in tests; a fit of wrong currents runs into numbers of no meaning."""
    rng = np.random.default_rng(1)
    g = conductances(12, 1, seed=1)
    shift = 0.03 * rng.standard_normal(g.shape)
    chips = [gated_chip(c, s, np.ones(c.shape)) for c, s in zip(g, shift, strict=True)]
    model = fit_results(write(tmp_path / "r.h5", "onet1r_iv", gated_settings(1), chips))
    wrong = [gated_chip(c, s - 0.3, 30 * np.ones(c.shape)) for c, s in zip(g, shift, strict=True)]
    other = write(tmp_path / "o.h5", "onet1r_iv", gated_settings(1), wrong)
    assert check(model, read_results(other)).state == "fail"


def test_no_cell_runs_away_while_others_improve() -> None:
    """Newton's step for atan(x) from 5 is −31: one cell gets worse, the sum much better."""

    def residual(_: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([100 * (own[0] - 1), np.arctan(own[1])])

    def jacobian(
        _: NDArray[np.float64], own: NDArray[np.float64], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        slopes = np.stack([100 * np.ones(1), 1 / (1 + own[1] ** 2)])
        return np.zeros((2, 1, count)), slopes[:, :, None]

    found = fit_blocks(
        residual, jacobian, np.zeros(1), np.full((2, 1), 5.0),
        prior_shared=np.zeros(1), prior_own=np.zeros(1), fix_shared=True,
    )  # fmt: skip
    np.testing.assert_allclose(found.own[:, 0], [1.0, 0.0], atol=1e-3)
