"""Engines by the name a recipe gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from imccircuit.engines.contract import Engine

EngineName = Literal["ngspice", "nodal", "imported"]


def make_engine(
    name: EngineName,
    *,
    timeout_s: float = 600.0,
    keep_failed: Path | None = None,
    solver: Literal["auto", "klu", "sparse"] = "auto",
) -> Engine:
    """The engine of that name.

    Raises
    ------
    SetupError : ngspice is asked for and not on this machine.
    """
    if name == "nodal":
        from imccircuit.engines.nodal import NodalEngine

        return NodalEngine()
    if name == "imported":
        from imccircuit.engines.imported import ImportedEngine

        return ImportedEngine()
    from imccircuit.engines.ngspice import NgspiceEngine

    return NgspiceEngine(timeout_s=timeout_s, keep_failed=keep_failed, solver=solver)
