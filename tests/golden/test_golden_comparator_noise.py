"""Noise of a comparator against two answers that need no random decision.

The method first: currents drawn by numpy must give √(kT/C) on an RC. Then the comparator: its
noise must be what its impulse sensitivity says. A charge q put into a node at time t moves the
threshold by Γ(t)·q; white currents of one-sided density S then give σ² = Σ ∫ (S/2)·Γ² dt over all
transistors (Parseval for a linear time-varying system).
"""

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from imccircuit.benches.bench import Variation
from imccircuit.benches.comparator_dut import draw_strongarm
from imccircuit.benches.comparator_noise import _NoiseBench, measure_strongarm_noise
from imccircuit.benches.comparator_parameters import ComparatorParameters
from imccircuit.benches.problem import (
    NOISE_VECTOR,
    Noise,
    OperatingPoint,
    Probe,
    Problem,
    Transient,
)
from imccircuit.circuits.comparator import NOISE_NODES, transistor_noise
from imccircuit.circuits.noise_current import draw_noise_current, noise_source
from imccircuit.circuits.technology import Technology
from imccircuit.devices.cards import load_card
from imccircuit.devices.draws import Draws
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

BOLTZMANN, KELVIN = 1.380649e-23, 300.15


def solve(problem):
    (outcome,) = NgspiceEngine().solve([problem])
    assert outcome.status is Status.GOOD, outcome.reason
    return outcome.answer


def drive(generator):
    problem = next(generator)
    while True:
        try:
            problem = generator.send(solve(problem))
        except StopIteration as stop:
            return stop.value


def test_drawn_currents_give_kt_over_c():
    ohm, farad, copies, per_tau = 10e3, 2e-15, 150, 20
    tau, density = ohm * farad, 4 * BOLTZMANN * KELVIN / ohm
    step, values = tau / per_tau, 40 * per_tau
    currents = draw_noise_current(np.random.default_rng(7), density, step, (copies, values))
    circuit = Circuit("sampled RCs")
    circuit.raw_spice = "\n".join(
        f"R{k} n{k} 0 {ohm}\nC{k} n{k} 0 {farad}\nI{k} 0 n{k} {noise_source(row, step)}"
        for k, row in enumerate(currents)
    )
    answer = solve(
        Problem(
            circuit,
            Transient(values * step, step, step),
            (Probe("v", tuple(f"v(n{k})" for k in range(copies)), (copies,), 1.0),),
            options={"method": "gear", "reltol": 1e-4, "chgtol": 1e-19},
        )
    )
    (run,) = answer.runs
    # Five time constants apart: correlated by e^-5.
    at = np.arange(5, 40.1, 5) * tau
    samples = np.array([np.interp(at, run.axis, row) for row in run.values["v"].T])
    rms, count = np.sqrt(np.mean(samples**2)), samples.size
    # Statistical error 1/√(2n) of an rms, three of them; and Δt/(2·τ) of the variance, which lines
    # between the values lose where the answer is cut off, half of that in the rms.
    tolerance = 3 / np.sqrt(2 * count) + 0.25 / per_tau
    assert rms == pytest.approx(np.sqrt(BOLTZMANN * KELVIN / farad), rel=tolerance, abs=0)
    assert tolerance < 0.08


@pytest.mark.parametrize(
    ("kind", "bias", "low", "high"),
    [
        # Long-channel theory: 2/3 of 4kT·gm in saturation; a short channel gives somewhat more.
        ("nmos", {"vdrain": 1.2, "vgate": 0.7, "vsource": 0.0}, 2 / 3, 4 / 3),
        # Without drain voltage a channel is a resistor: 4kT·gds exactly (Nyquist).
        ("nmos", {"vdrain": 0.0, "vgate": 1.2, "vsource": 0.0}, 0.97, 1.03),
        ("pmos", {"vdrain": 1.2, "vgate": 0.0, "vsource": 1.2}, 0.97, 1.03),
    ],
)
def test_transistor_noise_is_that_of_its_conductance(kind, bias, low, high):
    technology = Technology(load_card("mos_generic", "mos"), "tt", 1.2)
    circuit = transistor_noise(technology, kind, 2e-6, 60e-9)
    band = (1e10, 1e11)
    noise = solve(
        Problem(circuit, Noise("out", "vgate", *band, 10),
                (Probe("n", (NOISE_VECTOR,), (1,), 1e9),), (bias,))
    )  # fmt: skip
    density = (noise.final("n")[0, 0] / 1e6) ** 2 / (band[1] - band[0])
    key = "vgate" if bias["vdrain"] != bias["vsource"] else "vdrain"
    runs = tuple({**bias, key: bias[key] + delta} for delta in (-1e-4, 1e-4))
    current = solve(
        Problem(circuit, OperatingPoint(), (Probe("v", ("v(out)",), (), 1e9),), runs)
    ).final("v") / 1e6  # fmt: skip
    conductance = abs(current[1] - current[0]) / 2e-4
    assert low < density / (4 * BOLTZMANN * KELVIN * conductance) < high


@pytest.mark.long
def test_noisy_decisions_agree_with_the_impulse_sensitivity():
    parameters = ComparatorParameters(stimulus={"noise_decisions": 1000})
    variation = Variation(Draws(3, 0))
    dut = draw_strongarm(parameters, variation)
    tau, decision = 14e-12, 160e-12
    expected = sensitivity_sigma(_NoiseBench(parameters, dut, tau, decision))
    found = drive(
        measure_strongarm_noise(parameters, dut, variation, threshold_v=0.0,
                                time_constant_s=tau, decision_s=decision)
    )  # fmt: skip
    # Three standard errors, and 5 % of the sensitivities' own: biases of a balanced decision,
    # which a noisy one leaves, and 24 times to integrate over.
    tolerance = 3 * found["noise_sigma_error"] + 0.05 * expected
    assert found["noise_sigma"] == pytest.approx(expected, abs=tolerance)
    assert found["noise_offset"] == pytest.approx(0, abs=3 * found["noise_offset_error"])


def sensitivity_sigma(bench):
    """Input-referred noise in V from impulses and densities."""
    density = drive(bench.densities(0.0))
    # Read where the outputs are apart by a few per cent of the supply at most: still linear.
    read_s, charge, probe_v = bench.rise_s + 110e-12, 2e-19, 50e-6
    values = np.arange(8, int(read_s / bench.step_s), 1)[::2]
    copies, currents = [(None, None)], [np.zeros((len(NOISE_NODES), bench.count))]
    for k, (_, _, drain, _, source) in enumerate(bench.devices):
        if drain == "tail":
            continue
        for place in values:
            into = np.zeros((len(NOISE_NODES), bench.count))
            for node, sign in ((drain, -1), (source, 1)):
                if node in NOISE_NODES:
                    into[NOISE_NODES.index(node), place] = sign * charge / bench.step_s
            copies.append((k, place))
            currents.append(into)
    currents.append(currents[0])
    inputs = np.zeros(len(currents))
    inputs[-1] = probe_v
    problem = bench.copies(inputs, np.array(currents))
    (run,) = solve(problem).runs
    node = run.values["node"]
    apart = np.array(
        [np.interp(read_s, run.axis, node[:, 0, k] - node[:, 1, k]) for k in range(len(inputs))]
    )
    gain = (apart[-1] - apart[0]) / probe_v
    variance = 0.0
    for (k, place), value in zip(copies[1:], apart[1:-1], strict=True):
        sensitivity = (value - apart[0]) / charge / gain
        # Both halves; every other value.
        variance += 2 * density[k, place] / 2 * sensitivity**2 * 2 * bench.step_s
    return np.sqrt(variance)
