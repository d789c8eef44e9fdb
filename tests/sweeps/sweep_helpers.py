"""What the tests of runs share."""

import os
import time
from pathlib import Path

import h5py
import numpy as np
from sweep_bench import recipe, resistances

from imccircuit.recipes.plan import Plan
from imccircuit.sweeps.run import RunOptions, run_plan


def plan_of(count=6, samples=1, quantities=(), **circuit):
    return Plan(
        recipe(
            circuit=circuit,
            sweep=[{"circuit.resistance": resistances(count)}],
            variation={"samples": samples, "quantities": list(quantities)},
        )
    )


def run(plan, output, **options):
    stopper, progress = options.pop("stopper", None), options.pop("progress", None)
    options = {"jobs": 1, **options}
    return run_plan(plan, output, RunOptions(**options), stopper=stopper, progress=progress)


def contents(path):
    """Everything in a file but /run, as comparable values."""
    found = {}

    def take(name, item):
        if name == "run" or name.startswith("run/"):
            return
        attributes = {key: repr(value) for key, value in item.attrs.items()
                      if key not in ("REFERENCE_LIST", "DIMENSION_LIST")}  # fmt: skip
        is_data = isinstance(item, h5py.Dataset)
        data = (str(item.dtype), repr(np.asarray(item[()]).tolist())) if is_data else None
        found[name] = (attributes, data)

    with h5py.File(path) as file:
        take("", file)
        file.visititems(take)
    return found


def log_lines(path):
    return sorted(path.read_text().splitlines()) if path.exists() else []


def children(pid=None):
    """Process ids below a process (the resource tracker of multiprocessing aside)."""
    found = []
    for task in Path(f"/proc/{pid or os.getpid()}/task").glob("*/children"):
        for child in task.read_text().split():
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            if b"resource_tracker" not in command:
                found += [int(child), *children(child)]
    return found


def gone(pids, within_s):
    """Whether all processes end in time; one that only waits to be reaped has ended."""
    deadline = time.monotonic() + within_s
    while any(_state(pid) not in "ZX" for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"
