"""aihwkit's torch tile with a quantised, noisy output: seconds a batch. Runs in its own Python.

python benchmarks/peer_aihwkit.py SIZE BATCH BITS
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs import TorchInferenceRPUConfig


def main() -> None:
    size, batch, bits = (int(word) for word in sys.argv[1:4])
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = TorchInferenceRPUConfig()
    config.forward.inp_res = -1
    config.forward.inp_noise = 0.0
    config.forward.out_res = 1 / 2**bits
    config.forward.out_noise = 1e-3
    config.forward.out_bound = 1.0
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    layer = AnalogLinear(size, size, bias=False, rpu_config=config).eval()
    inputs = torch.rand(batch, size)
    with torch.no_grad():
        outputs = layer(inputs)
        best = float("inf")
        for _ in range(30):
            started = time.perf_counter()
            layer(inputs)
            best = min(best, time.perf_counter() - started)
    print(json.dumps({
        "seconds": best,
        "levels": int(outputs.unique().numel()),
        "aihwkit": version("aihwkit"),
        "torch": version("torch"),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
