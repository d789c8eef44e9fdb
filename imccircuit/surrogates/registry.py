"""Surrogates by kind. A new kind is one module with a ``SURROGATE`` and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from imccircuit.errors import UsageError

if TYPE_CHECKING:
    from imccircuit.surrogates.base import Surrogate

_MODULES = {
    "adc": "imccircuit.surrogates.adc",
    "crossbar": "imccircuit.surrogates.crossbar",
}


def kind_names() -> list[str]:
    """Kinds that a bench may name as its surrogate."""
    return sorted(_MODULES)


def get_kind(kind: str) -> type[Surrogate]:
    """Class of surrogates of a kind.

    Raises
    ------
    UsageError : there is none; the message lists those there are.
    """
    if kind not in _MODULES:
        raise UsageError(f"no surrogate of kind {kind!r}; there are: {', '.join(kind_names())}")
    surrogate: type[Surrogate] = import_module(_MODULES[kind]).SURROGATE
    return surrogate
