"""Folders a simulator works in: gone afterwards, at the latest when the next run begins.

Who is killed cannot tidy up. So a process keeps each of its folders locked, and the kernel lets go
of the lock however the process ends: a folder whose lock can be had is nobody's. No clock and no
process id is asked, of which either may lie. Machines that share a temporary directory may have
locks of their own, so the name of a folder says whose it is, and each removes its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from imccircuit.errors import StorageError

_HOST = re.sub(r"[^a-z0-9]+", "-", platform.node().lower())[:40]
_PREFIX = f"imccircuit-scratch-{_HOST}-"
# What `tempfile` adds.
_NAME = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")
# With less room than this, output that is missing was not written for want of it.
_LEAST_FREE_BYTES = 64 * 1024
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is gone afterwards; the first one of a process removes what the dead left.

    Raises
    ------
    StorageError : it cannot be made, or what is written to it finds no room.
    """
    _remove_abandoned_once(tempfile.gettempdir())
    try:
        with contextlib.ExitStack() as stack:
            yield _made(stack)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        text = f"no room for a simulator in {tempfile.gettempdir()}: {error.strerror}"
        raise StorageError(f"{text}; set TMPDIR to another folder") from None


def check_room(folder: Path) -> None:
    """See whether there is room left where a simulator wrote.

    Raises
    ------
    StorageError : there is none, so that what is missing or torn is no fault of the simulator.
    """
    if shutil.disk_usage(folder).free < _LEAST_FREE_BYTES:
        text = f"no room for a simulator in {folder.parent}"
        raise StorageError(f"{text}: its disk is full; set TMPDIR to another folder")


def remove_abandoned(parent: Path) -> int:
    """Remove this user's scratch folders in ``parent`` whose processes have ended; how many.

    One that another process removes at the same time, or that cannot be removed, is left to it.
    Where a file system has no locks for folders (NFS), nothing is removed.
    """
    removed = 0
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    removed += _remove_if_abandoned(entry.path)
    return removed


@cache
def _remove_abandoned_once(parent: str) -> None:
    remove_abandoned(Path(parent))


def _made(stack: contextlib.ExitStack) -> Path:
    """A new folder, removed and then unlocked when the stack unwinds."""
    while True:
        with contextlib.ExitStack() as one:
            # Entered first, so it is left last: the lock outlasts the removal.
            held = one.enter_context(contextlib.ExitStack())
            folder = Path(one.enter_context(tempfile.TemporaryDirectory(prefix=_PREFIX)))
            # Between its making and its lock another process may have thought it abandoned.
            with contextlib.suppress(FileNotFoundError):
                lock = _opened(folder)
                held.callback(os.close, lock)
                with contextlib.suppress(OSError):
                    fcntl.flock(lock, fcntl.LOCK_EX)
                if os.path.samestat(folder.stat(), os.fstat(lock)):
                    stack.push(one.pop_all())
                    return folder


def _opened(folder: str | Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _remove_if_abandoned(folder: str) -> bool:
    lock = _opened(folder)
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(lock)
    return True
