"""Running a plan to the end, or as far as it gets, and never doing twice what is done."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal

from imccircuit.engines.contract import Status
from imccircuit.engines.registry import make_engine
from imccircuit.errors import UsageError
from imccircuit.recipes.plan import Plan, Task
from imccircuit.results.schema import Provenance, TaskRecord
from imccircuit.results.write import write_results
from imccircuit.sweeps.executors import (
    Executor,
    Job,
    ProcessExecutor,
    SerialExecutor,
    WorkerDiedError,
)
from imccircuit.sweeps.ledger import Ledger, work_folder
from imccircuit.versions import library_versions

Mode = Literal["new", "resume", "fresh"]
Progress = Callable[["Summary"], None]

# A chunk is as long as this: short enough to lose little, long enough to share a process.
_CHUNK_S = 1.0
_LARGEST_CHUNK = 256
_FEWEST_FOR_MAX_FAIL = 20
_MOST_DEATHS = 3


class Stopper:
    """Asked once, a run drains and writes; asked twice, it kills what runs."""

    def __init__(self) -> None:
        self.requests = 0

    def request(self) -> None:
        """Ask (again) to stop."""
        self.requests += 1


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


def run_plan(
    plan: Plan,
    output: Path,
    options: RunOptions,
    *,
    progress: Progress | None = None,
    stopper: Stopper | None = None,
) -> Summary:
    """Run a plan and write its results file.

    Raises
    ------
    UsageError : unfinished work is in the way, another run holds the output, nothing can be
        written.
    SetupError : the engine is missing.
    """
    versions = {
        **make_engine(plan.recipe.common.engine).versions(),
        **library_versions(),
    }
    header = {"digest": plan.digest, "tasks": plan.tasks, "versions": versions}
    if options.mode == "resume" and output.is_file() and not _unfinished(output):
        finished = _finished_summary(plan, output)
        if finished is not None:
            return finished
    with Ledger(output) as ledger:
        _prepare(ledger, header, output, options.mode)
        summary = Summary(output, plan.tasks)
        _recount(summary, ledger)
        run = _Run(plan, ledger, summary, options, progress, stopper or Stopper())
        run.work()
        _consolidate(plan, ledger, summary, versions, options)
        if summary.complete:
            ledger.clear(keep_failed=summary.failed > 0)
    return summary


def _unfinished(output: Path) -> bool:
    return (work_folder(output) / "ledger.jsonl").is_file()


def _finished_summary(plan: Plan, output: Path) -> Summary | None:
    """Summary of a finished results file of this very plan; None if it is of another one."""
    from imccircuit.results.read import read_results

    results = read_results(output)
    if results.provenance.digest != plan.digest or not results.complete:
        raise UsageError(f"{output} holds another run (recipe, --set or cards differ); use --fresh")
    summary = Summary(output, plan.tasks, done=plan.tasks, already=plan.tasks)
    failures = results.failures()
    summary.counts[Status.GOOD] = plan.tasks - len(failures)
    for _, _, status, reason in failures:
        summary.counts[Status[status.upper()]] += 1
        summary.reasons[f"{status}: {reason}"] += 1
    return summary


def _prepare(ledger: Ledger, header: dict[str, object], output: Path, mode: Mode) -> None:
    if not ledger.header or mode == "fresh":
        ledger.start(header)
        return
    if mode == "new":
        raise UsageError(
            f"unfinished work in {work_folder(output)} "
            f"({len(ledger.done())} of {ledger.header.get('tasks')} done); use --resume or --fresh"
        )
    if ledger.header != header:
        keys = [key for key in header if ledger.header.get(key) != header[key]]
        raise UsageError(
            f"the unfinished work in {work_folder(output)} is of another recipe, card or version "
            f"({', '.join(keys)} differ); use --fresh to forget it"
        )
    ledger.repair()


def _recount(summary: Summary, ledger: Ledger) -> None:
    for entry in ledger.entries:
        summary.count(
            [TaskRecord(row[0], row[1], Status(row[2]), row[3]) for row in entry["records"]]
        )
    summary.already = summary.done


class _Run:
    """One call of `run_plan`: hands out chunks and takes records in."""

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        summary: Summary,
        options: RunOptions,
        progress: Progress | None,
        stopper: Stopper,
    ) -> None:
        self.plan, self.ledger, self.summary = plan, ledger, summary
        self.options, self.progress, self.stopper = options, progress, stopper
        self.started = time.monotonic()
        self.task_s = _CHUNK_S
        self.deaths: Counter[Task] = Counter()
        self.again: deque[list[Task]] = deque()

    def work(self) -> None:
        """Measure everything that is not recorded, unless stopped."""
        if self.summary.complete:
            return
        done = self.ledger.done()
        tasks = (task for task in map(self.plan.task, range(self.plan.tasks)) if task not in done)
        executor = self._executor()
        kill = True
        try:
            self._loop(executor, tasks)
            kill = self.stopper.requests > 1
        finally:
            executor.close(kill=kill)
            self.summary.elapsed_s = time.monotonic() - self.started

    def _executor(self) -> Executor:
        job = Job(self.plan.recipe, self.options.timeout_s, self.ledger.folder / "failed")
        left = self.summary.total - self.summary.done
        slots = min(self.options.jobs or os.cpu_count() or 1, left)
        return ProcessExecutor(job, slots) if slots > 1 else SerialExecutor(job)

    def _loop(self, executor: Executor, tasks: Iterator[Task]) -> None:
        running: dict[Future[list[TaskRecord]], tuple[list[Task], float]] = {}
        while self.stopper.requests < 2:
            while len(running) < executor.slots + 1 and not self._ending():
                chunk = self.again.popleft() if self.again else self._chunk(tasks, executor.slots)
                if not chunk:
                    break
                running[executor.submit(chunk)] = (chunk, time.monotonic())
                if executor.slots == 1:
                    break
            if not running:
                break
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            died = False
            for future in finished:
                chunk, submitted = running.pop(future)
                died |= not self._take(future, chunk, time.monotonic() - submitted)
            if died:
                for chunk, _ in running.values():
                    self.again.append(chunk)
                running.clear()
                executor.restart()
            self._report()
        self.summary.interrupted = self.stopper.requests > 0 and not self.summary.complete

    def _ending(self) -> bool:
        return self.stopper.requests > 0 or self.summary.stopped_by_max_fail

    def _chunk(self, tasks: Iterator[Task], slots: int) -> list[Task]:
        left = self.summary.total - self.summary.done
        size = min(_CHUNK_S / max(self.task_s, 1e-6), left / (2 * slots), _LARGEST_CHUNK)
        return list(islice(tasks, max(1, int(size))))

    def _take(self, future: Future[list[TaskRecord]], chunk: list[Task], seconds: float) -> bool:
        """Record a chunk's outcome; False if its worker died."""
        try:
            records = future.result()
        except WorkerDiedError:
            self._blame(chunk)
            return False
        self.task_s = 0.5 * self.task_s + 0.5 * seconds / len(chunk)
        self._record(records)
        return True

    def _blame(self, chunk: list[Task]) -> None:
        """Try a chunk whose worker died again, one task each; give a task up after three deaths."""
        for task in chunk:
            self.deaths[task] += 1
            if self.deaths[task] > _MOST_DEATHS:
                reason = f"its worker process died {_MOST_DEATHS + 1} times"
                self._record([TaskRecord(*task, Status.CRASH, reason)])
            else:
                self.again.append([task])

    def _record(self, records: list[TaskRecord]) -> None:
        self.ledger.add(records)
        self.summary.count(records)
        share = 100.0 * self.summary.failed / self.summary.done
        enough = self.summary.done >= min(_FEWEST_FOR_MAX_FAIL, self.summary.total)
        if enough and share > self.options.max_fail_percent and not self.summary.complete:
            self.summary.stopped_by_max_fail = True

    def _report(self) -> None:
        self.summary.elapsed_s = time.monotonic() - self.started
        if self.progress is not None:
            self.progress(self.summary)


def _consolidate(
    plan: Plan, ledger: Ledger, summary: Summary, versions: dict[str, str], options: RunOptions
) -> None:
    now = datetime.now(UTC)
    info: dict[str, str | float | int] = {
        "finished": now.isoformat(timespec="seconds"),
        "host": platform.node(),
        "elapsed_s": round(summary.elapsed_s, 3),
        "engine_s": round(sum(row[6] for entry in ledger.entries for row in entry["records"]), 3),
        "jobs": options.jobs or os.cpu_count() or 1,
        "resumed_from": summary.already,
    }
    provenance = Provenance(
        recipe_name=plan.recipe.name,
        recipe_text=plan.recipe.text,
        recipe_resolved=plan.resolved,
        inputs=plan.arrays,
        bench=plan.recipe.bench.name,
        title=plan.recipe.common.title,
        seed=plan.recipe.common.variation.seed,
        digest=plan.digest,
        file_hashes=plan.file_hashes,
        versions=versions,
    )
    write_results(
        summary.output,
        plan.groups,
        plan.samples,
        ledger.records(),
        provenance,
        info,
        complete=summary.complete,
    )
