"""Parts on threads: each once, whoever takes it, and failures are not lost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from imccircuit.threads import spread, spread_rows


@pytest.mark.parametrize("threads", [1, 2, 5, 50])
def test_each_part_is_done_once(threads: int) -> None:
    done: list[tuple[int, int]] = []
    spread(lambda part, thread: done.append((part, thread)), range(20), threads)
    assert sorted(part for part, _ in done) == list(range(20))
    assert {thread for _, thread in done} <= set(range(threads))
    spread(lambda part, thread: done.append((part, thread)), [], threads)
    assert len(done) == 20


@pytest.mark.parametrize(("rows", "numbers", "part"), [(0, 5, 3), (7, 3, 6), (7, 3, 1), (4, 0, 9)])
def test_stretches_of_rows_are_all_rows_once(rows: int, numbers: int, part: int) -> None:
    done: list[tuple[int, int]] = []
    spread_rows(lambda first, last: done.append((first, last)), rows, numbers, part)
    assert sorted(row for first, last in done for row in range(first, last)) == list(range(rows))
    assert all((last - first) * numbers <= max(part, numbers) for first, last in done)


def test_two_threads_work_at_the_same_time() -> None:
    # Each waits for the other: alone neither would come through.
    meet = threading.Barrier(2, timeout=30)
    spread(lambda _part, _thread: meet.wait(), range(2), 2)


def test_parts_may_spread_their_own_parts() -> None:
    done: list[int] = []

    def outer(part: int, _thread: int) -> None:
        spread(lambda inner, _: done.append(10 * part + inner), range(3), 2)

    spread(outer, range(4), 2)
    assert sorted(done) == sorted(10 * part + inner for part in range(4) for inner in range(3))


def test_what_a_part_raises_is_raised() -> None:
    done: list[int] = []

    def work(part: int, _thread: int) -> None:
        if part == 3:
            raise ValueError("three")
        time.sleep(0.001)
        done.append(part)

    for threads in (1, 2):
        with pytest.raises(ValueError, match="three"):
            spread(work, range(8), threads)
    assert 3 not in done


FORKS = """
import os, threading
from imccircuit.threads import spread, spread_rows
spread(lambda part, thread: None, range(4), 2)
child = os.fork()
meet = threading.Barrier(2, timeout=30)
spread(lambda part, thread: meet.wait(), range(2), 2)
if child:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_has_threads_of_its_own() -> None:
    # In a process without pytest's threads, which newer Pythons warn of when they fork.
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=True, timeout=100)
