"""What a run is asked for and how far it is."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from imccircuit.engines.contract import Status
from imccircuit.results.schema import TaskRecord

Mode = Literal["new", "resume", "fresh"]


class Stopper:
    """Asked once, a run drains and writes; asked twice, it kills what runs.

    `request` is made for signal handlers.
    """

    def __init__(self) -> None:
        self.requests = 0
        self._measuring: int | None = None

    def request(self) -> None:
        """Ask (again) to stop.

        Raises
        ------
        KeyboardInterrupt : asked twice while this very thread measures; that ends its simulator.
        """
        self.requests += 1
        if self.requests > 1 and self._measuring == threading.get_ident():
            raise KeyboardInterrupt

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Mark that this thread measures, and can be stopped only by an exception."""
        self._measuring = threading.get_ident()
        try:
            yield
        finally:
            self._measuring = None


@dataclass
class Summary:
    """State of a run.

    Attributes
    ----------
    output : the results file.
    total, done : measurements planned and recorded.
    already : how many of them were done before this call.
    counts : number of records by status.
    reasons : number of failed records by reason.
    elapsed_s : seconds since this call began.
    interrupted : it was stopped, and can be resumed.
    stopped_by_max_fail : so many failed that it was not worth going on.
    """

    output: Path
    total: int
    done: int = 0
    already: int = 0
    counts: Counter[Status] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    elapsed_s: float = 0.0
    interrupted: bool = False
    stopped_by_max_fail: bool = False

    @property
    def failed(self) -> int:
        """Recorded measurements that are not good."""
        return self.done - self.counts[Status.GOOD]

    @property
    def left(self) -> int:
        """Measurements that are not recorded yet."""
        return self.total - self.done

    @property
    def complete(self) -> bool:
        """Everything planned is recorded."""
        return self.done == self.total

    def count(self, records: Sequence[TaskRecord]) -> None:
        """Take records in."""
        for record in records:
            self.done += 1
            self.counts[record.status] += 1
            if record.status is not Status.GOOD:
                self.reasons[f"{record.status.name.lower()}: {record.reason}"] += 1


Progress = Callable[[Summary], None]


@dataclass(frozen=True)
class RunOptions:
    """How a plan is run.

    Attributes
    ----------
    jobs : worker processes; 0 takes the number of cores.
    mode : ``new`` refuses unfinished work, ``resume`` goes on with it, ``fresh`` forgets it.
    timeout_s : longest time for one problem.
    max_fail_percent : stop when more than this share has failed (judged from 20 records on).
    """

    jobs: int = 0
    mode: Mode = "new"
    timeout_s: float = 600.0
    max_fail_percent: float = 100.0
