"""Pictures of a converter: transfer curve, INL and DNL."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.metrics.adc import Linearity
from imccircuit.plots.style import COLORS
from imccircuit.units import format_quantity

_MANY = 40  # more light lines than this are drawn as pixels, so that a vector file stays small


def plot_transfer(
    ax: Axes,
    levels_v: ArrayLike,
    full_scale_v: float,
    *,
    zoom_code: int | None = None,
    zoom_width: int = 10,
    label: str = "converter",
) -> Axes:
    """Code over input voltage: a staircase for each chip, and the ideal line.

    Parameters
    ----------
    ax : where to draw.
    levels_v : (…, 2^B - 1) transition levels in V; leading axes are chips.
    full_scale_v : full scale in V.
    zoom_code : a code around which an inset enlarges ``zoom_width`` codes, where the steps of the
        whole curve are too small to be seen; None for no inset.
    label : what a converter is called in the legend.

    Raises
    ------
    UsageError : no chip has all its levels.

    Notes
    -----
    The ideal line goes through the middle of each step: code = V·2^B/FS - 1/2.
    """
    chips = _chips(np.asarray(levels_v, dtype=np.float64))
    codes = chips.shape[-1] + 1
    lsb = full_scale_v / codes
    ideal = np.array([lsb / 2, full_scale_v - lsb / 2])
    low = min(0.0, float(chips.min()))
    last = float(chips.max())
    high = full_scale_v if last < full_scale_v else last + lsb  # the last code must be seen

    def draw(target: Axes, width: float) -> None:
        for number, chip in enumerate(chips):
            target.plot(
                [low, *chip, high],
                [*range(codes), codes - 1],
                drawstyle="steps-post",
                color=COLORS["blue"],
                alpha=1.0 if len(chips) == 1 else max(0.08, 0.7 / len(chips) ** 0.5),
                linewidth=width,
                label=None if number else label if len(chips) == 1 else f"{len(chips)} {label}s",
                rasterized=len(chips) > _MANY,
            )
        target.plot(
            ideal,
            ideal / lsb - 0.5,
            color=COLORS["vermillion"],
            linestyle=(0, (4, 2)),
            linewidth=0.9,
            label="ideal, step centres",
        )

    draw(ax, 1.0)
    ax.set_xlim(low, high)
    ax.set_ylim(-0.02 * codes, 1.02 * codes)
    ax.set_yticks(sorted({*range(0, codes, max(1, codes // 8)), codes - 1}))
    ax.set_xlabel("Input voltage (V)")
    ax.set_ylabel("Output code")
    ax.set_title(f"{codes.bit_length() - 1}-bit transfer, 1 LSB = {format_quantity(lsb, 'V', 3)}")
    legend = ax.legend(loc="upper left")
    for line in legend.get_lines():
        line.set_alpha(1.0)
    if zoom_code is not None:
        start = min(max(zoom_code - zoom_width / 2, -0.5), codes - 0.5 - zoom_width)
        inset = ax.inset_axes((0.63, 0.15, 0.36, 0.33))
        draw(inset, 0.9)
        inset.set_xlim((start + 0.5) * lsb, (start + 0.5 + zoom_width) * lsb)
        inset.set_ylim(start, start + zoom_width)
        inset.tick_params(labelsize=6, length=2, pad=1.5)
        inset.xaxis.set_major_locator(MaxNLocator(nbins=3))
        inset.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        ax.indicate_inset_zoom(inset, edgecolor=COLORS["grey"], linewidth=0.6)
    return ax


def plot_inl_dnl(ax_inl: Axes, ax_dnl: Axes, linearity: Linearity) -> tuple[Axes, Axes]:
    """INL over DNL, in LSB, with the convention, the LSB and the worst codes written in.

    One chip is a line; many are light lines under the envelope of the smallest and the largest
    value at each code, and the worst code is that of the worst chip. Codes that are missing carry
    a cross at the bottom of the DNL axes.

    Parameters
    ----------
    ax_inl, ax_dnl : where to draw; they may share their horizontal axis.
    linearity : what `compute_inl_dnl` gave, of any number of chips.

    Raises
    ------
    UsageError : no chip is good.
    """
    good = linearity.good.reshape(-1)
    if not good.any():
        raise UsageError("nothing to plot: no chip has all its transition levels")
    inl = linearity.inl_lsb.reshape(len(good), -1)[good]
    dnl = linearity.dnl_lsb.reshape(len(good), -1)[good]
    _draw_lines(ax_inl, inl, COLORS["blue"])
    _draw_lines(ax_dnl, dnl, COLORS["green"])
    for ax, worst_code, worst_lsb in (
        (ax_inl, linearity.worst_inl_code, linearity.worst_inl_lsb),
        (ax_dnl, linearity.worst_dnl_code, linearity.worst_dnl_lsb),
    ):
        codes, values = worst_code.reshape(-1)[good], worst_lsb.reshape(-1)[good]
        chip = int(np.argmax(np.abs(values)))
        _mark(ax, int(codes[chip]), float(values[chip]), inl.shape[-1])
    _draw_missing(ax_dnl, linearity.missing_codes.reshape(len(good), -1)[good])

    many = f", {good.sum()} converters" if len(good) > 1 else ""
    bad = f" ({(~good).sum()} left out)" if not good.all() else ""
    q = linearity.q_v.reshape(-1)[good]
    lsb = format_quantity(float(q.mean()), "V", 4)
    mean = "mean LSB" if many else "1 LSB"
    ax_inl.set_title(f"{linearity.method} line, {mean} = {lsb}{many}{bad}")
    ax_inl.set_ylabel("INL (LSB)")
    ax_dnl.set_ylabel("DNL (LSB)")
    shared = ax_inl.get_shared_x_axes().joined(ax_inl, ax_dnl)
    if not shared:
        ax_inl.set_xlabel("Code")
    ax_dnl.set_xlabel("Code")
    for ax in (ax_inl, ax_dnl):
        ax.set_xlim(0, inl.shape[-1] + 1)
        ax.set_xticks(np.linspace(0, inl.shape[-1] + 1, 9 if inl.shape[-1] > 7 else 5))
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="upper left", ncols=2)
        ax.axhline(0, color=COLORS["grey"], linewidth=0.6, zorder=1.5)
    return ax_inl, ax_dnl


def _chips(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    chips = levels.reshape(-1, levels.shape[-1]) if levels.ndim else levels.reshape(1, 1)
    chips = chips[np.isfinite(chips).all(axis=-1)]
    if not len(chips):
        raise UsageError("nothing to plot: no chip has all its transition levels")
    return chips


def _draw_lines(ax: Axes, values: NDArray[np.float64], color: str) -> None:
    codes = np.arange(1, values.shape[-1] + 1)
    if len(values) == 1:
        ax.plot(codes, values[0], color=color, drawstyle="steps-mid", linewidth=0.9)
    else:
        style: dict[str, Any] = {"color": color, "drawstyle": "steps-mid"}
        alpha = max(0.08, 1.2 / len(values) ** 0.5)
        ax.plot(
            codes, values.T, alpha=alpha, linewidth=0.4, rasterized=len(values) > _MANY, **style
        )
        ax.plot(codes, values.min(axis=0), linewidth=0.9, **style)
        ax.plot(codes, values.max(axis=0), linewidth=0.9, label="smallest, largest", **style)
    # Room for the number at the worst code and, above, for a legend of one line. At least 0.2 LSB
    # are shown, so that rounding noise of an ideal converter does not fill the picture.
    low, high = min(values.min(), -0.1), max(values.max(), 0.1)
    ax.set_ylim(low - 0.3 * (high - low), high + 0.5 * (high - low))


def _mark(ax: Axes, code: int, value: float, count: int) -> None:
    above = value > 0
    side = "left" if code < count * 0.2 else "right" if code > count * 0.8 else "center"
    ax.plot([code], [value], "o", color=COLORS["vermillion"], markersize=3.5, zorder=4)
    ax.annotate(
        f"{value:+.2f} LSB at {code}".replace("-", "\N{MINUS SIGN}"),
        (code, value),
        xytext=(0, 4 if above else -4),
        textcoords="offset points",
        ha=side,
        va="bottom" if above else "top",
        fontsize=7,
        color=COLORS["vermillion"],
        zorder=5,
    )


def _draw_missing(ax: Axes, missing: NDArray[np.bool_]) -> None:
    codes = np.flatnonzero(missing.any(axis=0)) + 1
    if not len(codes):
        return
    chips = int(missing.any(axis=1).sum())
    where = "" if len(missing) == 1 else f" in {chips} converter{'s' if chips > 1 else ''}"
    ax.plot(
        codes,
        np.full(len(codes), 0.04),
        "x",
        color=COLORS["black"],
        markersize=3.5,
        transform=ax.get_xaxis_transform(),
        label=f"{len(codes)} missing code{'s' if len(codes) > 1 else ''}{where}",
        clip_on=False,
    )
