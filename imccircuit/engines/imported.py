"""The engine of results that nobody simulated: numbers that came from outside."""

from __future__ import annotations

from collections.abc import Sequence

from imccircuit.benches.problem import Problem
from imccircuit.engines.contract import Outcome, Status


class ImportedEngine:
    """Solves nothing. Its name in a results file says that the numbers were brought in."""

    name = "imported"

    def versions(self) -> dict[str, str]:
        """No program decided the numbers."""
        return {"engine": "imported numbers", "version": "", "solver": "none"}

    def solve(self, problems: Sequence[Problem]) -> list[Outcome]:
        """Refuse every problem."""
        reason = "the engine imported solves nothing"
        return [Outcome(Status.REFUSED, reason=reason) for _ in problems]
