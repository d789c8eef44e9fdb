"""The surrogate of charge-domain columns against capacitors that are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import write
from synthetic_columns import (
    PARASITIC,
    SUPPLY_V,
    bits_of,
    charge_chip,
    charge_population,
    charge_settings,
    scrambled,
)

from imccircuit.errors import UsageError
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.charge_column import ChargeColumnSurrogate
from imccircuit.surrogates.charge_law import ChargeLaw
from imccircuit.surrogates.charge_verdict import chi_square
from imccircuit.surrogates.data import held_out
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.testing import SurrogateContract

ROWS, COLS, BATCH, SIGMA = 16, 2, 40, 0.01


def fit(path: Path, chips: list[Any], *more: str, recipe: str = "charge_array") -> Any:
    batch, cols = chips[0]["output_voltage"].shape
    rows = chips[0]["input"].shape[1]
    settings = charge_settings(rows, cols, batch, *more)
    model = fit_results(write(path / "r.h5", recipe, settings, chips))
    assert isinstance(model, ChargeColumnSurrogate)
    return model


class TestChargeColumns(SurrogateContract):
    results: Path

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        chips = charge_population([SIGMA] * 12, ROWS, COLS, BATCH)
        folder = tmp_path_factory.mktemp("charge")
        cls.results = folder / "r.h5"
        return fit(folder, chips)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"output_voltage_v": (9, COLS)}

    def carried(self) -> dict[str, str]:
        return {"noise": "V"}

    def outside(self) -> dict[str, Any]:
        return {"x": np.ones((1, ROWS)), "w": np.ones((ROWS, COLS))}

    def refused(self) -> tuple[dict[str, Any], ...]:
        x = np.ones((1, ROWS))
        return ({"x": x, "chip": 12}, {"x": x[:, 1:]}, {"x": x, "w": np.ones((ROWS, COLS + 1))},
                {"x": x, "column_offset": np.zeros(COLS + 1)}, {})  # fmt: skip

    def fitted_results(self, model: Surrogate) -> Path:
        return self.results

    def other_results(self, folder: Path) -> Path:
        chips = charge_population([SIGMA] * 6, ROWS, COLS, BATCH, seed=5)
        return write(folder / "o.h5", "charge_array", charge_settings(ROWS, COLS, BATCH), chips)

    def spoil(self) -> str:
        return "cell_weight"

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"x": bits_of(ROWS, COLS, 9, seed=8)[0], "chip": 3}

    @pytest.fixture
    def draws(self) -> bool:
        return True


@pytest.mark.parametrize("sigmas", [(0.0066, 1e-6, 1e-6), (0.3, 30.0, 1e-6)])
def test_more_vectors_than_cells_have_a_covariance_with_a_root(sigmas: tuple[float, ...]) -> None:
    # Outputs of 512 vectors lie in a space of 256 cells: but for the solver's noise it is singular.
    law = ChargeLaw(np.array([0.0, 0.6]), np.zeros((2, 2)), np.array(sigmas), np.zeros(3), 0.9, 256)
    covariance = law.noisy(bits_of(256, 1, 512)[0])
    root = np.linalg.cholesky(covariance)
    # Twice the rounding of a sum of 512 products of the largest entry.
    limit = 2 * 512 * np.finfo(float).eps * covariance.max()
    np.testing.assert_allclose(root @ root.T, covariance, rtol=0, atol=limit)


def test_capacitors_and_parasitic_are_recovered(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    x, w = bits_of(ROWS, COLS, BATCH)
    w[:] = 1
    caps = 1 + SIGMA * rng.standard_normal((12, ROWS, COLS))
    model = fit(tmp_path, [charge_chip(one, x, w) for one in caps])
    assert model.verdict.state == "pass", str(model.verdict)
    # 40 vectors determine 16 cells: each weight is VDD C_i/(ΣC + C_line), to the solver's noise,
    # which the fit takes for 1e-6 of a step at least.
    truth = SUPPLY_V * caps / (caps.sum(axis=1, keepdims=True) + PARASITIC * ROWS)
    step = SUPPLY_V / ROWS / (1 + PARASITIC)
    np.testing.assert_allclose(model.array("cell_weight"), truth, atol=1e-4 * step)
    # Seven chips of 32 cells: σ is known to 1/√(2·224) = 4.7 %; three of these.
    drawn = caps[model.array("held_out") == 0].std()
    assert model.value("sigma_capacitor") == pytest.approx(drawn, rel=0.05, abs=0)
    assert model.value("sigma_capacitor") == pytest.approx(SIGMA, rel=0.15, abs=0)
    ratio = model.model.parameters["parasitic_ratio"]
    assert abs(ratio.value - PARASITIC) < 4 * ratio.sigma
    assert ratio.sigma < 0.01 * PARASITIC


def test_the_fit_is_blind_to_what_was_drawn(tmp_path: Path) -> None:
    chips = charge_population([SIGMA] * 12, ROWS, COLS, BATCH)
    names = ("unit_capacitor", "expected_voltage", "charge_error", "line_capacitor", "gain")
    empty = {"expected_voltage": (BATCH, COLS), "charge_error": (BATCH, COLS),
             "line_capacitor": (), "gain": (COLS,)}  # fmt: skip
    filled = [{**chip, **{n: np.zeros(s) for n, s in empty.items()}} for chip in chips]
    models = []
    for seed in (1, 2):
        path = tmp_path / str(seed)
        path.mkdir()
        models.append(fit(path, [scrambled(chip, names, seed) for chip in filled]))
    for name, array in models[0].model.arrays.items():
        np.testing.assert_array_equal(array.values, models[1].array(name))
    assert str(models[0].verdict) == str(models[1].verdict)


def test_vectors_that_do_not_determine_the_cells_give_no_verdict(tmp_path: Path) -> None:
    model = fit(tmp_path, charge_population([SIGMA] * 4, 64, 3, 16))
    assert model.verdict.state == "not judged"
    assert "do not determine the cells" in model.verdict.reason
    # The errors agree with what the model says of itself: 60 of them, 4 standard errors of 9 %.
    assert model.value("sigma_capacitor") == pytest.approx(SIGMA, rel=0.36, abs=0)


def test_held_out_chips_with_another_spread_fail(tmp_path: Path) -> None:
    mask = held_out(12)
    assert mask is not None
    sigmas = np.where(mask, 3 * SIGMA, SIGMA).tolist()
    model = fit(tmp_path, charge_population(sigmas, ROWS, COLS, BATCH))
    assert model.verdict.state == "fail"
    assert "spread_factor" in model.verdict.reason


@pytest.mark.parametrize(("rough", "state"), [(0.0, "pass"), (0.2, "fail")])
def test_injection_of_switches_is_a_smooth_function_of_active_cells(
    tmp_path: Path, rough: float, state: str
) -> None:
    x, w = bits_of(32, 1, 48)
    step = SUPPLY_V / 32 / (1 + PARASITIC)
    count = x @ w
    smooth = 1.0 - 1.5 * count / 32 + 2.0 * (count / 32) ** 3
    # Every second number of active cells a fifth of a step higher is no physics of switches.
    extra = step * (smooth + rough * (count % 2))
    chip = charge_chip(np.ones((32, 1)), x, w, extra)
    model = fit(tmp_path, [chip], recipe="charge_column")
    assert model.verdict.state == state, str(model.verdict)
    # Half as many terms as there are different points, offset and gain among them; 21 there are.
    seen = model.array("held_out_vector") == 0
    points = np.unique(np.column_stack([count[seen, 0], x[seen].sum(axis=1)]), axis=0)
    terms = model.model.parameters["residual_terms"]
    assert terms.value == len(points) // 2 - 2
    assert len(terms.note.split(", ")) == 21 - terms.value
    assert terms.note.endswith("T_19, active rows: taken for 0")
    if state == "pass":
        # A cubic lies within the law: nothing is left but the least that the fit allows.
        assert model.verdict.errors[0].max < 1e-3 * step


def test_what_is_hardly_known_drowns_no_error_that_is() -> None:
    # One direction of variance `most`, all others of variance 1: Σ eᵀK⁻¹e is known by hand.
    along = np.full(10, 10**-0.5)
    across = np.zeros(10)
    across[:2] = 1.0, -1.0
    error = np.stack([across, 3e3 * along])
    covariance = np.eye(10) + (1e6 - 1) * np.outer(along, along)
    assert chi_square(error, covariance, 1.0) == pytest.approx(2 + 9, abs=1e-6)
    for most in 1e17, 1e25:  # where rounding makes variances negative
        covariance = np.eye(10) + most * np.outer(along, along)
        assert 0 <= chi_square(error, covariance, 1.0) <= 2 + 9e6 / most + 1e-6


def test_nine_vectors_are_too_few_to_judge(tmp_path: Path) -> None:
    model = fit(tmp_path, charge_population([SIGMA] * 3, ROWS, COLS, 9))
    assert "residual_terms" not in model.model.parameters  # of transistors alone
    assert model.verdict.state == "not judged"
    assert "9 vectors" in model.verdict.reason


def test_other_weights_can_be_programmed(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    x, w = bits_of(ROWS, COLS, BATCH)
    caps = 1 + SIGMA * rng.standard_normal((ROWS, COLS))
    model = fit(tmp_path, [charge_chip(caps, x, np.ones_like(w))])
    got = model.predict(x=x, w=w)["output_voltage_v"]
    np.testing.assert_allclose(got, charge_chip(caps, x, w)["output_voltage"], atol=1e-6)
    with pytest.raises(UsageError, match="do not fit"):
        model.predict(x=x[:, 1:], w=w)
    with pytest.raises(UsageError, match="no chip 1"):
        model.predict(x=x, chip=1)


def test_drawn_chips_have_the_fitted_spread(tmp_path: Path) -> None:
    model = fit(tmp_path, charge_population([SIGMA] * 12, ROWS, COLS, BATCH))
    cells = model.sample_chips(300, seed=5)["cell_weight"]
    assert np.all(cells > 0)
    # 9,600 cells: 0.7 % of σ; less the mean that charge conservation takes: (2s - s²)/N = 6 %.
    share = 1 / (1 + PARASITIC)
    expected = model.value("sigma_capacitor") * np.sqrt(1 - (2 * share - share**2) / ROWS)
    assert (cells / model.step_v).std() == pytest.approx(expected, rel=0.03, abs=0)
