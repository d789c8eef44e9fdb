"""A macro in one deck against codes by hand, numpy's solution of its parts, and what joins them."""

import numpy as np
import pytest
from driving import measure
from macro_truth import front_ends, search, static_levels

from imccircuit.benches.macro_mvm import BENCH
from imccircuit.benches.macro_parameters import MacroParameters
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

NO_WIRES = {"row_segment_resistance": 0.0, "column_segment_resistance": 0.0}
SIEMENS = 1e-6 * np.array([[10, 40], [20, 30], [30, 20], [40, 10]])
INPUTS = np.array([[1, 0.5, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0.25, 0, 0.5, 0]])


def run(array, converter=None, inputs=INPUTS, **circuit):
    given = {
        "circuit": {"array": {"readout": "tia", "conductances": SIEMENS, **array},
                    "converter": converter or {"bits": 5}, **circuit},
        "stimulus": {"inputs": inputs},
    }  # fmt: skip
    parameters = MacroParameters.model_validate(given, context={"trusted": True})
    return measure(BENCH, parameters, NgspiceEngine())


def test_ideal_parts_give_the_codes_of_a_calculation_by_hand():
    # 0.1 V + 80 kohm · 0.1 V · Σ x·G. First vector, column 0: 10 + 10 + 40 = 60 uS, 6 uA, 0.58 V,
    # times 32 is 18.56: code 18. Column 1: 40 + 15 + 10 = 65 uS, 0.62 V, 19.84. At rest 0.1 V, 3.2.
    # All on: 100 uS, 0.9 V, 28.8. Last: 2.5 + 15 = 17.5 uS, 0.24 V, 7.68; 20 uS, 0.26 V, 8.32.
    found = run({"tia_feedback_resistance": 80e3, "tia_gain": 1e9, **NO_WIRES})
    assert found["output_code"].tolist() == [[18, 19], [3, 3], [28, 28], [7, 8]]
    volts = [[0.58, 0.62], [0.1, 0.1], [0.9, 0.9], [0.24, 0.26]]
    # The amplifier's gain and 1 Gohm at its input leave 1e-6 V; gear's settling less.
    np.testing.assert_allclose(found["sampled_voltage"], volts, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["output_voltage"], volts, rtol=0, atol=1e-5)


def test_codes_are_those_of_a_dense_solution_a_formula_and_a_charge_balance():
    rng = np.random.default_rng(2)
    g = 1e-6 * rng.uniform(1, 60, (10, 3))
    inputs = rng.random((12, 10)) * rng.random((12, 1))
    caps, offset = 1e-15 * np.array([2.1, 3.9, 8.2, 15.7, 32.9, 62.8]), 3e-3
    found = run(
        {"conductances": g, "row_segment_resistance": 20.0, "column_segment_resistance": 30.0,
         "tia_gain": 300.0, "tia_feedback_resistance": 30e3, "tia_input_resistance": 1e6},
        {"bit_capacitors": caps, "dummy_capacitor": 2e-15, "comparator_offset": offset},
        inputs, converters=2,
    )  # fmt: skip
    drive = 0.1 - 0.1 * inputs
    current, volts = front_ends(g, drive, 20.0, 30.0, 300.0, 30e3, 1e6, hold=0.1)
    volts = volts[:, :2]
    levels = static_levels(caps, 2e-15, 40e-15, offset)
    codes = [[search(levels, 6, v) for v in line] for line in volts]
    assert found["output_code"].tolist() == codes
    assert len(np.unique(codes)) > 8
    # A 6-bit code is 16 mV: a microvolt is what gear leaves of it, see the bench of the converter.
    np.testing.assert_allclose(found["sampled_voltage"], volts, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["output_voltage"][:, :2], volts, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["output_current"], current, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found["forced_level"], [levels, levels], rtol=0, atol=2e-5)


def test_sampling_capacitors_load_what_drives_them():
    # They begin at 0 V and charge through 80 kohm and the switches: C = 64 fF for 0.98 cycles of
    # 10 ns. Switches of 100 ohm and edges of 0.1 ns of 9.8 leave 1 %.
    found = run({"tia_feedback_resistance": 80e3, "tia_gain": 1e9, **NO_WIRES},
                inputs=INPUTS[2:], converters=1, output_resistance=80e3)  # fmt: skip
    share = 1 - np.exp(-9.8e-9 / (80e3 * 64e-15))
    np.testing.assert_allclose(
        found["sampled_voltage"][:, 0] / found["output_voltage"][:, 0], share, rtol=0, atol=0.01
    )
    # The converter of its own, driven by a source, is not late.
    assert found["output_code"][0, 0] == int(32 * found["sampled_voltage"][0, 0])
    np.testing.assert_allclose(found["forced_level"][0, 15], 0.5, rtol=0, atol=1e-5)


def test_a_shared_reference_lets_converters_disturb_each_other():
    array = {"tia_feedback_resistance": 80e3, "tia_gain": 1e9, **NO_WIRES}
    soft = {"inputs": INPUTS[:1], "reference_resistance": 200e3}
    alone = run(array, converters=1, **soft)["output_code"]
    both = run(array, **soft)["output_code"]
    # By hand it is 18, see above; the more hang on the reference, the later it comes to rest.
    assert abs(both[0, 0] - 18) > abs(alone[0, 0] - 18)


def test_converters_of_transistors_give_the_codes_of_a_calculation_by_hand():
    # As above, and as far as a sixth of a code (5 mV) from every level: that is more than what the
    # switches inject and the latch's kick leave of a converter without mismatch.
    given = {"bits": 5, "switches": "transmission_gate", "comparator": "strongarm",
             "common_mode_voltage": 0.6}  # fmt: skip
    array = {"tia_feedback_resistance": 80e3, "tia_gain": 1e9, **NO_WIRES}
    wiring = {"output_resistance": 1e3, "reference_resistance": 50.0}
    found = run(array, given, INPUTS[[0, 2]], **wiring)
    assert found["output_code"].tolist() == [[18, 19], [28, 28]]
    volts = [[0.58, 0.62], [0.9, 0.9]]
    # Newton's iteration stops within reltol, 1e-4 of a node's voltage.
    np.testing.assert_allclose(found["sampled_voltage"], volts, rtol=0, atol=1e-4)
    # Nothing differs from converter to converter.
    np.testing.assert_array_equal(found["transition_level"][0], found["transition_level"][1])
    assert np.all(np.isfinite(found["latch_offset"]))
