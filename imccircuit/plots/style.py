"""The house style, and how a figure is made and written without any global state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from imccircuit.errors import UsageError, visible

# Okabe and Ito's palette: told apart by people with any of the common colour-vision deficiencies.
COLORS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "grey": "#6B6B6B",
    "black": "#000000",
}

WIDTH_IN = 3.5  # one column of a two-column page

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so a figure is the same everywhere
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.prop_cycle": cycler(color=list(COLORS.values())[:6]),
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.handlelength": 1.5,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "savefig.facecolor": "white",
    "svg.hashsalt": "imccircuit",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "mathtext.default": "regular",
}

# No dates and no version of matplotlib: the same figure gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": "imccircuit"},
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": "imccircuit"},
}


@contextmanager
def house_style() -> Iterator[None]:
    """Context in which figures are made and plotted so that they look alike."""
    # Start from matplotlib's defaults: a user's matplotlibrc does not change a shipped figure.
    with mpl.rc_context():
        mpl.rcdefaults()
        for key, value in _RC.items():
            mpl.rcParams[key] = value  # type: ignore[index]
        yield


def make_figure(
    rows: int = 1,
    *,
    columns: int = 1,
    height_in: float | None = None,
    share_x: bool = True,
    share_y: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Figure with ``rows`` axes below each other in each of ``columns`` columns, row by row.

    Parameters
    ----------
    rows : number of axes below each other.
    columns : of a printed page, 3.5 inches wide each.
    height_in : height in inches; default 2.6 for one axes, 1.7 for each of several.
    share_x, share_y : axes of one figure share their horizontal, their vertical axis.
    """
    with house_style():
        height = height_in or (2.6 if rows == 1 else 1.7 * rows)
        figure = Figure(figsize=(columns * WIDTH_IN, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, sharex=share_x, sharey=share_y, squeeze=False)
        return figure, list(axes.ravel())


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as .png, .svg or .pdf; the same figure gives the same bytes every time.

    Raises
    ------
    UsageError : another suffix, or the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _METADATA:
        raise UsageError(
            f"a picture is written as .png, .svg or .pdf, not {target.suffix or 'without suffix'}: "
            f"{target}"
        )
    with house_style():
        try:
            if target.is_symlink():
                target.unlink()  # the picture takes its place, not that of a file elsewhere
            figure.savefig(target, format=suffix[1:], metadata=_METADATA[suffix])
        except OSError as error:
            raise UsageError(f"cannot write {target}: {error.strerror or error}") from None
    return target


def plain(text: str) -> str:
    """A text from a file as a label: what stands between dollar signs is no formula."""
    return visible(text).replace("$", r"\$")


def scale_unit(values: ArrayLike, unit: str) -> tuple[float, str]:
    """Factor and unit that bring values to a readable size.

    Parameters
    ----------
    values : values in ``unit``.
    unit : SI unit, such as ``"F"``; LSB, %, degC and "" take no prefix.

    Returns
    -------
    ``(1e15, "fF")`` for values of some 1e-15 F: multiply by the factor, label with the unit.
    """
    finite = np.abs(np.asarray(values, dtype=np.float64))
    finite = finite[np.isfinite(finite)]
    largest = float(finite.max()) if finite.size else 0.0
    if unit in ("", "1", "%", "LSB", "FS", "degC") or largest == 0:
        return 1.0, unit
    exponent = max(-18, min(9, 3 * math.floor(math.log10(largest) / 3 + 1e-12)))
    prefix = ("a", "f", "p", "n", "µ", "m", "", "k", "M", "G")[(exponent + 18) // 3]
    return 10.0**-exponent, prefix + unit
