"""Importing an exported torch module from its folder, as its user would."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from imccircuit.errors import SetupError
from imccircuit.exporters.own_code import import_own

MODULE = "imc_torch.py"


def load_layers(folder: Path) -> Any:
    """Module of an export of target ``torch``, from its folder alone.

    Raises
    ------
    FileFormatError : there is no such export, or its code is not ours.
    SetupError : torch is not installed.
    """
    if find_spec("torch") is None:
        raise SetupError('torch is missing: pip install "imccircuit[torch]"')
    return import_own(folder, MODULE, Path(__file__).with_name("runtime.py"))
