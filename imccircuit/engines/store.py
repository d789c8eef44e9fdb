"""Answers that engines gave before, by what was asked: one SQLite file for all runs of a user.

Nothing in it is executed or unpickled. A row is written in one transaction, so that two runs may
share the file and a kill leaves it whole; a row whose checksum is wrong is forgotten. Whatever goes
wrong with the file, a run goes on without it and says so in its log.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.problem import Answer, Run
from imccircuit.errors import FileFormatError

_LOG = logging.getLogger("imccircuit.run")
_FILE = "answers-1.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, used INTEGER NOT NULL, row BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON answers (used);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
DEFAULT_LIMIT_BYTES = 4_000_000_000
# Larger answers would push out thousands of small ones.
_LARGEST_SHARE = 0.05
_CHECK_BYTES = 16
# When a row is used again: noting it more often would make every reader a writer.
_NOTE_USE_S = 3600
_WAIT_S = 10.0


@dataclass(frozen=True)
class Stored:
    """An answer and how it was found.

    Attributes
    ----------
    answer : as the engine gave it.
    rung : of convergence options that it needed.
    deck_sha256 : hash of the deck that gave it.
    """

    answer: Answer
    rung: str
    deck_sha256: str


def cache_folder() -> Path:
    """``IMCCIRCUIT_CACHE``, else ``imccircuit`` in the cache folder of this user."""
    named = os.environ.get("IMCCIRCUIT_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "imccircuit"


class AnswerStore:
    """A store in a folder, made when first written to.

    Parameters
    ----------
    folder : where its file lies.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / _FILE
        self._connection: sqlite3.Connection | None = None
        self._is_off = False

    @classmethod
    def of_user(cls) -> AnswerStore:
        """The store of this user."""
        return cls(cache_folder())

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Stored]:
        """What is stored under these keys."""
        found: dict[bytes, Stored] = {}
        with self._using() as connection:
            if connection is None:
                return found
            now, used = int(time.time()), []
            for key in keys:
                row = connection.execute(
                    "SELECT row, used FROM answers WHERE key = ?", (key,)
                ).fetchone()
                if row is None:
                    continue
                stored = _unpack(row[0])
                if stored is None:
                    _LOG.warning("cache: a damaged answer is forgotten")
                    connection.execute("DELETE FROM answers WHERE key = ?", (key,))
                    continue
                found[key] = stored
                if abs(now - row[1]) > _NOTE_USE_S:
                    used.append((now, key))
            connection.executemany("UPDATE answers SET used = ? WHERE key = ?", used)
            connection.commit()
        return found

    def put(self, answers: Mapping[bytes, Stored]) -> None:
        """Store answers, and forget those unused for longest if there are too many."""
        with self._using() as connection:
            if connection is None:
                return
            limit = _limit(connection)
            now = int(time.time())
            rows = ((key, now, _pack(stored)) for key, stored in answers.items())
            fitting = [row for row in rows if len(row[2]) <= _LARGEST_SHARE * limit]
            connection.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", fitting)
            connection.commit()
            _evict(connection, limit)

    def set_limit(self, limit_bytes: int) -> None:
        """Change the size the file may have; what is too much is forgotten at once."""
        with self._using() as connection:
            if connection is not None:
                row = ("limit", limit_bytes)
                connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", row)
                connection.commit()
                _evict(connection, limit_bytes)
                connection.execute("VACUUM")

    def usage(self) -> tuple[int, int, int]:
        """Number of answers, bytes they take, bytes they may take."""
        if not self.path.is_file():
            return 0, 0, DEFAULT_LIMIT_BYTES
        with self._using() as connection:
            if connection is None:
                raise FileFormatError(f"{self.path}: cannot be read; imccircuit cache --clear")
            (count,) = connection.execute("SELECT count(*) FROM answers").fetchone()
            return count, _used_bytes(connection), _limit(connection)
        raise FileFormatError(f"{self.path}: cannot be read; imccircuit cache --clear")

    def clear(self) -> None:
        """Forget all answers, whatever state the file is in; the limit goes with it."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection | None]:
        """The connection; None, now and later, once anything is wrong with it."""
        try:
            if self._connection is None and not self._is_off:
                self._connection = _connect(self.path)
        except (sqlite3.Error, OSError) as error:
            self._turn_off(error)
        try:
            yield self._connection
        except (sqlite3.Error, OSError) as error:
            self._turn_off(error)

    def _turn_off(self, error: Exception) -> None:
        self._is_off = True
        _LOG.warning("cache: %s is not used: %s", self.path, error)
        with contextlib.suppress(sqlite3.Error):
            self.close()
        self._connection = None


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Dask calls from a thread that is not always the same; each engine is used by one at a time.
    connection = sqlite3.connect(path, timeout=_WAIT_S, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_TABLES)
    # Of our making it has tables and an index; anything else would be run along with our queries.
    foreign = "SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')"
    if connection.execute(foreign).fetchone() != (0,):
        connection.close()
        raise sqlite3.DatabaseError("it holds views or triggers")
    return connection


def _limit(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM settings WHERE name = 'limit'").fetchone()
    return int(row[0]) if row else DEFAULT_LIMIT_BYTES


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _evict(connection: sqlite3.Connection, limit_bytes: int) -> None:
    """Forget the least recently used tenth, until the rest fits."""
    while _used_bytes(connection) > limit_bytes:
        (count,) = connection.execute("SELECT count(*) FROM answers").fetchone()
        if count == 0:
            return
        connection.execute(
            "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY used LIMIT ?)",
            (max(1, count // 10),),
        )
        connection.commit()


def _pack(stored: Stored) -> bytes:
    """Checksum, length of the header, header, and all arrays end to end."""
    runs = stored.answer.runs
    shapes = {name: array.shape[1:] for name, array in runs[0].values.items()}
    header = {
        "rung": stored.rung,
        "deck": stored.deck_sha256,
        "steps": [run.axis.size for run in runs],
        "shapes": shapes,
    }
    head = json.dumps(header).encode()
    parts = [len(head).to_bytes(8, "little"), head]
    for run in runs:
        for array in (run.axis, *(run.values[name] for name in shapes)):
            parts.append(np.ascontiguousarray(array, dtype=np.float64).tobytes())
    body = b"".join(parts)
    return _check(body) + body


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES).digest()


def _unpack(row: bytes) -> Stored | None:
    """What `_pack` packed; None if it was changed since."""
    body = row[_CHECK_BYTES:]
    if _check(body) != row[:_CHECK_BYTES]:
        return None
    try:
        return _parse(body)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError):
        return None  # not packed here


def _parse(body: bytes) -> Stored:
    size = int.from_bytes(body[:8], "little")
    header = json.loads(body[8 : 8 + size])
    numbers = np.frombuffer(body[8 + size :], dtype=np.float64)
    shapes = {name: tuple(shape) for name, shape in header["shapes"].items()}
    runs, start = [], 0

    def take(shape: tuple[int, ...]) -> NDArray[np.float64]:
        nonlocal start
        end = start + math.prod(shape)
        array = numbers[start:end].reshape(shape).copy()
        start = end
        return array

    for steps in header["steps"]:
        axis = take((steps,))
        runs.append(Run(axis, {name: take((steps, *shape)) for name, shape in shapes.items()}))
    rung, deck = header["rung"], header["deck"]
    if start != numbers.size or not (isinstance(rung, str) and re.fullmatch("[0-9a-f]*", deck)):
        raise ValueError("more or other things than an answer")
    return Stored(Answer(tuple(runs)), rung, deck)
