"""The memory of a run: an append-only ledger and small immutable shards.

A shard is written beside its place, flushed and renamed; only then its line goes into the ledger,
flushed too. So a line means that its shard is whole, whenever the process was killed, and a torn
last line means a shard that nobody counts.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.engines.contract import Status
from imccircuit.errors import UsageError
from imccircuit.results.schema import TaskRecord

_STATUSES = frozenset(int(status) for status in Status)
# point, sample, status, reason, rung, deck_sha256, wall_s
_ROW = (int, int, int, str, str, str, float)


class Ledger:
    """Work folder of one output file, held by one run at a time; `read` or `start` comes first.

    Parameters
    ----------
    output : the results file; the folder is ``<output>.work`` beside it.
    """

    def __init__(self, output: Path) -> None:
        self.folder = work_folder(output)
        self._lock: int | None = None
        self.header: dict[str, Any] = {}
        self.entries: list[dict[str, Any]] = []

    def __enter__(self) -> Ledger:
        try:
            self._lock = self._take_lock()
        except BlockingIOError:
            raise UsageError(f"another run is writing {self.folder}") from None
        except OSError as error:
            raise UsageError(f"{self.folder} cannot be written: {error.strerror}") from None
        return self

    def _take_lock(self) -> int:
        path = self.folder / "lock"
        while True:
            (self.folder / "shards").mkdir(parents=True, exist_ok=True)
            # Not inheritable: a worker or simulator that outlives us must not keep the lock.
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_ino == path.stat().st_ino:
                    return lock
            except FileNotFoundError:
                pass
            except OSError:
                os.close(lock)
                raise
            # Another run ended meanwhile and removed the folder: this lock locks nothing.
            os.close(lock)

    def read(self) -> None:
        """Read what earlier runs recorded.

        Raises
        ------
        UsageError : it is damaged.
        """
        self.header, self.entries = read_ledger(self.folder)
        for entry in self.entries:
            if not (self.folder / "shards" / entry["shard"]).is_file():
                text = f"{self.folder}: shard {entry['shard']} is missing; use --fresh"
                raise UsageError(text)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def start(self, header: dict[str, Any]) -> None:
        """Begin anew: forget all entries and write the header."""
        (self.folder / "ledger.jsonl").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "shards", ignore_errors=True)
        shutil.rmtree(self.folder / "failed", ignore_errors=True)
        (self.folder / "shards").mkdir(parents=True, exist_ok=True)
        self.header, self.entries = header, []
        self._append(header)

    def repair(self) -> None:
        """Cut a torn last line off, so that the next one stands alone."""
        path = self.folder / "ledger.jsonl"
        lines = [json.dumps(line) for line in (self.header, *self.entries)]
        temporary = path.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def add(self, records: Sequence[TaskRecord]) -> None:
        """Make records last: shard first, then the line."""
        name = f"{len(self.entries):08d}.npz"
        path = self.folder / "shards" / name
        arrays = {
            f"{index}/{key}": array
            for index, record in enumerate(records)
            for key, array in record.arrays.items()
        }
        temporary = path.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
        entry = {
            "shard": name,
            "records": [
                [r.point, r.sample, int(r.status), r.reason, r.rung, r.deck_sha256, float(r.wall_s)]
                for r in records
            ],
        }
        self._append(entry)
        self.entries.append(entry)

    def _append(self, line: dict[str, Any]) -> None:
        path = self.folder / "ledger.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None

    def done(self) -> set[tuple[int, int]]:
        """Point and sample of every record."""
        return {(row[0], row[1]) for entry in self.entries for row in entry["records"]}

    def records(self) -> Iterator[TaskRecord]:
        """All records with their arrays, one shard in memory at a time."""
        for entry in self.entries:
            arrays = self._read_shard(entry["shard"])
            for index, row in enumerate(entry["records"]):
                yield TaskRecord(
                    point=row[0],
                    sample=row[1],
                    status=Status(row[2]),
                    reason=row[3],
                    rung=row[4],
                    deck_sha256=row[5],
                    wall_s=row[6],
                    arrays=arrays.get(index, {}),
                )

    def _read_shard(self, name: str) -> dict[int, dict[str, NDArray[Any]]]:
        """Named arrays of each record of a shard."""
        arrays: dict[int, dict[str, NDArray[Any]]] = {}
        try:
            # Opened here: numpy leaves a file open that is no archive.
            with (
                (self.folder / "shards" / name).open("rb") as file,
                np.load(file, allow_pickle=False) as shard,
            ):
                for full in shard.files:
                    number, _, key = full.partition("/")
                    arrays.setdefault(int(number), {})[key] = shard[full]
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            why = type(error).__name__
            raise UsageError(
                f"{self.folder}: shard {name} is damaged ({why}); use --fresh"
            ) from None
        return arrays

    def clear(self, *, keep_failed: bool) -> None:
        """Remove what the results file now holds; keep the decks of failed points if asked."""
        # The ledger first: killed in between, shards without a ledger are nobody's.
        (self.folder / "ledger.jsonl").unlink(missing_ok=True)
        if keep_failed and (self.folder / "failed").is_dir():
            shutil.rmtree(self.folder / "shards", ignore_errors=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def work_folder(output: Path) -> Path:
    """Folder in which an unfinished run of ``output`` lives."""
    return output.with_name(output.name + ".work")


def read_ledger(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and entries of a ledger; a torn last line is left out.

    Raises
    ------
    UsageError : a whole line is not one of ours: somebody else wrote into it.
    """
    path = folder / "ledger.jsonl"
    if not path.is_file():
        return {}, []
    lines = path.read_bytes().split(b"\n")
    parsed: list[dict[str, Any]] = []
    # What follows the last line break is a line whose flush never ended.
    for number, line in enumerate(lines[:-1]):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not _is_entry(entry, header=number == 0):
            raise UsageError(f"{path}: line {number + 1} is damaged; use --fresh")
        parsed.append(entry)
    return (parsed[0], parsed[1:]) if parsed else ({}, [])


def _is_entry(entry: object, *, header: bool) -> bool:
    if not isinstance(entry, dict):
        return False
    if header:
        return {"digest", "tasks"} <= set(entry)
    rows = entry.get("records")
    is_named = re.fullmatch(r"\d{8,}\.npz", str(entry.get("shard"))) is not None
    return is_named and isinstance(rows, list) and all(_is_row(row) for row in rows)


def _is_row(row: object) -> bool:
    if not isinstance(row, list) or len(row) != len(_ROW):
        return False
    types_fit = all(isinstance(item, kind) for item, kind in zip(row, _ROW, strict=True))
    return types_fit and row[2] in _STATUSES
