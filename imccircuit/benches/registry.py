"""Benches by name. A new bench is one module with a ``BENCH`` and one line here."""

from __future__ import annotations

from importlib import import_module

from imccircuit.benches.bench import Bench
from imccircuit.errors import UsageError

_MODULES = {
    "adc_transfer": "imccircuit.benches.adc_transfer",
    "crossbar_mvm": "imccircuit.benches.crossbar_mvm",
}


def bench_names() -> list[str]:
    """Names that a recipe may give as ``bench``."""
    return sorted(_MODULES)


def get_bench(name: str) -> Bench:
    """The bench of that name.

    Raises
    ------
    UsageError : there is none; the message lists those there are.
    """
    if name not in _MODULES:
        raise UsageError(f"no bench named {name!r}; there are: {', '.join(bench_names())}")
    bench: Bench = import_module(_MODULES[name]).BENCH
    return bench
