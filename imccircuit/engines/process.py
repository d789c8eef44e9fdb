"""Running a simulator process so that it can neither hang, nor outlive its parent, nor fill memory.

The process is its own group (a terminal's Ctrl-C does not reach it; a timeout kills all of it) and
asks the kernel to be killed when its parent dies, however that dies.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO

from imccircuit.engines.halt import current_halt

_PR_SET_PDEATHSIG = 1
# A deck of a thousand runs prints some hundred kilobytes before its sentinel.
_TAIL_BYTES = 4 * 1024 * 1024
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the parent dies; to be called in the child, before anything else.

    Parameters
    ----------
    parent : process id the child expects as its parent; if it has died meanwhile, exit now.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


# Asked for death with its parent already, a shell sees that the parent had not died before that;
# nothing of a deck or a recipe is in its words.
_GUARD = """[ "$PPID" = "$1" ] || exit 1
[ "$2" = 0 ] || ulimit -v "$2" || exit 1
shift 2
exec "$@\""""


@cache
def _guard() -> tuple[str, ...] | None:
    """Programs that prepare a child and become it; None where this machine lacks one.

    What Python itself would do between fork and exec takes a true fork, which copies the tables of
    all memory of this process: 8 ms, with torch loaded 26 ms, against 2 ms for these.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or not Path(setpriv).is_absolute():
        return None
    command = (setpriv, "--pdeathsig", "KILL", "/bin/sh", "-c", _GUARD, "sh")
    try:
        tried = subprocess.run(
            [*command, str(os.getpid()), str(1 << 30), "true"],
            check=False,
            capture_output=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return command if tried.returncode == 0 else None


def _start(
    command: list[str], folder: Path, env: dict[str, str], memory_bytes: int, *files: BinaryIO
) -> subprocess.Popen[bytes]:
    _check_program(command[0], folder, env)
    parent, guard = os.getpid(), _guard()
    stdout, stderr = files
    prepare: Callable[[], None] | None = None
    if guard is None:
        # Between fork and exec it makes system calls only and takes no lock.
        prepare = partial(_prepare, parent, memory_bytes)
    else:
        limit_kib = max(1, memory_bytes // 1024) if memory_bytes else 0
        command = [*guard, str(parent), str(limit_kib), *command]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509
    )


def _check_program(name: str, folder: Path, env: dict[str, str]) -> None:
    """Say what a shell would say in words of its own."""
    if "/" not in name:
        found = shutil.which(name, path=env.get("PATH"))
    else:
        found = str(folder / name) if (folder / name).is_file() else None
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    if not os.access(found, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)


def _prepare(parent: int, memory_bytes: int) -> None:
    die_with_parent(parent)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


@dataclass(frozen=True)
class Finished:
    """A process that ended.

    Attributes
    ----------
    exit_code : as Python gives it: negative is the signal that ended it.
    timed_out : it was killed because it ran too long.
    stdout, stderr : the last 4 MiB of each.
    wall_s : seconds it ran.
    """

    exit_code: int
    timed_out: bool
    stdout: str
    stderr: str
    wall_s: float


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return file.read().decode("utf-8", "replace")


def run(
    command: list[str],
    folder: Path,
    *,
    timeout_s: float,
    env: dict[str, str],
    memory_bytes: int = 0,
) -> Finished:
    """Run ``command`` in ``folder`` and wait; at the timeout kill its whole group.

    With ``memory_bytes`` its address space is limited: what it asks for beyond is refused to it.
    Output goes to files in ``folder``: a simulator that floods its output cannot fill memory.

    Raises
    ------
    OSError : there is no such program, or it may not be run.
    """
    started = time.monotonic()
    expired = threading.Event()
    out, err = folder / "stdout.txt", folder / "stderr.txt"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = _start(command, folder, env, memory_bytes, stdout, stderr)

        def expire() -> None:
            expired.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(timeout_s, expire)
        timer.daemon = True
        try:
            timer.start()
            # Waits without reaping: until `wait` below, no other process can get its id.
            with current_halt().holding(process.pid):
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            # Also on an exception (a worker told to stop) and after a crash: none of its group is
            # left behind.
            timer.cancel()
            os.killpg(process.pid, signal.SIGKILL)
            if timer.ident is not None:
                timer.join()
            process.wait()
    return Finished(
        exit_code=process.returncode,
        timed_out=expired.is_set(),
        stdout=_tail(out),
        stderr=_tail(err),
        wall_s=time.monotonic() - started,
    )
