"""aihwkit's torch tile with quantised inputs and outputs and noise, timed on demand.

Runs in its own Python.

    python benchmarks/peer_aihwkit.py SIZE BATCH BITS THREADS

Answers each line of its input with a line of JSON: seconds of the fastest of a few calls, and the
rms error of its products over the largest of them.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs import TorchInferenceRPUConfig

CALLS = 3
INPUT_BITS = 8


def main() -> None:
    size, batch, bits, threads = (int(word) for word in sys.argv[1:5])
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    config = TorchInferenceRPUConfig()
    config.forward.inp_res = 1 / 2**INPUT_BITS
    config.forward.inp_noise = 0.0
    config.forward.out_res = 1 / 2**bits
    config.forward.out_noise = 1e-3
    config.forward.out_bound = 1.0
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    layer = AnalogLinear(size, size, bias=False, rpu_config=config).eval()
    inputs = torch.rand(batch, size)
    versions = {"aihwkit": version("aihwkit"), "torch": version("torch")}
    with torch.no_grad():
        exact = inputs.double() @ layer.get_weights()[0].double().T
        apart = layer(inputs).double() - exact
        error = float(apart.square().mean().sqrt() / exact.abs().max())
        for _ in sys.stdin:
            best = float("inf")
            for _ in range(CALLS):
                started = time.perf_counter()
                layer(inputs)
                best = min(best, time.perf_counter() - started)
            print(json.dumps({"seconds": best, "error": error, **versions}), flush=True)


if __name__ == "__main__":
    main()
