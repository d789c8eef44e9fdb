"""A run of many measurements that cost nothing, and the memory its parent needs: COUNT."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import Field

from imccircuit.benches import registry
from imccircuit.benches.bench import Bench, Measurement, Parameters, Section, Variable, Variation
from imccircuit.recipes.load import Recipe, check_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.sweeps import dispatch
from imccircuit.sweeps.run import RunOptions, run_plan


class Circuit(Section):
    """Two numbers."""

    a: int = Field(0, ge=0)
    b: int = Field(0, ge=0)


class SumParameters(Parameters):
    """Parameters of a bench that adds."""

    circuit: Circuit = Circuit()


class NoGates(Section):
    """None."""


def _measure(parameters: SumParameters, _variation: Variation) -> Measurement:
    yield from ()
    return {"total": np.full(8, parameters.circuit.a + parameters.circuit.b, dtype=np.float64)}


def _variables(_parameters: SumParameters) -> tuple[Variable, ...]:
    return (Variable("total", ("col",), "1", "sum"),)


def _sizes(_parameters: SumParameters) -> Mapping[str, int]:
    return {"col": 8}


def _coordinates(_parameters: SumParameters) -> Mapping[str, np.ndarray]:
    return {"col": np.arange(8)}


BENCH = Bench(
    name="sum", summary="for the benchmark", parameters=SumParameters, gates=NoGates,
    quantities=(), surrogate="", sizes=_sizes, variables=_variables, coordinates=_coordinates,
    measure=_measure, engines=("nodal",),
)  # fmt: skip


def recipe(tasks: int) -> Recipe:
    """A product of two axes with 100 samples at each point."""
    registry._BENCHES.modules["sum"] = __name__
    side = round((tasks / 100) ** 0.5)
    axis = {"from": 0, "to": side - 1, "steps": side}
    raw = {
        "bench": "sum", "engine": "nodal", "variation": {"samples": 100},
        "sweep": [{"circuit.a": axis}, {"circuit.b": axis}],
    }  # fmt: skip
    return check_recipe("sum", "sum.toml", "", raw)


def main() -> None:
    """Run and print the peak memory, the rate and the time."""
    plan = Plan(recipe(int(sys.argv[1])))
    dispatch._WORTH_WORKERS_S = dispatch._TRIAL_MIN_S = 0.0
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        summary = run_plan(plan, Path(folder) / "r.h5", RunOptions())
        size = (Path(folder) / "r.h5").stat().st_size
    seconds = time.perf_counter() - started
    # Not ru_maxrss: that begins with what the process had that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1e3
    sys.stdout.write(
        f"{peak:.0f} MB, {summary.done} done, {summary.failed} failed in {seconds:.0f} s "
        f"({1e6 * seconds / summary.done:.0f} µs a point), file {size / 1e6:.0f} MB\n"
    )


if __name__ == "__main__":
    sys.modules["million"] = sys.modules["__main__"]
    __name__ = "million"
    main()
