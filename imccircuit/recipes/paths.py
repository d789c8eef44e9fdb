"""Which files a recipe may read: its own folder, the shipped ones, and those a user names.

A recipe may come from a stranger. What a user types on the command line is the user's own.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit import library
from imccircuit.devices.netlist import load_netlist, split_reference
from imccircuit.devices.npz import npz_names, read_npz
from imccircuit.errors import UsageError

ARRAY_REFERENCE = re.compile(r"^(?P<path>[^\x00-\x1f`]+\.npz):(?P<name>[A-Za-z_][A-Za-z0-9_]*)$")
_LARGEST = 256 * 1024 * 1024
_CARD_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class FilePolicy:
    """Where relative paths start and which folders may be read.

    Attributes
    ----------
    base : folder that relative paths start at.
    allowed : folders a path may not leave; None if any file may be read.
    libraries : folders of cards that may be called by name, the first that has it wins.
    hashes : SHA-256 of files that may be read wherever they lie.
    """

    base: Path
    allowed: tuple[Path, ...] | None = ()
    libraries: tuple[Path, ...] = ()
    hashes: frozenset[str] = frozenset()

    @classmethod
    def of_recipe(cls, recipe: Path, libraries: Sequence[Path]) -> FilePolicy:
        """Policy of the paths that a recipe file holds."""
        shipped = [library.path("device_models"), library.path("data"), library.path("netlists")]
        folder = recipe.resolve().parent
        named = library_folders(libraries)
        return cls(folder, (folder, *(path.resolve() for path in shipped), *named), named)

    @classmethod
    def of_results(cls, results: Path, hashes: Collection[str]) -> FilePolicy:
        """Policy of the paths that the recipe inside a results file holds.

        Parameters
        ----------
        hashes : SHA-256 of the files that were measured with: who made the results had them, so
            they may lie anywhere.
        """
        own = cls.of_recipe(results, ())
        return cls(own.base, own.allowed, (), frozenset(hashes))

    @classmethod
    def of_user(cls, libraries: Sequence[Path] = ()) -> FilePolicy:
        """Policy of paths that the user typed."""
        return cls(Path.cwd(), None, library_folders(libraries))

    def check(self, path: Path) -> None:
        """Refuse a path outside the allowed folders.

        Raises
        ------
        ValueError : it is; one line, with ``; allowed:``.
        """
        if self.allowed is None or any(path.is_relative_to(a) for a in self.allowed):
            return
        if self.hashes:
            if path.is_file() and _sha256(path) not in self.hashes:
                raise ValueError(
                    "not the file that was measured with, and outside the folder of the results; "
                    "allowed: that file, or any below that folder or one in IMCCIRCUIT_LIBRARY"
                )
        else:
            raise ValueError(
                "outside the recipe's folder; allowed: a file below it, or below a folder "
                "named by --library or IMCCIRCUIT_LIBRARY"
            )

    def resolve(self, text: str) -> Path:
        """Absolute path of an existing file.

        Raises
        ------
        ValueError : it does not exist or is outside the allowed folders; one line, with
            ``; allowed:``.
        """
        return self._locate(text, Path.is_file, "file")

    def resolve_folder(self, text: str) -> Path:
        """Absolute path of an existing folder.

        Raises
        ------
        ValueError : as `resolve`.
        """
        return self._locate(text, Path.is_dir, "folder")

    def _locate(self, text: str, there: Callable[[Path], bool], what: str) -> Path:
        try:
            path = (self.base / text).resolve()
            self.check(path)
            exists = there(path)
        except (OSError, RuntimeError) as error:
            raise ValueError(f"cannot be a path ({type(error).__name__})") from None
        if not exists:
            raise ValueError(f"no such {what}; allowed: an existing {what}, from {self.base}")
        return path

    def card(self, text: str) -> str:
        """What a card is called by: an absolute path, or the name of a shipped card as it is.

        Raises
        ------
        ValueError : it is a path of no card, or of a file that may not be read.
        """
        if _CARD_NAME.fullmatch(text):
            for folder in self.libraries:
                path = folder / f"{text}.toml"
                if path.is_file():
                    return str(path)
            return text
        if not text.endswith(".toml"):
            raise ValueError("not a card; allowed: the name of one, or a path that ends in .toml")
        return str(self.resolve(text))

    def netlist(self, text: str) -> str:
        """``path:SUBCKT`` with its path absolute.

        Raises
        ------
        ValueError : not written like that, or a file of it does not exist, may not be read or does
            not describe a circuit.
        """
        name, subcircuit = split_reference(text)
        path = self.resolve(name)
        if not any(path.is_relative_to(folder) for folder in self.libraries):
            try:
                load_netlist(f"{path}:{subcircuit}", self._check_named)
            except UsageError as error:
                raise ValueError(str(error)) from None
        return f"{path}:{subcircuit}"

    def _check_named(self, path: Path) -> None:
        try:
            self.check(path)
        except ValueError as error:
            raise ValueError(f"it names {path}, {error}") from None

    def load_array(self, text: str) -> NDArray[np.float64]:
        """Array of a reference ``path.npz:name``.

        Raises
        ------
        ValueError : no such file or array, or not numbers.
        """
        match = ARRAY_REFERENCE.match(text)
        if match is None:
            raise ValueError("not an array; allowed: path.npz:name")
        path = self.resolve(match["path"])
        try:
            array = read_npz(path, {match["name"]}).get(match["name"])
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise ValueError(f"not a readable .npz file of numbers ({why})") from None
        if array is None:
            names = ", ".join(npz_names(path))
            raise ValueError(f"no array {match['name']!r} in it; allowed: {names[:200]}")
        if array.dtype.kind not in "fiu":
            raise ValueError("not an array of real numbers")
        return np.array(array, dtype=np.float64)


def _sha256(path: Path) -> str:
    """SHA-256 of an ordinary file; empty for files of the system, which have no size or no end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest() if 0 < size <= _LARGEST else ""


def library_folders(libraries: Sequence[Path]) -> tuple[Path, ...]:
    """Folders named by ``--library`` and then by ``IMCCIRCUIT_LIBRARY``, absolute."""
    named = [Path(item) for item in os.environ.get("IMCCIRCUIT_LIBRARY", "").split(":") if item]
    return tuple(path.expanduser().resolve() for path in (*libraries, *named))
