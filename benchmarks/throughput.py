"""Throughput of sweeps: overhead over ngspice itself, the plain way, a million points.

The analysis time of (a) is ngspice's own: of every circuit the "Total analysis time" that its
``rusage time`` states after the last analysis, by the wall clock. It counts what ngspice does
between the start and the end of an analysis, set-up and ordering of the matrix included, and
neither parsing nor ``alter``, ``write`` or Python. On cores that others use as well it holds
waiting, and so does the wall time: read the ratio on a machine at rest. How a deck asks for its
runs (one ``dc`` analysis for all vectors, no look at free memory at every time point) makes the
analysis time itself shorter; that shows in the time a point, and makes the ratio harder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.sweeps.dispatch import cores
from imccircuit.sweeps.run import RunOptions, Summary, run_plan

HERE = Path(__file__).parent
_CROSSBAR = ['variation.quantities=["conductance"]', "stimulus.cell_voltages=false"]
_SMALL = ["circuit.rows=4", "circuit.cols=4", "stimulus.batch=1", *_CROSSBAR]
# A bisection of one level of an 8-bit converter from one code width to 0.004 LSB.
_STEPS_OF_A_BISECTION = 8


def swept(recipe: str, samples: int, settings: list[str]) -> Summary:
    """Run a Monte Carlo with all cores and without the cache."""
    plan = Plan(load_recipe(recipe, [f"variation.samples={samples}", *settings]))
    with tempfile.TemporaryDirectory() as folder:
        return run_plan(plan, Path(folder) / "r.h5", RunOptions())


def square(size: int, batch: int) -> list[str]:
    return [f"circuit.rows={size}", f"circuit.cols={size}", f"stimulus.batch={batch}", *_CROSSBAR]


def overhead() -> None:
    """(a) wall time against the sum of ngspice's analysis times over the cores."""
    print(f"\n{'(a) against ngspice alone, ' + str(cores()) + ' cores':46s} {'a point':>10s} "
          f"{'analysis':>10s} {'ratio':>8s} {'overhead a point':>17s}")  # fmt: skip
    for name, recipe, samples, settings in (
        ("crossbar 4×4, one vector", "crossbar_ir_drop", 4000, _SMALL),
        ("crossbar 32×32, 8 vectors", "crossbar_ir_drop", 200, square(32, 8)),
        ("crossbar 64×64, 8 vectors", "crossbar_ir_drop", 40, square(64, 8)),
        ("crossbar 64×64, 64 vectors", "crossbar_ir_drop", 24, square(64, 64)),
        ("SAR ADC 8 bit, all levels", "adc_sar8_mismatch", 96, []),
        ("cells of a crossbar, 7 voltages", "rram_iv", 120, []),
    ):
        summary = swept(recipe, samples, settings)
        ideal = summary.analysis_s / cores()
        each, extra = summary.elapsed_s / samples, (summary.elapsed_s - ideal) / samples
        print(f"{name:46s} {1e3 * each:7.2f} ms {1e3 * summary.analysis_s / samples:7.2f} ms "
              f"{summary.elapsed_s / ideal:8.3f} {1e3 * extra:14.2f} ms")  # fmt: skip


def peer(*arguments: str) -> float | None:
    """Seconds a pass of PySpice's own loop; None where its shared library is missing."""
    command = [sys.executable, str(HERE / "peer_pyspice.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:]
        print(f"  PySpice's shared library did not run ({' '.join(last)[:80]})")
        return None
    return float(done.stdout.split()[-1])


def plain_way() -> None:
    """(b) against PySpice objects, its shared library, a loop and the default solver."""
    print(f"\n{'(b) Monte Carlo, a sample':46s} {'ours':>12s} {'peer':>12s}   "
          f"{'peer is':34s} {'ratio':>9s}")  # fmt: skip
    for size, passes in ((32, 3), (64, 1)):
        summary = swept("crossbar_ir_drop", 100, square(size, 1))
        theirs = peer("crossbar", str(size), str(passes))
        if theirs is not None:
            row(f"crossbar {size}×{size}, 100 samples", summary.elapsed_s / 100, theirs,
                f"PySpice shared, from {passes} samples")  # fmt: skip
    summary = swept("adc_sar8_mismatch", 200, [])
    step = peer("conversion", "20")
    if step is not None:
        theirs = step * _STEPS_OF_A_BISECTION * 255
        row("SAR mismatch, 200 samples, all levels", summary.elapsed_s / 200, theirs,
            "PySpice shared, bisected levels")  # fmt: skip


def row(what: str, ours: float, theirs: float, name: str) -> None:
    print(f"{what:46s} {ours:10.4g} s   {theirs:10.4g} s  {name:34s} {theirs / ours:8.1f} ×")


def first_result() -> None:
    """(c) from the command to the first record on disk, of a plan of 100,000 points."""
    sets = ["engine=ngspice", *_SMALL]
    axes = 'sweep=[{"circuit.driver_resistance"={from="1 ohm",to="2 ohm",steps=100}},' \
           '{"circuit.sense_resistance"={from="1 ohm",to="2 ohm",steps=100}}]'  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "imccircuit", "run", "crossbar_ir_drop", "--no-cache",
                   "--samples", "10", "-o", f"{name}/r.h5"]  # fmt: skip
        for setting in [*sets, axes]:
            command += ["--set", setting]
        started = time.perf_counter()
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        ledger = Path(name) / "r.h5.work" / "ledger.jsonl"
        while process.poll() is None and not (ledger.exists() and _lines(ledger) > 1):
            time.sleep(0.005)
        seconds = time.perf_counter() - started
        if process.poll() is not None:
            print(process.communicate()[1])
        process.send_signal(signal.SIGKILL)
        process.communicate()
    print(f"\n(c) first result of 100,000 points on disk: {seconds:.2f} s (limit 2 s)")


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def memory() -> None:
    """(d) largest memory of the parent over the length of a plan."""
    print("\n(d) memory of the parent (limit 400 MB)")
    for tasks in (10_000, 100_000, 1_000_000):
        command = [sys.executable, str(HERE / "million.py"), str(tasks)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        print(f"    {tasks:9d} points: {done.stdout.strip()}")


def main() -> None:
    """Everything of this file."""
    for measure in (overhead, plain_way, first_result, memory):
        measure()
        sys.stdout.flush()


if __name__ == "__main__":
    main()
