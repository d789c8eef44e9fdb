"""Offset, input resistance and reset of an integrator, and a TIA of transistors, by other ways.

Integrator: the state equations of ``test_golden_readout``, through reset, integration and the next
reset. Transistors: the amplifier's open-loop curve o(v), taken at DC in a deck of its own, gives
the input v at a current I from (o(v) − v)/R_f + I = 0, nothing being left to simulate.
"""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.linalg import expm
from scipy.optimize import brentq
from test_golden_readout import C_L, FEW, G_S, A, W, feedback, run

from imccircuit.benches.problem import OperatingPoint, Probe, Problem
from imccircuit.benches.readout_parameters import ReadoutParameters
from imccircuit.circuits.technology import Technology
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

C_F, R_ON, RESET, TIME = 2e-12, 200.0, 10e-9, 20e-9


def test_offset_and_input_resistance_of_an_integrator_by_hand():
    offset = 3e-3
    arrays = run({"kind": "integrator", "amplifier": {"offset": offset}}, FEW)
    # At no current all is at rest: input and output are where the gain puts them. A reltol of 1e-5
    # leaves 6 uV of their 0.6 V, 2e-3 of the offset.
    seen = offset * A / (1 + A)
    np.testing.assert_allclose(arrays["offset_voltage"], seen, rtol=2e-3)
    np.testing.assert_allclose(arrays["offset_current"], seen / arrays["gain"], rtol=2e-3)
    # The output falls at I/C_f, for which the input is I/(w·C_f) beside the reference, and what the
    # output has fallen over A; (1 + A)·C_f + C_l have taken the charge.
    slope = 1 / (C_F + (C_F + C_L) / A)
    wanted = slope * (1 / W + (TIME + R_ON * C_F) / A)
    # Of I/(w·C_f) it is too much by what C_l lets w fall to, C_f/(C_f + C_l) at the start alone.
    np.testing.assert_allclose(arrays["input_resistance"], wanted, rtol=2e-3)


def test_reset_of_an_integrator_against_state_space():
    arrays = run({"kind": "integrator"}, FEW)
    reset, b = feedback(R_ON, C_F)
    hold, b_hold = feedback(np.inf, C_F)
    rows = 40e-6 / G_S
    closed = np.linalg.solve(reset, -b[:, 1] * rows)

    def through(matrix, drive, state, time):
        block = np.zeros((3, 3))
        block[:2, :2], block[:2, 2] = matrix, drive * rows
        return (expm(block * time) @ np.append(state, 1.0))[:2]

    state = closed
    for _ in range(2):
        state = through(reset, b[:, 1], state, RESET)
        state = through(hold, b_hold[:, 1], state, TIME)
    apart = abs(state - closed)[0]
    assert apart > 0.3  # an output of 0.36 V to take back

    def beyond(time):
        return abs(through(reset, b[:, 1], state, time) - closed)[0] - float(arrays["lsb"]) / 2

    grid = np.linspace(0, RESET, 1001)
    last = np.flatnonzero([beyond(time) > 0 for time in grid])[-1]
    wanted = brentq(beyond, grid[last], grid[last + 1])
    # Time points are 30 ps apart, and the switch closes on one.
    assert abs(arrays["settling_time"][0] - wanted) < 30e-12
    np.testing.assert_allclose(arrays["latency"], arrays["settling_time"][0] + TIME, rtol=1e-12)


def open_loop(parameters, inputs):
    """Output of the two-stage amplifier over its inverting input, 0.6 V at the other."""
    from PySpice.Spice.Netlist import Circuit

    technology = Technology(parameters.technology, "tt", 1.2)
    circuit = Circuit("amplifier alone")
    # Multiples of 120 nm and 60 nm: pair 200 × 2, load 40 × 6, bias 80 × 2, tail twice and source
    # ten times the bias; the driver ten times a load, as 400 uA are to 40.
    sizes = "wp=24u wn=4.8u wt=19.2u wb=9.6u wo=96u wd=48u l=120n lload=360n cc=0.2p rz=300"
    circuit.raw_spice = "\n".join([
        technology.include_line, technology.cell("ota_pmos"), technology.cell("opamp_two_stage"),
        "Vdd vdd 0 1.2", "Vref ref 0 0.6", "Vin in 0 0.6", "Ibias bias 0 40u",
        f"Xamplifier ref in out bias vdd 0 opamp_two_stage {sizes}",
        # What the feedback takes from the output, as a resistor from the input.
        "Rf in out 10k",
    ])  # fmt: skip
    problem = Problem(
        circuit, OperatingPoint(), (Probe("out", ("v(out)",), (), 2.0),),
        options={"reltol": 1e-6, "vntol": 1e-9},
        alterations=tuple({"vin": float(v)} for v in inputs),
    )  # fmt: skip
    (outcome,) = NgspiceEngine().solve([problem])
    return outcome.answer.final("out")


def test_tia_of_transistors_by_its_open_loop():
    given = {"kind": "tia", "implementation": "transistor"}
    arrays = run(given, {"overdrive": 0.0})
    parameters = ReadoutParameters.model_validate({"circuit": given}, context={"trusted": True})
    inputs = 0.6 + np.linspace(-0.5e-3, 0.8e-3, 66)
    curve = CubicSpline(inputs, open_loop(parameters, inputs))
    currents = np.linspace(0, 40e-6, 17)
    seen = np.array([
        brentq(lambda v, i=i: (curve(v) - v) / 10e3 + i, inputs[0], inputs[-1], xtol=1e-12)
        for i in currents
    ])  # fmt: skip
    # vntol, 1 nV, through a gain of 3000 is 3 uV at the output; the spline costs less.
    np.testing.assert_allclose(arrays["input_voltage"], seen, atol=5e-9)
    np.testing.assert_allclose(arrays["output_voltage"], curve(seen), atol=2e-5)
    slope = np.polyfit(currents, seen, 1)
    np.testing.assert_allclose(arrays["input_resistance"], slope[0], rtol=1e-3)
    np.testing.assert_allclose(arrays["offset_voltage"], slope[1] - 0.6, atol=2e-8)
    # R_f/(1 + A), A the mean slope over the range: 3 ohm from 10 kohm and 3400.
    gain = (curve(seen[-1]) - curve(seen[0])) / (seen[-1] - seen[0])
    np.testing.assert_allclose(arrays["input_resistance"], 10e3 / (1 - gain), rtol=0.1)
