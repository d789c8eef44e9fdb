"""The memory of a run: an append-only ledger and small immutable shards.

A shard is written beside its place, flushed and renamed; only then its line goes into the ledger,
flushed too. So a line means that its shard is whole, whenever the process was killed, and a torn
last line means a shard that nobody counts. Nothing here grows with the length of a run but files.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from imccircuit.engines.contract import Status
from imccircuit.errors import StorageError, UsageError
from imccircuit.results.schema import TaskRecord
from imccircuit.sweeps.shards import read_shard, write_shard

_STATUSES = frozenset(int(status) for status in Status)
# point, sample, status, reason, rung, deck_sha256, wall_s, analysis_s
_ROW = (int, int, int, str, str, str, float, float)


class Ledger:
    """Work folder of one output file, held by one run at a time; `read` or `start` comes first.

    Parameters
    ----------
    output : the results file; the folder is ``<output>.work`` beside it.
    """

    def __init__(self, output: Path) -> None:
        self.folder = work_folder(output)
        self.header: dict[str, Any] = {}
        self._path = self.folder / "ledger.jsonl"
        self._lock: int | None = None
        self._shards = 0

    def __enter__(self) -> Ledger:
        self._refuse_links()
        try:
            self._lock = self._take_lock()
            os.truncate(self._lock, 0)
            os.write(self._lock, f"{os.getpid()} on {platform.node()}\n".encode())
        except BlockingIOError:
            raise UsageError(f"another run is writing {self.folder}") from None
        except OSError as error:
            self._unlock()
            raise _unwritable(self.folder, error) from None
        return self

    def _refuse_links(self) -> None:
        """Refuse a folder in which links would lead elsewhere or pipes wait for a reader."""
        inside = ("", "shards", "failed", "lock", "ledger.jsonl")
        for path, is_kind in zip(
            (self.folder / name for name in inside), (*[stat.S_ISDIR] * 3, *[stat.S_ISREG] * 2),
            strict=True,
        ):  # fmt: skip
            with contextlib.suppress(OSError):
                if not is_kind(path.lstat().st_mode):
                    raise UsageError(
                        f"{path} is not of our making; remove it, or choose another -o"
                    )

    def _take_lock(self) -> int:
        path = self.folder / "lock"
        while True:
            (self.folder / "shards").mkdir(parents=True, exist_ok=True)
            # Not inheritable: a worker or simulator that outlives us must not keep the lock.
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                _lock_alone(lock)
                if os.fstat(lock).st_ino == path.stat().st_ino:
                    return lock
            except FileNotFoundError:
                pass
            except OSError:
                os.close(lock)
                raise
            # Another run ended meanwhile and removed the folder: this lock locks nothing.
            os.close(lock)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self, take: Callable[[TaskRecord], None]) -> None:
        """Read what earlier runs recorded: the header, and each record without its arrays.

        A torn last line is cut off, so that the next one stands alone.

        Raises
        ------
        UsageError : it is damaged.
        """
        self.header = read_header(self.folder)
        there = {path.name for path in (self.folder / "shards").glob("*.npz") if path.is_file()}
        for entry in read_entries(self.folder):
            if entry["shard"] not in there:
                raise UsageError(f"{self.folder}: shard {entry['shard']} is missing; use --fresh")
            self._shards += 1
            for row in entry["records"]:
                take(_record(row))
        if self.header:
            os.truncate(self._path, _whole_bytes(self._path))

    def start(self, header: dict[str, Any]) -> None:
        """Begin anew: forget all entries and write the header.

        Raises
        ------
        StorageError : it cannot be written.
        """
        try:
            self._path.unlink(missing_ok=True)
            shutil.rmtree(self.folder / "shards", ignore_errors=True)
            shutil.rmtree(self.folder / "failed", ignore_errors=True)
            (self.folder / "shards").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        self.header, self._shards = header, 0
        self._append(header)

    def add(self, records: Sequence[TaskRecord], elapsed_s: float = 0.0) -> None:
        """Make records last: shard first, then the line.

        Parameters
        ----------
        elapsed_s : seconds since this call of the run began, for `imccircuit status`.

        Raises
        ------
        StorageError : the disk is full, or was taken away.
        """
        name = f"{self._shards:08d}.npz"
        write_shard(self.folder / "shards" / name, [record.arrays for record in records])
        rows = [
            [
                r.point,
                r.sample,
                int(r.status),
                r.reason,
                r.rung,
                r.deck_sha256,
                float(r.wall_s),
                float(r.analysis_s),
            ]
            for r in records
        ]
        self._append({"shard": name, "elapsed_s": round(elapsed_s, 3), "records": rows})
        self._shards += 1

    def _append(self, line: dict[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self._path, error) from None

    def records(self) -> Iterator[TaskRecord]:
        """All records with their arrays, one shard in memory at a time."""
        for entry in read_entries(self.folder):
            arrays = read_shard(self.folder / "shards" / entry["shard"])
            for index, row in enumerate(entry["records"]):
                yield _record(row, arrays.get(index, {}))

    def clear(self, *, keep_failed: bool) -> None:
        """Remove what the results file now holds; keep the decks of failed points if asked."""
        # The ledger first: killed in between, shards without a ledger are nobody's.
        self._path.unlink(missing_ok=True)
        if keep_failed and (self.folder / "failed").is_dir():
            shutil.rmtree(self.folder / "shards", ignore_errors=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be written: {error.strerror or error}")


def _lock_alone(lock: int) -> None:
    """Lock for this process only; a look of `imccircuit status` is waited for, a run is not.

    Raises
    ------
    BlockingIOError : another run has it.
    """
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(0.01)
        else:
            return


def _record(row: Sequence[Any], arrays: Any = None) -> TaskRecord:
    point, sample, status, reason, rung, deck_sha256, wall_s, analysis_s = row
    return TaskRecord(point, sample, Status(status), reason, rung, deck_sha256, wall_s,
                      analysis_s, arrays or {})  # fmt: skip


def work_folder(output: Path) -> Path:
    """Folder in which an unfinished run of ``output`` lives."""
    return output.with_name(output.name + ".work")


def read_header(folder: Path) -> dict[str, Any]:
    """Header of a ledger, empty if there is no ledger.

    Raises
    ------
    UsageError : it is not one of ours.
    """
    return next(_lines(folder), {})


def read_entries(folder: Path) -> Iterator[dict[str, Any]]:
    """Entries of a ledger, one at a time; a torn last line is left out.

    Raises
    ------
    UsageError : a whole line is not one of ours: somebody else wrote into it.
    """
    lines = _lines(folder)
    next(lines, None)
    yield from lines


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    path = folder / "ledger.jsonl"
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                return  # its flush never ended
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not _is_entry(entry, header=number == 0):
                raise UsageError(f"{path}: line {number + 1} is damaged; use --fresh")
            yield entry


def _whole_bytes(path: Path) -> int:
    """Length of a ledger without a torn last line."""
    with path.open("rb") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0 if size else size


def _is_entry(entry: object, *, header: bool) -> bool:
    if not isinstance(entry, dict):
        return False
    if header:
        return "digest" in entry and isinstance(entry.get("tasks"), int)
    rows = entry.get("records")
    is_named = re.fullmatch(r"\d{8,}\.npz", str(entry.get("shard"))) is not None
    is_timed = isinstance(entry.get("elapsed_s"), int | float)
    return is_named and is_timed and isinstance(rows, list) and all(_is_row(row) for row in rows)


def _is_row(row: object) -> bool:
    if not isinstance(row, list) or len(row) != len(_ROW):
        return False
    types_fit = all(isinstance(item, kind) for item, kind in zip(row, _ROW, strict=True))
    return types_fit and row[0] >= 0 and row[1] >= 0 and row[2] in _STATUSES
