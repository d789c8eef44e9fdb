"""The surrogate of column time accumulators against cells that are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import write
from synthetic_columns import BEND, SLOPE, T0_S, time_chip

from imccircuit.errors import UsageError
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.data import held_out
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.testing import SurrogateContract
from imccircuit.surrogates.time_accumulator import TimeAccumulatorSurrogate

OUTPUTS, STAGES, VECTORS = 4, 2, 12
OFFSET_S, SLOPE_SPREAD = 5e-12, 1e-11
LSB_S = STAGES * SLOPE * 0.4 / 255
VARIED = (
    "circuit.arrays=2",
    'circuit.time_offset_sigma="5 ps"',
    'variation.quantities=["time_cells"]',
    "variation.seed=1",
    f"stimulus.vectors={VECTORS}",
)


def voltages(seed: int = 1) -> Any:
    return np.random.default_rng(seed).uniform(0.05, 0.4, (VECTORS, OUTPUTS, STAGES))


def cells(count: int, seed: int = 2, factor: Any = 1.0) -> Any:
    drawn = np.random.default_rng(seed).standard_normal((count, OUTPUTS, STAGES, 2))
    scale = np.broadcast_to(factor, (count,)).reshape(-1, 1, 1, 1)
    return scale * drawn * np.array([OFFSET_S, SLOPE_SPREAD])


def fit(path: Path, chips: list[Any], *more: str) -> TimeAccumulatorSurrogate:
    settings = (*(VARIED if len(chips) > 1 else (VARIED[0], VARIED[-1])), *more)
    model = fit_results(write(path / "r.h5", "aidac_small", settings, chips))
    assert isinstance(model, TimeAccumulatorSurrogate)
    return model


def population(count: int = 12, factor: Any = 1.0) -> list[Any]:
    return [time_chip(own, voltages()) for own in cells(count, factor=factor)]


class TestTimeAccumulators(SurrogateContract):
    results: Path

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        folder = tmp_path_factory.mktemp("time")
        cls.results = folder / "r.h5"
        return fit(folder, population())

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return dict.fromkeys(("delay_s", "product", "code"), (VECTORS, OUTPUTS))

    def refused(self) -> tuple[Mapping[str, Any], ...]:
        return ({"voltage_v": voltages(), "chip": 12}, {"voltage_v": voltages()[:, :2]},
                {"voltage_v": voltages(), "reference": 0.0}, {})  # fmt: skip

    def fitted_results(self, model: Surrogate) -> Path:
        return self.results

    def other_results(self, folder: Path) -> Path:
        chips = [time_chip(own, voltages(4)) for own in cells(6, seed=7)]
        return write(folder / "o.h5", "aidac_small", VARIED, chips)

    def spoil(self) -> str:
        return "cell"

    def outside(self) -> Mapping[str, Any]:
        return {"voltage_v": voltages() + 1.0}

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"voltage_v": voltages(), "chip": 3}

    @pytest.fixture
    def draws(self) -> bool:
        return True


def test_delay_of_cells_is_recovered(tmp_path: Path) -> None:
    model = fit(tmp_path, [time_chip(np.zeros((OUTPUTS, STAGES, 2)), voltages(), 3e-12)])
    assert model.verdict.state == "pass", str(model.verdict)
    # A polynomial within the law, to rounding.
    assert model.value("t0_0") == pytest.approx(T0_S, rel=1e-9, abs=0)
    assert model.value("t0_1") == pytest.approx(T0_S, rel=1e-9, abs=0)
    assert model.value("slope") == pytest.approx(SLOPE, rel=1e-8, abs=0)
    bend = model.value("curvature_2") * (0.4 / model.value("largest_voltage")) ** 2
    assert bend == pytest.approx(BEND, rel=1e-6, abs=0)
    assert model.value("curvature_3") == pytest.approx(0, rel=0, abs=1e-6 * BEND)
    # The reference column is what its edges say, not twice the common delay.
    assert model.array("reference")[0] == pytest.approx(2 * T0_S + 3e-12, rel=1e-9, abs=0)


def test_cells_and_their_population_are_recovered(tmp_path: Path) -> None:
    own = cells(12)
    model = fit(tmp_path, [time_chip(one, voltages()) for one in own])
    assert model.verdict.state == "pass", str(model.verdict)
    kept = own[model.array("held_out") == 0]
    # Means over cells, of offsets those of each stage, belong to the law.
    middle = np.stack(
        [kept[..., 0].mean(axis=(0, 1)), np.full(STAGES, kept[..., 1].mean())], axis=-1
    )
    np.testing.assert_allclose(model.array("cell")[..., 0], (own - middle)[..., 0],
                               rtol=0, atol=1e-6 * OFFSET_S)  # fmt: skip
    np.testing.assert_allclose(model.array("cell")[..., 1], (own - middle)[..., 1],
                               rtol=0, atol=1e-6 * SLOPE_SPREAD)  # fmt: skip
    assert model.value("t0_1") == pytest.approx(T0_S + middle[1, 0], rel=1e-9, abs=0)
    for name, part in (("sigma_offset", 0), ("sigma_slope", 1)):
        expected = (kept - middle)[..., part].std(ddof=1)
        assert model.value(name) == pytest.approx(expected, rel=1e-4, abs=0)
    drawn = model.sample_chips(200, seed=3)
    # 1,600 cells: σ to 1.8 %, three of these. Two cells of the reference: √2 σ of 200, 5 %.
    assert drawn["cell"][..., 0].std() == pytest.approx(
        model.value("sigma_offset"), rel=0.055, abs=0
    )
    expected = np.sqrt(2) * model.value("sigma_offset")
    assert drawn["reference"].std() == pytest.approx(expected, rel=0.15, abs=0)


def test_a_drawn_chip_is_of_its_own_full_scale(tmp_path: Path) -> None:
    for name in ("nominal", "own"):
        (tmp_path / name).mkdir()
    nominal = fit(tmp_path / "nominal", population())
    largest = nominal.value("full_scale_voltage")

    def ended(own: Any) -> Any:
        common = STAGES * (SLOPE * largest + BEND * (largest / 0.4) ** 2)
        full = common + (own @ np.array([1.0, largest])).sum(axis=-1)
        ends = {"zero_delay": own[..., 0].sum(axis=-1), "full_delay": full}
        return {**time_chip(own, voltages()), **ends}

    ends = 'stimulus.calibration="end-points"'
    model = fit(tmp_path / "own", [ended(own) for own in cells(12)], ends)
    drawn = model.sample_chips(100, seed=4)
    volt = np.full((1, OUTPUTS, STAGES), 0.1)
    measured = [model.predict(voltage_v=volt, chip=k)["product"] for k in range(12)]
    found = [
        model.predict(voltage_v=volt, **{name: values[k] for name, values in drawn.items()})
        for k in range(100)
    ]
    # 48 products of measured chips know their σ, 0.02 codes, to 10 %; three of these. With the
    # ends of another chip it would be that of the offsets, 3 codes.
    sigma = np.std([item["product"] for item in found])
    assert sigma == pytest.approx(np.std(measured), rel=0.3, abs=0)
    assert np.mean([item["product"] for item in found]) == pytest.approx(
        np.mean(measured), rel=0, abs=1e-4
    )
    # Nominal ends are the same for all chips.
    assert set(nominal.sample_chips(1, seed=4)) == {"cell", "reference"}
    with pytest.raises(UsageError, match="of a drawn chip there is cell; allowed: all of"):
        model.predict(voltage_v=volt, cell=drawn["cell"][0])


def test_predicted_outputs_are_sums_less_the_reference(tmp_path: Path) -> None:
    own = cells(1)[0]
    chip = time_chip(own, voltages(), 2e-12)
    model = fit(tmp_path, [chip])
    other = np.clip(voltages(seed=5), voltages().min(), voltages().max())
    truth = time_chip(own, other, 2e-12)["output_delay"]
    got = model.predict(voltage_v=other)
    np.testing.assert_allclose(got["delay_s"], truth, rtol=0, atol=1e-4 * LSB_S)
    np.testing.assert_allclose(got["product"], truth / (STAGES * SLOPE * 0.4), atol=1e-6)
    np.testing.assert_array_equal(got["code"], np.rint(truth / LSB_S))
    with pytest.raises(UsageError, match="do not fit"):
        model.predict(voltage_v=other[:, :2])


def test_a_cell_that_is_no_low_order_function_fails(tmp_path: Path) -> None:
    volt = voltages()
    chip = dict(time_chip(np.zeros((OUTPUTS, STAGES, 2)), volt))
    rough = 2 * LSB_S * np.sin(60 * volt)
    chip["edge_time"] = chip["edge_time"] + np.cumsum(rough, axis=-1)
    chip["output_delay"] = chip["output_delay"] + rough.sum(axis=-1)
    model = fit(tmp_path, [chip])
    assert model.verdict.state == "fail"
    assert "max_error" in model.verdict.reason


def test_held_out_chips_with_another_spread_fail(tmp_path: Path) -> None:
    mask = held_out(12)
    assert mask is not None
    model = fit(tmp_path, population(factor=np.where(mask, 3.0, 1.0)))
    assert model.verdict.state == "fail"
    assert "spread_factor" in model.verdict.reason
