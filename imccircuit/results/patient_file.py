"""A file for HDF5 to write into that outlives a full disk.

HDF5 whose write fails cannot close the file any more: every object of it complains on stderr when
it is collected, and the file stays open for the life of the process. So it is told that all went
well, and whoever uses it asks here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any


class PatientFile(io.RawIOBase):
    """A new file whose first failing write is kept, and after which nothing is written any more.

    Parameters
    ----------
    path : the file; it must not exist.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("x+b", buffering=0)
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise what HDF5 was not told.

        Raises
        ------
        OSError : a write failed.
        """
        if self._error is not None:
            raise self._error

    def readable(self) -> bool:
        """HDF5 reads what it wrote before."""
        return True

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of a file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """As of a file; what was not written is zero."""
        view = memoryview(buffer).cast("B")
        read = self._file.readinto(view) or 0
        if self._error is not None:
            view[read:] = bytes(len(view) - read)
            return len(view)
        return read

    def write(self, data: Any) -> int:
        """Write all of ``data``, unless a write failed before."""
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view) and self._error is None:
            try:
                written += self._file.write(view[written:])
            except OSError as error:
                self._error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """As of a file, unless a write failed before."""
        if self._error is None:
            try:
                return self._file.truncate(size)
            except OSError as error:
                self._error = error
        return size or 0

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
