"""A macro with real amplifiers: against a dense solution, and against each amplifier alone."""

import re

import numpy as np
import pytest
from driving import measure
from macro_truth import ends_of, front_ends, search, static_levels
from scipy.interpolate import CubicSpline

from imccircuit.benches.bench import Variation
from imccircuit.benches.macro_mvm import BENCH
from imccircuit.benches.macro_parameters import MacroParameters
from imccircuit.benches.problem import NOISE_VECTOR, Noise, OperatingPoint, Probe, Problem
from imccircuit.benches.readout_front import draw_front
from imccircuit.circuits.macro import Amplifiers
from imccircuit.circuits.macro import front_ends as amplified
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.nodal.array import ResistiveArray

pytestmark = pytest.mark.ngspice

R_ROW, R_COL, BIAS, R_F = 20.0, 30.0, 0.25, 30e3


def parameters_of(front, inputs, g, converter=None, wires=(R_ROW, R_COL), **circuit):
    given = {
        "circuit": {
            "array": {"readout": "tia", "conductances": g, "row_segment_resistance": wires[0],
                      "column_segment_resistance": wires[1]},
            "converter": {"bits": 6, "cycle_time": 60e-9, **(converter or {})},
            "front_end": {"feedback_resistance": R_F, **front},
            "bias_voltage": BIAS, **circuit,
        },
        "stimulus": {"inputs": inputs},
    }  # fmt: skip
    return MacroParameters.model_validate(given, context={"trusted": True})


def run(front, inputs, g, *converter, quantities=(), **circuit):
    parameters = parameters_of(front, inputs, g, *converter, **circuit)
    return measure(BENCH, parameters, NgspiceEngine(), entropy=3, quantities=quantities)


def drawn(rows, cols, batch):
    rng = np.random.default_rng(2)
    g = 1e-6 * rng.uniform(1, 40, (rows, cols))
    return g, rng.random((batch, rows)) * rng.random((batch, 1))


def test_behavioural_amplifiers_give_the_codes_of_a_dense_solution_and_a_charge_balance():
    # By R_f·G = 30 kohm · 200 uS the loop of 500 MHz settles with 2 ns: 60 ns leave nothing.
    g, inputs = drawn(10, 3, 12)
    gain, r_in, offset = 300.0, 1e5, 3e-3
    amplifier = {"gain": gain, "input_resistance": r_in, "offset": offset, "swing_low": 0.0}
    caps = 1e-15 * np.array([2.1, 3.9, 8.2, 15.7, 32.9, 62.8])
    found = run(
        {"implementation": "behavioural", "amplifier": amplifier}, inputs, g,
        {"bit_capacitors": caps, "dummy_capacitor": 2e-15}, converters=2,
    )  # fmt: skip
    # Counted from the bias an amplifier gives A·(offset − v), and R_in lies between its inputs.
    drive = -0.1 * inputs
    current, volts = front_ends(g, drive, R_ROW, R_COL, gain, R_F, r_in, hold=offset)
    volts = volts + BIAS
    levels = static_levels(caps, 2e-15, 40e-15, 0.0)
    codes = [[search(levels, 6, v) for v in line] for line in volts[:, :2]]
    assert found["output_code"].tolist() == codes
    assert len(np.unique(codes)) > 8
    np.testing.assert_allclose(found["output_voltage"], volts, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found["output_current"], current, rtol=0, atol=1e-12)
    # Newton stops within reltol of a volt, 1e-5, where there is anything to iterate.
    np.testing.assert_allclose(found["sampled_voltage"], volts[:, :2], rtol=0, atol=1e-5)
    held = ends_of(g, drive, R_ROW, R_COL, np.zeros(3))
    np.testing.assert_allclose(found["array_current"], held, rtol=0, atol=1e-13)
    # An amplifier alone, by hand: R_f/(1 + A) parallel to R_in, and its output in steps of I.
    r_input = 1 / ((1 + gain) / R_F + 1 / r_in)
    np.testing.assert_allclose(found["front_end_input_resistance"], r_input, rtol=0, atol=1e-4)
    slope = gain * r_input
    np.testing.assert_allclose(found["front_end_gain"], -slope, rtol=0, atol=0.1)


def test_each_column_has_an_amplifier_of_its_own_draw():
    g, inputs = drawn(4, 3, 2)
    spread = {"implementation": "behavioural", "amplifier": {"offset_sigma": 2e-3}}
    found = run(spread, inputs, g, quantities=["front_end_offset"])
    offset = found["front_end_offset_voltage"]
    # An offset of the amplifier is one of the input, less a part in 1 + A = 1001.
    assert len(np.unique(offset.round(9))) == 3
    assert np.all(np.abs(offset) < 5 * 2e-3)
    # The same ones are in the one deck.
    own = offset * 1001 / 1000
    volts = BIAS + front_ends(g, -0.1 * inputs, R_ROW, R_COL, 1000.0, R_F, 1e9, own)[1]
    np.testing.assert_allclose(found["sampled_voltage"], volts, rtol=0, atol=2e-5)


@pytest.mark.parametrize("cells", [4, 12])
def test_transistor_amplifiers_in_the_one_deck_do_what_they_do_alone(cells):
    """Array by a dense solution, each amplifier by a spline through what was measured of it."""
    g, inputs = drawn(cells, 3, 6)
    front = {"implementation": "transistor", "feedback_resistance": 12e3,
             "transistors": {"pair_widths": 400.0, "compensation_capacitance": 0.1e-12},
             "current_low": -50e-6, "current_high": 5e-6}  # fmt: skip
    found = run(front, inputs, g, quantities=["front_end_transistors"], output_resistance=1e3)
    at_a = np.linspace(-50e-6, 5e-6, 17)
    volts = np.empty((len(inputs), 3))
    # What bends an end's voltage is small: from the bias on, a few rounds stand.
    ends = np.full((len(inputs), 3), BIAS)
    for _ in range(20):
        current = ends_of(g, BIAS - 0.1 * inputs, R_ROW, R_COL, ends)
        for j in range(3):
            ends[:, j] = CubicSpline(at_a, found["front_end_input_voltage"][j])(current[:, j])
            volts[:, j] = CubicSpline(at_a, found["front_end_output_voltage"][j])(current[:, j])
    # At rest both decks have a tolerance of 1e-6 of a volt, and R_f·G makes an input's up to 6.
    np.testing.assert_allclose(found["output_voltage"], volts, rtol=0, atol=1e-5)
    # In the one deck it is 1e-5 at each node. Sampling ends 30 time constants behind the kick.
    np.testing.assert_allclose(found["sampled_voltage"], volts, rtol=0, atol=6e-5)
    assert np.ptp(found["front_end_offset_voltage"]) > 1e-4


def test_an_amplifier_that_has_no_time_leaves_an_error_that_time_takes_away():
    """512 fF at 0 V pull at it: its loop, not R·C of the switches, decides what is sampled.

    A pair of 40 uA a side has about 0.7 mS; with 0.6 pF and cells of 240 uS the loop's time
    constant is (1 + R_f·G)·C/g = 3.3 ns, of which 10 ns are three and 40 ns twelve. R·C is 0.1 ns.
    """
    g, inputs = drawn(12, 1, 2)
    front = {"implementation": "transistor", "feedback_resistance": 12e3,
             "transistors": {"compensation_capacitance": 0.6e-12},
             "current_low": -50e-6, "current_high": 5e-6}  # fmt: skip
    missed = []
    for cycle in (10e-9, 40e-9):
        found = run(front, inputs, g, {"bits": 8, "unit_capacitor": 2e-15, "cycle_time": cycle},
                    output_resistance=100.0)  # fmt: skip
        missed.append(np.abs(found["sampled_voltage"] - found["output_voltage"]).max() * 256)
    assert missed[0] > 0.1
    assert missed[1] < 0.01


def test_noise_and_power_of_an_amplifier_are_those_it_has_at_its_array():
    """One column without wires is one conductance: what is measured alone is then the same circuit.

    At the middle of the range, where the noise is measured: 10 uA of 100 uS at 0.1 V.
    """
    g, drive = np.full((5, 1), 20e-6), np.full((1, 5), BIAS - 0.1)
    front = {"implementation": "transistor", "feedback_resistance": 12e3,
             "current_low": -20e-6, "current_high": 0.0}  # fmt: skip
    inputs, wires = (BIAS - drive) / 0.1, (0.0, 0.0)
    found = run(front, inputs, g, wires=wires)
    alone = parameters_of(front, inputs, g, wires=wires).front_end_parameters()
    tia = draw_front(alone, Variation(Draws(3, 0)))
    amplifiers = Amplifiers((tia,), c_line_f=100e-15, c_load_f=50e-15)
    circuit = amplified(ResistiveArray(g), drive[0], amplifiers)
    # The small signal comes from a row; what it is does not count for the output's noise.
    circuit.raw_spice = re.sub(r"(?m)^(Vin_0 \S+ 0 )(\S+)$", r"\1dc \2 ac 1", circuit.raw_spice)
    problems = [
        Problem(circuit, analysis, (Probe("found", vectors, shape, 10.0),), ({},), {"reltol": 1e-6})
        for analysis, vectors, shape in (
            (Noise("out_0", "vin_0", 1e4, 1e12, points_per_decade=50), (NOISE_VECTOR,), ()),
            (OperatingPoint(), ("i(vfront_supply)",), (1,)),
        )
    ]
    noise, current = (
        float(np.squeeze(outcome.answer.final("found")))
        for outcome in NgspiceEngine().solve(problems)
    )
    assert noise == pytest.approx(float(found["front_end_noise_sigma"][0]), abs=1e-3 * noise)
    # An operation's mean is over half its time at rest and four currents: class A, but the
    # transistors' output conductances move it by 0.2 V at about 0.1/V.
    power = found["front_end_energy"][0, 2] / (2 * 60e-9)
    assert power == pytest.approx(-1.2 * current, abs=0.02 * power)
