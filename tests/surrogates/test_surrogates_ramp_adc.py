"""The surrogate of ramp converters against ramps that are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from synthetic import write
from synthetic_columns import FULL_SCALE_V, ramp_chip, ramp_population, scrambled

from imccircuit.errors import UsageError
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.data import held_out
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.ramp_adc import RampAdcSurrogate
from imccircuit.surrogates.testing import SurrogateContract

BITS, COLUMNS = 6, 4
LSB = FULL_SCALE_V / 2**BITS


def fit(path: Path, chips: list[Any], columns: int = COLUMNS) -> RampAdcSurrogate:
    settings = [f"circuit.bits={BITS}", f"circuit.columns={columns}"]
    model = fit_results(write(path / "r.h5", "adc_ramp8_mismatch", settings, chips))
    assert isinstance(model, RampAdcSurrogate)
    return model


def population(count: int = 20, spread: float = 0.01) -> list[Any]:
    # One population in ten lies outside the 90 % interval of its own spread; not that of this seed.
    slopes = 1 + spread * np.random.default_rng(100).standard_normal(count)
    return ramp_population(slopes, COLUMNS, 3e-3, BITS, seed=200)


class TestRampConverters(SurrogateContract):
    results: Path

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        folder = tmp_path_factory.mktemp("ramp")
        cls.results = folder / "r.h5"
        return fit(folder, [{**chip, "noise_sigma": np.asarray(2e-5)} for chip in population()])

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"code": (97,)}

    def carried(self) -> Mapping[str, str]:
        return {"noise": "V"}

    def refused(self) -> tuple[Mapping[str, Any], ...]:
        return ({"voltage_v": 0.1, "chip": 20}, {"voltage_v": 0.1, "column": COLUMNS},
                {"voltage_v": 0.1, "seed": -1}, {})  # fmt: skip

    def fitted_results(self, model: Surrogate) -> Path:
        return self.results

    def other_results(self, folder: Path) -> Path:
        settings = [f"circuit.bits={BITS}", f"circuit.columns={COLUMNS}"]
        chips = ramp_population(np.ones(8), COLUMNS, 3e-3, BITS, seed=5)
        return write(folder / "o.h5", "adc_ramp8_mismatch", settings, chips)

    def spoil(self) -> str:
        return "ramp"

    def outside(self) -> Mapping[str, Any]:
        return {"voltage_v": np.array([-0.1])}

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"voltage_v": np.linspace(0, FULL_SCALE_V, 97), "chip": 3, "column": 2}

    @pytest.fixture
    def draws(self) -> bool:
        return True


def test_ramp_and_offsets_are_recovered(tmp_path: Path) -> None:
    offsets = np.array([1e-3, -2e-3, 0.5e-3, 0.0])
    chip = ramp_chip(bits=BITS, slope=0.98, curvature=0.05, offsets=offsets)
    model = fit(tmp_path, [chip])
    assert model.verdict.state == "pass", str(model.verdict)
    # An exponential from 0 with columns beside it, to rounding of a fit by 1e-15.
    offset, span, curvature, residual = model.array("ramp")[0]
    assert span == pytest.approx(0.98 * FULL_SCALE_V, rel=1e-6, abs=0)
    assert curvature == pytest.approx(0.05, rel=1e-5, abs=0)
    assert offset == pytest.approx(-offsets.mean(), rel=0, abs=1e-8)
    assert residual == pytest.approx(0, rel=0, abs=1e-8)
    np.testing.assert_allclose(
        model.array("column")[0, :, 0], offsets.mean() - offsets, rtol=0, atol=1e-9
    )
    for column in range(COLUMNS):
        np.testing.assert_allclose(
            model.levels_v(0, column), chip["column_level"][column], atol=1e-8
        )
    # 10,000 inputs, none within rounding of a level.
    voltage = np.linspace(0, FULL_SCALE_V, 10_001)[1:-1]
    expected = np.searchsorted(chip["column_level"][1], voltage)
    np.testing.assert_array_equal(model.convert(voltage, column=1), expected)


def test_population_of_slopes_and_offsets(tmp_path: Path) -> None:
    # Spread of ramps is known from chips, of which 8 held out of 40 are enough for the gate.
    model = fit(tmp_path, population(40))
    assert model.verdict.state == "pass", str(model.verdict)
    kept = np.flatnonzero(model.array("held_out") == 0)
    slopes = 1 + 0.01 * np.random.default_rng(100).standard_normal(40)
    expected = slopes[kept].std(ddof=1) * FULL_SCALE_V
    assert model.value("sigma_span") == pytest.approx(expected, rel=1e-4, abs=0)
    # 32 chips of 4 columns: 96 free deviations, known to 7 %; three of these.
    assert model.value("column_offset_sigma") == pytest.approx(3e-3, rel=0.22, abs=0)
    # 400 chips: 3.5 %; three of these.
    drawn = model.sample_chips(400, seed=2)
    spread = (drawn["column_level"][:, 0] - drawn["column_level"][:, 1])[:, 30].std()
    assert spread == pytest.approx(np.sqrt(2) * model.value("column_offset_sigma"), rel=0.11, abs=0)
    assert drawn["ramp"][:, 1].std() == pytest.approx(expected, rel=0.11, abs=0)


def test_what_columns_have_in_common_is_drawn_once(tmp_path: Path) -> None:
    # 200 chips of two columns with offsets of 3 mV and nothing else: a level varies by 3 mV, and
    # that of the other column is independent of it.
    chips = ramp_population(np.ones(200), 2, 3e-3, BITS, seed=3)
    drawn = fit(tmp_path, chips, columns=2).sample_chips(2000, seed=1)
    np.testing.assert_allclose(drawn["column"].mean(axis=1), 0, rtol=0, atol=1e-15)
    levels = drawn["column_level"][:, :, 30]
    # 160 fitted chips know a variance to 11 % and a correlation to 0.08; three of these.
    np.testing.assert_allclose(levels.std(axis=0), 3e-3, rtol=0.17)
    assert abs(np.corrcoef(levels.T)[0, 1]) < 0.24


def test_the_fit_is_blind_to_what_was_drawn(tmp_path: Path) -> None:
    models = []
    for seed in (1, 2):
        path = tmp_path / str(seed)
        path.mkdir()
        chips = [scrambled(c, ("comparator_offset", "ramp_level"), seed) for c in population()]
        models.append(fit(path, chips))
    for name, array in models[0].model.arrays.items():
        np.testing.assert_array_equal(array.values, models[1].array(name))
    assert str(models[0].verdict) == str(models[1].verdict)


def test_a_ramp_with_ripple_fails(tmp_path: Path) -> None:
    offsets = np.zeros(COLUMNS)
    chip = ramp_chip(bits=BITS, slope=1.0, curvature=0.05, offsets=offsets, bow_v=0.1 * LSB)
    model = fit(tmp_path, [chip])
    assert model.verdict.state == "fail"
    assert "max_error" in model.verdict.reason


def test_conversions_that_contradict_the_levels_fail(tmp_path: Path) -> None:
    chip = ramp_chip(bits=BITS, slope=1.0, curvature=0.05, offsets=np.zeros(COLUMNS))
    # Levels 0.1 LSB too high in all columns: what one conversion leaves to the next.
    moved = {**chip, "column_level": chip["column_level"] + 0.1 * LSB}
    model = fit(tmp_path, [moved])
    assert model.verdict.state == "fail"
    # Half a bracket of 0.02 LSB beside the 0.1; a straight line is 0.2 LSB rms off this ramp.
    assert model.verdict.gates[0].value == pytest.approx(0.11, rel=1e-4, abs=0)
    _, loop, others = model.verdict.errors
    assert loop.skill is not None
    assert 0 < loop.skill < 1
    # The inputs of column 0 are no brackets of the other columns' levels.
    assert others.quantity == "input in closed loop, other columns"
    assert others.count == (COLUMNS - 1) * loop.count * 2
    assert others.skill is None


def test_skill_is_not_that_of_the_search(tmp_path: Path) -> None:
    model = fit(tmp_path, [ramp_chip(bits=BITS, slope=1.0, curvature=0.05, offsets=np.zeros(4))])
    loop = model.verdict.errors[1]
    assert loop.max == pytest.approx(0.01 * LSB, abs=1e-4 * LSB)
    assert loop.skill is None
    assert "no more than the search's bracket" in loop.note


def test_held_out_chips_with_other_offsets_fail(tmp_path: Path) -> None:
    mask = held_out(20)
    assert mask is not None
    calm, wild = population(), ramp_population(np.ones(20), COLUMNS, 12e-3, BITS, seed=8)
    model = fit(tmp_path, [w if m else c for c, w, m in zip(calm, wild, mask, strict=True)])
    assert model.verdict.state == "fail"
    assert "offset_spread_factor" in model.verdict.reason


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    model = fit(tmp_path, population())
    with pytest.raises(UsageError, match="no column 4"):
        model.levels_v(0, 4)
    with pytest.raises(UsageError, match="no chip 20"):
        model.convert(0.1, chip=20)


def noisy(folder: Path, comparator_v: float) -> RampAdcSurrogate:
    # Noise of the ramp grows from 0.1 to 0.4 LSB along it, that of a column is its own.
    chip = ramp_chip(bits=BITS, slope=1.0, curvature=0.05, offsets=np.zeros(COLUMNS))
    sigma = LSB * np.linspace(0.1, 0.4, 2**BITS - 1)
    total = np.sqrt(np.mean(sigma**2) + comparator_v**2)
    return fit(folder, [{**chip, "ramp_noise": sigma, "noise_sigma": np.asarray(total)}])


def test_noise_is_that_of_the_ramp_where_it_passes_and_of_the_comparator(tmp_path: Path) -> None:
    model = noisy(tmp_path, 0.3 * LSB)
    assert "where a seed is given" in model.domain["noise"]
    for code in (3, 60):
        at = model.levels_v()[code - 1] + 0.2 * LSB
        codes = model.predict(voltage_v=np.full(40_000, at), seed=5)["code"]
        sigma = np.hypot(0.1 + 0.3 * (at / LSB - 1) / (2**BITS - 2), 0.3)
        # Share of inputs that fall below the level; 40,000 of them know it to 0.0023, four times.
        assert np.mean(codes < code) == pytest.approx(stats.norm.cdf(-0.2 / sigma), abs=0.0095)


def test_noise_of_a_batch_in_parts_is_that_of_one(tmp_path: Path) -> None:
    model = noisy(tmp_path, 0.3 * LSB)
    voltage = np.linspace(0, FULL_SCALE_V, 1000)
    one = model.convert(voltage, column=2, seed=9)
    parts = [model.convert(voltage[k : k + 300], column=2, seed=9, first_index=k)
             for k in range(0, 1000, 300)]  # fmt: skip
    np.testing.assert_array_equal(np.concatenate(parts), one)
    assert np.any(model.convert(voltage, column=2, seed=10) != one)
    with pytest.raises(UsageError, match="first index"):
        model.convert(voltage, seed=9, first_index=-1)


def test_noise_of_the_ramp_is_common_to_all_columns(tmp_path: Path) -> None:
    voltage = np.linspace(0, FULL_SCALE_V, 2000)
    (tmp_path / "own").mkdir()
    for folder, comparator_v, same in ((tmp_path, 0.0, True), (tmp_path / "own", LSB, False)):
        model = noisy(folder, comparator_v)
        codes = [model.convert(voltage, column=j, seed=9) for j in (0, 3)]
        assert np.array_equal(*codes) == same
        assert np.any(codes[0] != model.convert(voltage))


def test_a_seed_without_noise_is_refused(tmp_path: Path) -> None:
    model = fit(tmp_path, [ramp_chip(bits=BITS, slope=1.0, curvature=0.05, offsets=np.zeros(4))])
    assert model.domain["noise"] == "none: that of the comparators is not known"
    with pytest.raises(UsageError, match="knows no noise"):
        model.predict(voltage_v=0.1, seed=1)
