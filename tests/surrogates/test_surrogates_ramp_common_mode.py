"""Offsets that bend near the ends of a comparator's range, against levels solved one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from synthetic import write
from synthetic_columns import FULL_SCALE_V, checked, ramp_chip

from imccircuit.exporters.content import content_of
from imccircuit.surrogates.base import Parameter
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.ramp_adc import RampAdcSurrogate
from imccircuit.surrogates.ramp_common_mode import CommonMode, fit_common_mode

BITS, COLUMNS = 8, 2
LSB = FULL_SCALE_V / 2**BITS
START = (1.0 * LSB, 7.0 * LSB)
END = (-0.5 * LSB, 20.0 * LSB)


def bent(
    chip: dict[str, NDArray[Any]], start: tuple[float, float], end: tuple[float, float]
) -> dict[str, NDArray[Any]]:
    """The chip with comparators that fire where ramp = input + offset(input)."""

    def solved(ramp_v: float) -> float:
        def over(level: float) -> float:
            inside = min(max(level, 0.0), FULL_SCALE_V)
            return (
                level
                + start[0] * np.exp(-inside / start[1])
                + end[0] * np.exp((inside - FULL_SCALE_V) / end[1])
                - ramp_v
            )

        return float(brentq(over, -1.0, 2 * FULL_SCALE_V, xtol=1e-13))

    levels = np.vectorize(solved)(chip["column_level"])
    around = levels[0][np.array(checked(BITS)) - 1][:, None] + 0.01 * LSB * np.array([-1.0, 1.0])
    inputs = around.ravel()
    codes = np.stack([np.searchsorted(level, inputs) for level in levels])
    return {
        **chip,
        "transition_level": levels[0],
        "column_level": levels,
        "loop_input": inputs / FULL_SCALE_V,
        "loop_code": codes[0],
        "column_code": codes,
    }


def chips(count: int, start: tuple[float, float], end: tuple[float, float]) -> list[Any]:
    rng = np.random.default_rng(100)
    return [
        bent(ramp_chip(bits=BITS, slope=1 + 0.01 * rng.standard_normal(), curvature=0.02,
                       offsets=3e-3 * rng.standard_normal(COLUMNS)), start, end)
        for _ in range(count)
    ]  # fmt: skip


def fit(folder: Path, made: Sequence[Any]) -> RampAdcSurrogate:
    settings = [f"circuit.bits={BITS}", f"circuit.columns={COLUMNS}"]
    model = fit_results(write(folder / "r.h5", "adc_ramp8_mismatch", settings, made))
    assert isinstance(model, RampAdcSurrogate)
    return model


def test_both_bends_are_recovered_and_held_out_chips_follow(tmp_path: Path) -> None:
    made = chips(12, START, END)
    model = fit(tmp_path, made)
    assert model.bends.start is not None
    assert model.bends.end is not None
    # A cubic stands for the ramp's exponential while bends are looked for: κ³/24/128 of 256 LSB.
    assert model.value("start_offset") == pytest.approx(START[0], rel=0, abs=0.01 * LSB)
    assert model.value("start_length") == pytest.approx(START[1], rel=0.02, abs=0)
    assert model.value("end_offset") == pytest.approx(END[0], rel=0, abs=0.05 * LSB)
    assert model.value("end_length") == pytest.approx(END[1], rel=0.05, abs=0)
    hidden = np.flatnonzero(model.array("held_out"))
    assert len(hidden) == 5
    # A fifth of the gate: nothing but the law made these levels.
    for chip in hidden:
        for column in range(COLUMNS):
            levels = made[chip]["column_level"][column]
            np.testing.assert_allclose(model.levels_v(chip, column), levels, atol=0.01 * LSB)
    levels, loop, _ = model.verdict.errors
    assert levels.max < 0.01 * LSB
    assert loop.max < 0.02 * LSB


def test_drawn_and_exported_chips_bend_likewise(tmp_path: Path) -> None:
    model = fit(tmp_path, chips(12, START, END))
    drawn = model.sample_chips(50, seed=3)["column_level"].reshape(-1, 2**BITS - 1)
    # By hand: dT/dL = 1/(1 - b/d·e^(-T/d)), over one step from the lower of its levels, and the
    # ramp's own slope changes by 2 % from end to end.
    first = np.diff(drawn[:, :2], axis=1)[:, 0] / np.median(np.diff(drawn, axis=1), axis=1)
    inside = drawn[:, 0] > 0
    slope = START[0] / START[1] * np.exp(-drawn[inside, 0] / START[1])
    assert np.max(np.abs(first[inside] - 1 / (1 - slope))) < 0.03
    model.save(tmp_path / "m.h5")
    loaded = load_model(tmp_path / "m.h5")
    exported = content_of(loaded).arrays["transition_level"].values
    np.testing.assert_array_equal(exported[1], model.levels_v(0, 1))


def test_levels_without_a_bend_get_none(tmp_path: Path) -> None:
    none = (0.0, LSB)
    model = fit(tmp_path, chips(1, none, none))
    assert model.bends == CommonMode(FULL_SCALE_V)
    assert not {"start_offset", "end_offset"} & set(model.model.parameters)
    # Nor does noise of a measurement, here 0.02 LSB that no law holds.
    noise = 0.02 * LSB * np.random.default_rng(1).standard_normal((1, COLUMNS, 2**BITS - 1))
    levels = chips(1, none, none)[0]["column_level"][None] + noise
    assert fit_common_mode(levels, np.arange(1, 256), FULL_SCALE_V) == CommonMode(FULL_SCALE_V)


def test_one_column_that_no_law_fits_vetoes_no_bend() -> None:
    levels = np.stack([chip["column_level"] for chip in chips(6, START, (0.0, LSB))])
    levels[2, 1, 0] += 2 * LSB
    law = fit_common_mode(levels, np.arange(1, 256), FULL_SCALE_V)
    assert law.start is not None
    # One level of 12 · 255 that is 2 LSB off: of the first code it moves the mean by 2/12.
    assert law.start.offset_v == pytest.approx(START[0], rel=0, abs=0.2 * LSB)


def test_one_bend_alone(tmp_path: Path) -> None:
    model = fit(tmp_path, chips(1, START, (0.0, LSB)))
    assert model.bends.start is not None
    assert model.bends.end is None
    assert model.verdict.state == "pass", str(model.verdict)


def test_a_bend_that_no_level_follows_from_is_not_admissible(tmp_path: Path) -> None:
    model = fit(tmp_path, chips(1, START, END))
    steep = {**model.model.parameters, "start_offset": Parameter("start_offset", 8 * LSB, "V")}
    broken = RampAdcSurrogate(replace(model.model, parameters=steep))
    assert "offset" in broken.admissibility()[0]
    assert model.admissibility() == ()
