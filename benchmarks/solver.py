"""The exact solver of resistive arrays against its peers, and against the machine's own limits.

    python benchmarks/solver.py

Errors are relative to the largest current, against the sparse direct solver in double precision.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.problem import OperatingPoint, Probe, Problem
from imccircuit.circuits.crossbar import SinhCell, crossbar, output_current_vectors
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.nodal import (
    CellLaw,
    ResistiveArray,
    effective_conductance,
    solve_array,
    solve_currents,
    solve_sinh_array,
)
from imccircuit.nodal.array import segments_s
from imccircuit.versions import library_versions

# As others measured it, where the peer is not installed: it is on no package index.
_CROSSSIM_S = 9.5
V0 = 0.25
Floats = NDArray[np.float64]


def best(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def array_of(size: int) -> tuple[ResistiveArray, Floats]:
    generator = np.random.default_rng(size)
    g = generator.uniform(1e-6, 40e-6, (size, size))
    return ResistiveArray(g, r_row_ohm=1.0, r_col_ohm=1.0), generator.uniform(0, 0.2, (1, size))


def error(got: Floats, wanted: Floats) -> str:
    return f"{np.max(np.abs(np.ravel(got) - np.ravel(wanted))) / np.max(np.abs(wanted)):.0e}"


def row(what: str, ours_s: float, peer_s: float, peer: str, least: int, errors: str) -> None:
    print(f"{what:30s} {1e3 * ours_s:9.3f} ms {1e3 * peer_s:10.1f} ms  {peer:30s} "
          f"{peer_s / ours_s:7.0f} × (at least {least})   {errors}")  # fmt: skip


def ngspice(array: ResistiveArray, voltage: Floats, cell: SinhCell | None) -> tuple[float, Floats]:
    """Seconds of the whole process with KLU, and its currents."""
    cols = array.shape[1]
    probe = Probe("output_current", output_current_vectors(cols), (cols,), 1.0)
    circuit = crossbar(array, voltage[0], cell=cell)
    problem = Problem(circuit, OperatingPoint(), (probe,), options={"reltol": 1e-6})
    engine = NgspiceEngine(solver="klu")
    started = time.perf_counter()
    outcome = engine.solve([problem])[0]
    elapsed = time.perf_counter() - started
    if outcome.answer is None:
        raise RuntimeError(f"ngspice: {outcome.reason}")
    return elapsed, np.asarray(outcome.answer.runs[0].values["output_current"])


def against_badcrossbar() -> None:
    array, voltage = array_of(128)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import badcrossbar
    from importlib.metadata import version

    logging.getLogger("badcrossbar").setLevel(logging.ERROR)
    wanted = solve_array(array, voltage).output_current_a
    ours = best(lambda: solve_currents(array, voltage), 20)
    answers = []
    peer = best(
        lambda: answers.append(badcrossbar.compute(voltage.T, 1 / array.conductance_s, 1.0)), 3
    )
    found = error(answers[0].currents.output, wanted)
    row("linear 128×128", ours, peer, f"badcrossbar {version('badcrossbar')}", 300,
        f"errors {error(solve_currents(array, voltage), wanted)}, {found}")  # fmt: skip


def against_crosssim() -> None:
    array, voltage = array_of(256)
    wanted = solve_array(array, voltage).output_current_a
    ours = best(lambda: solve_currents(array, voltage), 10)
    there = importlib.util.find_spec("simulator") is not None
    note = "CrossSim, as read" + (" (it is here: not run)" if there else "")
    row("linear 256×256", ours, _CROSSSIM_S, note, 800,
        f"errors {error(solve_currents(array, voltage), wanted)}, not known")  # fmt: skip


def against_ngspice() -> None:
    array, voltage = array_of(128)
    version = NgspiceEngine().versions()["version"]
    law = CellLaw.sinh(V0)
    for name, cell, least in (("linear", None, 600), ("sinh", SinhCell(V0), 100)):
        mine = CellLaw() if cell is None else law
        if cell is None:
            wanted = solve_array(array, voltage).output_current_a
        else:
            wanted = solve_sinh_array(array, V0, voltage).output_current_a
        ours = best(lambda mine=mine: solve_currents(array, voltage, mine), 10)
        peer, found = ngspice(array, voltage, cell)
        row(f"{name} 128×128", ours, peer, f"ngspice {version} KLU, whole process", least,
            f"errors {error(solve_currents(array, voltage, mine), wanted)}, "
            f"{error(found, wanted)}")  # fmt: skip


def against_the_machine() -> None:
    """Bytes and operations a vector, against what the machine moves and does in one thread.

    An iteration of conjugate gradients reads 15 and writes 6 matrices in single precision and does
    26 operations a cell; an imbalance reads 5 and writes 2, 7 of them in the time of 13 single
    ones. The machine: a scaled sum of two vectors of 256 MB, and a product of two matrices.
    """
    from imccircuit.nodal.newton import LINEAR, Matrix, Memory, Newton

    big = np.ones(2**26, dtype=np.float32)
    out = np.empty_like(big)
    moved = 3 * big.nbytes / best(lambda: np.add(big, big, out=out), 3)
    m = np.ones((1024, 1024), dtype=np.float32)
    flops = 2 * 1024**3 / best(lambda: m @ m, 3)
    print(f"{'the machine':30s} {moved / 1e9:9.1f} GB/s {flops / 1e9:8.1f} Gflop/s, single")
    arrays = [
        (f"linear {size:4d}×{size:<4d}", *array_of(size)) for size in (64, 128, 256, 512, 1024)
    ]
    hardest = ResistiveArray(np.full((1024, 1024), 100e-6), r_row_ohm=5.0, r_col_ohm=5.0)
    arrays.append(("all LRS 1024, 5 ohm", hardest, np.full((1, 1024), 0.2)))
    for name, array, voltage in arrays:
        size = array.shape[0]
        g, wires = np.array(array.conductance_s), segments_s(array)
        matrix, memory = Matrix(array.shape).connect(wires).update(g), Memory(array.shape)
        newton = Newton(LINEAR, g, np.zeros_like(g), wires, matrix, memory)
        newton.solve(voltage[0])
        steps, iterations = newton.steps, newton.iterations
        seconds = best(lambda s=newton, v=voltage: s.solve(v[0]), 5)
        cells = size * size
        bytes_ = cells * (84 * iterations + steps * (8 * 10 + 4 * 24))
        done = cells * (26 * iterations + steps * 45)
        print(f"{name:29s} {1e3 * seconds:9.3f} ms "
              f"{iterations:3d} iterations, {steps} steps, {bytes_ / 1e6:8.1f} MB "
              f"({bytes_ / seconds / moved:5.2f} of the memory's speed), {done / 1e6:8.1f} Mflop "
              f"({done / seconds / flops:.3f} of the product's)")  # fmt: skip
    for size in (128, 256):
        array, _ = array_of(size)
        seconds = best(lambda a=array: effective_conductance(a), 2)
        print(f"effective conductance {size}×{size}     {1e3 * seconds:9.1f} ms")


def main() -> None:
    versions = library_versions()
    print("\nexact solver of resistive arrays, one vector; "
          + ", ".join(f"{name} {value}" for name, value in versions.items()))  # fmt: skip
    solve_currents(*array_of(8))  # compiled or loaded before anything is timed
    for measure in (against_badcrossbar, against_crosssim, against_ngspice, against_the_machine):
        measure()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
