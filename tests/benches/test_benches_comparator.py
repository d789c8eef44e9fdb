"""The comparator bench: conditions, refusals, the behavioural one."""

import os

import numpy as np
import pytest
from driving import measure
from pydantic import ValidationError

from imccircuit.benches.bench import MeasurementError, Variation
from imccircuit.benches.comparator_decision import BENCH
from imccircuit.benches.comparator_dut import draw_strongarm
from imccircuit.benches.comparator_parameters import ComparatorParameters
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine

OLD = os.environ.get("IMCCIRCUIT_NGSPICE_OLD")
QUICK = {
    "search_range": "10 mV", "offset_tolerance": "200 uV",
    "overdrives": ["1 mV", "3 mV", "10 mV"],
}  # fmt: skip
BEHAVIOURAL = {"implementation": "behavioural"}


def quick(**tables):
    stimulus = {**QUICK, **tables.pop("stimulus", {})}
    if tables.get("circuit", {}).get("implementation") == "behavioural":
        del stimulus["overdrives"]
    return ComparatorParameters(stimulus=stimulus, **tables)


@pytest.mark.ngspice
def test_conditions_move_the_decision_time_as_physics_says():
    def time(**conditions):
        return measure(BENCH, quick(conditions=conditions), NgspiceEngine())["decision_time"][0]

    nominal = time()
    assert time(corner="ss") > nominal
    assert time(supply="1.3 V") < nominal
    # At 0.6 V the pair is well above threshold, where mobility rules: hot is slow.
    assert time(temperature="100 degC") > nominal


@pytest.mark.ngspice
def test_behavioural_offset_and_noise_come_back():
    parameters = quick(
        circuit={**BEHAVIOURAL, "offset": "2 mV", "noise_sigma": "1 mV"},
        stimulus={"noise_decisions": 400},
    )
    arrays = measure(BENCH, parameters, NgspiceEngine())
    assert arrays["offset"] == pytest.approx(2e-3, abs=100e-6)
    assert abs(arrays["noise_sigma"] - 1e-3) < 3 * arrays["noise_sigma_error"]
    assert abs(arrays["noise_offset"] - 2e-3) < 3 * arrays["noise_offset_error"]
    assert np.sum(arrays["noise_count"]) == 400
    assert np.isnan(arrays["energy"]).all()
    assert np.isnan(arrays["decision_time"]).all()


@pytest.mark.ngspice
@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({"circuit": {**BEHAVIOURAL, "offset": "0.2 V"}}, "wider stimulus.search_range"),
        ({"stimulus": {"common_mode": "0.1 V"}}, "common mode at which the input pair conducts"),
        ({"circuit": {**BEHAVIOURAL}, "stimulus": {"noise_decisions": 200}}, "is there any"),
    ],
)
def test_what_cannot_be_measured_is_said(tables, why):
    with pytest.raises(MeasurementError, match=why):
        measure(BENCH, quick(**tables), NgspiceEngine())


def test_drawn_pairs_spread_as_the_card_says():
    parameters = ComparatorParameters()
    shifts = []
    for sample in range(400):
        variation = Variation(Draws(1, sample), frozenset({"input_pair", "latch_pairs"}))
        mismatch = draw_strongarm(parameters, variation).mismatch
        shifts.append([mismatch["dvt_inp"] - mismatch["dvt_inn"], mismatch["dvt_plp"]])
    # A_VT = 2.5 mV·um of one device: √2 times it over √(2 um × 60 nm), and over √(0.5 × 0.06) um.
    # 400 chips know a sigma to 3.5 %: three of them.
    expected = [2.5e-3 * np.sqrt(2 / (2 * 0.06)), 2.5e-3 / np.sqrt(0.5 * 0.06)]
    assert np.std(shifts, axis=0) == pytest.approx(expected, rel=0.11, abs=0)


def test_sizes_that_are_not_given_follow_the_technology():
    """With gates of 120 nm: 2, 1, 0.5 um, and 200 and 400 nm behind; given ones stay."""
    card = ComparatorParameters().technology
    wide = card.nmos.width.model_copy(update={"value": 300e-9})
    long = card.nmos.length.model_copy(update={"value": 130e-9})
    nmos = card.nmos.model_copy(update={"width": wide, "length": long})
    other = card.model_copy(update={"nmos": nmos})

    def sizes(**tables):
        dut = draw_strongarm(ComparatorParameters(**tables), Variation(Draws(0, 0)))
        return [dut.input_m, dut.latch_nmos_m, dut.latch_pmos_m, dut.tail_m, dut.reset_m,
                dut.hold_nmos_m, dut.hold_pmos_m, dut.length_m, dut.pmos_length_m]  # fmt: skip

    usual = np.array([2e-6, 1e-6, 500e-9, 2e-6, 500e-9, 200e-9, 400e-9, 60e-9, 60e-9])
    np.testing.assert_allclose(sizes(), usual, rtol=1e-12)
    nmos_only = usual * [2.5, 2.5, 1, 2.5, 1, 2.5, 1, 130 / 60, 1]
    np.testing.assert_allclose(sizes(technology=other), nmos_only, rtol=1e-12)
    given = sizes(technology=other, circuit={"input_width": "3 um"})
    np.testing.assert_allclose(given, [3e-6, *nmos_only[1:]], rtol=1e-12)


def test_what_the_other_implementation_varies_is_idle():
    assert set(ComparatorParameters().idle_quantities()) == {"comparator_offset"}
    other = ComparatorParameters(circuit=BEHAVIOURAL)
    assert set(other.idle_quantities()) == {"input_pair", "latch_pairs"}


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({"circuit": {"offset": "1 mV"}}, "offset would change nothing"),
        ({"circuit": {**BEHAVIOURAL, "tail_width": "1 um"}}, "tail_width would change nothing"),
        ({"circuit": BEHAVIOURAL, "conditions": {"corner": "ff"}}, "no transistor"),
        ({"circuit": {"clock_edge": "1 ns"}}, "clock_edge"),
        ({"stimulus": {"common_mode": "1.5 V"}}, "above the supply"),
        ({"stimulus": {"overdrives": ["3 mV", "1 mV", "10 mV"]}}, "above the one before"),
        ({"stimulus": {"overdrives": ["1 uV", "1 mV", "10 mV"]}}, "blurs them"),
        ({"stimulus": {"search_range": "10 mV", "offset_tolerance": "0.02 V",
                       "overdrives": ["1 V", "2 V", "3 V"]}}, "not below search_range"),
    ],
)  # fmt: skip
def test_bad_parameters_are_refused(tables, why):
    with pytest.raises(ValidationError, match=why):
        ComparatorParameters(**tables)


@pytest.mark.ngspice
@pytest.mark.skipif(not OLD, reason="IMCCIRCUIT_NGSPICE_OLD names no ngspice 39")
def test_old_ngspice_and_sparse_agree():
    new, *others = (
        measure(BENCH, quick(), engine)
        for engine in (NgspiceEngine(), NgspiceEngine(solver="sparse"),
                       NgspiceEngine(executable=OLD))
    )  # fmt: skip
    for other in others:
        assert other["offset"] == pytest.approx(new["offset"], abs=200e-6)
        # Other time points at tolerances of 1e-4 a step.
        assert other["decision_time"] == pytest.approx(new["decision_time"], rel=1e-3, abs=0)
        assert np.sum(other["energy"]) == pytest.approx(np.sum(new["energy"]), rel=1e-3, abs=0)
