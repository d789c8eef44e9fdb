"""Integrated noise against √(kT/C), and what becomes of a run that has none."""

import os

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from imccircuit.benches.problem import NOISE_VECTOR, Noise, Probe, Problem
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice
BOLTZMANN = 1.380649e-23
OLD = os.environ.get("IMCCIRCUIT_NGSPICE_OLD")


def rc(*, ac="ac 1", alterations=({},), temperature=27.0):
    circuit = Circuit("rc")
    circuit.V("in", "a", circuit.gnd, f"dc 0 {ac}")
    circuit.R("1", "a", "out", 1e3)
    circuit.C("1", "out", circuit.gnd, 1e-13)
    return Problem(
        circuit=circuit,
        analysis=Noise("out", "vin", 1.0, 1e15),
        probes=(Probe("noise", (NOISE_VECTOR,), (), 1.0),),
        alterations=alterations,
        temperature_degc=temperature,
    )


@pytest.fixture(params=["klu", "sparse", "old"])
def engine(request):
    if request.param == "old":
        if OLD is None:
            pytest.skip("IMCCIRCUIT_NGSPICE_OLD names no older ngspice")
        return NgspiceEngine(executable=OLD)
    return NgspiceEngine(solver=request.param)


def test_noise_of_an_rc(engine):
    capacitors = np.array([1e-13, 4e-13, 1.6e-12])
    problem = rc(alterations=tuple({"c1": c} for c in capacitors), temperature=85.0)
    (outcome,) = engine.solve([problem])
    assert outcome.status is Status.GOOD, outcome.reason
    truth = np.sqrt(BOLTZMANN * (273.15 + 85.0) / capacitors)
    # 100 points a decade integrate the corner to 1e-5; ngspice's constants are older by 1e-6.
    np.testing.assert_allclose(outcome.answer.final("noise"), truth, rtol=2e-5)


def test_a_run_that_fails_is_not_the_run_before():
    good, bad = rc(), rc(ac="")
    first, second, third = NgspiceEngine().solve([good, bad, good])
    assert first.status is third.status is Status.GOOD
    assert second.status is Status.NO_CONVERGENCE
    assert "ac input" in second.reason


def test_a_narrow_band_is_not_cut_by_its_grid(engine):
    # White noise of a resistor: √(4kTR·bandwidth), 9 to 11 GHz; the grid may add 0.5 % of it.
    circuit = Circuit("resistor")
    circuit.V("in", "a", circuit.gnd, "dc 0 ac 1")
    circuit.R("1", "a", "out", 1e3)
    problem = Problem(circuit, Noise("out", "vin", 9e9, 11e9, 20),
                      (Probe("noise", (NOISE_VECTOR,), (), 1.0),))  # fmt: skip
    (outcome,) = engine.solve([problem])
    truth = np.sqrt(4 * BOLTZMANN * 300.15 * 1e3 * 2e9)
    assert outcome.answer.final("noise")[0] == pytest.approx(truth, rel=3e-3, abs=0)
