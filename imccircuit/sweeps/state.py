"""What a run is asked for and how far it is."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imccircuit.engines.contract import Status
from imccircuit.results.schema import TaskRecord

Mode = Literal["new", "resume", "fresh"]
ExecutorName = Literal["local", "dask"]

# A reason may hold a number of its own; a million of them would fill the memory.
_MOST_REASONS = 200
OTHER_REASONS = "other reasons"


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


class Tally:
    """Records counted by status and by reason; its size does not grow with their number."""

    def __init__(self) -> None:
        self.counts: Counter[Status] = Counter()
        self.reasons: Counter[str] = Counter()

    def count(self, record: TaskRecord) -> None:
        """Take a record in."""
        self.counts[record.status] += 1
        if record.status is not Status.GOOD:
            reason = f"{record.status.name.lower()}: {record.reason}"
            if reason not in self.reasons and len(self.reasons) >= _MOST_REASONS:
                reason = OTHER_REASONS
            self.reasons[reason] += 1

    @property
    def done(self) -> int:
        """Number of records."""
        return self.counts.total()

    @property
    def failed(self) -> int:
        """Number of records that are not good."""
        return self.done - self.counts[Status.GOOD]


class Pace:
    """Measurements a second of the last call of a run, from the entries of its ledger."""

    def __init__(self) -> None:
        self._count = 0
        self._elapsed_s = 0.0

    def add(self, elapsed_s: float, count: int) -> None:
        """Take an entry in; a time before the last one's is that of a new call."""
        if elapsed_s < self._elapsed_s:
            self._count = 0
        self._elapsed_s = elapsed_s
        self._count += count

    @property
    def rate(self) -> float:
        """Measurements a second; 0 if nothing is known."""
        return self._count / self._elapsed_s if self._elapsed_s > 0 else 0.0


@dataclass
class Summary:
    """State of a run.

    Attributes
    ----------
    output : the results file.
    total : measurements planned.
    already : how many were done before this call.
    tally : what is recorded, by status and reason.
    elapsed_s : seconds since this call began.
    engine_s : seconds that engines spent on what is recorded.
    analysis_s : the part of them that simulators spent in analyses.
    interrupted : it was stopped, and can be resumed.
    stopped_by_max_fail : so many failed that it was not worth going on.
    """

    output: Path
    total: int
    already: int = 0
    tally: Tally = field(default_factory=Tally)
    elapsed_s: float = 0.0
    engine_s: float = 0.0
    analysis_s: float = 0.0
    interrupted: bool = False
    stopped_by_max_fail: bool = False

    @property
    def counts(self) -> Counter[Status]:
        """Number of records by status."""
        return self.tally.counts

    @property
    def reasons(self) -> Counter[str]:
        """Number of failed records by reason."""
        return self.tally.reasons

    @property
    def done(self) -> int:
        """Measurements that are recorded."""
        return self.tally.done

    @property
    def failed(self) -> int:
        """Recorded measurements that are not good."""
        return self.tally.failed

    @property
    def left(self) -> int:
        """Measurements that are not recorded yet."""
        return self.total - self.done

    @property
    def complete(self) -> bool:
        """Everything planned is recorded."""
        return self.done == self.total

    @property
    def rate(self) -> float:
        """Measurements a second in this call; 0 before the first."""
        return (self.done - self.already) / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds the rest will take at this rate; None before the first record."""
        return self.left / self.rate if self.rate > 0 else None

    def count(self, records: Iterable[TaskRecord]) -> None:
        """Take records in."""
        for record in records:
            self.tally.count(record)
            self.engine_s += record.wall_s
            self.analysis_s += record.analysis_s


class Done:
    """Which measurements are recorded: one byte each.

    Parameters
    ----------
    points, samples : size of the plan.
    """

    def __init__(self, points: int, samples: int) -> None:
        self._there: NDArray[np.bool_] = np.zeros((points, samples), dtype=np.bool_)

    def add(self, record: TaskRecord) -> None:
        """Mark a record.

        Raises
        ------
        IndexError : the plan has no such point or sample.
        """
        self._there[record.point, record.sample] = True

    def missing(self) -> Iterator[tuple[int, int]]:
        """Point and sample of all that was not recorded when it was asked for, in order."""
        flat = self._there.reshape(-1)
        for start in range(0, flat.size, 65536):
            for index in np.flatnonzero(~flat[start : start + 65536]).tolist():
                yield divmod(start + index, self._there.shape[1])


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
    memory_bytes : address space of one simulator process; 0 does not limit it.
    cores_per_point : cores that one simulator gets; so many fewer run side by side.
    use_cache : take answers from, and give them to, the cache of this user.
    executor : worker processes of this machine, or a Dask cluster.
    scheduler : address of its scheduler; empty takes what Dask's own configuration says.
    """

    jobs: int = 0
    mode: Mode = "new"
    timeout_s: float = 600.0
    max_fail_percent: float = 100.0
    memory_bytes: int = 0
    cores_per_point: int = 1
    use_cache: bool = False
    executor: ExecutorName = "local"
    scheduler: str = ""
