"""The memory of a run: an append-only ledger and small immutable shards.

A shard is written beside its place, flushed and renamed; only then its line goes into the ledger,
flushed too. So a line means that its shard is whole, whenever the process was killed, and a torn
last line means a shard that nobody counts.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from imccircuit.engines.contract import Status
from imccircuit.errors import UsageError
from imccircuit.results.schema import TaskRecord


class Ledger:
    """Work folder of one output file, held by one run at a time.

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
            (self.folder / "shards").mkdir(parents=True, exist_ok=True)
            # Not inheritable: a worker or simulator that outlives us must not keep the lock.
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(f"{self.folder} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise UsageError(f"another run is writing {self.folder}") from None
        self.header, self.entries = read_ledger(self.folder)
        return self

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
        shutil.rmtree(self.folder / "shards", ignore_errors=True)
        shutil.rmtree(self.folder / "failed", ignore_errors=True)
        (self.folder / "shards").mkdir(parents=True)
        (self.folder / "ledger.jsonl").unlink(missing_ok=True)
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
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        entry = {
            "shard": name,
            "records": [
                [r.point, r.sample, int(r.status), r.reason, r.rung, r.deck_sha256, r.wall_s]
                for r in records
            ],
        }
        self._append(entry)
        self.entries.append(entry)

    def _append(self, line: dict[str, Any]) -> None:
        with (self.folder / "ledger.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def done(self) -> set[tuple[int, int]]:
        """Point and sample of every record."""
        return {(row[0], row[1]) for entry in self.entries for row in entry["records"]}

    def records(self) -> Iterator[TaskRecord]:
        """All records with their arrays, one shard in memory at a time."""
        for entry in self.entries:
            with np.load(self.folder / "shards" / entry["shard"], allow_pickle=False) as shard:
                names = [name.partition("/") for name in shard.files]
                for index, row in enumerate(entry["records"]):
                    arrays = {
                        key: shard[f"{index}/{key}"]
                        for number, _, key in names
                        if int(number) == index
                    }
                    yield TaskRecord(
                        point=row[0],
                        sample=row[1],
                        status=Status(row[2]),
                        reason=row[3],
                        rung=row[4],
                        deck_sha256=row[5],
                        wall_s=row[6],
                        arrays=arrays,
                    )

    def clear(self, *, keep_failed: bool) -> None:
        """Remove what the results file now holds; keep the decks of failed points if asked."""
        if keep_failed and (self.folder / "failed").is_dir():
            shutil.rmtree(self.folder / "shards", ignore_errors=True)
            (self.folder / "ledger.jsonl").unlink(missing_ok=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def work_folder(output: Path) -> Path:
    """Folder in which an unfinished run of ``output`` lives."""
    return output.with_name(output.name + ".work")


def read_ledger(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and entries of a ledger; a torn last line is left out.

    Raises
    ------
    UsageError : a line before the last is no JSON: somebody else wrote into it.
    """
    path = folder / "ledger.jsonl"
    if not path.is_file():
        return {}, []
    lines = path.read_bytes().split(b"\n")
    parsed = []
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            if number < len(lines) - 1:
                raise UsageError(f"{path}: line {number + 1} is damaged; use --fresh") from None
            break
        if number == len(lines) - 1:
            break  # no newline yet: its flush never ended
        parsed.append(entry)
    if not parsed:
        return {}, []
    return parsed[0], parsed[1:]
