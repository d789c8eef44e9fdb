"""Parts of compiled work on several threads, which are kept from one call to the next.

Compiled kernels give up Python's lock, so plain threads suffice. To start them takes as long as a
small product, hence they are kept; a process that was forked has none of its parent's and starts
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from os import getpid
from typing import TypeVar

Part = TypeVar("Part")


def spread(
    work: Callable[[Part, int], None], parts: Sequence[Part], threads: int | None = None
) -> None:
    """Call ``work(part, thread)`` for all parts, ``thread`` counting from 0 within this call.

    The calling thread works too, and each takes the next part that is left, so a call from within
    another call's work needs no thread that the other one holds.

    Parameters
    ----------
    threads : at most; None: as many as numba may take (``NUMBA_NUM_THREADS``).

    Raises
    ------
    Exception : what ``work`` raises; other parts may be done or not by then.
    """
    if threads is None:
        from numba import config

        threads = int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    threads = min(threads, len(parts))
    left = iter(parts)

    def drain(thread: int) -> None:
        for part in left:
            work(part, thread)

    if threads <= 1:
        drain(0)
        return
    helpers = _helpers(getpid(), threads - 1)
    others = [helpers.submit(drain, thread) for thread in range(1, threads)]
    try:
        drain(0)
    finally:
        # What has not begun by now has nothing left to do; what has is waited for.
        begun = [other for other in others if not other.cancel()]
        failures = [failure for other in begun if (failure := other.exception()) is not None]
    if failures:
        raise failures[0]


def spread_rows(work: Callable[[int, int], None], rows: int, numbers: int, part: int) -> None:
    """Call ``work(first, last)`` for stretches of rows, about ``part`` numbers in each.

    Parameters
    ----------
    rows, numbers : how many rows there are, and how many numbers in one.
    """
    step = max(1, part // max(1, numbers))
    spread(lambda first, _thread: work(first, min(first + step, rows)), range(0, rows, step))


@lru_cache(maxsize=8)
def _helpers(process: int, threads: int) -> ThreadPoolExecutor:
    del process
    return ThreadPoolExecutor(threads, thread_name_prefix="imccircuit")
