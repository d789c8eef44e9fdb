"""One shard: the arrays of some records in one immutable ``.npz``.

Arrays of one name and shape are stacked: a shard of 256 small records has a handful of members, and
reading or writing one costs microseconds a record instead of a millisecond.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.npz import read_npz
from imccircuit.errors import StorageError, UsageError

Arrays = Mapping[str, NDArray[Any]]


def write_shard(path: Path, records: Sequence[Arrays]) -> None:
    """Write the arrays of records beside their place, flush, and rename.

    Raises
    ------
    StorageError : it cannot be written.
    """
    alike: dict[tuple[Any, ...], list[int]] = {}
    for index, arrays in enumerate(records):
        kind = tuple((name, array.shape, array.dtype.str) for name, array in arrays.items())
        if kind:
            alike.setdefault(kind, []).append(index)
    members: dict[str, NDArray[Any]] = {}
    for number, (kind, indices) in enumerate(alike.items()):
        members[f"{number}/"] = np.array(indices, dtype=np.int64)
        for name, *_ in kind:
            members[f"{number}/{name}"] = np.stack([records[index][name] for index in indices])
    temporary = path.with_suffix(".tmp")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:
            np.savez(file, **members)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from None


def read_shard(path: Path) -> dict[int, dict[str, NDArray[Any]]]:
    """Arrays by record's index; a record without arrays is not in it.

    Raises
    ------
    UsageError : it is torn or was changed.
    """
    found: dict[int, dict[str, NDArray[Any]]] = {}
    try:
        stacks = read_npz(path)
        for name, stack in stacks.items():
            number, _, key = name.partition("/")
            indices = stacks[f"{number}/"]
            if not key:
                continue
            for index, array in zip(indices, stack, strict=True):
                found.setdefault(int(index), {})[key] = array
    except (OSError, LookupError, ValueError, TypeError) as error:
        why = type(error).__name__
        raise UsageError(
            f"{path.parent.parent}: shard {path.name} is damaged ({why}); use --fresh"
        ) from None
    return found
