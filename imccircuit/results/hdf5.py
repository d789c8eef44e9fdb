"""What an HDF5 file may hold so that reading it opens no other file, runs nothing and ends.

HDF5 has links into other files, datasets whose data lie elsewhere, types that a reader turns into
Python objects, and filters that are programs. Our files have none of that: numbers and texts in
groups, and the references by which netCDF names the dimensions of a variable. And a single wrong
byte can make the HDF5 library crash or run for ever (seen with 2.0). So a process of its own looks
through a file and reads what can be damaged; only then do we open it ourselves.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imccircuit.errors import FileFormatError

_DEEPEST = 8
_MOST_OBJECTS = 100_000
_LARGEST_ATTRIBUTE = 1 << 20
# Arrays of a run that failed from its beginning are declared and not there.
_FREE_BYTES = 1 << 30
_MOST_TIMES = 1000
_CPU_S = 10
_BYTES_PER_S = 20_000_000
_ROOM_BYTES = 4 << 30
# What h5py raises on a file that is torn or foreign.
_TORN = (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError,
         ArithmeticError, NotImplementedError)  # fmt: skip


class NotPlainError(FileFormatError):
    """An HDF5 file holds something that ours do not; the text says what."""


def check_plain(path: Path) -> None:
    """Look through an HDF5 file.

    Raises
    ------
    NotPlainError : it has links other than to its own objects, data in other files, types other
        than numbers and texts, unknown filters, or declares far more than it can hold.
    OSError : it is torn, or no HDF5 file.
    """
    _apart(path, lambda file: _Look(path).file(file))


def schema_of(path: Path) -> str:
    """Schema that an HDF5 file names; empty if it names none, or not as a text.

    Raises
    ------
    OSError : it is no HDF5 file, or too torn to be opened.
    """
    return _apart(path, _schema)


def _schema(file: Any) -> str:
    import h5py

    if not h5py.h5a.exists(file.id, b"schema"):
        return ""
    # Asked for its type first: reading some types makes Python objects of their bytes.
    if h5py.h5a.open(file.id, b"schema").get_type().get_class() != h5py.h5t.STRING:
        return ""
    found = file.attrs["schema"]
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


def _apart(path: Path, look: Callable[[Any], str]) -> str:
    """What ``look`` says of the open file, in a process of its own that may crash or run away."""
    import h5py

    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Other threads may run; the child only uses h5py, which prepares its lock for a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        said = b"torn\nunknown"
        try:
            _limit(path)
            with h5py.File(path, "r") as file:
                said = b"good\n" + look(file).encode("utf-8", "replace")
        except NotPlainError as error:
            said = f"foreign\n{error}".encode("utf-8", "replace")
        except BlockingIOError:
            said = b"busy\n"
        except _TORN as error:
            said = f"torn\n{error}".encode("utf-8", "replace")
        finally:
            with contextlib.suppress(OSError):
                os.write(writer, said[:2000])
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:  # noqa: PTH123 - it has no path
        state, _, text = pipe.read().decode("utf-8", "replace").partition("\n")
    os.waitpid(child, 0)
    if state == "good":
        return text
    if state == "foreign":
        raise NotPlainError(text)
    if state == "busy":
        raise BlockingIOError("it is open for writing in another program")
    raise OSError(text or "reading it does not end, or crashes")


def _limit(path: Path) -> None:
    """End this process when it runs away, and leave no core file of it."""
    seconds = _CPU_S + path.stat().st_size // _BYTES_PER_S
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    ends = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (ends, ends))
    with open("/proc/self/statm") as file:  # noqa: PTH123
        now = int(file.read().split()[0]) * resource.getpagesize()
    room = now + _ROOM_BYTES + path.stat().st_size
    resource.setrlimit(resource.RLIMIT_AS, (room, room))


class _Look:
    """One look through a file.

    Parameters
    ----------
    path : the file, for messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._limit = max(_FREE_BYTES, _MOST_TIMES * path.stat().st_size)
        self._seen: set[Any] = set()
        self._declared = 0

    def file(self, file: Any) -> str:
        """Look through everything; there is nothing to say of a good file."""
        self._group(file.id, "/", 0)
        return ""

    def _group(self, group: Any, name: str, depth: int) -> None:
        import h5py

        if depth > _DEEPEST:
            raise self._refused(name, "lies too deep")
        self._attributes(h5py.Group(group), name)
        for entry in group:
            inner = f"{name.rstrip('/')}/{entry.decode('utf-8', 'replace')}"
            if group.links.get_info(entry).type != h5py.h5l.TYPE_HARD:
                raise self._refused(inner, "is a link")
            if len(self._seen) > _MOST_OBJECTS:
                raise self._refused(inner, "is one of too many objects")
            found = h5py.h5o.open(group, entry)
            place = h5py.h5o.get_info(found).addr
            if place in self._seen:
                raise self._refused(inner, "is in the file twice")
            self._seen.add(place)
            if isinstance(found, h5py.h5g.GroupID):
                self._group(found, inner, depth + 1)
            elif isinstance(found, h5py.h5d.DatasetID):
                self._dataset(h5py.Dataset(found), inner)
            else:
                raise self._refused(inner, "is neither a group nor an array")

    def _dataset(self, dataset: Any, name: str) -> None:
        from h5py import h5d, h5t, h5z

        made = dataset.id.get_create_plist()
        if made.get_layout() == h5d.VIRTUAL or made.get_external_count():
            raise self._refused(name, "has its data in other files")
        known = (h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32)
        for index in range(made.get_nfilters()):
            if made.get_filter(index)[0] not in known:
                raise self._refused(name, "is packed in an unknown way")
        kind = dataset.id.get_type()
        self._check_type(kind, name)
        self._declared += math.prod(dataset.id.shape or ()) * kind.get_size()
        if self._declared > self._limit:
            raise self._refused(name, "declares far more data than are in the file")
        # Numbers end to end cannot be damaged so that reading them goes wrong.
        if kind.get_class() == h5t.STRING or made.get_layout() == h5d.CHUNKED:
            dataset[...]
        self._attributes(dataset, name)

    def _attributes(self, holder: Any, name: str) -> None:
        from h5py import h5a, h5t

        for index in range(h5a.get_num_attrs(holder.id)):
            found = h5a.open(holder.id, index=index)
            label = f"{name} ({found.name.decode('utf-8', 'replace')})"
            if found.get_storage_size() > _LARGEST_ATTRIBUTE:
                raise self._refused(label, "is too large")
            kind = found.get_type()
            # By these two netCDF names the dimensions of a variable.
            if found.name == b"DIMENSION_LIST" and kind.get_class() == h5t.VLEN:
                members = [kind.get_super()]
            elif found.name == b"REFERENCE_LIST" and kind.get_class() == h5t.COMPOUND:
                members = [kind.get_member_type(i) for i in range(kind.get_nmembers())]
            else:
                members = []
                self._check_type(kind, label)
            if any(item.get_class() not in (h5t.REFERENCE, h5t.INTEGER) for item in members):
                raise self._refused(label, "holds neither numbers nor texts")
            holder.attrs[found.name]

    def _check_type(self, kind: Any, name: str) -> None:
        from h5py import h5t

        if kind.get_class() not in (h5t.INTEGER, h5t.FLOAT, h5t.STRING):
            raise self._refused(name, "holds neither numbers nor texts")

    def _refused(self, name: str, why: str) -> NotPlainError:
        return NotPlainError(f"{self._path}: {name[:80]} {why}; no file of ours does that")
