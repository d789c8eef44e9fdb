"""What an HDF5 file may hold so that reading it opens no other file and runs nothing.

HDF5 has links into other files, datasets whose data lie elsewhere, types that a reader turns into
Python objects, and filters that are programs. Our files have none of that: numbers and texts in
groups, and the references by which netCDF names the dimensions of a variable. What comes from a
stranger is looked through before anything in it is read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from imccircuit.errors import FileFormatError

_DEEPEST = 8
_MOST_OBJECTS = 100_000
_LARGEST_ATTRIBUTE = 1 << 20
# Arrays of a run that failed from its beginning are declared and not there.
_FREE_BYTES = 1 << 30
_MOST_TIMES = 1000


class NotPlainError(FileFormatError):
    """An HDF5 file holds something that ours do not; the text says what."""


def check_plain(path: Path) -> None:
    """Look through an HDF5 file without reading what is in it.

    Raises
    ------
    NotPlainError : it has links other than to its own objects, data in other files, types other
        than numbers and texts, unknown filters, or declares far more than it can hold.
    OSError, RuntimeError, ValueError, LookupError : it is torn, or no HDF5 file.
    """
    import h5py

    with h5py.File(path, "r") as file:
        _Look(path).group(file.id, "/", 0)


def schema_of(path: Path) -> str:
    """Schema that an HDF5 file names; empty if it names none, or not as a text.

    Raises
    ------
    OSError : it is no HDF5 file, or too torn to be opened.
    """
    import h5py

    with h5py.File(path, "r") as file:
        try:
            # Asked for its type first: reading some types makes Python objects of their bytes.
            if h5py.h5a.open(file.id, b"schema").get_type().get_class() != h5py.h5t.STRING:
                return ""
            found = file.attrs["schema"]
        except (LookupError, ValueError, TypeError, RuntimeError):
            return ""
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


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

    def group(self, group: Any, name: str, depth: int) -> None:
        import h5py

        if depth > _DEEPEST:
            raise self._refused(name, "lies too deep")
        self._attributes(group, name)
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
                self.group(found, inner, depth + 1)
            elif isinstance(found, h5py.h5d.DatasetID):
                self._dataset(found, inner)
            else:
                raise self._refused(inner, "is neither a group nor an array")

    def _dataset(self, dataset: Any, name: str) -> None:
        from h5py import h5d, h5z

        made = dataset.get_create_plist()
        if made.get_layout() == h5d.VIRTUAL or made.get_external_count():
            raise self._refused(name, "has its data in other files")
        known = (h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32)
        for index in range(made.get_nfilters()):
            if made.get_filter(index)[0] not in known:
                raise self._refused(name, "is packed in an unknown way")
        kind = dataset.get_type()
        self._check_type(kind, name)
        self._declared += math.prod(dataset.shape or ()) * kind.get_size()
        if self._declared > self._limit:
            raise self._refused(name, "declares far more data than are in the file")
        self._attributes(dataset, name)

    def _attributes(self, holder: Any, name: str) -> None:
        from h5py import h5a, h5t

        for index in range(h5a.get_num_attrs(holder)):
            found = h5a.open(holder, index=index)
            label = f"{name} ({found.name.decode('utf-8', 'replace')})"
            if found.get_storage_size() > _LARGEST_ATTRIBUTE:
                raise self._refused(label, "is too large")
            kind = found.get_type()
            # By these two netCDF names the dimensions of a variable.
            if found.name == b"DIMENSION_LIST" and kind.get_class() == h5t.VLEN:
                kind = kind.get_super()
                members = [kind]
            elif found.name == b"REFERENCE_LIST" and kind.get_class() == h5t.COMPOUND:
                members = [kind.get_member_type(i) for i in range(kind.get_nmembers())]
            else:
                self._check_type(kind, label)
                continue
            if any(item.get_class() not in (h5t.REFERENCE, h5t.INTEGER) for item in members):
                raise self._refused(label, "holds neither numbers nor texts")

    def _check_type(self, kind: Any, name: str) -> None:
        from h5py import h5t

        if kind.get_class() not in (h5t.INTEGER, h5t.FLOAT, h5t.STRING):
            raise self._refused(name, "holds neither numbers nor texts")

    def _refused(self, name: str, why: str) -> NotPlainError:
        return NotPlainError(f"{self._path}: {name[:80]} {why}; no file of ours does that")
