"""Pictures of a study: its circuits and how well the surrogate repeats them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from imccircuit.cli.figures import Choice, draw
from imccircuit.exporters.numpy.load import load_exported
from imccircuit.results.read import read_results


def draw_study(outcome: Any, folder: Path) -> list[Path]:
    """Draw the pictures of a study into ``folder`` and return their paths."""
    if hasattr(outcome, "comparison"):
        return _draw_training(outcome, folder)
    if hasattr(outcome, "points"):
        return _draw_sensitivity(outcome, folder)
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


def _draw_sensitivity(outcome: Any, folder: Path) -> list[Path]:
    """Accuracy against each non-ideality, of a study of networks; none if it asked for none."""
    from imccircuit.networks.sensitivity import LABELS
    from imccircuit.plots.sensitivity import plot_sensitivity
    from imccircuit.plots.style import house_style, make_figure, save_figure

    axes = [axis for axis in LABELS if any(p.axis == axis for p in outcome.points)]
    if not axes:
        return []
    with house_style():
        columns = min(2, len(axes))
        figure, places = make_figure(
            -(-len(axes) // columns), columns=columns, share_x=False, share_y=True
        )
        for ax in places[len(axes) :]:
            ax.remove()
        for ax, axis in zip(places, axes, strict=False):
            for together in (False, True):
                seen = sorted(
                    (p.value, p.mean, p.sd)
                    for p in outcome.points
                    if p.axis == axis and p.others == together
                )
                value, mean, sd = np.array(seen).T
                label = "with all others" if together else "alone, ± σ over chips"
                plot_sensitivity(ax, value, mean, sd, quantity=LABELS[axis], label=label,
                                 together=together)  # fmt: skip
            if axis == "read_time":
                ax.set_xscale("log")
        for ax in places[1 : len(axes) : 2]:
            ax.set_ylabel("")
        places[0].legend(loc="lower left")
        return [save_figure(figure, folder / "sensitivity.png")]


def _draw_training(outcome: Any, folder: Path) -> list[Path]:
    """Chips of each way, and what each way loses with other unit capacitors if that was asked."""
    from imccircuit.networks.training_sizes import ways_of
    from imccircuit.plots.style import house_style, make_figure, save_figure
    from imccircuit.plots.training import plot_losses, plot_ways

    with house_style():
        figure, (ax,) = make_figure(height_in=2.4)
        plot_ways(ax, {way.name: way.accuracy for way in outcome.comparison.ways})
        figure.legend(loc="outside upper center", ncols=2)
        written = [save_figure(figure, folder / "training.png")]
        if outcome.sizes:
            sizes = sorted(outcome.sizes, key=lambda size: size.unit_f)
            figure, (ax,) = make_figure()
            found = {name: [size.loss(name) for size in sizes] for name in ways_of(sizes)}
            plot_losses(
                ax, [size.unit_f for size in sizes],
                {name: [loss.mean for loss in of] for name, of in found.items()},
                outcome.tolerated,
                {name: [loss.one_sided() for loss in of] for name, of in found.items()},
            )  # fmt: skip
            ax.legend(loc="upper right")
            written.append(save_figure(figure, folder / "capacitors.png"))
    return written
