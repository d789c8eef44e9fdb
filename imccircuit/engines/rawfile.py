"""Reader of ngspice's binary raw files, which trusts nothing it reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_BINARY = b"\nBinary:\n"
_MAX_HEADER = 64 * 1024 * 1024


class RawFileError(ValueError):
    """A raw file is torn or is not one; the text says how."""


@dataclass(frozen=True)
class Plot:
    """One plot of a raw file.

    Attributes
    ----------
    title : title of the circuit it came from, in lower case.
    names : vector names, in lower case; the first is the axis if there is one.
    data : (step, vector) values.
    """

    title: str
    names: tuple[str, ...]
    data: NDArray[np.float64]


def _header_fields(header: str) -> tuple[dict[str, str], tuple[str, ...]]:
    fields: dict[str, str] = {}
    head, separator, tail = header.partition("Variables:\n")
    if not separator:
        raise RawFileError("no list of variables")
    for line in head.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields[key.strip()] = value.strip()
    names = []
    for line in tail.splitlines():
        words = line.split()
        if len(words) < 3:
            raise RawFileError("torn list of variables")
        names.append(words[1].lower())
    return fields, tuple(names)


def read_plots(path: Path) -> list[Plot]:
    """All plots of a raw file, real ones only.

    Raises
    ------
    RawFileError : the file is torn, complex, empty, or its header disagrees with its size.
    OSError : it cannot be read.
    """
    content = path.read_bytes()
    plots: list[Plot] = []
    position = 0
    previous_header = ""
    previous_names: tuple[str, ...] = ()
    while position < len(content):
        end = content.find(_BINARY, position)
        if end < 0 or end - position > _MAX_HEADER:
            raise RawFileError("torn header")
        header = content[position:end].decode("utf-8", "replace") + "\n"
        # A file of many runs repeats one long header; only its date may differ.
        _, _, variables = header.partition("Variables:\n")
        if previous_names and variables == previous_header:
            fields, names = (
                _header_fields(header[: len(header) - len(variables)])[0],
                previous_names,
            )
        else:
            fields, names = _header_fields(header)
        previous_header, previous_names = variables, names
        if fields.get("Flags", "").split()[:1] != ["real"]:
            raise RawFileError(f"flags {fields.get('Flags')!r}, not real")
        try:
            vectors, steps = int(fields["No. Variables"]), int(fields["No. Points"])
        except (KeyError, ValueError):
            raise RawFileError("no count of variables or points") from None
        if vectors != len(names) or vectors <= 0 or steps <= 0:
            raise RawFileError(f"{vectors} variables, {len(names)} names, {steps} points")
        start = end + len(_BINARY)
        size = vectors * steps * 8
        if start + size > len(content):
            raise RawFileError(f"{len(content) - start} of {size} bytes of data")
        data = np.frombuffer(content, count=vectors * steps, offset=start)
        plots.append(Plot(fields.get("Title", "").lower(), names, data.reshape(steps, vectors)))
        position = start + size
    if not plots:
        raise RawFileError("empty")
    return plots
