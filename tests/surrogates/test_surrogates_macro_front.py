"""A macro's surrogate with front ends of its own, on files of known origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.stats import norm
from synthetic import write
from synthetic_macro import results as ideal_results
from synthetic_macro_front import (
    BATCH,
    BIAS,
    BITS,
    COLS,
    CONVERTERS,
    CONVERTS_S,
    LSB,
    NOISE_V,
    ROWS,
    SETTINGS,
    SETTLES_S,
    macro_chip,
    results,
)

from imccircuit.errors import FileFormatError, UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.domain import DomainWarning
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import check, fit_results
from imccircuit.surrogates.macro import MacroSurrogate
from imccircuit.surrogates.macro_compose import Composition
from imccircuit.surrogates.testing import SurrogateContract

WRITTEN: list[Path] = []


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> MacroSurrogate:
    path = results(tmp_path_factory.mktemp("front") / "r.h5")
    WRITTEN[:] = [path]
    model = fit_results(path)
    assert isinstance(model, MacroSurrogate)
    return model


class TestMacroOfAmplifiers(SurrogateContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, fitted: Surrogate) -> Surrogate:
        return fitted

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"input": np.random.default_rng(9).random((7, ROWS)), "chip": 3}

    @pytest.fixture
    def draws(self) -> bool:
        return True

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "output_code": (7, CONVERTERS),
            "sampled_voltage_v": (7, CONVERTERS),
            "output_current_a": (7, COLS),
        }

    def carried(self) -> dict[str, str]:
        return {"latency": "s", "front_end.noise": "V", "front_end.energy": "J",
                "front_end.area": "m**2"}  # fmt: skip

    def outside(self) -> dict[str, Any]:
        return {"voltage_v": np.full((1, ROWS), BIAS + 0.01)}

    def refused(self) -> tuple[dict[str, Any], ...]:
        row = np.full((1, ROWS), 0.5)
        return ({"input": row, "chip": 99}, {"input": row[:, 1:]},
                {"input": row, "input_offset_v": np.zeros(COLS)},
                {"input": row, "output_coefficient_v": np.zeros((COLS, 3))},
                {"input": row, "input_coefficient_v": np.full((COLS, 4), np.nan)},
                {"input": row, "conductance_s": np.full(ROWS, 1e-5)})  # fmt: skip

    def fitted_results(self, model: Surrogate) -> Path:
        (path,) = WRITTEN
        return path

    def other_results(self, folder: Path) -> Path:
        return results(folder / "others.h5", seed=21, chips=2)

    def spoil(self) -> str:
        return "front_end.output_coefficient"


def test_array_and_front_ends_measured_apart_give_the_whole(fitted: MacroSurrogate) -> None:
    """Cubic curves are within the law, so that what is left is rounding and the array's fit."""
    verdict = fitted.verdict
    assert verdict.state == "pass", str(verdict)
    assert verdict.chips == 5
    assert verdict.errors[0].max < 1e-6 * LSB
    assert "part array, front_end, converter_0, converter_1: pass" in " ".join(verdict.notes)
    assert f"{COLS} front ends of each chip" in " ".join(fitted.parts.front.verdict.notes)
    # Whole chips are held out, with all their columns.
    hidden = fitted.parts.front.array("held_out").reshape(-1, COLS)
    assert hidden.min(axis=1).sum() == hidden.max(axis=1).sum() == 5


def test_input_voltages_that_are_left_out_would_show(fitted: MacroSurrogate) -> None:
    """Without the offsets' currents an output is off by R_f·Σg·2 mV, 4 mV and more."""
    with h5py.File(WRITTEN[0]) as file:
        alone, whole = file["array_current"][0], file["output_current"][0]
    assert np.sqrt(np.mean((alone - whole) ** 2)) * 30e3 > 4e-3
    x = (BIAS - read_results(WRITTEN[0]).dataset["row_voltage"].values[0, 4]) / 0.1
    found = fitted.predict(input=x, chip=4)["output_current_a"]
    np.testing.assert_allclose(found, whole[4], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["front", "whole"])
def test_bent_cells_are_solved_with_the_front_ends(tmp_path: Path, kind: str) -> None:
    """Nonlinear cells: every vector's own ends; and a law of one kind fits no other's results."""
    settings = (*SETTINGS, "circuit.array.cell=1r_sinh", "circuit.array.sinh_voltage=0.2 V")
    model = fit_results(results(tmp_path / "r.h5", settings=settings, v0=0.15))
    assert isinstance(model, MacroSurrogate)
    if kind == "whole":
        with pytest.raises(UsageError, match=r"front_end\.implementation"):
            check(model, read_results(ideal_results(tmp_path / "i.h5", chips=2)))
        return
    assert model.verdict.state == "pass", str(model.verdict)
    # V0 is fitted to 1e-6 of the currents, and there are 0.6 V of them.
    assert model.verdict.errors[0].max < 1e-4 * LSB


def test_an_error_of_the_whole_is_in_the_verdict(tmp_path: Path) -> None:
    verdict = fit_results(results(tmp_path / "r.h5", moved_v=0.4 * LSB)).verdict
    assert verdict.state == "fail"
    assert verdict.errors[0].rms == pytest.approx(0.4 * LSB, abs=1e-4 * LSB)


def test_chips_that_the_fit_never_saw_are_judged(tmp_path: Path, fitted: Surrogate) -> None:
    verdict = check(fitted, read_results(results(tmp_path / "r.h5", seed=12, chips=3)))
    assert (verdict.state, verdict.chips) == ("pass", 3)
    assert verdict.errors[0].max < 1e-6 * LSB


def test_one_chip_has_front_ends_that_are_not_judged(tmp_path: Path) -> None:
    model = fit_results(results(tmp_path / "r.h5", chips=1))
    assert isinstance(model, MacroSurrogate)
    assert model.verdict.state == "pass", str(model.verdict)
    assert model.verdict.errors[0].max < 1e-6 * LSB
    assert model.parts.front.verdict.state == "not judged"


def test_the_whole_carries_what_its_amplifiers_cost(tmp_path: Path) -> None:
    """Six columns' class A, in the time that they settle and convert; counted areas."""
    rng = np.random.default_rng(2)
    power = {"array_power": 1e-6 * np.ones(BATCH)}
    chips = [{**macro_chip(rng), **power} for _ in range(12)]
    settings = (*SETTINGS, "stimulus.energy_inputs=2")
    model = fit_results(write(tmp_path / "r.h5", "macro_sar8_amplifiers", settings, chips))
    stand = SETTLES_S + CONVERTS_S
    assert model.value("latency") == pytest.approx(stand, abs=1e-20)
    assert "settling of front ends" in model.model.parameters["latency"].note
    # 5 pJ of reference and supply in 100 ns, and 7 fJ in each of two converters.
    energy = model.model.parameters["energy"]
    fronts = COLS * 5e-12 * stand / 100e-9
    assert energy.value == pytest.approx(fronts + 2 * 7e-15, abs=1e-22)
    assert energy.note.startswith("array, front ends and converters, measured alone")
    assert "comes out of the front ends' supply" in energy.note
    assert model.value("array.energy") == pytest.approx(1e-6 * stand, abs=1e-25)
    area = model.model.parameters["area"]
    assert area.value == pytest.approx(COLS * 2e-10 + 2 * 5e-10, abs=1e-20)
    assert area.note == "2 converters and 3 front ends, counted; without array: not counted"


def test_front_ends_and_converters_are_noisy_where_a_seed_is_given(fitted: MacroSurrogate) -> None:
    inputs = np.repeat(np.random.default_rng(4).random((1, ROWS)), 4000, axis=0)
    quiet = fitted.predict(input=inputs[:1], chip=3)
    noisy = fitted.predict(input=inputs, chip=3, seed=5)
    sigma = np.hypot(0.1 * LSB, NOISE_V)
    # 5 σ of a binomial count, as for converters alone.
    for j, part in enumerate(fitted.parts.converters):
        v = quiet["sampled_voltage_v"][0, j]
        share = np.diff(norm.cdf([-np.inf, *part.levels_v(3), np.inf], v, sigma))
        found = np.bincount(noisy["output_code"][:, j], minlength=2**BITS) / 4000
        assert np.all(np.abs(found - share) <= 5 * np.sqrt(share * (1 - share) / 4000) + 1e-9)
    assert "front ends: where a seed is given, 1 mV rms" in fitted.domain["noise"]


def test_drawn_chips_have_front_ends_of_their_own(fitted: MacroSurrogate) -> None:
    drawn = fitted.sample_chips(200, seed=3)
    assert drawn["output_coefficient"].shape == (200, COLS, 4)
    # 21 front ends were fitted to a spread of 2 mV: known to a sixth, three of these.
    spread = drawn["input_coefficient"][:, :, 0].std()
    assert spread == pytest.approx(2e-3, abs=1e-3)
    given = {f"{name}_v": drawn[name][1] for name in ("output_coefficient", "input_coefficient")}
    x = np.full((1, ROWS), 0.5)
    own = fitted.predict(input=x)["sampled_voltage_v"]
    assert np.all(np.abs(fitted.predict(input=x, **given)["sampled_voltage_v"] - own) > 1e-5)


def test_an_integer_product_takes_the_front_ends_transresistance(fitted: MacroSurrogate) -> None:
    rng = np.random.default_rng(6)
    x, w = rng.integers(0, 8, (5, ROWS)), rng.integers(-3, 4, (ROWS, 4))
    found = fitted.matrix_product(x, w, Composition(3, 3, 1, 1))
    # As of ideal front ends (half a code is 0.14 of a sum of 38.3 uS, offsets of the amplifiers
    # come out 3 to 8 mV and halves cancel them): under a quarter of a sum, weighted.
    assert np.max(np.abs(found - x @ w)) <= 0.25 * 7 * 2 * 3
    assert np.corrcoef(found.ravel(), (x @ w).ravel())[0, 1] > 0.9


def test_currents_beyond_the_measured_range_are_told(fitted: MacroSurrogate) -> None:
    fresh = MacroSurrogate(fitted.model)
    g = np.full((ROWS, COLS), 44e-6)
    with pytest.warns(DomainWarning, match="output_current_a of .* is outside"):
        fresh.predict(input=np.ones((1, ROWS)), conductance_s=g)
    with pytest.raises(UsageError, match="output_current_a of"):
        fresh.predict(input=np.ones((1, ROWS)), conductance_s=g, strict=True)


@pytest.mark.parametrize("name", ["input_coefficient", "output_residual", "level_current"])
def test_a_front_end_that_is_not_whole_is_refused(
    fitted: MacroSurrogate, tmp_path: Path, name: str
) -> None:
    fitted.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        del file[f"arrays/front_end.{name}"]
    with pytest.raises(FileFormatError, match=rf"front_end\.{name}"):
        load_model(tmp_path / "m.h5")


def test_an_ideal_macro_without_its_offsets_is_refused(tmp_path: Path) -> None:
    fit_results(ideal_results(tmp_path / "i.h5")).save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        del file["arrays/array.input_offset"]
    with pytest.raises(FileFormatError, match=r"array\.input_offset"):
        load_model(tmp_path / "m.h5")
