"""What `make bench` prints: ratios against peers, measured in one run on one machine."""

from __future__ import annotations

import logging
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from imccircuit.circuits.crossbar import crossbar
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.nodal import ResistiveArray, solve_array
from imccircuit.versions import library_versions

REPEATS = 5


def best_of(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Shortest of several times in s: the machine is shared, so the others hold waiting."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def array_of(size: int) -> ResistiveArray:
    generator = np.random.default_rng(size)
    conductance = generator.uniform(1e-6, 40e-6, (size, size))
    return ResistiveArray(conductance, r_row_ohm=1.0, r_col_ohm=1.0)


def objects(array: ResistiveArray) -> str:
    """The same netlist as a user would write it, an object for each resistor."""
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit("crossbar")
    rows, cols = array.shape
    for i in range(rows):
        for j in range(cols):
            before = f"w_{i}_{j - 1}" if j else f"in_{i}"
            below = f"b_{i + 1}_{j}" if i + 1 < rows else f"s_{j}"
            circuit.R(f"w_{i}_{j}", before, f"w_{i}_{j}", array.r_row_ohm)
            circuit.R(f"c_{i}_{j}", f"w_{i}_{j}", f"b_{i}_{j}", 1 / array.conductance_s[i, j])
            circuit.R(f"b_{i}_{j}", f"b_{i}_{j}", below, array.r_col_ohm)
    return str(circuit)


def row(what: str, ours: float, peer: float, peer_name: str) -> None:
    print(f"{what:46s} {ours:10.4g} s   {peer:10.4g} s  {peer_name:34s} {peer / ours:8.1f} ×")


def netlists() -> None:
    big, small = array_of(256), array_of(32)
    ours = best_of(lambda: str(crossbar(big, np.zeros(256))))
    peer = best_of(lambda: objects(small), 2) * (256 / 32) ** 2
    row("netlist 256×256 (limit 1 s)", ours, peer, "PySpice objects, from 32×32")


def nodal() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import badcrossbar

    logging.getLogger("badcrossbar").setLevel(logging.ERROR)
    array = array_of(64)
    voltage = np.random.default_rng(0).uniform(0, 0.2, (1, 64))
    ours = best_of(lambda: solve_array(array, voltage))
    resistance = 1 / array.conductance_s
    peer = best_of(lambda: badcrossbar.compute(voltage.T, resistance, 1.0), 2)
    row("exact 64×64 linear array, one vector", ours, peer, f"badcrossbar {badcrossbar.__version__}"
        if hasattr(badcrossbar, "__version__") else "badcrossbar")  # fmt: skip


def solvers() -> None:
    from imccircuit.benches.problem import OperatingPoint, Probe, Problem
    from imccircuit.circuits.crossbar import output_current_vectors

    array = array_of(64)
    voltage = np.full(64, 0.2)
    probe = Probe("output_current", output_current_vectors(64), (64,), 1.0)
    problem = Problem(crossbar(array, voltage), OperatingPoint(), (probe,))
    engine = NgspiceEngine()
    ours = best_of(lambda: engine.solve([problem]), 3)
    sparse = NgspiceEngine(solver="sparse")
    peer = best_of(lambda: sparse.solve([problem]), 1)
    row(f"ngspice 64×64, whole process ({engine.solver})", ours, peer, "the same with Sparse 1.3")


def main() -> None:
    versions = ", ".join(f"{key} {value}" for key, value in library_versions().items())
    print(f"{platform.machine()}, {platform.system()}; {versions}; best of up to {REPEATS}\n")
    print(f"{'what':46s} {'ours':>12s} {'peer':>12s}   {'peer is':34s} {'ratio':>9s}")
    for measure in (netlists, nodal, solvers):
        measure()
    sys.stdout.flush()
    # Each in a process of its own: workers and simulators start from what it has loaded.
    for name in ("solver", "conversion", "networks", "throughput"):
        path = Path(__file__).with_name(f"{name}.py")
        subprocess.run([sys.executable, str(path)], check=True)


if __name__ == "__main__":
    main()
