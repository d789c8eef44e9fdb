"""Pictures of trainings with the periphery: chips of each way, and loss over a capacitor's size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from imccircuit.plots.style import COLORS

# Points of one way are spread over this share of its row, so that equal ones are seen.
_SPREAD = 0.5


def plot_ways(ax: Axes, ways: Mapping[str, ArrayLike]) -> Axes:
    """Accuracy of every chip and training of each way, with mean ± σ.

    Parameters
    ----------
    ax : where to draw; the first way is on top.
    ways : name → accuracies, 0 to 1, of any shape.
    """
    for place, accuracy in enumerate(ways.values()):
        found = 100 * np.ravel(np.asarray(accuracy, dtype=np.float64))
        row = place + _SPREAD * (np.arange(len(found)) / max(1, len(found) - 1) - 0.5)
        row = row if len(found) > 1 else np.full(1, float(place))
        is_first = place == 0
        ax.plot(found, row, ".", markersize=3, color=COLORS["sky"],
                label="a chip, a training" if is_first else None)  # fmt: skip
        ax.errorbar(
            found.mean(), place, xerr=np.std(found, ddof=1) if len(found) > 1 else None,
            color=COLORS["blue"], marker="o", markersize=4, capsize=2,
            label="mean ± σ" if is_first else None,
        )  # fmt: skip
        ax.text(1.01, place, f"{found.mean():.1f}", transform=ax.get_yaxis_transform(),
                va="center", fontsize="small")  # fmt: skip
    ax.set_yticks(range(len(ways)), list(ways))
    ax.set_ylim(len(ways) - 0.5, -0.5)
    ax.set_xlabel("accuracy (%)")
    return ax


def plot_losses(
    ax: Axes,
    unit_f: ArrayLike,
    losses: Mapping[str, Sequence[float]],
    tolerated: float,
    ends: Mapping[str, ArrayLike],
) -> Axes:
    """Accuracy that each way loses against float, over the unit capacitor.

    Parameters
    ----------
    ax : where to draw.
    unit_f : (size,) unit capacitors in F, ascending.
    losses : way → (size,) losses, 0 to 1.
    tolerated : such a loss, drawn as a line.
    ends : way → (size, 2) lower and upper end of each loss, drawn as bars.
    """
    unit_ff = np.asarray(unit_f, dtype=np.float64) * 1e15
    for (name, loss), marker in zip(losses.items(), "osD^v", strict=False):
        points = 100 * np.asarray(loss, dtype=np.float64)
        low, high = 100 * np.asarray(ends[name], dtype=np.float64).T
        ax.errorbar(unit_ff, points, yerr=np.array([points - low, high - points]), marker=marker,
                    capsize=2, label=name)  # fmt: skip
    ax.axhline(100 * tolerated, color=COLORS["grey"], linestyle="--", label="tolerated")
    ax.set_xscale("log")
    ax.set_xlabel("unit capacitor (fF)")
    ax.set_ylabel("loss against float (points)")
    return ax
