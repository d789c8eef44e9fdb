"""Vectors to codes, drawn converters and the first call, against numpy's product and aihwkit.

    python benchmarks/conversion.py

Inputs are digits of 8 bits, as drivers make them: as numbers, where numpy multiplies for us too,
and as digits, where whole numbers do.

aihwkit runs in a process of its own, of this Python or of that which `IMCCIRCUIT_BENCH_AIHWKIT`
names, on one core and on all, as ours. Both round their inputs to 8 bits within the time, which
takes aihwkit 6 to 10 % of its own. Whoever multiplies in single precision cannot be faster than
numpy's product alone: that bound stands beside the ratio.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit.metrics.adc import compute_codes
from imccircuit.surrogates.adc_levels import predict_levels
from imccircuit.surrogates.kernels.codes import code_table
from imccircuit.surrogates.kernels.digits import DigitWeights, nearest_digits
from imccircuit.surrogates.kernels.mvm import CodedProduct
from imccircuit.surrogates.kernels.noise import ConversionNoise, draw_normals

BATCH, BITS = 256, 8
# Of the rows' drivers, whose digits the inputs are.
INPUT_BITS = 8
NOISE_V = 1e-3
PEER = Path(__file__).with_name("peer_aihwkit.py")
Floats = NDArray[np.float32]


def best_of_both(
    ours: Callable[[], object], theirs: Callable[[], object], calls: int, rounds: int
) -> tuple[float, float]:
    """Shortest time a call in s of each, measured in turns so that both meet the same machine."""
    best = [np.inf, np.inf]
    for _ in range(rounds):
        for which, work in enumerate((ours, theirs)):
            started = time.perf_counter()
            for _ in range(calls):
                work()
            best[which] = min(best[which], (time.perf_counter() - started) / calls)
    return best[0], best[1]


Digits = NDArray[np.uint8]


def problem(size: int) -> tuple[Digits, Floats, NDArray[np.float64]]:
    """Digits, weights, and levels in V of a converter a column, each with errors of its own."""
    generator = np.random.default_rng(size)
    digits = generator.integers(0, 2**INPUT_BITS, (BATCH, size)).astype(np.uint8)
    most = 2 / size / (2**INPUT_BITS - 1)
    weights = (most * generator.random((size, size), dtype=np.float32)).astype(np.float32)
    ideal = np.arange(1, 2**BITS) / 2**BITS
    levels = np.sort(ideal + generator.normal(0, 0.03 / 2**BITS, (size, ideal.size)), axis=1)
    return digits, weights, levels


def row(what: str, ours: float, peer: float, name: str, least: float, errors: str) -> None:
    print(f"{what:42s} {1e6 * ours:10.1f} µs {1e6 * peer:10.1f} µs  {name:34s} "
          f"{peer / ours:6.2f} × (at least {least:g})   {errors}")  # fmt: skip


def against_the_product() -> None:
    """Codes against numpy's product alone, of any inputs and of digits."""
    for size, calls, wanted in ((128, 20, (0.6, 0.4)), (1024, 2, (0.85, 0.0))):
        digits, weights, levels = problem(size)
        inputs, product = digits.astype(np.float32), np.empty((BATCH, size), np.float32)

        def multiply(x: Floats = inputs, w: Floats = weights, out: Floats = product) -> object:
            return np.dot(x, w, out=out)

        lsb, voltage = 2.0**-BITS, digits.astype(float) @ weights.astype(float)
        exact = compute_codes(levels, voltage.T).T
        single = float(np.sqrt(np.mean((np.dot(inputs, weights) - voltage) ** 2))) / lsb
        for bits, given in ((None, inputs), (INPUT_BITS, digits)):
            run = CodedProduct(weights, code_table(levels), input_bits=bits)
            codes = run(given)
            ours_off = single
            if bits is not None:
                apart = digits.astype(float) @ (stored_weights(weights, bits) - weights)
                ours_off = float(np.sqrt(np.mean(apart**2))) / lsb
            wrong = (
                f"{int(np.sum(codes != exact))} of {codes.size} codes off; products "
                f"{ours_off:.1e}, {single:.1e} LSB rms"
            )
            for noise, least in zip((None, ConversionNoise(5, NOISE_V)), wanted, strict=True):
                ours, theirs = best_of_both(
                    lambda r=run, x=given, n=noise, c=codes: r(x, n, c), multiply, calls, 30
                )
                kind = "inputs" if bits is None else f"digits of {bits} bits"
                what = f"{BATCH} {kind}, {size}×{size}, {'noise' if noise else 'no noise'}"
                row(what, ours, theirs, "numpy's float32 product alone", least, wrong)


def stored_weights(weights: Floats, bits: int) -> NDArray[np.float64]:
    """What weights become: the products of a digit 1 in each row."""
    known = DigitWeights(weights, bits)
    pairs = known.pack(np.eye(len(weights), dtype=np.uint8))
    out = np.empty((len(pairs), weights.shape[1]), dtype=np.float32)
    known.times(pairs, out)
    return out[: len(weights)].astype(np.float64)


def against_aihwkit() -> None:
    """The torch tile of aihwkit with quantised and noisy outputs, in its own process.

    In turns with ours, so that both meet the same machine; on one core each, then on all.
    """
    python = os.environ.get("IMCCIRCUIT_BENCH_AIHWKIT")
    if not python and importlib.util.find_spec("aihwkit"):
        python = sys.executable
    if not python:
        print("aihwkit: not run; neither this Python has it nor IMCCIRCUIT_BENCH_AIHWKIT names one")
        return
    cores = len(os.sched_getaffinity(0))
    for threads in dict.fromkeys((1, cores)):
        for size, calls, least in ((128, 20, 8.0), (1024, 2, 4.0)):
            digits, weights, levels = problem(size)
            inputs = (digits / np.float32(2**INPUT_BITS - 1)).astype(np.float32)
            product, noise = np.empty((BATCH, size), np.float32), ConversionNoise(5, NOISE_V)
            run = CodedProduct(weights, code_table(levels), threads, INPUT_BITS)
            codes = run(digits)
            try:
                ours, alone, theirs, error, versions = in_turns(
                    [python, str(PEER), *map(str, (size, BATCH, BITS, threads))],
                    lambda r=run, x=inputs, n=noise, c=codes: r(
                        nearest_digits(x, INPUT_BITS), n, c
                    ),
                    lambda x=inputs, w=weights, o=product: np.dot(x, w, out=o),
                    calls,
                )
            except RuntimeError as error:
                print(f"aihwkit did not run: {error}")
                return
            exact = digits.astype(float) @ weights.astype(float)
            apart = (run(digits, noise) + 0.5) / 2**BITS - exact
            own = float(np.sqrt(np.mean(apart**2)) / np.max(np.abs(exact)))
            bound = f"rms of the largest {own:.1e}, {error:.1e}"
            if threads == 1:
                bound += f"; numpy's product alone {theirs / alone:.1f} ×"
            row(f"{BATCH} vectors, {size}×{size}, noise, {threads} core(s)", ours, theirs,
                versions, least, bound)  # fmt: skip


def in_turns(
    peer: list[str], ours: Callable[[], object], alone: Callable[[], object], calls: int
) -> tuple[float, float, float, float, str]:
    """Shortest time a call in s of ours, the product alone and the peer; its error and versions."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), peer[-1])
    with subprocess.Popen(
        peer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **threads},
    ) as process:  # fmt: skip
        best, error, versions = [np.inf] * 3, np.nan, ""
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("no pipes")
        for _ in range(30):
            for which, work in enumerate((ours, alone)):
                started = time.perf_counter()
                for _ in range(calls):
                    work()
                best[which] = min(best[which], (time.perf_counter() - started) / calls)
            try:
                print("again", file=process.stdin, flush=True)
            except BrokenPipeError:
                raise RuntimeError(" ".join(process.stderr.read().split()[-20:])) from None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(" ".join(process.stderr.read().split()[-20:]))
            answer = json.loads(line)
            best[2], error = min(best[2], answer["seconds"]), answer["error"]
            versions = f"aihwkit {answer['aihwkit']}, torch {answer['torch']}"
        process.stdin.close()
    return best[0], best[1], best[2], error, versions


def drawing() -> None:
    """10,000 SAR chips, all levels."""
    mean = np.append(2.0 ** np.arange(BITS) / 2**BITS, 0.0)

    def draw() -> NDArray[np.float64]:
        return predict_levels(mean + 1e-3 * draw_normals((10_000, BITS + 1), seed=1), BITS)

    seconds, _ = best_of_both(draw, lambda: None, 1, 3)
    print(f"{'10,000 SAR chips of 8 bit, all levels':42s} {seconds:10.3f} s   (limit 1 s)")


def first_call() -> None:
    """A new process: from the end of the imports to the first codes, kernels cached."""
    code = (
        "import time, numpy as np\n"
        "from imccircuit.surrogates.kernels.codes import code_table\n"
        "from imccircuit.surrogates.kernels.mvm import CodedProduct\n"
        "from imccircuit.surrogates.kernels.noise import ConversionNoise\n"
        "t = time.perf_counter()\n"
        "levels = np.tile(np.arange(1, 256) / 256, (8, 1))\n"
        "run = CodedProduct(np.ones((8, 8), np.float32), code_table(levels))\n"
        "run(np.ones((4, 8), np.float32), ConversionNoise(1, 0.1))\n"
        "print(time.perf_counter() - t)\n"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                             check=True).stdout)
        for _ in range(4)
    ]  # fmt: skip
    print(
        f"{'first call after import, kernels cached':42s} {min(times[1:]):10.3f} s   (limit 0.5 s)"
    )


def main() -> None:
    """Everything of this file."""
    print(f"\nvectors to codes, numpy {np.__version__}")
    against_the_product()
    against_aihwkit()
    drawing()
    first_call()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
