"""Noise that the charge steps leave, phase by phase in ngspice, against kT/C.

Closed switches are resistors. A capacitor C that is charged through one is left with kT/C. Two
capacitors on one line, C_1 and C_2, share what both had, kT·(C_1 + C_2), by capacitance, and the
resistor moves charge of variance kT·C_1·C_2/(C_1 + C_2) between them: the voltage of C_1 has
kT·(1/C_1 − 1/(C_1 + C_2)) of that. Both together are kT·C_1 of charge on C_1 again, so after every
step each capacitor has kT·C, and an output line of ΣC that they are brought on has kT/ΣC.
"""

import shutil

import numpy as np
import pytest

from imccircuit.benches.problem import NOISE_VECTOR, Noise, Probe, Problem
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.metrics.error_budget import compute_noise_sigma
from imccircuit.metrics.grouped import GroupedGains

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed"),
]

KT = 1.380649e-23 * 300.15
UNIT, LINE, R_ON, R_LEAK = 2e-15, 0.5e-15, 2e3, 1e15


def noise(lines, node, start_hz):
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit("noise of a share")
    circuit.raw_spice = "\n".join([*lines, "Vs s 0 dc 0 ac 1", f"Rs s {node} {R_LEAK!r}"])
    # Corners are at 1/(2π·R_ON·C), 4e10 Hz, and that of the leak below 0.1 Hz.
    problem = Problem(
        circuit, Noise(node, "vs", start_hz, 1e15), (Probe("rms", (NOISE_VECTOR,), (), 1.0),),
        options={"gmin": 1e-20},
    )  # fmt: skip
    (outcome,) = NgspiceEngine().solve([problem])
    assert outcome.status is Status.GOOD, outcome.reason
    return float(outcome.answer.final("rms")[0])


def test_every_step_leaves_kt_c():
    sampled = noise([f"C1 a 0 {UNIT!r}", f"R1 a 0 {R_ON!r}"], "a", 1e3) ** 2
    assert sampled == pytest.approx(KT / UNIT, rel=1e-3, abs=0)
    # Second share: 15 units of bit columns, of 4 lines, each behind its switch, on one line.
    units = [1, 2, 4, 8]
    caps = [n * (UNIT + LINE) for n in units]
    lines = [f"Cout out 0 {UNIT!r}"]
    for index, capacitor in enumerate(caps):
        lines += [f"C{index} b{index} 0 {capacitor!r}", f"R{index} b{index} out {R_ON!r}"]
    total = sum(caps) + UNIT
    # Well above the leak's corner: what moves within the share, whose sum stays.
    moved = noise(lines, "b2", 1e3) ** 2
    assert moved == pytest.approx(KT * (1 / caps[2] - 1 / total), rel=1e-3, abs=0)
    # What is brought on the line divides by its sum: the bench's figure.
    brought = sum(KT * c for c in [*caps, UNIT]) / total**2
    gains = GroupedGains(UNIT, LINE, LINE, UNIT, 4, 4)
    assert compute_noise_sigma(gains, 1.0, 300.15) == pytest.approx(
        np.sqrt(brought), rel=1e-6, abs=0
    )
    assert moved + brought == pytest.approx(KT / caps[2], rel=1e-3, abs=0)
