"""Export targets by name. A new target is one folder with a ``TARGET`` and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imccircuit.registry import Registry

if TYPE_CHECKING:
    from imccircuit.exporters.target import Target

_TARGETS = Registry(
    "export target",
    "TARGET",
    {
        "bundle": "imccircuit.exporters.bundle",
        "numpy": "imccircuit.exporters.numpy",
    },
)


def target_names() -> list[str]:
    """Names that ``imccircuit export`` takes."""
    return _TARGETS.names()


def get_target(name: str) -> Target:
    """The target of that name; `UsageError` if there is none."""
    target: Target = _TARGETS.get(name)
    return target
