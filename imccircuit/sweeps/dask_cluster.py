"""Measuring on a Dask cluster that is there already, with the plan, ledger and file of any run.

Over the wire go point and sample numbers, and back come records: a worker builds circuits and runs
simulators by itself, from the recipe that a plugin brings it once. It must see the same card files
(a shared file system), and have the same engine and libraries; all are checked, and the worker that
differs is named.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

import dask
import distributed
from distributed import KilledWorker

from imccircuit.errors import SetupError, UsageError
from imccircuit.recipes.plan import Task
from imccircuit.sweeps.dask_worker import JobPlugin, check_job, check_versions, measure_with
from imccircuit.sweeps.executors import Chunk, Job, WorkerDiedError
from imccircuit.versions import library_versions

_CONNECT_S = 10
_FIRST_WORKER_S = 60.0
# Workers may all be gone for a while: their time in a queue of jobs is over, and others wait.
_NO_WORKER_S = 600.0
_LOOK_AGAIN_S = 2.0
# A scheduler that does not answer for so long never will.
_ANSWER_S = 60.0
_CLOSE_S = 10.0
_LOST = (OSError, TimeoutError, RuntimeError, ValueError)  # what a broken connection raises

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Sent:
    """A chunk that a worker has, or that waits for one."""

    tasks: Sequence[Task]
    future: Future[Chunk]
    remote: distributed.Future


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
        self._address = address
        self._name = f"imccircuit-{uuid.uuid4().hex}"
        self._count = 0
        self._sent: dict[str, _Sent] = {}
        self._done: queue.SimpleQueue[_Sent | None] = queue.SimpleQueue()
        # Tasks of chunks whose worker died; they are measured apart.
        self._suspects: set[Task] = set()
        self._slots, self._looked, self._worked = 0, -_LOOK_AGAIN_S, time.monotonic()
        self._quiet = _Quiet()
        try:
            self._client = _connect(address)
        except SetupError:
            self._quiet.end()
            raise
        try:
            self._begin(job)
        except BaseException:
            self.close(kill=True)
            raise

    def _begin(self, job: Job) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
        except _LOST:
            text = f"the Dask scheduler at {self._address} has no worker"
            raise SetupError(f"{text}; start some: dask worker {self._address}") from None
        versions = library_versions()
        for what, argument in ((check_versions, versions), (check_job, job)):
            found = self._ask(lambda: self._client.run(what, argument, on_error="return"))  # noqa: B023
            for worker, why in found.items():
                text = f"{why}"
                if isinstance(why, OSError):
                    continue  # it has just gone
                if isinstance(why, Exception):
                    text = f"Dask worker at {worker}: {why}"
                if text:
                    raise SetupError(" ".join(text.split()))
        plugin = JobPlugin(job, versions)
        self._ask(lambda: self._client.register_plugin(plugin, name=self._name))
        threading.Thread(target=self._collect, daemon=True).start()

    def _ask(self, call: Callable[[], _T]) -> _T:
        try:
            return _within(_ANSWER_S, call)
        except _LOST:
            raise self._gone() from None

    @property
    def slots(self) -> int:
        """Threads of all workers, at least 1.

        Raises
        ------
        SetupError : the scheduler is gone, or its workers are.
        """
        if self._client.status != "running":
            raise self._gone()
        now = time.monotonic()
        if now - self._looked > _LOOK_AGAIN_S:
            self._slots = sum(self._ask(self._client.nthreads).values())
            self._looked = now
            if self._slots:
                self._worked = now
            elif now - self._worked > _NO_WORKER_S:
                text = f"the Dask scheduler at {self._address} has had no worker"
                raise SetupError(f"{text} for {_NO_WORKER_S:g} s; go on with --resume")
        return max(1, self._slots)

    def _gone(self) -> SetupError:
        text = f"the Dask scheduler at {self._address} is gone"
        return SetupError(f"{text}; start it again and go on with --resume")

    def submit(self, tasks: Sequence[Task]) -> Future[Chunk]:
        """Measure on a worker; Dask tries it again elsewhere if the worker goes away."""
        future: Future[Chunk] = Future()
        self._count += 1
        key = f"{self._name}-{self._count}"
        apart = not self._suspects.isdisjoint(tasks)
        try:
            remote = self._client.submit(
                measure_with, self._name, key, list(tasks), apart=apart, key=key
            )
        except _LOST:
            raise self._gone() from None
        sent = _Sent(tasks, future, remote)
        self._sent[key] = sent
        remote.add_done_callback(lambda _: self._done.put(sent))
        return future

    def _collect(self) -> None:
        """Fetch what is done; a thread of its own. One request for all that is done by now."""
        while batch := _all_of(self._done):
            good = [sent for sent in batch if sent.remote.status == "finished"]
            try:
                chunks = self._client.gather([sent.remote for sent in good])
            except Exception:  # noqa: BLE001 - of one of them; each is asked alone
                good, chunks = [], []
            for sent, chunk in zip(good, chunks, strict=True):
                sent.future.set_result(chunk)
            for sent in batch:
                if not sent.future.done():
                    self._settle(sent)
                self._sent.pop(sent.remote.key, None)

    def _settle(self, sent: _Sent) -> None:
        try:
            if sent.remote.status == "finished":
                sent.future.set_result(sent.remote.result())
            elif sent.remote.status == "error":
                error = sent.remote.exception()
                if isinstance(error, KilledWorker):
                    self._suspects.update(sent.tasks)
                    error = WorkerDiedError()
                sent.future.set_exception(error)
            else:
                sent.future.set_exception(self._gone())
        except Exception:  # noqa: BLE001 - the answer was there, and is lost
            sent.future.set_exception(self._gone())

    def restart(self) -> None:
        """Nothing to do: Dask replaces its workers."""

    def close(self, *, kill: bool) -> None:  # noqa: ARG002 - nobody waits for what still runs
        """Let go of the cluster; what still runs there for us is ended."""
        # Each may fail because the cluster is gone, and then there is nothing to let go of.
        self._done.put(None)
        if self._client.status == "running":
            with contextlib.suppress(*_LOST):
                remote = [sent.remote for sent in list(self._sent.values())]
                _within(_CLOSE_S, lambda: self._client.cancel(remote, force=True))
            with contextlib.suppress(*_LOST):
                _within(_CLOSE_S, lambda: self._client.unregister_worker_plugin(self._name))
        with contextlib.suppress(*_LOST):
            _within(_CLOSE_S, lambda: self._client.close(timeout=2))
        self._quiet.end()


def _connect(address: str) -> distributed.Client:
    def connect() -> distributed.Client:
        return distributed.Client(
            address, timeout=_CONNECT_S, set_as_default=False, name="imccircuit"
        )

    try:
        # Its own limit does not hold against one who takes the connection and says nothing.
        return _within(2 * _CONNECT_S, connect)
    except (*_LOST, TypeError) as error:
        text = f"no Dask scheduler answers at {address}"
        raise SetupError(" ".join(f"{text}: {error or 'no answer'}".split())) from None


def _all_of(items: queue.SimpleQueue[_Sent | None]) -> list[_Sent]:
    """Wait for one and take all that are there; empty as soon as a None was put."""
    found: list[_Sent] = []
    with contextlib.suppress(queue.Empty):
        while item := items.get(block=not found):
            found.append(item)
        items.put(None)
    return found


def _within(timeout_s: float, call: Callable[[], _T]) -> _T:
    """The answer of a call that may never come back.

    Raises
    ------
    TimeoutError : it did not, and is left alone.
    """
    future: Future[_T] = Future()

    def answer() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            future.set_exception(error)

    threading.Thread(target=answer, daemon=True).start()
    return future.result(timeout_s)


class _Quiet:
    """Keeps Dask's tracebacks about lost connections off the terminal: one line of ours says it."""

    def __init__(self) -> None:
        logger = logging.getLogger
        names = [name for name in logging.root.manager.loggerDict if _is_dasks(name)]
        self._before = {name: logger(name).disabled for name in names}
        for name in names:
            logger(name).disabled = True

    def end(self) -> None:
        for name, disabled in self._before.items():
            logging.getLogger(name).disabled = disabled


def _is_dasks(name: str) -> bool:
    return name.partition(".")[0] in ("distributed", "tornado", "asyncio")
