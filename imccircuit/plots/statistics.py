"""Pictures of spread: a histogram with its fitted law, and a surrogate against SPICE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.plots.style import COLORS, scale_unit

Density = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def plot_histogram(
    ax: Axes,
    samples: ArrayLike,
    *,
    unit: str,
    quantity: str,
    law_pdf: Density | None = None,
    law_label: str = "fitted law",
    bins: int | None = None,
) -> Axes:
    """Histogram of a varied quantity, with the law that was fitted to it.

    Parameters
    ----------
    ax : where to draw.
    samples : values in SI; NaN are left out and their number is stated.
    unit : their SI unit, such as ``"S"``; the axis takes the prefix that fits.
    quantity : what they are, for the axis label.
    law_pdf : density of the law in 1/unit, of values in SI. It is drawn as the expected count, so
        that law and bars have the same axis.
    law_label : the law with its parameters, a line each, such as "normal" and "σ 1.46 µS".
    bins : number of bins; default √n between 5 and 50.

    Raises
    ------
    UsageError : no finite sample.
    """
    values = np.asarray(samples, dtype=np.float64).reshape(-1)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise UsageError("nothing to plot: no finite sample")
    factor, scaled_unit = scale_unit(finite, unit)
    number = bins or int(np.clip(np.sqrt(finite.size), 5, 50))
    counts, edges, _ = ax.hist(
        finite * factor, bins=number, color=COLORS["sky"], edgecolor="white", linewidth=0.4,
        label=f"{finite.size} samples",
    )  # fmt: skip
    if law_pdf is not None:
        width = (edges[1] - edges[0]) / factor
        reach = edges[-1] - edges[0]
        x = np.linspace(edges[0] - 0.1 * reach, edges[-1] + 0.1 * reach, 400)
        expected = np.asarray(law_pdf(x / factor)) * finite.size * width
        ax.plot(x, expected, color=COLORS["vermillion"], linewidth=1.2, label=law_label)
    left_out = values.size - finite.size
    ax.set_title(f"{left_out} of {values.size} samples without a value" if left_out else "")
    ax.set_xlabel(f"{quantity} ({scaled_unit})" if scaled_unit else quantity)
    ax.set_ylabel("Samples per bin (count)")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    # The legend stands above the bars instead of on them.
    lines = 1 + (law_label.count("\n") + 1 if law_pdf is not None else 0)
    ax.set_ylim(0, max(ax.get_ylim()[1], np.max(counts)) * (1.08 + 0.09 * lines))
    ax.legend(loc="upper right")
    return ax


def plot_parity(
    ax: Axes,
    spice: ArrayLike,
    surrogate: ArrayLike,
    unit: str,
    *,
    quantity: str = "",
    names: tuple[str, str] = ("SPICE", "surrogate"),
    ax_error: Axes | None = None,
) -> Axes:
    """Surrogate over SPICE, with the line of equality and the error on a scale of its own.

    Parameters
    ----------
    ax : where to draw.
    spice, surrogate : values of one shape, in SI; pairs with a NaN are left out.
    unit : their SI unit; the axes take the prefix that fits.
    quantity : what they are, for the labels.
    names : what the two are called, where they are something else.
    ax_error : axes for surrogate minus SPICE over SPICE; by default an inset with its histogram.

    Raises
    ------
    UsageError : the shapes differ, or no pair is finite.
    """
    truth = np.asarray(spice, dtype=np.float64)
    guess = np.asarray(surrogate, dtype=np.float64)
    if truth.shape != guess.shape:
        raise UsageError(f"SPICE {truth.shape} and surrogate {guess.shape} differ in shape")
    kept = np.isfinite(truth) & np.isfinite(guess)
    truth, guess = truth[kept], guess[kept]
    if not truth.size:
        raise UsageError("nothing to plot: no pair of finite values")
    error = guess - truth
    factor, scaled_unit = scale_unit([truth, guess], unit)
    error_factor, error_unit = scale_unit(error, unit)
    marker: dict[str, Any] = {
        "linestyle": "none", "marker": "o", "color": COLORS["blue"], "markersize": 2.5,
        "markeredgewidth": 0, "alpha": float(np.clip(8 / np.sqrt(truth.size), 0.15, 0.8)),
        "rasterized": truth.size > 3000,
    }  # fmt: skip
    both = np.concatenate([truth, guess]) * factor
    ends = [both.min(), both.max()]
    ax.plot(ends, ends, color=COLORS["grey"], linewidth=0.8, label="equal")
    ax.plot(truth * factor, guess * factor, label=f"{truth.size} values", **marker)
    # Two lines: beside short axes, one would be cut off.
    what, shown = f"{quantity}, " if quantity else "", f" ({scaled_unit})" if scaled_unit else ""
    ax.set_xlabel(f"{what}{names[0]}{shown}")
    ax.set_ylabel(f"{what.rstrip()}\n{names[1]}{shown}".lstrip())
    for handle in ax.legend(loc="upper left").legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)
    worst = f"largest |error| {np.abs(error).max() * error_factor:.3g} {error_unit}"
    if ax_error is None:
        inset = ax.inset_axes((0.58, 0.2, 0.36, 0.28))
        inset.hist(error * error_factor, bins=25, color=COLORS["sky"])
        inset.set_xlabel(f"error ({error_unit})" if error_unit else "error", fontsize=6, labelpad=1)
        inset.set_title(worst, fontsize=6, pad=2)
        inset.set_yticks([])
        inset.tick_params(labelsize=6, length=2, pad=1.5)
        inset.locator_params(axis="x", nbins=4)
        inset.spines["left"].set_visible(False)
    else:
        ax_error.axhline(0, color=COLORS["grey"], linewidth=0.8)
        ax_error.plot(truth * factor, error * error_factor, **marker)
        ax_error.set_xlabel(ax.get_xlabel())
        ax_error.set_ylabel(f"Error ({error_unit})" if error_unit else "Error")
        ax_error.set_title(f"error = {names[1]} \N{MINUS SIGN} {names[0]}, {worst}")
        if ax.get_shared_x_axes().joined(ax, ax_error):
            ax.set_xlabel("")
    return ax
