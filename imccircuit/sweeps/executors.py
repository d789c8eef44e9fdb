"""Where measurements are computed: in this process, or in worker processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from imccircuit.engines.process import die_with_parent
from imccircuit.engines.registry import make_engine
from imccircuit.recipes.load import Recipe
from imccircuit.recipes.plan import Plan, Task
from imccircuit.results.schema import TaskRecord
from imccircuit.sweeps.measure import measure

WorkerDiedError = BrokenProcessPool


@dataclass(frozen=True)
class Job:
    """What a worker must know to measure any point of a run.

    Attributes
    ----------
    recipe : the checked recipe, with its arrays.
    timeout_s : longest time for one problem.
    keep_failed : folder for decks of failed points.
    """

    recipe: Recipe
    timeout_s: float
    keep_failed: Path | None

    def worker(self) -> Callable[[Sequence[Task]], list[TaskRecord]]:
        """A function that measures tasks, with an engine of its own."""
        plan = Plan(self.recipe)
        engine = make_engine(
            self.recipe.common.engine, timeout_s=self.timeout_s, keep_failed=self.keep_failed
        )
        return lambda tasks: measure(plan, tasks, engine)


class Executor(Protocol):
    """Takes chunks of tasks and answers with futures."""

    slots: int

    def submit(self, tasks: Sequence[Task]) -> Future[list[TaskRecord]]:
        """Measure a chunk; the future may raise `WorkerDiedError`."""
        ...

    def restart(self) -> None:
        """Replace dead workers."""
        ...

    def close(self, *, kill: bool) -> None:
        """End: wait for nothing, and if asked kill what runs."""
        ...


class SerialExecutor:
    """Measures in this process, at once."""

    slots = 1

    def __init__(self, job: Job) -> None:
        self._work = job.worker()

    def submit(self, tasks: Sequence[Task]) -> Future[list[TaskRecord]]:
        """Measure now."""
        future: Future[list[TaskRecord]] = Future()
        future.set_result(self._work(tasks))
        return future

    def restart(self) -> None:
        """Nothing to replace."""

    def close(self, *, kill: bool) -> None:
        """Nothing to end."""


_work: Callable[[Sequence[Task]], list[TaskRecord]] | None = None


def _initialise(job: Job, parent: int) -> None:
    """Make this process a worker: it dies with its parent and leaves Ctrl-C to it."""
    global _work  # noqa: PLW0603 - a worker process has exactly one job
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _work = job.worker()


def _measure(tasks: Sequence[Task]) -> list[TaskRecord]:
    if _work is None:
        raise RuntimeError("the worker was not initialised")
    return _work(tasks)


class ProcessExecutor:
    """Worker processes, started fresh (not forked), so that they hold no lock of ours."""

    def __init__(self, job: Job, slots: int) -> None:
        self.slots = slots
        self._job = job
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.slots,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_initialise,
            initargs=(self._job, os.getpid()),
        )

    def submit(self, tasks: Sequence[Task]) -> Future[list[TaskRecord]]:
        """Measure in a worker."""
        return self._pool.submit(_measure, list(tasks))

    def restart(self) -> None:
        """Start new workers."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._start()

    def close(self, *, kill: bool) -> None:
        """Stop the workers; with ``kill`` at once, and their simulators die with them."""
        workers = list((self._pool._processes or {}).values())
        if kill:
            for worker in workers:
                worker.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
