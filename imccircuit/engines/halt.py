"""Halting work that another thread does: its simulators are killed, and it starts no other."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class HaltedError(Exception):
    """The work was halted; nothing is wrong with what was simulated, and nobody wants it."""


class Halt:
    """A switch over one piece of work. Whoever throws it, who works gets `HaltedError`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._thrown = False

    @contextmanager
    def over(self) -> Iterator[None]:
        """Put all simulators that this thread starts meanwhile under this switch."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    @contextmanager
    def holding(self, pid: int) -> Iterator[None]:
        """Kill this group of processes when thrown; its leader must not be reaped meanwhile."""
        with self._lock:
            self._running.add(pid)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._running.discard(pid)
        self.check()

    def throw(self) -> None:
        """End the work."""
        with self._lock:
            self._thrown = True
            for pid in self._running:
                os.killpg(pid, signal.SIGKILL)

    def check(self) -> None:
        """Go on, unless it was thrown.

        Raises
        ------
        HaltedError : it was.
        """
        if self._thrown:
            raise HaltedError


_current: ContextVar[Halt] = ContextVar("halt", default=Halt())  # noqa: B039 - never thrown


def current_halt() -> Halt:
    """The switch that this thread works under; one that nobody throws if there is none."""
    return _current.get()
