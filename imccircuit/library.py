"""Where shipped files are: cells, cards, recipes and reference data.

In a checkout they stand beside the package; in a wheel under ``imccircuit/_shipped``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from imccircuit.errors import SetupError, UsageError

Kind = Literal["netlists", "device_models", "characterize", "data"]

_PACKAGE = Path(__file__).resolve().parent


def path(kind: Kind) -> Path:
    """Folder of the shipped files of one kind: the checkout's, else the wheel's.

    Raises
    ------
    SetupError : neither exists, so the installation is broken.
    """
    # A checkout is told by its pyproject.toml: site-packages may well hold a folder `data`.
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / kind).is_dir():
        return checkout / kind
    shipped = _PACKAGE / "_shipped" / kind
    if shipped.is_dir():
        return shipped
    raise SetupError(f"the shipped folder {kind!r} is missing; install imccircuit again")


def names(kind: Kind, suffix: str) -> list[str]:
    """Names (without suffix) of the shipped files of one kind, sorted."""
    return sorted(file.stem for file in path(kind).glob(f"*{suffix}"))


def find(kind: Kind, name: str, suffix: str) -> Path:
    """Path of the shipped file ``name`` + ``suffix``.

    Raises
    ------
    UsageError : there is none; the message lists those there are.
    """
    known = names(kind, suffix)
    if name in known:
        return path(kind) / f"{name}{suffix}"
    raise UsageError(f"no shipped {suffix} file named {name!r}; there are: {', '.join(known)}")
