"""Asking a model for more than its data say: one warning, or a refusal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from collections.abc import Mapping

# Ends of a range that went through a text or a sum are off by rounding.
_SLACK = 1e-9


class DomainWarning(UserWarning):
    """A model was asked about inputs outside those that it was fitted to."""


def outside_text(limits: Mapping[str, tuple[float, float]], name: str, values: ArrayLike) -> str:
    """Say in one line how ``values`` leave the limits of ``name``; empty if they do not.

    Parameters
    ----------
    limits : name → (low, high) in SI; a name that is not in it has none.
    values : any shape, SI; NaN is outside of nothing.
    """
    asked = np.asarray(values, dtype=np.float64)
    if name not in limits or not asked.size:
        return ""
    low, high = limits[name]
    slack = _SLACK * max(high - low, abs(low), abs(high))
    if not np.any((asked < low - slack) | (asked > high + slack)):
        return ""
    found = range_text(np.nanmin(asked), np.nanmax(asked))
    return f"{name} of {found} is outside the model's domain; allowed: {range_text(low, high)}"


def range_text(low: float, high: float) -> str:
    """Say a range in SI, as ``0 to 0.2``, or its one number."""
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def callers_level() -> int:
    """``stacklevel`` with which `warnings.warn`, called by who calls this, names a user's line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    return level


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == __name__.partition(".")[0]
