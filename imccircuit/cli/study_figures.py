"""Pictures of a study: its circuits and how well the surrogate repeats them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from imccircuit.cli.figures import Choice, draw
from imccircuit.exporters.numpy.load import load_exported
from imccircuit.results.read import read_results


def draw_study(outcome: Any, folder: Path) -> list[Path]:
    """Draw the pictures of the study ``digits`` into ``folder`` and return their paths."""
    from imccircuit.plots.statistics import plot_parity
    from imccircuit.plots.style import house_style, make_figure, save_figure

    array = read_results(outcome.files["array"]).dataset
    converter = read_results(outcome.files["converter"]).dataset
    written = [
        save_figure(draw("ir-drop", array, Choice()), folder / "ir-drop.png"),
        save_figure(draw("inl", converter, Choice()), folder / "inl-dnl.png"),
        save_figure(draw("transfer", converter, Choice()), folder / "transfer.png"),
    ]
    exported = load_exported(outcome.files["array export"] / "numpy")
    predicted = np.asarray(exported.outputs_v(array["row_voltage"].values[0, 0]))
    with house_style():
        figure, (above, below) = make_figure(2, height_in=3.8)
        spice = array["output_voltage"].values[0, 0]
        plot_parity(above, spice, predicted, "V", quantity="amplifier output", ax_error=below)
        written.append(save_figure(figure, folder / "surrogate-error.png"))
    return written
