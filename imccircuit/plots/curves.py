"""Curves over one axis: several lines, and the spread over chips as a band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from imccircuit.errors import UsageError
from imccircuit.plots.style import plain, scale_unit

_MOST_LINES = 6


def plot_curves(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    *,
    x_label: str,
    x_unit: str,
    y_label: str,
    y_unit: str,
    name: str = "",
    line_names: Sequence[str] = (),
) -> Axes:
    """Draw lines over ``x``: the mean over chips, and their smallest and largest as a band.

    Parameters
    ----------
    x : (x,) values in ``x_unit``.
    y : (chip, …, x) values in ``y_unit``; each entry between chip and x is a line. Of more than
        six, six evenly spread ones are drawn, and the label says so.
    name : what these lines are, where axes hold several calls.
    line_names : label of each line.

    Raises
    ------
    UsageError : nothing finite to draw.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if not np.any(np.isfinite(y)):
        raise UsageError(f"{y_label}: nothing finite to draw")
    lines = y.reshape(y.shape[0], -1, y.shape[-1])
    count = lines.shape[1]
    shown = np.unique(np.linspace(0, count - 1, min(count, _MOST_LINES)).round().astype(int))
    x_factor, x_shown = scale_unit(x, x_unit)
    y_factor, y_shown = scale_unit(y, y_unit)
    markers = "o" if len(x) <= 40 else None
    for index in shown:
        label = " ".join(part for part in (name, *line_names[index : index + 1]) if part)
        values = lines[:, index] * y_factor
        (line,) = ax.plot(x * x_factor, values.mean(axis=0), marker=markers, ms=2.5,
                          label=plain(label) or None)  # fmt: skip
        if len(values) > 1:
            ax.fill_between(x * x_factor, values.min(axis=0), values.max(axis=0),
                            color=line.get_color(), alpha=0.2, lw=0)  # fmt: skip
    notes = [f"{len(shown)} of {count} lines"] if count > len(shown) else []
    notes += [f"mean and range of {len(y)} chips"] if len(y) > 1 else []
    if notes:
        ax.text(0.99, 1.01, ", ".join(notes), transform=ax.transAxes, ha="right", va="bottom",
                fontsize=6)  # fmt: skip
    ax.set_xlabel(_with_unit(x_label, x_shown))
    ax.set_ylabel(_with_unit(y_label, y_shown))
    if ax.get_legend_handles_labels()[1]:
        ax.legend()
    return ax


def _with_unit(label: str, unit: str) -> str:
    # A symbol such as σ stays what it is.
    head = label[:1].upper() + label[1:] if label[:1].isascii() else label
    return plain(f"{head} ({unit})" if unit not in ("", "1") else head)
