"""The SPICE cells in ``netlists/``, read as text.

Decks carry the text of their cells and not a path to them, so a deck runs wherever it is copied
and its hash covers all that decides its answer.
"""

from __future__ import annotations

from functools import lru_cache

from imccircuit import library


@lru_cache(maxsize=64)
def read_cell(name: str) -> str:
    """Text of ``netlists/<name>.subckt``, without its comments.

    Raises
    ------
    UsageError : there is no such cell; the message lists those there are.
    """
    text = library.find("netlists", name, ".subckt").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if line and not line.startswith("*"))
