"""What a run does on the workers of a Dask cluster: check, measure, and stop when told to."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from imccircuit.engines.halt import Halt
from imccircuit.errors import ImcError, SetupError, StorageError, UsageError
from imccircuit.recipes.plan import Task
from imccircuit.sweeps.executors import Chunk, Job, ProcessExecutor, WorkerDiedError
from imccircuit.versions import library_versions

_LOOK_AGAIN_S = 0.2


def check_versions(versions: Mapping[str, str], dask_worker: Worker) -> str:
    """What keeps this worker from giving the numbers of the others; empty if nothing does."""
    here = library_versions()
    wrong = [
        f"{name} {here.get(name)} here, the run is of {version}"
        for name, version in versions.items()
        if here.get(name) != version
    ]
    return f"{_name(dask_worker)}: {'; '.join(wrong)}; install the same" if wrong else ""


def check_job(job: Job, dask_worker: Worker) -> str:
    """What keeps this worker from measuring; empty if nothing does."""
    try:
        job.worker()
    except ImcError as error:
        return f"{_name(dask_worker)}: {error}"
    return ""


def _name(worker: Worker) -> str:
    return f"Dask worker {worker.name} at {worker.address}"


class JobPlugin(WorkerPlugin):  # type: ignore[misc] # Dask's classes have no types
    """Brings a job to every worker, also to those that join later.

    Dask lets a task that nobody wants any more run to its end. Here its simulators are ended: the
    run was stopped or killed, or it has lost sight of this worker and gave the task to another.
    """

    def __init__(self, job: Job, versions: Mapping[str, str]) -> None:
        self._job = job
        self._versions = dict(versions)
        # One engine a thread: an engine is used by one at a time.
        self._local = threading.local()
        self._halts: dict[str, Halt] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"job": self._job, "versions": self._versions}

    def __setstate__(self, state: dict[str, Any]) -> None:
        JobPlugin.__init__(self, state["job"], state["versions"])

    def measure(self, key: str, tasks: Sequence[Task], *, apart: bool, worker: Worker) -> Chunk:
        """Measure in this thread, or apart: in a process that may die without this one."""
        with self._halts.setdefault(key, Halt()).over():
            if apart:
                return _measure_apart(self._job, tasks, self._halts[key])
            if not hasattr(self._local, "work"):
                self._local.work = self._begin(worker)
            chunk: Chunk = self._local.work(tasks)
            return chunk

    def _begin(self, worker: Worker) -> Callable[[Sequence[Task]], Chunk]:
        # A worker that joined after the others were checked.
        if wrong := check_versions(self._versions, worker):
            raise SetupError(wrong)
        return self._job.worker()

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:  # noqa: ARG002
        """Called by Dask whenever a task changes its state."""
        if finish == "executing":
            self._halts[key] = Halt()
        elif (halt := self._halts.pop(key, None)) and finish in ("released", "cancelled"):
            halt.throw()

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - Dask's signature
        """Called by Dask when this worker ends or the run lets go of it."""
        for halt in list(self._halts.values()):
            halt.throw()


def measure_with(plugin: str, key: str, tasks: Sequence[Task], *, apart: bool) -> Chunk:
    """Measure with the plugin of that name; a failure says on which worker.

    Raises
    ------
    WorkerDiedError : measured apart, and the process that did it died.
    """
    worker = get_worker()
    try:
        chunk: Chunk = worker.plugins[plugin].measure(key, tasks, apart=apart, worker=worker)
    except ImcError as error:
        raise _named(error, _name(worker)) from None
    return chunk


def _named(error: ImcError, worker: str) -> ImcError:
    kind = type(error) if isinstance(error, SetupError | StorageError) else UsageError
    text = str(error)
    return kind(text if text.startswith(worker) else f"{worker}: {text}")


def _measure_apart(job: Job, tasks: Sequence[Task], halt: Halt) -> Chunk:
    # What a nanny starts must have no children, says multiprocessing; ours end before this call.
    multiprocessing.current_process().daemon = False
    executor = ProcessExecutor(job, 1)
    try:
        future = executor.submit(tasks)
        while True:
            try:
                return future.result(timeout=_LOOK_AGAIN_S)
            except BrokenProcessPool:
                raise WorkerDiedError from None
            except TimeoutError:
                halt.check()
    finally:
        executor.close(kill=True)
