"""Noise of a mirror's ramp against that of one transistor and a formula by hand.

Truth. A current noise W + K/f from f₀ on that C integrates from 0 to t leaves the variance

    (W·t/2 + K·t²·(3/2 − γ − ln(2π·f₀·t))) / C²,

and the reset kT/C. Both transistors of a mirror carry the same current through the same gate, so
each adds what one has. The one here is alone: 1 F at its gate keeps the diode's noise away.
"""

import numpy as np
import pytest
from driving import measure
from scipy import constants

from imccircuit.benches.problem import NOISE_VECTOR, Noise, Probe, Problem
from imccircuit.benches.ramp_parameters import RampParameters
from imccircuit.benches.ramp_transfer import BENCH
from imccircuit.circuits.technology import Technology
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

FULL, CLOCK, CAP, BITS = 0.6, 32e-9, 1e-12, 5
CONVERSIONS = 1000
EULER = 0.5772156649015329


def parameters(length):
    circuit = {"ramp": "mirror", "bits": BITS, "clock_period": CLOCK, "columns": 1,
               "mirror_width": 1e-6, "mirror_length": length}  # fmt: skip
    return RampParameters.model_validate({"circuit": circuit}, context={"trusted": True})


def one_transistor(length):
    """W and K of the current of one transistor, from a low and a high decade."""
    from PySpice.Spice.Netlist import Circuit

    technology = Technology(parameters(length).technology, "tt", 1.2)
    circuit = Circuit("one transistor")
    size = f"W=1u L={length!r}"
    model = technology.device("pmos").model
    circuit.raw_spice = "\n".join([
        technology.include_line, "Vdd vdd 0 1.2", f"Ibias bias 0 {FULL * CAP / 2**BITS / CLOCK!r}",
        f"Mdiode bias bias vdd vdd {model} {size}", "Cquiet bias vdd 1",
        f"Mone out bias vdd vdd {model} {size}",
        "Vout out 0 dc 0.3 ac 1", "Hout sense 0 vout 1e6",
    ])  # fmt: skip
    density = []
    for start in (1e2, 1e8):
        probe = Probe("noise", (NOISE_VECTOR,), (), 10.0)
        problem = Problem(circuit, Noise("sense", "vout", start, 10 * start), (probe,))
        (outcome,) = NgspiceEngine().solve([problem])
        density.append((float(outcome.answer.final("noise")[0]) / 1e6) ** 2 / (9 * start))
    # The mean over a decade is W + K·ln 10/(9·start).
    weights = np.array([[1, np.log(10) / 9e2], [1, np.log(10) / 9e8]])
    return np.linalg.solve(weights, density)


@pytest.mark.parametrize("length", [60e-9, 1e-6])
def test_noise_of_a_mirror(length):
    found = measure(BENCH, parameters(length), NgspiceEngine())["ramp_noise"]
    white, flicker = one_transistor(length)
    time = CLOCK * np.arange(1, 2**BITS)
    start = 1 / (CONVERSIONS * (40e-9 + 2**BITS * CLOCK))
    walk = white * time / 2
    drift = flicker * time**2 * (1.5 - EULER - np.log(2 * np.pi * start * time))
    variance = constants.k * 300.15 / CAP + 2 * (walk + drift) / CAP**2
    # Enough of both to tell: in the short device two fifths of the current's variance are flicker
    # noise, in the long one a fifteenth.
    assert (drift[-1] > 0.5 * walk[-1]) == (length < 100e-9)
    # The output transistor has 0.4 V more than the diode and so, at 60 nm, 7 % more
    # transconductance: of the diode's noise 14 % more variance comes through than it has, of both
    # 7 %, in the root 3.5 %. At 1 um the pole of the gates at 64 MHz shows: at the first edge,
    # 32 ns, it keeps 1.3 % away.
    np.testing.assert_allclose(found, np.sqrt(variance), rtol=0.035)
