"""Measuring on a Dask cluster that is there already, with the plan, ledger and file of any run.

Over the wire go point and sample numbers, and back come records: a worker builds circuits and runs
simulators by itself, from the recipe that a plugin brings it once. It must see the same card files
(a shared file system) and have the same engine; both are checked, and the worker that differs is
named.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import dask
import distributed
from distributed import KilledWorker, WorkerPlugin, get_worker

from imccircuit.engines.process import end_simulators
from imccircuit.errors import ImcError, SetupError, UsageError
from imccircuit.recipes.plan import Task
from imccircuit.sweeps.executors import Chunk, Job, WorkerDiedError

_CONNECT_S = 10
_FIRST_WORKER_S = 60
_LOOK_AGAIN_S = 2.0
_LOST = (OSError, TimeoutError, RuntimeError, ValueError)  # what a broken connection raises


class JobPlugin(WorkerPlugin):  # type: ignore[misc] # Dask's classes have no types
    """Brings a job to every worker, also to those that join later."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __getstate__(self) -> dict[str, Any]:
        return {"job": self._job}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._job = state["job"]
        # One engine a thread: an engine is used by one at a time.
        self._local = threading.local()

    def measure(self, tasks: Sequence[Task]) -> Chunk:
        """Measure on this worker, in this thread."""
        if not hasattr(self._local, "work"):
            self._local.work = self._job.worker()
        chunk: Chunk = self._local.work(tasks)
        return chunk


def _measure(name: str, tasks: Sequence[Task]) -> Chunk:
    """Measure with the plugin of that name; a failure says on which worker."""
    worker = get_worker()
    try:
        chunk: Chunk = worker.plugins[name].measure(tasks)
    except ImcError as error:
        raise _named(error, f"{worker.name} at {worker.address}") from None
    return chunk


def _named(error: ImcError, worker: str) -> ImcError:
    kind = SetupError if isinstance(error, SetupError) else UsageError
    return kind(f"Dask worker {worker}: {error}")


def _check(job: Job) -> str:
    """What keeps this worker from measuring; empty if nothing does."""
    try:
        job.worker()
    except ImcError as error:
        return str(error)
    return ""


class DaskExecutor:
    """Chunks for a Dask cluster; one chunk a thread of its workers.

    Parameters
    ----------
    job : what workers must know.
    scheduler : address; empty takes Dask's configuration (``DASK_SCHEDULER_ADDRESS``).

    Raises
    ------
    UsageError : no address.
    SetupError : no scheduler answers, it has no worker, or a worker lacks what it needs.
    """

    shares_fate = False

    def __init__(self, job: Job, scheduler: str) -> None:
        address = scheduler or dask.config.get("scheduler-address", None)
        if not address:
            raise UsageError("no Dask scheduler; give --scheduler tcp://HOST:8786")
        self._quiet = _Quiet()
        try:
            self._client: distributed.Client = distributed.Client(
                address, timeout=_CONNECT_S, set_as_default=False, name="imccircuit"
            )
        except _LOST as error:
            raise SetupError(f"no Dask scheduler answers at {address}: {error}") from None
        self._address = address
        self._name = f"imccircuit-{uuid.uuid4().hex}"
        self._remote: dict[Future[Chunk], distributed.Future] = {}
        self._slots, self._looked = 0, -_LOOK_AGAIN_S
        try:
            self._begin(job)
        except BaseException:
            self.close(kill=False)
            raise

    def _begin(self, job: Job) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
        except _LOST:
            text = f"the Dask scheduler at {self._address} has no worker"
            raise SetupError(f"{text}; dask worker {self._address}") from None
        for worker, why in self._client.run(_check, job, on_error="return").items():
            if why:
                raise SetupError(f"Dask worker at {worker}: {why}")
        self._client.register_plugin(JobPlugin(job), name=self._name)

    @property
    def slots(self) -> int:
        """Threads of all workers, at least 1.

        Raises
        ------
        SetupError : the scheduler is gone.
        """
        if self._client.status != "running":
            raise self._gone()
        if time.monotonic() - self._looked > _LOOK_AGAIN_S:
            try:
                self._slots = sum(self._client.nthreads().values())
            except _LOST:
                raise self._gone() from None
            self._looked = time.monotonic()
        return max(1, self._slots)

    def _gone(self) -> SetupError:
        text = f"the Dask scheduler at {self._address} is gone"
        return SetupError(f"{text}; start it again and go on with --resume")

    def submit(self, tasks: Sequence[Task]) -> Future[Chunk]:
        """Measure on a worker; Dask tries it again elsewhere if the worker goes away."""
        future: Future[Chunk] = Future()
        try:
            remote = self._client.submit(
                _measure, self._name, list(tasks), key=f"{self._name}-{uuid.uuid4().hex}"
            )
        except _LOST:
            raise self._gone() from None
        self._remote[future] = remote
        remote.add_done_callback(lambda done: self._resolve(future, done))
        return future

    def _resolve(self, future: Future[Chunk], remote: distributed.Future) -> None:
        """Called by Dask in a thread of its own."""
        self._remote.pop(future, None)
        try:
            if remote.status == "finished":
                future.set_result(remote.result())
            elif remote.status == "error":
                error = remote.exception()
                died = isinstance(error, KilledWorker)
                future.set_exception(WorkerDiedError() if died else error)
            else:
                future.set_exception(self._gone())
        except Exception as error:  # noqa: BLE001 - an exception in this thread would be lost
            future.set_exception(error)

    def restart(self) -> None:
        """Nothing to do: Dask replaces its workers."""

    def close(self, *, kill: bool) -> None:
        """Let go of the cluster; with ``kill`` end the simulators of all workers first."""
        # Each may fail because the cluster is gone, and then there is nothing to let go of.
        if self._client.status == "running":
            with contextlib.suppress(*_LOST):
                self._client.cancel(list(self._remote.values()), force=True)
            if kill:
                with contextlib.suppress(*_LOST):
                    self._client.run(end_simulators)
            with contextlib.suppress(*_LOST):
                self._client.unregister_worker_plugin(self._name)
        with contextlib.suppress(*_LOST):
            self._client.close(timeout=2)
        self._quiet.end()


class _Quiet:
    """Keeps Dask's tracebacks about lost connections off the terminal: one line of ours says it."""

    _NAMES = ("distributed", "tornado")

    def __init__(self) -> None:
        self._before = {name: logging.getLogger(name).level for name in self._NAMES}
        for name in self._NAMES:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def end(self) -> None:
        for name, level in self._before.items():
            logging.getLogger(name).setLevel(level)
