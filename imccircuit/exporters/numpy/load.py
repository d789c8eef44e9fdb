"""Importing an exported numpy module from its folder, as its user would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imccircuit.exporters.numpy import runtime
from imccircuit.exporters.own_code import import_own, reading_own
from imccircuit.nodal import lines

MODULE = "imc_model.py"


def load_exported(folder: Path) -> Any:
    """Model of an export of target ``numpy``, from the code and data in its folder alone.

    Raises
    ------
    FileFormatError : there is no such export, or its code is not ours.
    """
    beside = {"lines.py": Path(lines.__file__)}
    module = import_own(folder, MODULE, Path(runtime.__file__), beside)
    with reading_own(folder):
        return module.load(folder)
