"""The crossbar surrogate against arrays solved as dense systems, with known wires."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import (
    SINH,
    array_and_drive,
    crossbar_chip,
    crossbar_currents,
    crossbar_settings,
    write,
)

from imccircuit.errors import UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates import crossbar_amplifiers
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import check, fit_results

ROWS, COLS, BATCH = 6, 4, 14


def fit(path: Path, chips: list, *settings: str) -> CrossbarSurrogate:
    shape = crossbar_settings(ROWS, COLS, len(chips[0]["row_voltage"]), *settings)
    model = fit_results(write(path / "r.h5", "crossbar_ir_drop", shape, chips))
    assert isinstance(model, CrossbarSurrogate)
    return model


def test_wires_are_recovered(tmp_path: Path) -> None:
    g, drive = array_and_drive(ROWS, COLS, BATCH)
    wires = {"r_row": 2.0, "r_col": 3.0, "r_driver": 40.0, "r_sense": 7.0}
    model = fit(
        tmp_path,
        [crossbar_chip(g, drive, **wires)],
        "circuit.driver_resistance=1 ohm",
        "circuit.sense_resistance=1 ohm",
    )
    for name, value in wires.items():
        fitted = model.model.parameters[f"{name}_ohm"]
        # The recipe says 1 ohm everywhere, so what comes out comes from the currents.
        assert fitted.value == pytest.approx(value, rel=1e-7, abs=0)
        assert fitted.sigma < 0.01 * value
    assert model.verdict.state == "pass"
    assert model.verdict.errors[0].skill == pytest.approx(1, abs=1e-7)
    other_g, other_drive = array_and_drive(ROWS, COLS, 5, seed=77)
    predicted = model.predict(voltage_v=other_drive, conductance_s=other_g)["output_current_a"]
    truth = crossbar_currents(other_g, other_drive, **wires)
    np.testing.assert_allclose(predicted, truth, rtol=1e-8)
    np.testing.assert_allclose(other_drive @ model.effective_conductance(other_g), truth, rtol=1e-8)


def test_amplifiers_are_recovered(tmp_path: Path) -> None:
    g, drive = array_and_drive(ROWS, COLS, BATCH)
    offset = np.array([3e-3, -2e-3, 1e-3, 0.0])
    gain, feedback, r_in = 200.0, 4e3, 1e5
    chip = crossbar_chip(
        g, drive, amplifier_offset=offset, gain=gain, feedback=feedback, r_in=r_in,
        r_row=2.0, r_col=3.0, pairs=True,
    )  # fmt: skip
    shape = ("circuit.readout=tia", "circuit.differential=true", f"circuit.cols={COLS // 2}")
    model = fit(tmp_path, [chip], *shape)
    assert model.verdict.state == "pass", str(model.verdict)
    judged = {figure.quantity for figure in model.verdict.errors}
    assert judged == {"output_current", "pair_current", "output_voltage"}
    # From outside the amplifier is 1/admittance behind offset·A/R_f/admittance.
    input_ohm = 1 / (1 / r_in + (1 + gain) / feedback)
    assert model.value("r_sense_ohm") == pytest.approx(input_ohm, rel=1e-6, abs=0)
    assert model.value("transresistance") == pytest.approx(gain * input_ohm, rel=1e-9, abs=0)
    stand = gain * offset / feedback * input_ohm
    np.testing.assert_allclose(model.array("input_offset")[0], stand, atol=1e-9)
    # Another chip with other amplifiers, its offsets given.
    other_g, other_drive = array_and_drive(ROWS, COLS, 5, seed=77)
    other = crossbar_chip(
        other_g, other_drive, amplifier_offset=-offset, gain=gain, feedback=feedback, r_in=r_in,
        r_row=2.0, r_col=3.0,
    )  # fmt: skip
    predicted = model.predict(
        voltage_v=other_drive,
        conductance_s=other_g,
        input_offset_v=-stand,
        output_offset_v=-model.array("output_offset")[0],
    )
    np.testing.assert_allclose(predicted["output_current_a"], other["output_current"], rtol=1e-6)
    np.testing.assert_allclose(predicted["output_voltage_v"], other["output_voltage"], rtol=1e-6)


@pytest.mark.parametrize("v0", [0.25, 0.1])
def test_amplifiers_that_stand_at_their_offsets_on_sinh_cells(tmp_path: Path, v0: float) -> None:
    """An offset shifts the voltage across cells whose slope depends on it: no constant current."""
    g, drive = array_and_drive(ROWS, COLS, 40)
    offset = 1e-3 * np.array([5.0, -4.0, 2.0, 0.0])
    more = {"gain": 200.0, "feedback": 4e3, "r_in": 1e5, "r_row": 5.0, "r_col": 8.0, "v0": v0}
    chip = crossbar_chip(g, drive, amplifier_offset=offset, **more)
    model = fit(tmp_path, [chip], *SINH, "circuit.readout=tia", f"circuit.cols={COLS}")
    assert model.verdict.state == "pass", str(model.verdict)
    assert model.value("v0_v") == pytest.approx(v0, rel=1e-5, abs=0)
    stand = 200.0 * offset / 4e3 / (1 / 1e5 + 201.0 / 4e3)
    np.testing.assert_allclose(model.array("input_offset")[0], stand, atol=1e-8)
    # Another chip with other amplifiers, its offsets given.
    other_g, other_drive = array_and_drive(ROWS, COLS, 5, seed=77)
    other = crossbar_chip(other_g, other_drive, amplifier_offset=-offset, **more)
    predicted = model.predict(
        voltage_v=other_drive,
        conductance_s=other_g,
        input_offset_v=-stand,
        output_offset_v=-model.array("output_offset")[0],
    )
    np.testing.assert_allclose(predicted["output_current_a"], other["output_current"], rtol=1e-5)


@pytest.mark.parametrize("v0", [0.1, 0.05, 0.035])
def test_drives_that_rise_from_vector_to_vector(tmp_path: Path, v0: float) -> None:
    """The first vectors are small and their slopes say little of the last ones'."""
    g, drive = array_and_drive(ROWS, COLS, 40)
    drive *= np.linspace(0.02, 1, 40)[:, None]
    offset = 1e-3 * np.array([5.0, -4.0, 2.0, 0.0])
    more = {"gain": 200.0, "feedback": 4e3, "r_in": 1e5, "r_row": 5.0, "r_col": 8.0, "v0": v0}
    chip = crossbar_chip(g, drive, amplifier_offset=offset, **more)
    model = fit(tmp_path, [chip], *SINH, "circuit.readout=tia", f"circuit.cols={COLS}")
    assert model.verdict.state == "pass", str(model.verdict)
    stand = 200.0 * offset / 4e3 / (1 / 1e5 + 201.0 / 4e3)
    np.testing.assert_allclose(model.array("input_offset")[0], stand, atol=1e-6)


def test_offsets_that_do_not_settle_are_said_so(tmp_path: Path, monkeypatch) -> None:
    """After one round they have moved from nothing to where they stand, 5 mV or so."""
    g, drive = array_and_drive(ROWS, COLS, 40)
    more = {"gain": 200.0, "feedback": 4e3, "r_in": 1e5, "r_row": 5.0, "r_col": 8.0, "v0": 0.1}
    offset = 1e-3 * np.array([5.0, -4.0, 2.0, 0.0])
    chip = crossbar_chip(g, drive, amplifier_offset=offset, **more)
    settings = (*SINH, "circuit.readout=tia", f"circuit.cols={COLS}")
    settled = fit(tmp_path, [chip], *settings)
    assert "input_offset_move" not in settled.model.parameters
    assert "settle" not in str(settled.verdict)
    monkeypatch.setattr(crossbar_amplifiers, "_MOST_ROUNDS", 1)
    model = fit(tmp_path, [chip], *settings)
    move = model.model.parameters["input_offset_move"]
    assert (move.unit, move.sigma) == ("V", 0.0)
    stand = 200.0 * 5e-3 / 4e3 / (1 / 1e5 + 201.0 / 4e3)
    # The first estimate knows an offset e to first order; the next is e/(2 V0) = 2.5 % of it, and
    # asked for are four times that.
    assert move.value == pytest.approx(stand, abs=0.1 * stand)
    (note,) = (note for note in model.verdict.notes if "settle" in note)
    assert "\n" not in note
    assert f"the last of 1 rounds still moved them by {1e3 * move.value:.2g} mV" in note
    assert "fitted with offsets that are wrong by about as much" in note
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5")
    assert again.model.parameters["input_offset_move"] == move
    assert note in str(again.verdict)


def test_steep_cells_say_how_far_their_offsets_still_are(tmp_path: Path) -> None:
    """Steps halve from round to round: what is left is of the order of the last one."""
    g, drive = array_and_drive(ROWS, COLS, 40)
    more = {"gain": 200.0, "feedback": 4e3, "r_in": 1e5, "r_row": 5.0, "r_col": 8.0, "v0": 0.035}
    offset = 1e-3 * np.array([5.0, -4.0, 2.0, 0.0])
    chip = crossbar_chip(g, drive, amplifier_offset=offset, **more)
    model = fit(tmp_path, [chip], *SINH, "circuit.readout=tia", f"circuit.cols={COLS}")
    stand = 200.0 * offset / 4e3 / (1 / 1e5 + 201.0 / 4e3)
    left = np.max(np.abs(model.array("input_offset")[0] - stand))
    assert 0 < left < 10 * model.value("input_offset_move")
    assert "did not settle" in str(model.verdict)


def test_models_whose_offsets_are_constant_currents_are_refused(tmp_path: Path) -> None:
    g, drive = array_and_drive(ROWS, COLS, 20)
    chip = crossbar_chip(
        g, drive, amplifier_offset=np.full(COLS, 1e-3), r_row=5.0, r_col=8.0, v0=0.1
    )
    model = fit(tmp_path, [chip], *SINH, "circuit.readout=tia", f"circuit.cols={COLS}")
    settings = {k: text for k, text in model.model.settings.items() if k != "input_offsets"}
    with pytest.raises(ValueError, match="fit the results again"):
        type(model)(replace(model.model, settings=settings))


def test_sinh_cells_are_recovered(tmp_path: Path) -> None:
    g, drive = array_and_drive(ROWS, COLS, BATCH)
    chip = crossbar_chip(g, drive, r_row=20.0, r_col=30.0, v0=0.25)
    model = fit(tmp_path, [chip], *SINH)
    # The truth comes from a root finder that stops at about 1e-10.
    assert model.value("v0_v") == pytest.approx(0.25, rel=1e-5, abs=0)
    assert model.value("r_row_ohm") == pytest.approx(20.0, rel=1e-4, abs=0)
    assert model.value("r_col_ohm") == pytest.approx(30.0, rel=1e-4, abs=0)
    assert model.verdict.state == "pass"
    with pytest.raises(UsageError, match="not linear"):
        model.effective_conductance(g)


def test_sinh_cells_that_are_linear_are_called_so(tmp_path: Path) -> None:
    g, drive = array_and_drive(ROWS, COLS, BATCH)
    model = fit(tmp_path, [crossbar_chip(g, drive, r_row=2.0, r_col=3.0)], *SINH)
    assert model.linear
    assert "linear" in model.model.parameters["v0_v"].note
    assert model.verdict.state == "pass"
    assert model.admissibility() == ()


def test_what_the_data_cannot_tell_is_said(tmp_path: Path) -> None:
    # One column: the driver and the first segment carry the same current, always.
    rng = np.random.default_rng(1)
    g, drive = 1e-6 * rng.uniform(1, 100, (5, 1)), 0.2 * rng.random((BATCH, 5))
    chip = crossbar_chip(g, drive, r_row=2.0, r_col=3.0, r_driver=4.0)
    settings = crossbar_settings(5, 1, BATCH, "circuit.driver_resistance=1 ohm")
    model = fit_results(write(tmp_path / "r.h5", "crossbar_ir_drop", settings, [chip]))
    row, driver = (model.model.parameters[name] for name in ("r_row_ohm", "r_driver_ohm"))
    assert np.isnan(row.sigma)
    assert np.isnan(driver.sigma)
    assert "apart from r_driver_ohm" in row.note
    assert row.value + driver.value == pytest.approx(6.0, rel=1e-6, abs=0)
    assert model.model.parameters["r_col_ohm"].value == pytest.approx(3.0, rel=1e-6, abs=0)
    assert model.verdict.state == "pass"
    assert any("r_row_ohm" in note for note in model.verdict.notes)


def test_wrong_held_out_data_fail(tmp_path: Path) -> None:
    g, drive = array_and_drive(ROWS, COLS, BATCH)
    chip = crossbar_chip(g, drive, r_row=2.0, r_col=3.0)
    hidden = fit(tmp_path, [chip]).array("replay_voltage")
    vector = np.flatnonzero((drive == hidden[0]).all(axis=1))[0]
    wrong = chip["output_current"].copy()
    full = np.abs(wrong).max()
    wrong[vector, 1] += 0.02 * full
    verdict = fit(tmp_path, [{**chip, "output_current": wrong}]).verdict
    assert verdict.state == "fail"
    # Of the largest held-out output, which is at most that of all.
    assert 0.02 <= verdict.gates[1].value < 0.03


def test_another_array_fails_the_check(tmp_path: Path) -> None:
    g, drive = array_and_drive(ROWS, COLS, BATCH)
    model = fit(tmp_path, [crossbar_chip(g, drive, r_row=2.0, r_col=3.0)])
    settings = crossbar_settings(ROWS, COLS, BATCH)
    for wires, state in (
        ({"r_row": 2.0, "r_col": 3.0}, "pass"),
        ({"r_row": 9.0, "r_col": 3.0}, "fail"),
    ):
        g, drive = array_and_drive(ROWS, COLS, BATCH, seed=12)
        chip = crossbar_chip(g, drive, **wires)
        other = write(tmp_path / "other.h5", "crossbar_ir_drop", settings, [chip])
        verdict = check(model, read_results(other))
        assert verdict.state == state
        assert verdict.points == BATCH * COLS


def test_whole_chips_are_held_out(tmp_path: Path) -> None:
    drive = array_and_drive(ROWS, COLS, BATCH)[1]
    chips = [
        crossbar_chip(array_and_drive(ROWS, COLS, 1, seed=k)[0], drive, r_row=2.0, r_col=3.0)
        for k in range(12)
    ]
    model = fit(tmp_path, chips)
    assert (model.verdict.state, model.verdict.chips) == ("pass", 5)
    assert model.verdict.points == 5 * BATCH * COLS
    # A held-out chip whose conductances are not what the file says must be noticed.
    hidden = int(np.flatnonzero(model.array("held_out"))[0])
    chips[hidden] = {**chips[hidden], "conductance": 1.05 * chips[hidden]["conductance"]}
    assert fit(tmp_path, chips).verdict.state == "fail"
    assert fit(tmp_path, chips[:9]).verdict.state == "not judged"


def test_few_vectors_of_one_chip_are_not_judged(tmp_path: Path) -> None:
    g, drive = array_and_drive(ROWS, COLS, 5)
    verdict = fit(tmp_path, [crossbar_chip(g, drive, r_row=2.0, r_col=3.0)]).verdict
    assert verdict.state == "not judged"
    assert "too few" in verdict.reason


def test_an_ideal_array_has_nothing_to_fit(tmp_path: Path) -> None:
    g, drive = array_and_drive(ROWS, COLS, BATCH)
    chip = {"row_voltage": drive, "conductance": g, "output_current": drive @ g}
    model = fit(
        tmp_path,
        [chip],
        "circuit.row_segment_resistance=0 ohm",
        "circuit.column_segment_resistance=0 ohm",
    )
    assert model.model.parameters == {}
    assert model.verdict.state == "pass"
    assert model.verdict.errors[0].skill is None  # the ideal model is as good
    assert "no skill figure" in str(model.verdict)


def test_spread_of_amplifier_offsets_is_judged(tmp_path: Path) -> None:
    drive = array_and_drive(ROWS, COLS, BATCH)[1]

    def chips(sigma_of_hidden: float, hidden: list[int]) -> list:
        rng = np.random.default_rng(3)
        return [
            crossbar_chip(
                array_and_drive(ROWS, COLS, 1, seed=k)[0],
                drive,
                amplifier_offset=(sigma_of_hidden if k in hidden else 1e-3)
                * rng.standard_normal(4),
                r_row=2.0,
                r_col=3.0,
            )
            for k in range(15)
        ]

    model = fit(tmp_path, chips(1e-3, []), "circuit.readout=tia")
    assert model.verdict.state == "pass", str(model.verdict)
    hidden = np.flatnonzero(model.array("held_out")).tolist()
    verdict = fit(tmp_path, chips(5e-3, hidden), "circuit.readout=tia").verdict
    assert verdict.state == "fail"
    assert "offset_spread_factor" in verdict.reason
    drawn = model.sample_chips(500, seed=1)
    # 40 fitted amplifiers: σ of σ is 11 %, three of them 33 %.
    assert drawn["output_offset"].std() == pytest.approx(1e-3, rel=0.33, abs=0)


def test_a_point_must_be_chosen_where_there_are_many(tmp_path: Path) -> None:
    from imccircuit.recipes.load import load_recipe
    from imccircuit.recipes.plan import Plan
    from imccircuit.sweeps.run import RunOptions, run_plan

    sweep = 'sweep=[{"circuit.row_segment_resistance"=["1 ohm", "5 ohm"]}]'
    settings = ["engine=nodal", "circuit.rows=5", "circuit.cols=4", "stimulus.batch=10", sweep]
    path = tmp_path / "r.h5"
    run_plan(Plan(load_recipe("crossbar_ir_drop", settings)), path, RunOptions(jobs=1))
    with pytest.raises(UsageError, match="2 points"):
        fit_results(path)
    with pytest.raises(UsageError, match="no point 2"):
        fit_results(path, point=2)
    for point, value in ((0, 1.0), (1, 5.0)):
        model = fit_results(path, point=point)
        assert isinstance(model, CrossbarSurrogate)
        assert model.value("r_row_ohm") == pytest.approx(value, rel=1e-9, abs=0)
        assert model.model.provenance.point == point


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    g, drive = array_and_drive(ROWS, COLS, BATCH)
    model = fit(tmp_path, [crossbar_chip(g, drive, r_row=2.0, r_col=3.0)])
    with pytest.raises(UsageError, match="do not fit"):
        model.predict(voltage_v=np.zeros((3, ROWS + 1)))
    with pytest.raises(UsageError, match="no chip 4"):
        model.predict(voltage_v=drive, chip=4)
