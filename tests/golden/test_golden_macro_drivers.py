"""Ladders that drive the rows of a macro: textbook, dense solutions by numpy, and transistors."""

import numpy as np
import pytest
from driving import measure
from macro_truth import front_ends, ladder, search, static_levels
from pydantic import ValidationError

from imccircuit.benches.macro_mvm import BENCH
from imccircuit.benches.macro_parameters import MacroParameters
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

GAIN, FEEDBACK, R_IN = 300.0, 30e3, 1e6
ARRAY = {"readout": "tia", "tia_gain": GAIN, "tia_feedback_resistance": FEEDBACK,
         "tia_input_resistance": R_IN, "row_segment_resistance": 20.0,
         "column_segment_resistance": 30.0}  # fmt: skip


def parameters(driver, inputs, g, array=ARRAY, bias=0.1, **stimulus):
    given = {
        "circuit": {"bias_voltage": bias, "array": {**array, "conductances": g},
                    "driver": driver, "converters": 2, "converter": {"bits": 6}},
        "stimulus": {"inputs": inputs, **stimulus},
    }  # fmt: skip
    return MacroParameters.model_validate(given, context={"trusted": True})


def drawn(rows, cols, vectors, bits):
    rng = np.random.default_rng(4)
    g = 1e-6 * rng.uniform(1, 60, (rows, cols))
    code = np.rint((2**bits - 1) * rng.random((vectors, rows)) * rng.random((vectors, 1)))
    return g, code.astype(int)


@pytest.mark.parametrize("bits", [1, 4])
def test_equal_resistors_give_the_textbook_ladder(bits):
    g, code = drawn(3, 2, 4, bits)
    driver = {"bits": bits, "unit_resistor": 500.0, "switch_on_resistance": 1e-3}
    found = measure(BENCH, parameters(driver, code / (2**bits - 1), g), NgspiceEngine())
    np.testing.assert_array_equal(found["input_code"], code)
    # The last code is the read voltage, 0 V on this bias; R is what a ladder of R looks like.
    levels = 0.1 - 0.1 * np.arange(2**bits) / (2**bits - 1)
    # Of the switches' 1 mohm the first bit's 1 kohm is a millionth.
    np.testing.assert_allclose(found["driver_level"], [levels] * 3, rtol=0, atol=3e-7)
    np.testing.assert_allclose(found["driver_resistance"], 500.0, rtol=0, atol=2e-3)


@pytest.fixture
def skewed(monkeypatch):
    """Legs, terminator and rungs of four bits, different in every row."""
    rng = np.random.default_rng(5)
    factors = np.array([2, 2, 2, 2, 2, 1, 1, 1]) * rng.uniform(0.8, 1.25, (6, 8))
    monkeypatch.setattr(
        "imccircuit.benches.macro_rows.draw_resistors",
        lambda circuit, *_: circuit.unit_resistor * factors,
    )
    return factors


def test_a_macro_behind_uneven_ladders_is_a_dense_solution_of_all_of_it(skewed):
    ohm, on = 2000.0, 150.0
    g, code = drawn(6, 3, 10, 4)
    driver = {"bits": 4, "unit_resistor": ohm, "switch_on_resistance": on}
    found = measure(BENCH, parameters(driver, code / 15, g), NgspiceEngine())
    alone = np.array([[ladder(ohm * parts, d, 0.1, 0.1 - 0.1 * 16 / 15, on, 1e12)
                       for d in range(16)] for parts in skewed])  # fmt: skip
    np.testing.assert_allclose(found["driver_level"], alone[:, :, 0], rtol=0, atol=1e-8)
    np.testing.assert_allclose(found["driver_resistance"], alone[:, :, 1], rtol=0, atol=1e-2)
    drive = alone[np.arange(6), code, 0]
    np.testing.assert_allclose(found["row_voltage"], drive, rtol=0, atol=1e-8)
    # The monolithic deck: every row behind the resistance of its own ladder.
    current, volts = front_ends(
        g, drive, 20.0, 30.0, GAIN, FEEDBACK, R_IN, hold=0.1, r_drive=alone[:, 0, 1]
    )
    np.testing.assert_allclose(found["sampled_voltage"], volts[:, :2], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["sampled_current"], current, rtol=0, atol=1e-10)
    levels = static_levels(found["bit_capacitor"][0], found["bit_capacitor"][0, 0], 40e-15, 0.0)
    codes = [[search(levels, 6, v) for v in line] for line in volts[:, :2]]
    assert found["output_code"].tolist() == codes
    assert len(np.unique(codes)) > 8
    # Array alone: all rows behind their mean.
    _, volts = front_ends(
        g, drive, 20.0, 30.0, GAIN, FEEDBACK, R_IN, hold=0.1, r_drive=alone[:, :, 1].mean()
    )
    np.testing.assert_allclose(found["output_voltage"], volts, rtol=0, atol=1e-8)


def test_transmission_gates_stand_in_series_with_the_legs():
    g, code = drawn(4, 2, 3, 3)
    driver = {"bits": 3, "switches": "transistor", "unit_resistor": 1000.0}
    array = {**ARRAY, "driver_resistance": 5.0}
    given = parameters(driver, code / 7, g, array, read_voltage=-0.08)
    found = measure(BENCH, given, NgspiceEngine())
    level, ohm = found["driver_level"], found["driver_resistance"]
    # All four ladders are alike: gates of one size between the same rails.
    np.testing.assert_allclose(level[0], level[3], rtol=0, atol=1e-9)
    # But for what leaks through open gates.
    np.testing.assert_allclose(level[:, 0], 0.1, rtol=0, atol=1e-6)
    # A resistance of the gates that makes the levels those of a dense solution: with one number
    # for the gates at both rails, a fiftieth of a step is left, and the same number gives R_out.
    trial = np.linspace(1, 400, 400)
    parts = 1000.0 * np.array([2, 2, 2, 2, 1, 1])
    each = np.array([[ladder(parts, d, 0.1, 0.1 - 0.08 * 8 / 7, on, 1e12) for d in range(8)]
                     for on in trial])  # fmt: skip
    best = np.argmin(np.abs(each[:, :, 0] - level[0]).max(axis=1))
    np.testing.assert_allclose(level[0], each[best, :, 0], rtol=0, atol=0.02 * 0.08 / 7)
    np.testing.assert_allclose(ohm[0], each[best, :, 1], rtol=0, atol=0.01 * ohm[0, 0])
    assert 20 < trial[best] < 300
    drive = level[np.arange(4), code]
    r_drive = 5.0 + ohm[np.arange(4), code]
    volts = [front_ends(g, v[None], 20.0, 30.0, GAIN, FEEDBACK, R_IN, 0.1, r)[1][0, :2]
             for v, r in zip(drive, r_drive, strict=True)]  # fmt: skip
    np.testing.assert_allclose(found["sampled_voltage"], volts, rtol=0, atol=2e-5)


def test_rails_that_transistors_cannot_stand_are_refused():
    g, code = drawn(4, 2, 1, 3)
    with pytest.raises(ValidationError, match=r"rails of 100 mV and -14\.29 mV.*allowed: 0 V to"):
        parameters({"bits": 3, "switches": "transistor"}, code / 7, g)
    assert parameters({"bits": 3}, code / 7, g).driver_parameters() is not None


def test_a_bias_below_ground_is_no_rail_of_transistors():
    g, code = drawn(4, 2, 1, 3)
    driver = {"bits": 3, "switches": "transistor"}
    with pytest.raises(ValidationError, match=r"rails of -20 mV and 37\.14 mV.*allowed: 0 V to"):
        parameters(driver, code / 7, g, read_voltage=0.05, bias=-0.02)
