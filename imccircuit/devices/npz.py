"""Reading ``.npz`` files that may come from a stranger: plain arrays, and no more than is there.

`numpy.load` makes room for what the header of an array declares before it looks at the data, and
unpacks whatever a few kilobytes unpack to.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

LARGEST = 2 * 1024**3
# What zipfile and numpy raise on an archive that is torn, foreign or encrypted.
_UNREADABLE = (zlib.error, EOFError, LookupError, TypeError, AttributeError, RuntimeError,
               SyntaxError, tokenize.TokenError, OverflowError, MemoryError)  # fmt: skip
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(
    path: Path, wanted: Collection[str] | None = None, most_bytes: int = LARGEST
) -> dict[str, NDArray[Any]]:
    """Arrays of a file by name.

    Parameters
    ----------
    wanted : names to read; default all. Whatever else is in the file is not looked at.
    most_bytes : of one array.

    Raises
    ------
    OSError : it cannot be read.
    ValueError : it is no archive, torn, or holds Python objects; one line.
    """
    if path.exists() and not path.is_file():
        raise ValueError("no ordinary file")
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if wanted is None or name in wanted:
                    with archive.open(member) as stream:
                        arrays[name] = _read_array(stream, min(member.file_size, most_bytes))
    except zipfile.BadZipFile:
        raise ValueError("no whole archive") from None
    except _UNREADABLE as error:
        raise ValueError(type(error).__name__) from None
    return arrays


def npz_names(path: Path) -> list[str]:
    """Names of the arrays of a file; none if it is no archive."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, ValueError, zipfile.BadZipFile, *_UNREADABLE):
        return []


def _read_array(stream: IO[bytes], most_bytes: int) -> NDArray[Any]:
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"array of format {version}")
    shape, is_fortran, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError("holds Python objects")
    if dtype.kind not in "fiubcSU":
        raise ValueError(f"holds {dtype}, neither numbers nor texts")
    count = math.prod(shape)
    size = count * dtype.itemsize
    if min(shape, default=0) < 0 or size > most_bytes:
        raise ValueError(f"an array of shape {shape} declares more data than it may have")
    content = stream.read(size)
    if len(content) != size:
        raise ValueError("torn")
    flat = np.frombuffer(content, dtype=dtype, count=count) if count else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if is_fortran else "C")
