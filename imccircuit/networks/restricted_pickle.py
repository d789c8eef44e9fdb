"""Reading a pickle that may hold arrays and plain values, and nothing that runs."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from imccircuit.errors import FileFormatError

# What pickles of arrays name, in numpy before 2 and since. All they can make is an array.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}
_LARGEST = 1 << 30
# Stands for the class of arrays, which nothing but `_reconstruct` may make one of.
_ARRAY = object()


class _Plain(pickle.Unpickler):
    """Knows only the names of arrays; all other names are refused before anything is made."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if name == "_reconstruct":
            return _reconstruct
        return np.dtype if name == "dtype" else _ARRAY


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes that an old pickle wrote as text."""
    if encoding != "latin1" or not isinstance(text, str):
        raise pickle.UnpicklingError("it encodes something")
    return text.encode("latin1")


def _reconstruct(kind: object, shape: tuple[int, ...], code: bytes) -> Any:
    """An empty array, whose state the pickle then sets."""
    if kind is not _ARRAY or shape != (0,) or code not in (b"b", "b"):
        raise pickle.UnpicklingError("it makes something else than an array")
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def load_plain(path: Path) -> Any:
    """What a pickle holds, if that is arrays, text, bytes, numbers, lists and tables.

    Text of Python 2 comes as bytes.

    Raises
    ------
    FileFormatError : it cannot be read, is torn, or holds anything else.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise FileFormatError(f"{path}: larger than 1 GiB")
        data = path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        found = _Plain(io.BytesIO(data), encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError,
            ArithmeticError, MemoryError, ImportError) as error:  # fmt: skip
        why = " ".join(str(error).split())[:120] or type(error).__name__
        raise FileFormatError(f"{path}: no pickle of arrays and plain values: {why}") from None
    if isinstance(found, np.ndarray) and found.dtype.hasobject:
        raise FileFormatError(f"{path}: an array of objects")
    return found
