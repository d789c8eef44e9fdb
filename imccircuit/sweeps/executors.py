"""Where measurements are computed: in this process, or in worker processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Protocol

from imccircuit.engines.process import die_with_parent
from imccircuit.engines.registry import EngineOptions, make_engine
from imccircuit.errors import SetupError, UsageError
from imccircuit.recipes.load import Recipe
from imccircuit.recipes.plan import Plan, Task
from imccircuit.results.schema import TaskRecord
from imccircuit.sweeps.measure import measure
from imccircuit.sweeps.state import Stopper


class WorkerDiedError(Exception):
    """The process that measured a chunk is gone, and nobody knows which measurement did it."""


DEATHS = (WorkerDiedError, BrokenProcessPool)
"""What a future raises whose worker died."""


@dataclass(frozen=True)
class Chunk:
    """Records of some tasks, and the seconds their worker needed."""

    records: list[TaskRecord]
    seconds: float


@dataclass(frozen=True)
class Job:
    """What a worker must know to measure any point of a run.

    Attributes
    ----------
    recipe : the checked recipe, with its arrays.
    digest : digest of its plan.
    options : of the engine.
    versions : of the engine that the run began with.
    """

    recipe: Recipe
    digest: str
    options: EngineOptions
    versions: Mapping[str, str]

    def worker(self) -> Callable[[Sequence[Task]], Chunk]:
        """A function that measures tasks, with an engine of its own.

        Raises
        ------
        UsageError : a card is not what it was when the run began.
        SetupError : the engine is missing here, or another one.
        """
        plan = Plan(self.recipe)
        if plan.digest != self.digest:
            raise UsageError("a card was changed while the run goes on; use --fresh")
        engine = make_engine(self.recipe.common.engine, self.options)
        if engine.versions() != dict(self.versions):
            raise SetupError(f"{_engine(engine.versions())} here, the run is of "
                             f"{_engine(self.versions)}; install the same")  # fmt: skip

        def work(tasks: Sequence[Task]) -> Chunk:
            started = time.monotonic()
            records = measure(plan, tasks, engine)
            return Chunk(records, time.monotonic() - started)

        return work


def _engine(versions: Mapping[str, str]) -> str:
    return " ".join(versions.get(key, "") for key in ("engine", "version", "solver"))


class Executor(Protocol):
    """Takes chunks of tasks and answers with futures.

    Attributes
    ----------
    slots : chunks that are measured side by side.
    shares_fate : when one worker dies, all others lose their chunks too.
    """

    shares_fate: bool

    @property
    def slots(self) -> int:
        """See above; it may change while the run goes on."""
        ...

    def submit(self, tasks: Sequence[Task]) -> Future[Chunk]:
        """Measure a chunk; this call or the future may raise `WorkerDiedError`."""
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
    shares_fate = True

    def __init__(self, job: Job, stopper: Stopper) -> None:
        self._work = job.worker()
        self._stopper = stopper

    def submit(self, tasks: Sequence[Task]) -> Future[Chunk]:
        """Measure now; the future is cancelled if a second request to stop came meanwhile."""
        future: Future[Chunk] = Future()
        try:
            with self._stopper.measuring():
                records = self._work(tasks)
        except KeyboardInterrupt:
            if self._stopper.requests < 2:
                raise
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(records)
        return future

    def restart(self) -> None:
        """Nothing to replace."""

    def close(self, *, kill: bool) -> None:
        """Nothing to end."""


# One start may fail because something else took all memory at that moment.
_MOST_STILLBORN = 3

_job: Job | None = None
_work: Callable[[Sequence[Task]], Chunk] | None = None


def _initialise(job: Job, parent: int) -> None:
    """Make this process a worker: it dies with its parent and leaves Ctrl-C to it."""
    global _job  # noqa: PLW0603 - a worker process has exactly one job
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _job = job


def _measure(tasks: Sequence[Task]) -> Chunk:
    global _work  # noqa: PLW0603 - see above
    if _job is None:
        raise RuntimeError("the worker was not initialised")
    # Not made by _initialise: what that raises breaks the pool and nobody learns why.
    if _work is None:
        _work = _job.worker()
    return _work(tasks)


class ProcessExecutor:
    """Worker processes, started fresh (not forked), so that they hold no lock of ours."""

    shares_fate = True

    def __init__(self, job: Job, slots: int) -> None:
        self.slots = slots
        self._job = job
        self._pool = self._start()
        self._hello: Future[int] | None = None
        self._stillborn = 0

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.slots,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_initialise,
            initargs=(self._job, os.getpid()),
        )

    def submit(self, tasks: Sequence[Task]) -> Future[Chunk]:
        """Measure in a worker, which may have to be started.

        Raises
        ------
        WorkerDiedError : one died and the others were ended with it; `restart`.
        """
        # A Ctrl-C goes to all processes of a terminal, also to a worker that has not come far
        # enough to ignore it: it starts with the signal blocked.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            if self._hello is None:
                self._hello = self._pool.submit(os.getpid)
            return self._pool.submit(_measure, list(tasks))
        except BrokenProcessPool:
            raise WorkerDiedError from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def restart(self) -> None:
        """Start new workers.

        Raises
        ------
        SetupError : several times in a row, workers died before they did anything.
        """
        self._pool.shutdown(wait=True, cancel_futures=True)
        alive = self._hello is not None and self._hello.done() and not self._hello.exception()
        self._stillborn = 0 if alive else self._stillborn + 1
        if self._stillborn >= _MOST_STILLBORN:
            raise SetupError(
                "worker processes die as they start; a script that runs a sweep must do so under "
                "if __name__ == '__main__', because every worker imports that script"
            )
        self._hello = None
        self._pool = self._start()

    def close(self, *, kill: bool) -> None:
        """Stop the workers; with ``kill`` at once, and their simulators die with them."""
        workers = list((self._pool._processes or {}).values())
        if kill:
            for worker in workers:
                worker.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
