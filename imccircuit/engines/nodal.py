"""Adapter that gives the nodal solver the shape of an engine."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from imccircuit.benches.problem import Answer, OperatingPoint, Problem, Run
from imccircuit.engines.contract import Outcome, Status
from imccircuit.engines.extract import describe_unphysical
from imccircuit.errors import UsageError


class NodalEngine:
    """Solves problems that are resistive arrays, exactly; refuses all others.

    Answers the probes ``output_current``, ``drive_current`` (what a drive source takes),
    ``row_node_voltage`` and ``col_node_voltage``.
    """

    name = "nodal"

    def versions(self) -> dict[str, str]:
        """Version of the solver's library."""
        import scipy

        return {"engine": "nodal", "version": str(scipy.__version__), "solver": "superlu"}

    def solve(self, problems: Sequence[Problem]) -> list[Outcome]:
        """One outcome a problem."""
        return [self._solve_one(problem) for problem in problems]

    def _solve_one(self, problem: Problem) -> Outcome:
        from imccircuit.nodal import solve_array

        refused = _refusal(problem)
        if refused or problem.array is None or problem.row_voltage_v is None:
            return Outcome(Status.REFUSED, reason=refused)
        started = time.monotonic()
        try:
            solution = solve_array(problem.array, problem.row_voltage_v)
        except UsageError as error:
            return Outcome(Status.REFUSED, reason=str(error))
        across = solution.row_node_v - solution.col_node_v
        known = {
            "output_current": solution.output_current_a,
            "drive_current": -np.sum(problem.array.conductance_s * across, axis=2),
            "row_node_voltage": solution.row_node_v,
            "col_node_voltage": solution.col_node_v,
        }
        runs = []
        for index in range(len(problem.row_voltage_v)):
            values = {probe.name: known[probe.name][index][None] for probe in problem.probes}
            for probe in problem.probes:
                unphysical = describe_unphysical(probe, values[probe.name], index)
                if unphysical:
                    return Outcome(Status.UNPHYSICAL, reason=unphysical)
            runs.append(Run(np.zeros(1), values))
        return Outcome(
            Status.GOOD, Answer(tuple(runs)), rung="default", wall_s=time.monotonic() - started
        )


def _refusal(problem: Problem) -> str:
    """Why a problem is not one for this engine; empty if it is."""
    if (
        problem.array is None
        or problem.row_voltage_v is None
        or not isinstance(problem.analysis, OperatingPoint)
    ):
        return "the nodal engine solves linear resistive arrays only; use engine = ngspice"
    if len(problem.row_voltage_v) != len(problem.alterations):
        runs, vectors = len(problem.alterations), len(problem.row_voltage_v)
        return f"the problem has {runs} runs and {vectors} vectors of drive voltages"
    shapes = {
        "output_current": problem.array.shape[1:],
        "drive_current": problem.array.shape[:1],
        "row_node_voltage": problem.array.shape,
        "col_node_voltage": problem.array.shape,
    }
    for probe in problem.probes:
        if probe.name not in shapes:
            return f"the nodal engine does not know the probe {probe.name}"
        if probe.shape != shapes[probe.name]:
            return f"probe {probe.name} has shape {probe.shape}, not {shapes[probe.name]}"
    return ""
