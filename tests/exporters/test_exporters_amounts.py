"""Amounts of fidelity lists: there for all that is approximated, and as worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imccircuit.exporters import amounts
from imccircuit.exporters.content import Content, content_of
from imccircuit.exporters.export import export_model
from imccircuit.exporters.neurosim import output_statistics
from imccircuit.exporters.registry import get_target, target_names
from imccircuit.exporters.states import States
from imccircuit.surrogates.base import ModelArray
from imccircuit.surrogates.files import load_model

MODELS = ("adc", "adcs", "costed", "costeds", "linear", "amplified", "sinh", "spread")


def converters(levels: np.ndarray, full_scale_v: float = 1.0) -> Content:
    bits = float(int(levels.shape[1]).bit_length())
    array = ModelArray(levels, "V", ("chip", "code"), "levels")
    numbers: dict[str, float | None] = {"bits": bits, "full_scale_v": full_scale_v}
    return Content("adc", {"transition_level": array}, {}, (), numbers)


def crossbar(conductance: np.ndarray, drive: float = 0.2, **numbers: float) -> Content:
    array = ModelArray(conductance, "S", ("chip", "row", "col"), "conductance")
    voltage = ModelArray(np.full((1, conductance.shape[1]), drive), "V", ("replay", "row"), "drive")
    return Content("crossbar", {"conductance": array}, {"voltage": voltage}, (), numbers)


@pytest.mark.parametrize("name", MODELS)
def test_every_approximation_says_how_much(models: dict[str, Path], name: str) -> None:
    content = content_of(load_model(models[name]))
    seen = 0
    for target in target_names():
        for item in get_target(target).fidelity(content):
            place = f"{target}: {item.quantity}"
            if item.treatment == "approximated":
                seen += 1
                assert (item.amount is None) == ("no amount: " in item.how), place
            if item.amount is not None:
                assert item.treatment in ("approximated", "dropped"), place
                assert np.isfinite(item.amount), place
                assert item.amount > 0, place
                assert item.unit, place
    assert seen >= 2


def test_amounts_are_in_the_file(models: dict[str, Path], tmp_path: Path) -> None:
    (folder,) = export_model(models["linear"], ["mnsim"], tmp_path)
    found = {i["quantity"]: i for i in json.loads((folder / "fidelity.json").read_text())}
    wires, absent = found["cells and wires"], found["DAC"]
    assert wires["unit"] == "1"
    assert 1e-4 < wires["amount"] < 0.5
    assert (absent["amount"], absent["unit"]) == (None, "")


def test_wires_of_a_single_cell() -> None:
    # 1 mS behind a driver of 150 ohm, segments of 50 and 30 ohm and a sense end of 20 ohm, 250 in
    # all: 1/(1000 + 250) S of 1/1000 S.
    one = crossbar(np.full((1, 1, 1), 1e-3), r_row_ohm=50.0, r_col_ohm=30.0, r_driver_ohm=150.0,
                   r_sense_ohm=20.0)  # fmt: skip
    assert amounts.neglected_wires(one) == pytest.approx(0.2, abs=1e-12)
    # A series resistance belongs to the cell: 1/2000 S, with the wires 1/2250 S.
    series = crossbar(np.full((1, 1, 1), 1e-3), r_row_ohm=50.0, r_col_ohm=30.0, r_driver_ohm=150.0,
                      r_sense_ohm=20.0, r_series_ohm=1000.0)  # fmt: skip
    assert amounts.neglected_wires(series) == pytest.approx(1 - 2000 / 2250, abs=1e-12)


def test_sense_end_of_a_single_sinh_cell() -> None:
    one = crossbar(np.full((1, 1, 1), 1e-3), r_row_ohm=50.0, r_col_ohm=50.0, v0_v=0.1)
    # The cell's slope at 0.2 V is cosh(2) mS, 100 ohm are in series.
    driven, rest = 1 / (1000 / np.cosh(2) + 100), 1 / 1100
    assert amounts.sense_ends_at_drive(one) == pytest.approx(driven / rest - 1, abs=1e-9)


def test_bound_of_crosssims_solver() -> None:
    cells = np.array([[[1e-3, 2e-3], [1e-3, 4e-3]], [[1e-3, 1e-3], [1e-3, 1e-3]]])
    # 6 mS in the column of most: 2·1e-9·0.5 V·6 mS.
    assert amounts.solver_bound(cells, np.inf, 0.5) == pytest.approx(6e-12, abs=1e-24)
    found = amounts.solver_bound(cells, 0.25, 0.5)
    assert found == pytest.approx(6e-12 * np.cosh(2), abs=1e-24)


def test_gradient_of_a_staircase() -> None:
    ideal = np.arange(1, 8) / 8
    assert amounts.gradient_error(converters(ideal[None])) == pytest.approx(0, abs=1e-12)
    # One level of seven late by half an LSB: a step of 1.5 and one of 0.5 among six.
    late = ideal + np.where(np.arange(1, 8) == 3, 0.5 / 8, 0.0)
    expected = np.sqrt(2 * 0.25 / 6)
    assert amounts.gradient_error(converters(late[None])) == pytest.approx(expected, abs=1e-12)


def test_codes_that_are_drawn_anew() -> None:
    ideal = np.arange(1, 8) / 8
    one = converters(ideal[None] * 0.4, 0.4)
    assert amounts.redrawn_code_error(one, *output_statistics(one)) == 0
    # Level 3 of a second chip is 0.9 LSB late: middle 3 has codes 3 and 2, mean 2.5, variance 0.5.
    # In that LSB of eight both chips are 0.5 off the mean, wherever: √((0.25 + 0.5)/8).
    late = ideal + np.where(np.arange(1, 8) == 3, 0.9 / 8, 0.0)
    two = converters(np.stack([ideal, late]) * 0.4, 0.4)
    found = amounts.redrawn_code_error(two, *output_statistics(two))
    assert found == pytest.approx(np.sqrt(0.75 / 8), abs=1e-12)


def test_cells_between_two_states() -> None:
    # Two chips; means 1, 2 and 5 µS, spreads √2·(0.1, 0.2, 0) µS.
    chips = np.array([[[0.9, 1.8, 5.0]], [[1.1, 2.2, 5.0]]]) * 1e-6
    states = States(np.array([1e-6, 5e-6]), np.array([1e-7, 3e-7]), "by hand")
    content = crossbar(chips)
    assert amounts.state_error(content, states) == pytest.approx(1e-6 / np.sqrt(3), abs=1e-18)
    own = np.sqrt(2) * np.array([0.1, 0.2, 0.0])
    expected = 1e-6 * np.sqrt(np.mean((own - [0.1, 0.1, 0.3]) ** 2))
    assert amounts.spread_error(content, states) == pytest.approx(expected, abs=1e-18)
    kept = amounts.spread_fidelity(content, states, "by hand")
    assert (kept.treatment, kept.unit) == ("approximated", "S")
    assert kept.amount == pytest.approx(expected, abs=1e-18)
    assert amounts.spread_fidelity(crossbar(chips[:1]), states, "by hand").treatment == "dropped"
