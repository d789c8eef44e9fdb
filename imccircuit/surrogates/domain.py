"""Asking a model for more than its data say: one warning, or a refusal."""

from __future__ import annotations

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
    slack = _SLACK * (high - low)
    if not np.any((asked < low - slack) | (asked > high + slack)):
        return ""
    return (
        f"{name} of {np.nanmin(asked):g} to {np.nanmax(asked):g} is outside the model's domain; "
        f"allowed: {low:g} to {high:g}"
    )
