"""Driving benches: problems to an engine, answers back, many measurements side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from imccircuit.benches.bench import Arrays, Measurement
from imccircuit.benches.problem import Problem
from imccircuit.engines.contract import Engine, Outcome, Status
from imccircuit.engines.deck import LADDER
from imccircuit.errors import ImcError
from imccircuit.recipes.plan import Plan, Task
from imccircuit.results.schema import TaskRecord

_RUNGS = [rung.name for rung in LADDER]
# What arithmetic on a hopeless answer raises; anything else is a fault of ours and must be seen.
_MEASUREMENT_ERRORS = (ImcError, ArithmeticError, ValueError, LookupError)


@dataclass
class _Live:
    """A measurement under way."""

    task: Task
    measurement: Measurement
    problem: Problem
    label: str
    rung: int = 0
    wall_s: float = 0.0
    analysis_s: float = 0.0
    decks: list[str] = field(default_factory=list)

    def record(self, status: Status, reason: str = "") -> TaskRecord:
        return TaskRecord(
            point=self.task[0],
            sample=self.task[1],
            status=status,
            reason=" ".join(reason.split()),
            rung=_RUNGS[self.rung],
            deck_sha256=" ".join(self.decks).strip(),
            wall_s=self.wall_s,
            analysis_s=self.analysis_s,
        )


def measure(plan: Plan, tasks: Sequence[Task], engine: Engine) -> list[TaskRecord]:
    """Measure some points and samples, their problems sharing the engine's processes.

    A measurement that fails is recorded with its reason and changes no other.
    """
    records: list[TaskRecord] = []
    live: list[_Live] = []
    for task in tasks:
        started = _start(plan, task)
        (records if isinstance(started, TaskRecord) else live).append(started)  # type: ignore[arg-type]
    while live:
        outcomes = engine.solve([item.problem for item in live])
        still: list[_Live] = []
        for item, outcome in zip(live, outcomes, strict=True):
            finished = _advance(plan, item, outcome)
            if finished is None:
                still.append(item)
            else:
                records.append(finished)
        live = still
    return sorted(records, key=lambda record: (record.point, record.sample))


def _start(plan: Plan, task: Task) -> _Live | TaskRecord:
    label = plan.label(task)
    try:
        measurement = plan.recipe.bench.measure(plan.parameters(task[0]), plan.variation(*task))
        problem = next(measurement)
    except StopIteration as stop:  # numbers that were there already
        return _checked(plan, TaskRecord(*task, Status.GOOD), stop.value)
    except _MEASUREMENT_ERRORS as error:
        return TaskRecord(*task, Status.MEASUREMENT_FAILED, _why(error))
    return _Live(task, measurement, replace(problem, label=label), label)


def _advance(plan: Plan, item: _Live, outcome: Outcome) -> TaskRecord | None:
    """Hand an answer to its bench; the record if that ends the measurement."""
    item.wall_s += outcome.wall_s
    item.analysis_s += outcome.analysis_s
    item.decks.append(outcome.deck_sha256)
    item.rung = max(item.rung, _RUNGS.index(outcome.rung) if outcome.answer else 0)
    if outcome.answer is None:
        item.measurement.close()
        return item.record(outcome.status, outcome.reason)
    try:
        item.problem = replace(item.measurement.send(outcome.answer), label=item.label)
    except StopIteration as stop:
        return _checked(plan, item.record(Status.GOOD), stop.value)
    except _MEASUREMENT_ERRORS as error:
        return item.record(Status.MEASUREMENT_FAILED, _why(error))
    return None


def _checked(plan: Plan, record: TaskRecord, arrays: dict[str, Any]) -> TaskRecord:
    """The record with its arrays, checked against what the bench declares."""
    bench, parameters = plan.recipe.bench, plan.parameters(record.point)
    sizes = bench.sizes(parameters)
    declared = {variable.name: variable for variable in bench.variables(parameters)}
    if set(arrays) != set(declared):
        wrong = set(arrays) ^ set(declared)
        raise TypeError(f"bench {bench.name} declares other arrays than it returns: {wrong}")
    checked: Arrays = {}
    for name, variable in declared.items():
        dtype = np.int32 if variable.kind == "int" else np.float64
        array = np.asarray(arrays[name], dtype=dtype)
        if array.shape != tuple(sizes[dim] for dim in variable.dims):
            raise TypeError(f"bench {bench.name}: {name} has shape {array.shape}")
        good = np.isfinite(array) | np.isnan(array) if variable.missing else np.isfinite(array)
        if not np.all(good):
            reason = f"{name} is not finite"
            return replace(record, status=Status.MEASUREMENT_FAILED, reason=reason)
        checked[name] = array
    return replace(record, arrays=checked)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, ImcError) else f"{type(error).__name__}: {error}"
