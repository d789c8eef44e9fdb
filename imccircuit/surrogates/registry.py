"""Surrogates by kind. A new kind is one module with a ``SURROGATE`` and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imccircuit.errors import UsageError
from imccircuit.registry import Registry

if TYPE_CHECKING:
    from imccircuit.surrogates.base import Surrogate

_MODULES = {
    "adc": "imccircuit.surrogates.adc",
    "cell": "imccircuit.surrogates.cell",
    "charge_column": "imccircuit.surrogates.charge_column",
    "crossbar": "imccircuit.surrogates.crossbar",
    "macro": "imccircuit.surrogates.macro",
    "dac": "imccircuit.surrogates.dac",
    "front_end": "imccircuit.surrogates.front_end",
    "ramp_adc": "imccircuit.surrogates.ramp_adc",
    "time_accumulator": "imccircuit.surrogates.time_accumulator",
}
_SURROGATES = Registry("surrogate of kind", "SURROGATE", _MODULES)


def kind_names() -> list[str]:
    """Kinds that a bench may name as its surrogate."""
    return _SURROGATES.names()


def get_kind(kind: str) -> type[Surrogate]:
    """Class of surrogates of a kind; `UsageError` if there is none."""
    surrogate: type[Surrogate] = _SURROGATES.get(kind)
    return surrogate


def register_kind(kind: str, module: str) -> None:
    """Make a kind of one's own known to this process, so that its model files can be loaded.

    Parameters
    ----------
    kind : of the class; none that is known already.
    module : where the class is, under the name ``SURROGATE``; imported when it is asked for.

    Raises
    ------
    UsageError : another module has this kind.
    """
    if _MODULES.setdefault(kind, module) != module:
        raise UsageError(
            f"a surrogate of kind {kind!r} is in {_MODULES[kind]} already; allowed: names that are "
            "not taken"
        )
