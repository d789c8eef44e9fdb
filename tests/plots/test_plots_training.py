"""Pictures of trainings: what they show are the figures they were given."""

import numpy as np
import pytest

from imccircuit.plots.style import make_figure
from imccircuit.plots.training import plot_losses, plot_ways


def test_every_chip_of_every_way_is_drawn_and_named_by_its_mean():
    figure, (ax,) = make_figure()
    plot_ways(ax, {"float": [[0.96]], "naive": [[0.5, 0.7], [0.6, 0.8]]})
    figure.draw_without_rendering()
    drawn = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() == "."])
    assert sorted(drawn) == pytest.approx([50, 60, 70, 80, 96], abs=1e-9)
    assert [text.get_text() for text in ax.texts] == ["96.0", "65.0"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["float", "naive"]
    # The first way is on top.
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_losses_are_points_over_femtofarad():
    _, (ax,) = make_figure()
    ends = {"naive": [(0.03, 0.08), (0.005, 0.02)]}
    plot_losses(ax, [1e-17, 4e-17], {"naive": [0.05, 0.01]}, 0.01, ends)
    ((line, _, (bars,)),) = ax.containers
    assert ax.containers[0].get_label() == "naive"
    segments = [segment[:, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(segments, [(3, 8), (0.5, 2)], atol=1e-12)
    assert line.get_xdata() == pytest.approx([0.01, 0.04], abs=1e-12)
    assert line.get_ydata() == pytest.approx([5, 1], abs=1e-12)
    assert ax.get_xscale() == "log"
