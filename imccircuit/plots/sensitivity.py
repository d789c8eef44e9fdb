"""Picture of an accuracy against one non-ideality, alone and with all others."""

from __future__ import annotations

from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from imccircuit.plots.style import COLORS


def plot_sensitivity(
    ax: Axes,
    value: ArrayLike,
    mean: ArrayLike,
    sd: ArrayLike,
    *,
    quantity: str,
    label: str,
    together: bool = False,
) -> Axes:
    """Accuracy over one non-ideality, with σ over chips as bars.

    Parameters
    ----------
    ax : where to draw.
    value : (point,) of the non-ideality.
    mean, sd : (point,) accuracy, 0 to 1, over chips.
    quantity : what the values are, for the axis.
    label : of the line.
    together : whether all other non-idealities are there as well; another colour.
    """
    from numpy import asarray

    colour = COLORS["vermillion" if together else "blue"]
    ax.errorbar(
        asarray(value), 100 * asarray(mean), yerr=100 * asarray(sd),
        color=colour, marker="o", markersize=3, capsize=2, label=label,
    )  # fmt: skip
    ax.set_xlabel(quantity)
    ax.set_ylabel("accuracy (%)")
    return ax
