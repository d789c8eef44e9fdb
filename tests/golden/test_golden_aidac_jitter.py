"""Jitter of a ramp's crossing: noise that numpy draws, in ngspice, against √(S·t/2)/I.

A current I with white noise of one-sided density S charges C from a voltage of variance kT/C. After
a time t the charge has the variance S·t/2, and the crossing of U = I·t/C moves by that over I, and
by √(kT/C)·C/I. The noise of a transistor in saturation is 4kTγ·gm, γ about 2/3 for a long one.
"""

import shutil

import numpy as np
import pytest

from imccircuit.benches.aidac_jitter import measure_jitter
from imccircuit.benches.aidac_parameters import AidacParameters
from imccircuit.benches.problem import OperatingPoint, Probe, Problem, Transient
from imccircuit.circuits.noise_current import draw_noise_current, noise_source
from imccircuit.devices.cards import load_card
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.metrics.grouped import compute_jitter

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed"),
]

KT = 1.380649e-23 * 300.15


def answer_of(problem):
    (outcome,) = NgspiceEngine().solve([problem])
    assert outcome.status is Status.GOOD, outcome.reason
    return outcome.answer


def test_drawn_noise_moves_the_crossing():
    from PySpice.Spice.Netlist import Circuit

    copies, current, capacitor, charge_s = 200, 20e-6, 20e-15, 0.4e-9
    # A hundred times a transistor's, that Newton's tolerance is nothing beside it.
    density, step = 3e-22, 4e-12
    rng = np.random.default_rng(1)
    drawn = draw_noise_current(rng, density, step, (copies, round(1.5 * charge_s / step)))
    start = rng.standard_normal(copies) * np.sqrt(KT / capacitor)
    lines = []
    for k in range(copies):
        lines += [
            f"C{k} n{k} 0 {capacitor} ic={float(start[k])!r}",
            f"R{k} n{k} 0 1e12",
            f"I{k} 0 n{k} {current}",
            f"Inoise{k} 0 n{k} {noise_source(drawn[k], step)}",
        ]
    circuit = Circuit("ramps with noise")
    circuit.raw_spice = "\n".join([*lines, ".ic " + " ".join(
        f"v(n{k})={float(start[k])!r}" for k in range(copies))])  # fmt: skip
    names = tuple(f"v(n{k})" for k in range(copies))
    stop = 1.4 * charge_s
    answer = answer_of(
        Problem(circuit, Transient(stop, step / 2, step / 2), (Probe("n", names, (copies,), 10.0),),
                options={"method": "gear", "reltol": 1e-6})
    )  # fmt: skip
    (run,) = answer.runs
    level = current * charge_s / capacitor
    found = [np.interp(level, column, run.axis) for column in run.values["n"].T]
    assert np.mean(found) == pytest.approx(charge_s, rel=0.01, abs=0)
    slope = current / capacitor
    ramp, reset = compute_jitter(current, density, charge_s, slope, 300.15)
    assert ramp == pytest.approx(np.sqrt(density * charge_s / 2) / current, rel=1e-9, abs=0)
    assert reset == pytest.approx(np.sqrt(KT * capacitor) / current, rel=1e-6, abs=0)
    # 200 ramps know a standard deviation to 5 %.
    assert np.std(found) == pytest.approx(np.hypot(ramp, reset), rel=0.15, abs=0)


@pytest.fixture(scope="module")
def figures():
    tables = {"circuit": {"switches": "transistor", "time_cell": "ramp"}}
    parameters = AidacParameters.model_validate(tables, context={"trusted": True})
    steps = measure_jitter(parameters, 0.2)
    problem = next(steps)
    while True:
        try:
            problem = steps.send(answer_of(problem))
        except StopIteration as stop:
            return stop.value


def test_the_ramps_noise_is_that_of_its_transistor(figures):
    from PySpice.Spice.Netlist import Circuit

    # The current source alone, 33 x 120 nm over 4 x 60 nm, its gate moved until it gives 20 uA.
    library = load_card("mos_generic", "mos").include_line()
    circuit = Circuit("current source")
    circuit.raw_spice = f"{library}\nVd d 0 0.4\nVs s 0 1.2\nVg g 0 0\nM1 d g s s imc_pmos " + (
        f"W={33 * 120e-9} L={4 * 60e-9}"
    )
    gate = np.linspace(0.5, 0.9, 201)
    answer = answer_of(
        Problem(circuit, OperatingPoint(), (Probe("i", ("i(vd)",), (1,), 1.0),),
                alterations=tuple({"vg": float(v)} for v in gate))
    )  # fmt: skip
    current = answer.final("i")[:, 0]
    gm = np.interp(20e-6, current[::-1], -np.gradient(current, gate)[::-1])
    assert figures.current_a == pytest.approx(20e-6, rel=0.03, abs=0)
    # 2/3 in strong and 1/2 in weak inversion, where gm is the current over n·kT/q; to a third.
    assert figures.density_a2_hz == pytest.approx(4 * KT * 2 / 3 * gm, rel=1 / 3, abs=0)


def test_causes_add_as_independent(figures):
    ramp, reset = compute_jitter(
        figures.current_a, figures.density_a2_hz, figures.charge_s, figures.slope_v_s, 300.15
    )
    assert (figures.ramp_s, figures.reset_s) == pytest.approx((ramp, reset), rel=1e-9, abs=0)
    total = np.sqrt(ramp**2 + reset**2 + figures.decision_s**2)
    assert figures.total_s == pytest.approx(total, rel=1e-9, abs=0)
    # The ramp is I/C of its capacitor and of some fF of transistors.
    assert figures.current_a / figures.slope_v_s == pytest.approx(25e-15, rel=0.2, abs=0)


def test_behavioural_cells_have_none():
    parameters = AidacParameters.model_validate({}, context={"trusted": True})
    with pytest.raises(StopIteration) as stop:
        next(measure_jitter(parameters, 0.2))
    assert stop.value.value is None
