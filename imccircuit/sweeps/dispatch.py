"""Handing out the measurements of a plan and taking their records in.

A run begins in this process, though with a simulator on every core: starting workers costs seconds,
which a small plan never earns back.
What it learns there about the time of a measurement decides whether workers are started.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import islice
from pathlib import Path

from imccircuit.engines.contract import Status
from imccircuit.engines.registry import EngineOptions
from imccircuit.errors import ImcError, SetupError
from imccircuit.recipes.plan import Plan, Task
from imccircuit.results.schema import TaskRecord
from imccircuit.sweeps.executors import (
    DEATHS,
    Chunk,
    Executor,
    Job,
    ProcessExecutor,
    SerialExecutor,
    WorkerDiedError,
)
from imccircuit.sweeps.ledger import Ledger
from imccircuit.sweeps.state import Done, Progress, RunOptions, Stopper, Summary

# A chunk is as long as this: short enough to lose little, long enough to share a process.
_CHUNK_S = 1.0
_LARGEST_CHUNK = 256
# With more workers than this it is longer in proportion: a hundred chunks a second are enough for
# the process that records, and for a scheduler.
_SHORT_CHUNK_SLOTS = 100
_FEWEST_FOR_MAX_FAIL = 20
_MOST_DEATHS = 2
# In this process: no problem longer than _TRIAL_S, no estimate from less than _TRIAL_MIN_S, and
# workers as soon as more than _WORTH_WORKERS_S is left.
_TRIAL_S = 2.0
_TRIAL_MIN_S = 0.75
_TRIAL_CHUNK = 32
_WORTH_WORKERS_S = 4.0


_LOG = logging.getLogger("imccircuit.run")


def cores() -> int:
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0))


class Dispatcher:
    """One call of a run.

    Parameters
    ----------
    plan : what is measured.
    ledger : where records go.
    done : what it holds already and is not measured again.
    summary : kept up to date.
    versions : of the engine.
    options, progress, stopper : as in `imccircuit.sweeps.run.run_plan`.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        done: Done,
        summary: Summary,
        versions: dict[str, str],
        options: RunOptions,
        progress: Progress | None,
        stopper: Stopper,
    ) -> None:
        self._plan, self._ledger, self._summary = plan, ledger, summary
        self._options, self._progress, self._stopper = options, progress, stopper
        self._versions = versions
        self._started = time.monotonic()
        self._task_s = _CHUNK_S
        self._has_learned = False
        self._tasks: Iterator[Task] = done.missing()
        self._again: deque[list[Task]] = deque()
        # Chunks that ran while a worker died: each is tried again alone, to find the guilty one.
        self._suspects: deque[list[Task]] = deque()
        self._deaths: Counter[Task] = Counter()
        # What a worker lacks; what the others measure just now is waited for.
        self._fault: ImcError | None = None
        self._running: dict[Future[Chunk], list[Task]] = {}
        self._finished: queue.SimpleQueue[Future[Chunk]] = queue.SimpleQueue()

    def work(self) -> None:
        """Measure everything that is not recorded, unless stopped."""
        try:
            if self._options.executor == "local" and self._slots() > 1:
                self._measure_here()
            if not self._summary.complete and not self._ending():
                self._measure_there()
        finally:
            self._summary.elapsed_s = time.monotonic() - self._started
        self._summary.interrupted = self._stopper.requests > 0 and not self._summary.complete

    def _slots(self) -> int:
        """Measurements side by side on this machine."""
        most = self._options.jobs or max(1, cores() // self._options.cores_per_point)
        return min(most, self._summary.left)

    def _job(self, timeout_s: float, keep_failed: Path | None, processes: int = 1) -> Job:
        options = EngineOptions(
            timeout_s=timeout_s,
            keep_failed=keep_failed,
            memory_bytes=self._options.memory_bytes,
            threads=self._options.cores_per_point,
            processes=processes,
            use_cache=self._options.use_cache,
        )
        return Job(self._plan.recipe, self._plan.digest, options, self._versions)

    def _measure_here(self) -> None:
        """Measure in this process until the rest is worth starting workers."""
        limit_s, slots = min(self._options.timeout_s, _TRIAL_S), self._slots()
        kept = self._ledger.folder / "trial"
        executor = SerialExecutor(self._job(limit_s, kept, slots), self._stopper)
        begun = time.monotonic()
        try:
            while not self._ending() and (chunk := self._chunk(1, _TRIAL_CHUNK, slots)):
                future = executor.submit(chunk)
                if future.cancelled():
                    return
                measured = future.result()
                records = measured.records
                self._learn(measured, slots)
                hasty = limit_s < self._options.timeout_s and any(
                    record.status is Status.TIMEOUT for record in records
                )
                if hasty:
                    # Not a failure yet: it has a right to the time that the user gives it.
                    bad = [r for r in records if r.status is not Status.GOOD]
                    self._again.extend([(r.point, r.sample)] for r in bad)
                    records = [r for r in records if r.status is Status.GOOD]
                elif kept.is_dir():
                    _move_files(kept, self._ledger.folder / "failed")
                self._record(records)
                self._report()
                rest_s = self._summary.left * self._task_s / slots
                spent_s = time.monotonic() - begun
                if hasty or (spent_s > _TRIAL_MIN_S and rest_s > _WORTH_WORKERS_S):
                    return
        finally:
            shutil.rmtree(kept, ignore_errors=True)

    def _measure_there(self) -> None:
        """Measure in workers, or in this process if it is alone."""
        executor = self._executor()
        kill = True
        try:
            self._loop(executor)
            kill = self._stopper.requests > 1
        finally:
            executor.close(kill=kill)

    def _executor(self) -> Executor:
        if self._options.executor == "dask":
            try:
                from imccircuit.sweeps.dask_cluster import DaskExecutor
            except ImportError as error:
                text = f"--executor dask needs {error.name}"
                raise SetupError(f'{text}; pip install "imccircuit[dask]"') from None
            # A folder for decks of failed points may not exist on another machine.
            return DaskExecutor(self._job(self._options.timeout_s, None), self._options.scheduler)
        job = self._job(self._options.timeout_s, self._ledger.folder / "failed")
        slots = self._slots()
        return ProcessExecutor(job, slots) if slots > 1 else SerialExecutor(job, self._stopper)

    def _loop(self, executor: Executor) -> None:
        while self._stopper.requests < 2:
            self._fill(executor)
            if not self._running:
                break
            lost = self._take(0.2)
            if lost:
                if executor.shares_fate:
                    # Every other future ends now, some with an answer.
                    while self._running:
                        lost += self._take(None)
                _LOG.warning("a worker died with %d measurements", sum(map(len, lost)))
                for chunks in [lost] if executor.shares_fate else [[chunk] for chunk in lost]:
                    self._blame(chunks)
                executor.restart()
            self._report()
        if self._fault:
            raise self._fault

    def _fill(self, executor: Executor) -> None:
        """Hand out chunks until every worker has one and some wait.

        Where workers share their fate, a suspect chunk runs alone.
        """
        slots = executor.slots
        most = 1 if slots == 1 else slots + 1 + slots // 8
        while len(self._running) < most and not self._ending():
            if self._suspects and executor.shares_fate:
                if self._running:
                    return
                chunk, most = self._suspects.popleft(), 1
            elif self._suspects:
                chunk = self._suspects.popleft()
            else:
                chunk = self._chunk(slots, _LARGEST_CHUNK)
            if not chunk:
                return
            try:
                future = executor.submit(chunk)
            except WorkerDiedError:
                self._again.appendleft(chunk)
                if self._running:
                    return  # their futures tell which chunks were lost
                executor.restart()
            else:
                self._running[future] = chunk
                future.add_done_callback(self._finished.put)

    def _ending(self) -> bool:
        stopped = self._stopper.requests > 0 or self._summary.stopped_by_max_fail
        return stopped or self._fault is not None

    def _chunk(self, slots: int, largest: int, side_by_side: int = 1) -> list[Task]:
        """Next tasks, as many as take about `_CHUNK_S` and leave something for all workers.

        ``side_by_side`` tasks of a chunk are measured at once, and no chunk has fewer.
        """
        if self._again:
            return self._again.popleft()
        longer = max(1.0, slots / _SHORT_CHUNK_SLOTS)
        longest_s = longer * _CHUNK_S * side_by_side
        size = min(longest_s / max(self._task_s, 1e-6), longer * largest)
        size = min(size, self._summary.left / (2 * slots))
        return list(islice(self._tasks, max(side_by_side, int(size))))

    def _learn(self, measured: Chunk, side_by_side: int = 1) -> None:
        count = len(measured.records)
        each_s = measured.seconds * min(side_by_side, max(1, count)) / max(1, count)
        self._task_s = 0.5 * self._task_s + 0.5 * each_s if self._has_learned else each_s
        self._has_learned = True

    def _take(self, timeout_s: float | None) -> list[list[Task]]:
        """Record all chunks that ended, together; those whose worker died are returned."""
        lost: list[list[Task]] = []
        records: list[TaskRecord] = []
        try:
            future = self._finished.get(timeout=timeout_s)
            while True:
                chunk = self._running.pop(future)
                if not future.cancelled():
                    try:
                        measured = future.result()
                    except DEATHS:
                        lost.append(chunk)
                    except ImcError as error:
                        _LOG.error("%s; what is in flight is finished", error)
                        self._fault = self._fault or error
                    else:
                        self._learn(measured)
                        records += measured.records
                if len(records) >= _LARGEST_CHUNK:
                    break
                future = self._finished.get_nowait()
        except queue.Empty:
            pass
        finally:
            # Also when a future raised: what others measured stays.
            self._record(records)
        return lost

    def _blame(self, chunks: list[list[Task]]) -> None:
        """Try chunks whose worker died again; give a task up that killed several workers alone."""
        if len(chunks) > 1:
            self._suspects.extend(chunks)
        elif len(chunks[0]) > 1:
            self._suspects.extend([task] for task in chunks[0])
        else:
            task = chunks[0][0]
            self._deaths[task] += 1
            if self._deaths[task] < _MOST_DEATHS:
                self._suspects.append([task])
            else:
                reason = f"its worker process died {_MOST_DEATHS} times"
                self._record([TaskRecord(*task, Status.CRASH, reason)])

    def _record(self, records: list[TaskRecord]) -> None:
        if not records:
            return
        self._ledger.add(records, time.monotonic() - self._started)
        summary = self._summary
        summary.count(records)
        for record in records:
            if record.status is not Status.GOOD:
                label = self._plan.label((record.point, record.sample))
                _LOG.warning("%s %s: %s", label, record.status.name.lower(), record.reason)
        share = 100.0 * summary.failed / summary.done
        enough = summary.done >= min(_FEWEST_FOR_MAX_FAIL, summary.total)
        if enough and share > self._options.max_fail_percent and not summary.complete:
            summary.stopped_by_max_fail = True

    def _report(self) -> None:
        self._summary.elapsed_s = time.monotonic() - self._started
        if self._progress is not None:
            self._progress(self._summary)


def _move_files(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        path.replace(target / path.name)
