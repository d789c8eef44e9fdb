"""What an ngspice that ended has said: failures, want of memory, times."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Sequence

from imccircuit.engines import deck
from imccircuit.engines.contract import Status
from imccircuit.engines.extract import NotGoodError
from imccircuit.engines.process import Finished

_FAILURE = re.compile(
    r"^[^\n]*(?:^[ \t]*error\b|singular matrix|timestep too small|"
    r"run simulation\(s\) aborted|doanalyses:)[^\n]*",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_REASON = 200
_ANALYSIS_TIME = "Total analysis time"
_NO_MEMORY = re.compile(
    r"can(?:'|no)t allocate|out of memory|not enough memory|bad_alloc|failed to map segment",
    re.IGNORECASE,
)
# KLU that is refused memory says this; no true singularity is at the ground node.
_KLU_NO_MEMORY = re.compile(r"singular matrix:\s+check node 0\s*$", re.MULTILINE)


def analysis_times(said: Sequence[str], nonce: str) -> dict[int, float]:
    """Seconds of analysis that ngspice states for each problem, before the problem's sentinel."""
    times: dict[int, float] = {}
    last = 0.0
    for line in said:
        if line.startswith(_ANALYSIS_TIME):
            with contextlib.suppress(ValueError):  # a process that is killed ends anywhere
                last = float(line.rpartition("=")[2])
        elif line.startswith(f"{deck.SENTINEL} {nonce}-"):
            times[int(line.rpartition("-")[2])] = last
            last = 0.0
    return times


def check_time(ended: Finished, timeout_s: float) -> None:
    """Raise `NotGoodError` if it was killed for its time."""
    if ended.timed_out:
        raise NotGoodError(Status.TIMEOUT, f"no answer in {timeout_s:.4g} s a problem")


def check_signal(ended: Finished, memory_bytes: int) -> None:
    """Raise `NotGoodError` if a signal ended it."""
    if ended.exit_code < 0:
        hint = "; the kernel does that when memory runs out" if ended.exit_code == -9 else ""
        if memory_bytes and ended.exit_code == -signal.SIGSEGV:
            hint = f"; perhaps it needs more memory than {_size(memory_bytes)}"
        text = f"ngspice was ended by signal {-ended.exit_code}{hint}"
        raise NotGoodError(Status.CRASH, text)


def check_memory(ended: Finished, memory_bytes: int) -> None:
    """Raise `NotGoodError` if it was refused memory."""
    said = ended.stderr + ended.stdout
    refused = ended.exit_code != 0 and _NO_MEMORY.search(said)
    if refused or (memory_bytes and _KLU_NO_MEMORY.search(said)):
        limit = _size(memory_bytes) if memory_bytes else "what this machine gives"
        raise NotGoodError(Status.OUT_OF_MEMORY, f"ngspice needs more memory than {limit}")


def _size(count: int) -> str:
    return f"{count / 1e9:.4g} GB" if count >= 1e9 else f"{count / 1e6:.4g} MB"


def check_exit(ended: Finished) -> None:
    """Raise `NotGoodError` if it ended with another exit code than 0."""
    if ended.exit_code != 0:
        raise NotGoodError(Status.CRASH, f"ngspice exited with {ended.exit_code}")


def complaint_of(ended: Finished) -> str:
    """The first failure that ngspice reports, in one line; empty if there is none."""
    for text in (ended.stderr, ended.stdout):
        found = _FAILURE.search(text)
        if found is None:
            continue
        line = found.group().strip()
        if line.endswith(":"):
            # "Error on line 3 or its substitute:" says what it is about in the lines after it.
            after = text[found.end() : found.end() + _MAX_REASON].split("\n")
            line = " ".join([line, *[part.strip() for part in after if part.strip()][:2]])
        return " ".join(line.split())[:_MAX_REASON]
    return ""
