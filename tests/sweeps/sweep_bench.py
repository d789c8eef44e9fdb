"""A bench for tests: one resistor that can wait, fail, kill its process and be counted.

Every measurement that ends appends ``point-value sample`` to the file ``IMC_TEST_LOG``.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from imccircuit.benches import registry
from imccircuit.benches.bench import Bench, MeasurementError, Parameters, Section, Variable
from imccircuit.benches.problem import OperatingPoint, Probe, Problem
from imccircuit.nodal.array import ResistiveArray
from imccircuit.recipes.load import check_recipe
from imccircuit.units import SI, Resistance, Time


class Circuit(Section):
    resistance: Annotated[Resistance, Field(gt=0)] = Field(1e3, description="of the resistor")
    size: int = Field(1, ge=1, le=8, description="columns")
    extra: int = Field(0, ge=0, le=8, description="more columns; at most 8 together")
    delay: Time = 0.0
    what: Literal[
        "work", "hold", "fail", "fail_at_length", "kill", "kill_workers", "refuse", "bug"
    ] = "work"

    @model_validator(mode="after")
    def _few_columns(self):
        if self.columns > 8:
            raise ValueError(f"{self.columns} columns; allowed: up to 8")
        return self

    @property
    def columns(self):
        return self.size + self.extra


class FakeParameters(Parameters):
    circuit: Circuit = Circuit()


class FakeGates(Section):
    limit: Annotated[float, SI("")] = 0.5


def _variables(parameters):
    return (
        Variable("current", ("col",), "A", "current of each column"),
        Variable("code", (), "1", "a whole number", "int"),
        Variable("drawn", (), "1", "a number drawn for the chip"),
        Variable("other", (), "1", "another number drawn for the chip"),
    )


def _sizes(parameters):
    return {"col": parameters.circuit.columns}


def _coordinates(parameters):
    return {"col": np.arange(parameters.circuit.columns)}


def _log(parameters, variation):
    name = os.environ.get("IMC_TEST_LOG")
    if name:
        with Path(name).open("a") as file:
            file.write(f"{parameters.circuit.resistance:g} {variation.draws.sample}\n")


def _measure(parameters, variation):
    circuit = parameters.circuit
    time.sleep(circuit.delay)
    while circuit.what == "hold" and Path(os.environ["IMC_TEST_HOLD"]).exists():
        time.sleep(0.01)
    if circuit.what == "fail":
        raise MeasurementError("told to fail")
    if circuit.what == "fail_at_length":
        raise MeasurementError("told to fail and say why for longer than a page of memory " * 100)
    if circuit.what == "bug":
        raise AttributeError("a bug in a bench")
    is_worker = os.environ.get("IMC_TEST_MAIN") != str(os.getpid())
    if circuit.what == "kill" or (circuit.what == "kill_workers" and is_worker):
        os.kill(os.getpid(), signal.SIGKILL)
    array = ResistiveArray(
        np.full((1, circuit.columns), 1 / circuit.resistance),
        r_row_ohm=0.0,
        r_col_ohm=0.0,
        r_driver_ohm=0.0,
        r_sense_ohm=0.0,
    )
    names = tuple(f"i(v{k})" for k in range(circuit.columns))
    answer = yield Problem(
        circuit=None,
        analysis=OperatingPoint(),
        probes=(Probe("output_current", names, (circuit.columns,), 10.0),),
        array=None if circuit.what == "refuse" else array,
        row_voltage_v=np.ones((1, 1)),
    )
    first, second = variation.generator("drawn"), variation.generator("other")
    _log(parameters, variation)
    return {
        "current": answer.final("output_current")[0],
        "code": np.asarray(variation.draws.sample),
        "drawn": np.asarray(0.0 if first is None else first.standard_normal()),
        "other": np.asarray(0.0 if second is None else second.standard_normal()),
    }


BENCH = Bench(
    name="fake",
    summary="for tests",
    parameters=FakeParameters,
    gates=FakeGates,
    quantities=("drawn", "other"),
    surrogate="none",
    sizes=_sizes,
    variables=_variables,
    coordinates=_coordinates,
    measure=_measure,
    engines=("nodal",),
)


def register():
    """Make recipes of this bench known to this process."""
    registry._BENCHES.modules["fake"] = __name__


def recipe(**tables):
    """A checked recipe of this bench."""
    register()
    raw = {"bench": "fake", "engine": "nodal", **tables}
    try:
        return check_recipe("fake", "fake.toml", "bench = 'fake'\n", raw)
    finally:
        del registry._BENCHES.modules["fake"]


def resistances(count):
    return [f"{1000 + k} ohm" for k in range(count)]
