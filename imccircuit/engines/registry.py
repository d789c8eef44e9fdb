"""Engines by the name a recipe gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imccircuit.engines.contract import Engine

EngineName = Literal["ngspice", "nodal", "imported"]


@dataclass(frozen=True)
class EngineOptions:
    """How an engine treats problems; none of this decides a number.

    Attributes
    ----------
    timeout_s : longest time for one problem.
    keep_failed : folder for the decks of problems that failed; None keeps none.
    memory_bytes : address space of one simulator process; 0 does not limit it.
    threads : cores that one simulator may use.
    processes : simulators side by side, if there are several problems at once.
    use_cache : take answers from, and give them to, the cache of this user.
    """

    timeout_s: float = 600.0
    keep_failed: Path | None = None
    memory_bytes: int = 0
    threads: int = 1
    processes: int = 1
    use_cache: bool = False


DEFAULT_OPTIONS = EngineOptions()


def make_engine(
    name: EngineName,
    options: EngineOptions = DEFAULT_OPTIONS,
    *,
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

    engine = NgspiceEngine(
        timeout_s=options.timeout_s,
        keep_failed=options.keep_failed,
        solver=solver,
        memory_bytes=options.memory_bytes,
        threads=options.threads,
        processes=options.processes,
    )
    if not options.use_cache:
        return engine
    from imccircuit.engines.cached import CachedEngine
    from imccircuit.engines.store import AnswerStore

    return CachedEngine(engine, AnswerStore.of_user())
