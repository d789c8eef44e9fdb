"""Running the code of an export from its folder, as its user would, and no other code than ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from imccircuit.devices.npz import read_npz
from imccircuit.errors import FileFormatError


def import_own(
    folder: Path, name: str, source: Path, beside: Mapping[str, Path] | None = None
) -> Any:
    """Module ``name`` of an export's folder, which must be ``source`` as this version writes it.

    Parameters
    ----------
    beside : name of a file that the module runs too, if it is there → what it must equal.

    Raises
    ------
    FileFormatError : it is not there, its code is not ours, or it cannot read its data.
    """
    path = folder / name
    # Its code is run, so it must be ours: a folder of somebody else is for its user to import.
    for file, own in {name: source, **(beside or {})}.items():
        there = folder / file
        if there.is_file() and there.read_bytes() != own.read_bytes():
            text = f"{there}: not as this version writes it; import it if you trust it"
            raise FileFormatError(text)
    spec = spec_from_file_location(f"imccircuit_export_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileFormatError(f"{folder}: no export with {name}")
    module = module_from_spec(spec)
    # Dataclasses look for the module that they stand in.
    sys.modules[spec.name] = module
    try:
        with reading_own(folder):
            spec.loader.exec_module(module)
    except FileFormatError:
        del sys.modules[spec.name]
        raise
    return module


@contextmanager
def reading_own(folder: Path) -> Iterator[None]:
    """Say in one line that the code of an export cannot read its data.

    Raises
    ------
    FileFormatError : it cannot.
    """
    data = folder / "model.npz"
    try:
        if data.is_file():
            # numpy leaves a file open that is no archive.
            read_npz(data, wanted=())
        yield
    except (OSError, ValueError, LookupError, EOFError, BadZipFile) as error:
        raise FileFormatError(f"{folder}: its code cannot read its data: {error}") from None
