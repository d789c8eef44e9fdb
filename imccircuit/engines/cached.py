"""An engine that asks the store of answers first.

The key of a problem is a hash of all that decides its answer: the deck without its title, the
content of every file it includes, which vectors are asked for, the engine's version, solver and
program, and the ladder of options. An answer is stored only if none of those files changed while it
was simulated, and a deck that reads files in a way this module does not follow is never stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from imccircuit.benches.problem import Problem
from imccircuit.engines import deck
from imccircuit.engines.contract import Outcome, Status
from imccircuit.engines.deck_files import DeckFiles
from imccircuit.engines.extract import fits
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.engines.store import AnswerStore, Stored

# Changes whenever the meaning of a stored answer does.
_SCHEMA = "imccircuit-answers-1"
_RUNGS = frozenset(rung.name for rung in deck.LADDER)


class CachedEngine:
    """Same contract and same answers as the engine behind it.

    Parameters
    ----------
    engine : simulates what is not stored.
    store : holds what was simulated before.
    """

    name = "ngspice"

    def __init__(self, engine: NgspiceEngine, store: AnswerStore) -> None:
        self._engine = engine
        self._store = store

    def versions(self) -> dict[str, str]:
        """Of the engine behind it."""
        return self._engine.versions()

    def solve(self, problems: Sequence[Problem]) -> list[Outcome]:
        """One outcome a problem; those from the store took no time."""
        files = DeckFiles()
        keys = [self._key(problem, files) for problem in problems]
        stored = self._store.get([key for key in keys if key])
        for key, problem in zip(keys, problems, strict=True):
            if key not in stored:
                continue
            found = stored[key]
            if found.rung not in _RUNGS or not fits(problem, found.answer):
                del stored[key]
        new = [index for index, key in enumerate(keys) if key is None or key not in stored]
        solved = dict(zip(new, self._engine.solve([problems[i] for i in new]), strict=True))
        if files.unchanged():
            self._keep(keys, solved)
        return [
            solved[index] if index in solved else _outcome(stored[key])  # type: ignore[index]
            for index, key in enumerate(keys)
        ]

    def _keep(self, keys: Sequence[bytes | None], solved: Mapping[int, Outcome]) -> None:
        answers = {
            key: Stored(outcome.answer, outcome.rung, outcome.deck_sha256)
            for index, outcome in solved.items()
            if (key := keys[index]) is not None and outcome.answer is not None
        }
        if answers:
            self._store.put(answers)

    def _key(self, problem: Problem, files: DeckFiles) -> bytes | None:
        text = files.portable(deck.deck_text(problem, title="key", options=self._engine.options))
        if not files.all_known:
            return None
        probes = [(p.name, p.vectors, p.shape, p.bound) for p in problem.probes]
        whole = f"{self._head}\n{probes!r}\n{text}"
        return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).digest()

    @cached_property
    def _head(self) -> str:
        program = hashlib.sha256(Path(self._engine.ngspice.path).read_bytes()).hexdigest()
        return f"{_SCHEMA} {self.versions()!r} {program} {deck.LADDER!r}"


def _outcome(stored: Stored) -> Outcome:
    return Outcome(Status.GOOD, stored.answer, rung=stored.rung, deck_sha256=stored.deck_sha256)
