"""What every engine promises, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from imccircuit.benches.problem import Answer, Problem


class Status(IntEnum):
    """State of one point and sample; the values of ``status`` in a results file."""

    GOOD = 0
    NOT_RUN = 1
    NO_CONVERGENCE = 2
    TIMEOUT = 3
    CRASH = 4
    BAD_OUTPUT = 5
    UNPHYSICAL = 6
    REFUSED = 7
    MEASUREMENT_FAILED = 8
    OUT_OF_MEMORY = 9


@dataclass(frozen=True)
class Outcome:
    """What became of one problem.

    Attributes
    ----------
    status : `Status.GOOD` if and only if ``answer`` is there.
    answer : the arrays asked for.
    reason : one line that says why it is not good; empty if it is.
    rung : name of the convergence options that gave the answer; ``default`` if none were needed.
    wall_s : time spent on it, in s; problems that share a process share its time.
    analysis_s : the part of it that the simulator spent in analyses, not in reading and writing.
    deck_sha256 : hash of the deck that was solved, without its title; empty where there is none.
    kept_deck : path of the deck kept because it failed, empty otherwise.
    """

    status: Status
    answer: Answer | None = None
    reason: str = ""
    rung: str = "default"
    wall_s: float = 0.0
    analysis_s: float = 0.0
    deck_sha256: str = ""
    kept_deck: str = ""

    def __post_init__(self) -> None:
        if (self.status is Status.GOOD) != (self.answer is not None):
            raise ValueError("an outcome has an answer if and only if it is good")


class Engine(Protocol):
    """Solves problems. One bad problem never changes the answer of another."""

    name: str

    def versions(self) -> dict[str, str]:
        """What decides the numbers: program, version, linear solver."""
        ...

    def solve(self, problems: Sequence[Problem]) -> list[Outcome]:
        """One outcome a problem, in order. Never raises for a problem that cannot be solved."""
        ...
