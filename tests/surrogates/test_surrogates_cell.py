"""The surrogate of cells against cells whose law is known, and the contract of all kinds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from synthetic import write
from synthetic_cells import (
    BIT,
    LEVELS,
    WORD,
    conductances,
    gated_chip,
    gated_population,
    gated_settings,
    resistive_chip,
    resistive_population,
    settings,
)

from imccircuit.errors import UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates.base import ModelArray, Surrogate
from imccircuit.surrogates.cell import CellSurrogate
from imccircuit.surrogates.domain import DomainWarning
from imccircuit.surrogates.fit import check, fit_results
from imccircuit.surrogates.testing import SurrogateContract


def fit(folder: Path, chips: list[Any], *more: str, recipe: str = "rram_iv") -> CellSurrogate:
    cells = chips[0]["cell_current"].shape[1]
    given = gated_settings(cells, *more) if recipe == "onet1r_iv" else settings(cells, *more)
    model = fit_results(write(folder / "r.h5", recipe, given, chips))
    assert isinstance(model, CellSurrogate)
    return model


GATED_CHIPS = [np.array([[39e-6], [5e-6]]), np.zeros((2, 1)), np.ones((2, 1))]


class TestManyResistors(SurrogateContract):
    results: Path

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        folder = tmp_path_factory.mktemp("r")
        cls.results = folder / "r.h5"
        return fit(folder, resistive_population(20, seed=1))

    def fitted_results(self, model: Surrogate) -> Path:
        return self.results

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"bit_line_v": np.linspace(0, 0.3, 31), "chip": 3, "level": 1}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"current": (31,)}

    def outside(self) -> dict[str, Any]:
        return {"bit_line_v": np.array([-0.1, 0.2])}

    def refused(self) -> tuple[dict[str, Any], ...]:
        return ({"bit_line_v": 0.1, "chip": 20}, {"bit_line_v": 0.1, "word_line_v": 1.0},
                {"bit_line_v": np.inf}, {})  # fmt: skip

    def other_results(self, folder: Path) -> Path:
        return write(folder / "o.h5", "rram_iv", settings(2), resistive_population(8, seed=2))

    def spoil(self) -> str:
        return "cell_conductance"

    @pytest.fixture
    def draws(self) -> bool:
        return True


class GatedContract(SurrogateContract):
    results: Path

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"current": (31,)}

    def outside(self) -> dict[str, Any]:
        return {"bit_line_v": 0.1, "word_line_v": np.array([0.5, 1.5])}

    def refused(self) -> tuple[dict[str, Any], ...]:
        return ({"bit_line_v": 0.1}, {"bit_line_v": -0.1, "word_line_v": 1.0})

    def spoil(self) -> str:
        return "threshold_shift"

    def fitted_results(self, model: Surrogate) -> Path:
        return self.results


class TestOneGatedChip(GatedContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        folder = tmp_path_factory.mktemp("g")
        cls.results = folder / "r.h5"
        return fit(folder, [gated_chip(*GATED_CHIPS)], recipe="onet1r_iv")

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"bit_line_v": np.linspace(0, 0.3, 31), "word_line_v": 0.7}

    @pytest.fixture
    def draws(self) -> bool:
        return False


class TestManyGatedChips(GatedContract):
    def carried(self) -> dict[str, str]:
        return {"energy": "J", "latency": "s", "area": "m**2"}

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        folder = tmp_path_factory.mktemp("m")
        cls.results = folder / "r.h5"
        return fit(folder, gated_population(20, seed=3), recipe="onet1r_iv")

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"bit_line_v": np.linspace(0, 0.3, 31), "word_line_v": 0.7, "chip": 4}

    @pytest.fixture
    def draws(self) -> bool:
        return True

    def test_it_predicts_chips_it_did_not_see(self, model: Surrogate) -> None:
        gates = {gate.name: gate for gate in model.verdict.gates}
        assert gates["nrmse"].holds, str(model.verdict)
        assert gates["max_error"].holds, str(model.verdict)
        assert model.verdict.chips == 5

    def test_it_finds_the_spread_of_thresholds(self, model: CellSurrogate) -> None:
        # 15 cells of a level: σ of σ is 1/√28 = 19 %, three times that is 57 %.
        sd = model.spread("threshold_shift").sd
        np.testing.assert_allclose(sd, 0.03, rtol=0.57)

    def test_what_has_no_law_is_refused(self, model: Surrogate) -> None:
        with pytest.raises(UsageError, match=r"-0\.1 turns the transistor round, for"):
            model.predict(bit_line_v=-0.1, word_line_v=1.0)
        with pytest.raises(UsageError, match="no finite number"):
            model.predict(bit_line_v=np.nan, word_line_v=1.0)
        with pytest.raises(UsageError, match="no cell"):
            model.predict(bit_line_v=0.1, word_line_v=1.0, level=2)
        with pytest.raises(UsageError, match="these cells need word_line_v"):
            model.predict(bit_line_v=0.1)

    def test_beyond_the_measured_word_lines_it_warns_and_goes_on(self, model: Surrogate) -> None:
        with pytest.warns(DomainWarning, match=r"word_line_v of 1\.5 .*allowed: 0\.3 to 1\.2"):
            beyond = model.predict(bit_line_v=0.1, word_line_v=1.5)["current"]
        assert beyond > model.predict(bit_line_v=0.1, word_line_v=1.2)["current"]


def test_one_gated_chip_is_judged_by_points(tmp_path: Path) -> None:
    model = fit(tmp_path, [gated_chip(*GATED_CHIPS)], recipe="onet1r_iv")
    # 30 points that are not at 0 V: six are held out, of two cells.
    assert (model.verdict.points, model.verdict.chips) == (12, 1)
    assert all(gate.unit in ("1", "FS") for gate in model.verdict.gates)


def test_conductances_of_resistors_are_found(tmp_path: Path) -> None:
    g = conductances(20, 2, seed=1)
    model = fit(tmp_path, [resistive_chip(chip) for chip in g])
    # Few cells: the currents are right, the spread cannot be told.
    assert model.verdict.state == "not judged", str(model.verdict)
    assert all(gate.holds for gate in model.verdict.gates[:2])
    # Exact but for rounding: the law holds.
    np.testing.assert_allclose(model.array("cell_conductance"), g, rtol=1e-9)
    assert abs(model.value("curvature")) < 1e-6
    assert "sinh_voltage" not in model.model.parameters


def test_the_voltage_of_a_sinh_law_is_found(tmp_path: Path) -> None:
    g = conductances(20, 1, seed=1)
    model = fit(tmp_path, [resistive_chip(chip, v0=0.25) for chip in g])
    assert model.verdict.gates[0].value < 1e-4
    assert model.value("sinh_voltage") == pytest.approx(0.25, rel=1e-3, abs=0)
    found = model.predict(bit_line_v=np.array(BIT), chip=2, level=1)["current"]
    np.testing.assert_allclose(found, g[2, 1, 0] * 0.25 * np.sinh(np.array(BIT) / 0.25), rtol=1e-5)


@pytest.mark.long
def test_drawn_cells_follow_the_law_of_the_measured_ones(tmp_path: Path) -> None:
    g = conductances(100, 4, seed=2, cv=0.3)
    model = fit(tmp_path, [resistive_chip(chip) for chip in g])
    assert set(model.model.settings["cell_conductance_law"].split(",")) <= {
        "lognormal", "gamma", "truncated_normal",
    }  # fmt: skip
    drawn = model.sample_chips(500, seed=1)["cell_conductance"]
    assert drawn.min() > 0
    for k, level in enumerate(LEVELS):
        # 320 fitted and 2000 drawn cells: five σ of mean and deviation.
        np.testing.assert_allclose(drawn[:, k].mean(), level, rtol=5 * 0.3 / np.sqrt(320))
        np.testing.assert_allclose(drawn[:, k].std() / level, 0.3, rtol=5 / np.sqrt(640) * 1.3)


@pytest.mark.long
def test_a_law_of_no_name_is_kept_as_quantiles(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    g = conductances(60, 4, seed=3, cv=0.02)
    # A tenth of the cells has lost half: no law of two moments.
    g = np.where(rng.random(g.shape) < 0.1, 0.5 * g, g)
    model = fit(tmp_path, [resistive_chip(chip) for chip in g])
    assert model.model.settings["cell_conductance_law"] == "empirical,empirical"
    assert model.verdict.state == "pass", str(model.verdict)
    drawn = model.sample_chips(300, seed=1)["cell_conductance"][:, 0].ravel()
    held = model.array("held_out") == 0
    seen = model.array("cell_conductance")[held][:, 0].ravel()
    assert stats.ks_2samp(drawn, seen).statistic < 1.95 * np.sqrt(1 / 192 + 1 / 1200) + 1 / 64


@pytest.mark.long
def test_correlation_within_a_chip_is_found_and_drawn(tmp_path: Path) -> None:
    g = conductances(200, 4, seed=4, cv=0.1, level=0.5)
    model = fit(tmp_path, [resistive_chip(chip) for chip in g])
    assert model.verdict.state == "pass", str(model.verdict)
    # 160 chips, two levels: σ of ρ is about (1 − ρ)(1 + 3ρ)/√(6·320) = 0.03; five times that.
    shared = model.spread("cell_conductance").shared
    assert shared.level == pytest.approx(0.5, abs=0.15)
    assert (shared.chip, shared.cell) == (0, 0)
    drawn = np.log(model.sample_chips(1000, seed=1)["cell_conductance"])[:, 0]
    pairs = np.corrcoef(drawn.T)[~np.eye(4, dtype=bool)]
    np.testing.assert_allclose(pairs, shared.level, atol=0.15)


def test_cells_of_another_law_fail(tmp_path: Path) -> None:
    model = fit(tmp_path, resistive_population(20, seed=1))
    other = write(
        tmp_path / "o.h5", "rram_iv", settings(2),
        [resistive_chip(g, v0=0.1) for g in conductances(20, 2, seed=9)],
    )  # fmt: skip
    verdict = check(model, read_results(other))
    assert (verdict.state, verdict.chips) == ("fail", 20)
    assert "nrmse" in verdict.reason


def test_few_chips_are_not_judged(tmp_path: Path) -> None:
    verdict = fit(tmp_path, resistive_population(9, seed=1)).verdict
    assert verdict.state == "not judged"
    assert "too few" in verdict.reason
    assert fit(tmp_path, resistive_population(10, seed=1)).verdict.chips == 5


@pytest.mark.long
def test_chips_of_the_fit_are_not_held_out_again(tmp_path: Path) -> None:
    chips = resistive_population(40, seed=1)
    model = fit(tmp_path, chips[:20])
    more = write(tmp_path / "more.h5", "rram_iv", settings(2), chips)
    fitted = int(np.count_nonzero(model.array("held_out") == 0))
    assert check(model, read_results(more)).chips == 40 - fitted


def test_results_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = fit(tmp_path, resistive_population(20, seed=1))
    other = write(tmp_path / "o.h5", "rram_iv", settings(3), resistive_population(20, 1, cells=3))
    with pytest.raises(UsageError, match="2 levels of 2 cells"):
        check(model, read_results(other))


def test_what_is_not_physical_fails(tmp_path: Path) -> None:
    model = fit(tmp_path, resistive_population(20, seed=1))
    arrays = dict(model.model.arrays)
    old = arrays["residual_coefficient"]
    falling = ModelArray(np.array([-5.0, 0.0, 0.0]), old.units, old.dims, old.long_name)
    broken = CellSurrogate(replace(model.model, arrays={**arrays, "residual_coefficient": falling}))
    assert broken.admissibility() == ("the current falls with the bit-line voltage",)
    assert check(broken, read_results(tmp_path / "r.h5")).state == "fail"


def test_word_lines_of_the_model_are_those_measured(tmp_path: Path) -> None:
    model = fit(tmp_path, [gated_chip(*GATED_CHIPS)], recipe="onet1r_iv")
    np.testing.assert_array_equal(model.array("word_line_voltage"), WORD)
