"""Picture of an array: how much of its voltage each cell loses in the wires."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from imccircuit.errors import UsageError
from imccircuit.metrics.array import compute_worst_cell
from imccircuit.plots.style import COLORS


def plot_ir_drop(ax: Axes, drop_v: ArrayLike, *, title: str = "IR drop across the cells") -> Axes:
    """Map of the IR drop of one array in mV, seen as the array is drawn: drivers left, sense below.

    The colour scale starts at 0, so two maps can be compared by eye and a small drop looks small.
    If some cells see *more* than their ideal voltage (by over 0.1 % of the worst), the scale is
    symmetric about 0 with a colour for either sign. Cells without a number are grey.

    Parameters
    ----------
    ax : where to draw; its figure also receives the colour bar.
    drop_v : (row, col) ideal minus actual cell voltage in V, of one input vector.
    title : title of the axes.

    Raises
    ------
    UsageError : not a (row, col) array, or nothing finite in it.
    """
    drop = np.asarray(drop_v, dtype=np.float64)
    if drop.ndim != 2 or not np.isfinite(drop).any():
        raise UsageError("an IR-drop map needs a (row, col) array with finite values")
    drop_mv = 1e3 * np.where(np.isfinite(drop), drop, np.nan)
    row, col, worst = compute_worst_cell(np.where(np.isnan(drop_mv), 0.0, drop_mv))
    # Without wires only rounding is left, which must not be stretched to a full scale of colours.
    top = abs(float(worst)) if abs(float(worst)) > 1e-9 else 1.0
    rises = float(np.nanmin(drop_mv)) < -1e-3 * top
    figure = ax.get_figure()
    if figure is None:
        raise UsageError("an IR-drop map needs axes that belong to a figure")
    ax.grid(visible=False)
    ax.set_facecolor("#BBBBBB")
    image = ax.imshow(
        np.ma.masked_invalid(drop_mv),
        origin="upper",
        cmap="PuOr_r" if rises else "cividis",
        vmin=-top if rises else 0.0,
        vmax=top,
        interpolation="nearest",
        aspect="equal" if 0.4 < drop.shape[0] / drop.shape[1] < 2.5 else "auto",
    )
    bar = figure.colorbar(image, ax=ax, shrink=0.95)
    bar.set_label("Ideal minus actual cell voltage (mV)" if rises else "IR drop (mV)")
    bar.outline.set_linewidth(0.5)

    number = f"{float(worst):#.3g}".replace("-", "\N{MINUS SIGN}")
    ax.set_title(f"{title}\nworst {number} mV at row {row}, column {col}")
    # Turned by a quarter with its label, the first arrow points right, into the word lines.
    ax.set_ylabel("Driver side \N{DOWNWARDS ARROW}\nWord line (row index)")
    ax.set_xlabel("Bit line (column index)\nSense side \N{DOWNWARDS ARROW}")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    for spine in ax.spines.values():
        spine.set_visible(True)
    ax.plot(
        [int(col)], [int(row)], "s", markersize=5, markerfacecolor="none",
        markeredgecolor=COLORS["vermillion"], markeredgewidth=1.2, clip_on=False,
    )  # fmt: skip
    return ax
