"""The plain way a user would write a Monte Carlo: PySpice objects, its shared library, a loop.

Prints the seconds one pass of the loop takes. A process of its own, because a crash in the shared
library is a crash of Python.

    python benchmarks/peer_pyspice.py crossbar SIZE PASSES
    python benchmarks/peer_pyspice.py conversion PASSES
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any

import numpy as np


def _circuit_class() -> Any:
    from PySpice.Spice.Netlist import Circuit

    return Circuit


def crossbar(size: int, seed: int) -> float:
    """Build, draw and solve one crossbar; the sum of its currents."""
    circuit_class = _circuit_class()
    conductance = np.random.default_rng(seed).uniform(1e-6, 40e-6, (size, size))
    circuit = circuit_class("crossbar")
    for i in range(size):
        circuit.V(f"in_{i}", f"in_{i}", circuit.gnd, 0.2)
        for j in range(size):
            before = f"w_{i}_{j - 1}" if j else f"in_{i}"
            below = f"b_{i + 1}_{j}" if i + 1 < size else f"s_{j}"
            circuit.R(f"w_{i}_{j}", before, f"w_{i}_{j}", 1.0)
            circuit.R(f"c_{i}_{j}", f"w_{i}_{j}", f"b_{i}_{j}", 1 / conductance[i, j])
            circuit.R(f"b_{i}_{j}", f"b_{i}_{j}", below, 1.0)
    for j in range(size):
        circuit.V(f"sense_{j}", f"s_{j}", circuit.gnd, 0.0)
    simulator = circuit.simulator(
        temperature=27, nominal_temperature=27, simulator="ngspice-shared"
    )
    answer = simulator.operating_point()
    current = sum(float(answer.branches[f"vsense_{j}"][0]) for j in range(size))
    simulator.ngspice.destroy()
    return current


def conversion() -> float:
    """One closed-loop conversion of the shipped SAR ADC: one step of a bisection."""
    from imccircuit.benches.adc_parameters import AdcParameters
    from imccircuit.benches.adc_sar import SarConverter, draw_adc
    from imccircuit.benches.problem import Transient
    from imccircuit.recipes.load import load_recipe
    from imccircuit.recipes.plan import Plan

    plan = Plan(load_recipe("adc_sar8_mismatch"))
    parameters = plan.parameters(0)
    if not isinstance(parameters, AdcParameters):
        raise TypeError("the recipe is of an ADC")
    converter = SarConverter(draw_adc(parameters, plan.variation(0, 0)), 27.0)
    problem = converter.loop(np.array([0.3]))
    analysis = problem.analysis
    if not isinstance(analysis, Transient):
        raise TypeError("a conversion is a transient")
    simulator = problem.circuit.simulator(
        temperature=27, nominal_temperature=27, simulator="ngspice-shared"
    )
    simulator.options(**{key: value for key, value in problem.options.items() if value != ""})
    answer = simulator.transient(
        step_time=analysis.step_s, end_time=analysis.stop_s, max_time=analysis.max_step_s
    )
    last = float(np.asarray(answer.time)[-1])
    simulator.ngspice.destroy()
    return last


def main() -> None:
    """Time the loop, without the first pass, which loads the library."""
    logging.disable(logging.CRITICAL)
    # Its own search misses the versioned name, under which distributions install it.
    os.environ.setdefault("NGSPICE_LIBRARY_PATH", "libngspice.so.0")
    what, *numbers = sys.argv[1:]
    passes = int(numbers[-1])
    work = conversion if what == "conversion" else (lambda: crossbar(int(numbers[0]), 0))
    work()
    started = time.perf_counter()
    for _ in range(passes):
        work()
    sys.stdout.write(f"{(time.perf_counter() - started) / passes:.6g}\n")


if __name__ == "__main__":
    main()
