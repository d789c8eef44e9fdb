"""What a study has finished, kept until all of it is: a small file for each unit of work.

A unit is what takes long and stands alone, such as one network on one chip. Its file is written
beside its place and renamed, so it is there whole or not at all. All units belong to one study,
known by a hash; another study's are never taken.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import imccircuit
from imccircuit.benches.bench import Section
from imccircuit.errors import UsageError
from imccircuit.recipes.load import Recipe
from imccircuit.recipes.plan import Plan
from imccircuit.sweeps.shards import read_shard, write_shard
from imccircuit.sweeps.state import Mode

Arrays = Mapping[str, NDArray[Any]]

_KEY = "study.json"


class Finished:
    """Finished units of one study, in ``<folder>/study.work``.

    Parameters
    ----------
    folder : of the study.
    key : of what it computes; see `study_key`.
    mode : ``resume`` goes on with what is there, ``fresh`` forgets it, ``new`` wants nothing there.

    Raises
    ------
    UsageError : there are finished units and nobody said what shall be done with them, or to
        resume, and they are another study's.
    """

    def __init__(self, folder: Path, key: str, mode: Mode = "new") -> None:
        self.folder = folder / "study.work"
        head = self.folder / _KEY
        count = len(list(self.folder.glob("*.npz")))
        if mode == "new" and count:
            raise UsageError(
                f"unfinished work in {self.folder} ({count} unit(s) done); use --resume or --fresh"
            )
        if mode == "resume" and head.is_file():
            if head.read_text(encoding="utf-8") != key:
                raise UsageError(
                    f"the unfinished work in {self.folder} was begun with other tables, recipes, "
                    "data or another version; use --fresh to forget it"
                )
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            head.write_text(key, encoding="utf-8")

    def unit(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """Arrays of a unit: as kept, or computed and kept."""
        path = self.folder / f"{re.sub('[^A-Za-z0-9_.-]', '_', name)}.npz"
        if path.is_file():
            try:
                return read_shard(path)[0]
            except UsageError:
                # Damaged: its work is done once more.
                path.unlink()
        found = compute()
        write_shard(path, [found])
        return found

    def forget(self) -> None:
        """Remove everything: the study is done."""
        shutil.rmtree(self.folder, ignore_errors=True)


def study_key(
    tables: Section,
    recipes: Sequence[Recipe],
    data: Sequence[NDArray[Any]],
    more: Sequence[str] = (),
) -> str:
    """Text that is equal for studies that compute the same.

    Parameters
    ----------
    tables : of the study; its texts for people do not count.
    recipes : as resolved, with all cards and libraries that they read.
    data : arrays of what is classified.
    more : what else decides, such as the targets that are installed.
    """
    digest = hashlib.sha256()
    for array in data:
        digest.update(np.ascontiguousarray(array).tobytes())
    known = {
        "version": imccircuit.__version__,
        "numpy": np.__version__,
        "tables": tables.model_dump(mode="json", exclude={"title", "takes"}),
        "recipes": [Plan(recipe).digest for recipe in recipes],
        "data": digest.hexdigest(),
        "more": list(more),
    }
    return json.dumps(known, sort_keys=True, indent=1) + "\n"
