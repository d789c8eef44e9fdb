"""Levels of a model against whole conversions in closed loop, and the figure that prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.surrogates.verdict import ErrorFigure

Floats = NDArray[np.float64]

LOOP = "level in closed loop"
"""What the figure of bracketed levels is of."""

# Two whole conversions this close, in LSB, on the two sides of a level bracket it.
_BRACKET_LSB = 0.5


@dataclass(frozen=True)
class LoopError:
    """Levels against whole conversions of one chip.

    Attributes
    ----------
    error_v : (check,) in V; upper bounds where bracketed, else lower bounds.
    linear_v : (check,) error of the best straight line through the bracketed levels, or None.
    outside_v : (check,) by how much SPICE contradicts the level: its distance from its bracket,
        or from the interval that an input's code allows; 0 inside.
    resolution_v : half the widest bracket in V.
    """

    error_v: Floats
    linear_v: Floats | None
    outside_v: Floats
    resolution_v: float


def compute_loop_error(
    levels_v: Floats, inputs_v: Floats, codes: NDArray[np.int64], lsb_v: float, *, bracketed: bool
) -> LoopError:
    """Error of levels against whole conversions.

    Bracketed: the true level of code k lies between the highest input that gave less than k and
    the lowest that gave k or more. If the two are closer than half an LSB, the error is at most
    the larger of the distances to them. Not bracketed (inputs a user chose): the distance by
    which an input lies outside the interval that the levels give to its code; the true error may
    be larger.

    Parameters
    ----------
    levels_v : (2^bits - 1,) levels.
    inputs_v, codes : (conversion,) inputs in V and codes.
    """
    if not bracketed:
        edges = np.concatenate([[-np.inf], levels_v, [np.inf]])
        off = np.maximum(edges[codes] - inputs_v, inputs_v - edges[codes + 1])
        return LoopError(np.maximum(off, 0.0), None, np.maximum(off, 0.0), 0.0)
    numbers = np.arange(1, len(levels_v) + 1)
    reached = codes[None, :] >= numbers[:, None]
    low = np.where(reached, -np.inf, inputs_v).max(axis=1)
    high = np.where(reached, inputs_v, np.inf).min(axis=1)
    found = np.abs(high - low) <= _BRACKET_LSB * lsb_v
    low, high, levels, numbers = low[found], high[found], levels_v[found], numbers[found]
    error = np.maximum(np.abs(levels - low), np.abs(high - levels))
    outside = np.maximum(np.maximum(low - levels, levels - high), 0.0)
    width = float(np.max(np.abs(high - low), initial=0.0))
    if len(numbers) < 3:
        return LoopError(error, None, outside, width / 2)
    middle = (low + high) / 2
    line = np.polyval(np.polyfit(numbers, middle, 1), numbers)
    return LoopError(error, line - middle, outside, width / 2)


def loop_figure(
    found: Sequence[LoopError], lsb_v: float, *, bracketed: bool, quantity: str = LOOP
) -> ErrorFigure:
    """Figure of chips' errors in closed loop, in V.

    Skill is that of an upper bound, so the model's own is at least as good. There is none where
    every level is inside its bracket: that would rate how long the search went on.

    Parameters
    ----------
    found : one for each chip, all bracketed or none.
    lsb_v : code width in V.
    """
    linear = [item.linear_v for item in found if item.linear_v is not None]
    resolution = max(item.resolution_v for item in found)
    error = np.concatenate([item.error_v for item in found])
    contradicted = any(item.outside_v.any() for item in found)
    rated = bracketed and contradicted and len(linear) == len(found)
    note = "upper bound" if bracketed else "distance of an input from its code's interval"
    if bracketed and not contradicted:
        note += ", and no more than the search's bracket: SPICE contradicts no level"
    figure = ErrorFigure.of(
        quantity,
        "V",
        error,
        linear_error=np.concatenate(linear) if rated else None,
        resolution=resolution,
        lsb=lsb_v,
        note=note,
    )
    if rated and figure.skill is None:
        more = f"{note}; the search cannot tell the levels from a straight line"
        figure = replace(figure, note=more)
    return figure
