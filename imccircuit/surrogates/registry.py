"""Surrogates by kind. A new kind is one module with a ``SURROGATE`` and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imccircuit.registry import Registry

if TYPE_CHECKING:
    from imccircuit.surrogates.base import Surrogate

_SURROGATES = Registry(
    "surrogate of kind",
    "SURROGATE",
    {
        "adc": "imccircuit.surrogates.adc",
        "cell": "imccircuit.surrogates.cell",
        "charge_column": "imccircuit.surrogates.charge_column",
        "crossbar": "imccircuit.surrogates.crossbar",
        "macro": "imccircuit.surrogates.macro",
        "dac": "imccircuit.surrogates.dac",
        "front_end": "imccircuit.surrogates.front_end",
        "ramp_adc": "imccircuit.surrogates.ramp_adc",
        "time_accumulator": "imccircuit.surrogates.time_accumulator",
    },
)


def kind_names() -> list[str]:
    """Kinds that a bench may name as its surrogate."""
    return _SURROGATES.names()


def get_kind(kind: str) -> type[Surrogate]:
    """Class of surrogates of a kind; `UsageError` if there is none."""
    surrogate: type[Surrogate] = _SURROGATES.get(kind)
    return surrogate
