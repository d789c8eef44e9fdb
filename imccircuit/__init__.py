"""From SPICE decks of in-memory computing circuits to surrogates that state their own error.

SPICE decides what a circuit does, once; a fitted surrogate repeats it a billion times; and every
surrogate says how far it is from SPICE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from imccircuit.nodal import solve_crossbar as solve_crossbar

__all__ = ["__version__", "solve_crossbar"]


def __getattr__(name: str) -> object:
    # Lazy, so that `import imccircuit` costs nothing and loads no heavy library.
    if name == "solve_crossbar":
        from imccircuit.nodal import solve_crossbar

        return solve_crossbar
    raise AttributeError(f"module 'imccircuit' has no attribute {name!r}")
