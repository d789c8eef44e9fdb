"""Things that are found by name: one line for each, imported only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from imccircuit.errors import UsageError


@dataclass(frozen=True)
class Registry:
    """Modules by name, each with one object of a fixed name in it.

    Attributes
    ----------
    what : begins the message about an unknown name, such as ``bench named``.
    attribute : name of the object in each module.
    modules : name → module.
    """

    what: str
    attribute: str
    modules: Mapping[str, str]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self.modules)

    def get(self, name: str) -> Any:
        """The object of that name.

        Raises
        ------
        UsageError : there is none; the message lists those there are.
        """
        if name not in self.modules:
            known = ", ".join(self.names())
            raise UsageError(f"no {self.what} {name!r}; there are: {known}")
        return getattr(import_module(self.modules[name]), self.attribute)
