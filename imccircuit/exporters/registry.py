"""Export targets by name. A new target is one folder with a ``TARGET`` and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from imccircuit.errors import UsageError

if TYPE_CHECKING:
    from imccircuit.exporters.target import Target

_MODULES = {
    "bundle": "imccircuit.exporters.bundle",
    "numpy": "imccircuit.exporters.numpy",
}


def target_names() -> list[str]:
    """Names that ``imccircuit export`` takes."""
    return sorted(_MODULES)


def get_target(name: str) -> Target:
    """The target of that name.

    Raises
    ------
    UsageError : there is none; the message lists those there are.
    """
    if name not in _MODULES:
        raise UsageError(f"no export target {name!r}; there are: {', '.join(target_names())}")
    target: Target = import_module(_MODULES[name]).TARGET
    return target
