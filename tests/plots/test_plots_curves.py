"""Curves: what is drawn is what was given."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.plots.curves import plot_curves
from imccircuit.plots.style import make_figure

LABELS = {"x_label": "input", "x_unit": "V", "y_label": "current", "y_unit": "A"}


def axes():
    return make_figure()[1][0]


def test_mean_and_range_of_chips():
    ax = axes()
    x = np.array([0.0, 0.1, 0.2])
    y = np.array([[0.0, 1e-6, 2e-6], [0.0, 3e-6, 4e-6]])
    plot_curves(ax, x, y, **LABELS)
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xdata(), [0, 100, 200])
    np.testing.assert_allclose(line.get_ydata(), [0, 2, 3])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Input (mV)", "Current (µA)")
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0, 4), abs=1e-9)
    assert "2 chips" in ax.texts[0].get_text()


def test_of_many_lines_some_are_drawn_and_that_is_said():
    ax = axes()
    y = np.arange(50.0)[None, :, None] * np.ones(3)
    plot_curves(ax, np.arange(3), y, **LABELS, line_names=[f"col {i}" for i in range(50)])
    assert [line.get_label() for line in ax.lines][::5] == ["col 0", "col 49"]
    assert ax.texts[0].get_text() == "6 of 50 lines"


def test_nothing_to_draw():
    with pytest.raises(UsageError, match="nothing finite"):
        plot_curves(axes(), [0, 1], [[np.nan, np.nan]], **LABELS)
