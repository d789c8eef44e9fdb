"""Pictures: ``plot_*`` take Axes and arrays and return Axes; the only place that has matplotlib.

with house_style():
    figure, axes = make_figure(2)
    plot_inl_dnl(*axes, linearity)
    save_figure(figure, "inl_dnl.pdf")
"""

from imccircuit.plots.adc import plot_inl_dnl, plot_transfer
from imccircuit.plots.array import plot_ir_drop
from imccircuit.plots.statistics import plot_histogram, plot_parity
from imccircuit.plots.style import COLORS, house_style, make_figure, save_figure, scale_unit

__all__ = [
    "COLORS",
    "house_style",
    "make_figure",
    "plot_histogram",
    "plot_inl_dnl",
    "plot_ir_drop",
    "plot_parity",
    "plot_transfer",
    "save_figure",
    "scale_unit",
]
