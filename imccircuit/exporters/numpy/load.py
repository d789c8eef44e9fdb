"""Importing an exported numpy module from its folder, as its user would."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from imccircuit.errors import FileFormatError
from imccircuit.exporters.numpy import runtime
from imccircuit.nodal import lines

MODULE = "imc_model.py"


def load_exported(folder: Path) -> Any:
    """Model of an export of target ``numpy``, from the code and data in its folder alone.

    Raises
    ------
    FileFormatError : there is no such export.
    """
    path = folder / MODULE
    # Its code is run, so it must be ours: a folder of somebody else is for its user to import.
    if path.is_file() and path.read_bytes() != Path(runtime.__file__).read_bytes():
        raise FileFormatError(f"{path}: not as this version writes it; import it if you trust it")
    solver = folder / "lines.py"
    if solver.is_file() and solver.read_bytes() != Path(lines.__file__).read_bytes():
        raise FileFormatError(f"{solver}: not as this version writes it; import it if you trust it")
    spec = spec_from_file_location(f"imccircuit_export_{folder.parent.name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileFormatError(f"{folder}: no export of target numpy")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load(folder)
