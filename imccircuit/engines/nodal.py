"""Adapter that gives the nodal solver the shape of an engine."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from imccircuit.benches.problem import Answer, Problem, Run
from imccircuit.engines.contract import Outcome, Status


class NodalEngine:
    """Solves problems that are resistive arrays, exactly; refuses all others.

    Answers the probes ``output_current``, ``row_node_voltage`` and ``col_node_voltage``.
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

        if problem.array is None or problem.row_voltage_v is None:
            reason = "the nodal engine solves linear resistive arrays only; use engine = ngspice"
            return Outcome(Status.REFUSED, reason=reason)
        started = time.monotonic()
        solution = solve_array(problem.array, problem.row_voltage_v)
        known = {
            "output_current": solution.output_current_a,
            "row_node_voltage": solution.row_node_v,
            "col_node_voltage": solution.col_node_v,
        }
        foreign = [probe.name for probe in problem.probes if probe.name not in known]
        if foreign:
            return Outcome(
                Status.REFUSED, reason=f"the nodal engine does not know the probe {foreign[0]}"
            )
        runs = []
        for index in range(len(problem.row_voltage_v)):
            values = {probe.name: known[probe.name][index][None] for probe in problem.probes}
            if not all(np.all(np.isfinite(value)) for value in values.values()):
                return Outcome(Status.UNPHYSICAL, reason=f"run {index} is not finite")
            runs.append(Run(np.zeros(1), values))
        return Outcome(
            Status.GOOD, Answer(tuple(runs)), rung="default", wall_s=time.monotonic() - started
        )
