"""Which files a recipe may read: its own folder, the shipped ones, and those a user names.

A recipe may come from a stranger. What a user types on the command line is the user's own.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit import library

ARRAY_REFERENCE = re.compile(r"^(?P<path>[^\x00-\x1f`]+\.npz):(?P<name>[A-Za-z_][A-Za-z0-9_]*)$")


@dataclass(frozen=True)
class FilePolicy:
    """Where relative paths start and which folders may be read.

    Attributes
    ----------
    base : folder that relative paths start at.
    allowed : folders a path may not leave; None if any file may be read.
    """

    base: Path
    allowed: tuple[Path, ...] | None = field(default=())

    @classmethod
    def of_recipe(cls, recipe: Path, libraries: Sequence[Path]) -> FilePolicy:
        """Policy of the paths that a recipe file holds."""
        named = [Path(item) for item in os.environ.get("IMCCIRCUIT_LIBRARY", "").split(":") if item]
        shipped = [library.path("device_models"), library.path("data"), library.path("netlists")]
        folder = recipe.resolve().parent
        others = [path.resolve() for path in (*libraries, *named)]
        return cls(folder, (folder, *shipped, *others))

    @classmethod
    def of_user(cls) -> FilePolicy:
        """Policy of paths that the user typed."""
        return cls(Path.cwd(), None)

    def resolve(self, text: str) -> Path:
        """Absolute path of an existing file.

        Raises
        ------
        ValueError : it does not exist or is outside the allowed folders; one line, with
            ``; allowed:``.
        """
        path = (self.base / text).resolve()
        if self.allowed is not None and not any(path.is_relative_to(a) for a in self.allowed):
            raise ValueError(
                "outside the recipe's folder; allowed: a file below it, or below a folder "
                "named by --library or IMCCIRCUIT_LIBRARY"
            )
        if not path.is_file():
            raise ValueError(f"no such file; allowed: an existing file, from {self.base}")
        return path

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
            with np.load(path, allow_pickle=False) as archive:
                if match["name"] not in archive.files:
                    raise ValueError(
                        f"no array {match['name']!r} in it; allowed: {', '.join(archive.files)}"
                    )
                array = archive[match["name"]]
        except (OSError, zipfile.BadZipFile, EOFError, KeyError) as error:
            raise ValueError(f"cannot be read ({type(error).__name__})") from None
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            raise ValueError("not an array of real numbers")
        return np.array(array, dtype=np.float64)
