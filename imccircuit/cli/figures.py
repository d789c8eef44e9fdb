"""Which pictures a results file gives: from its arrays to a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from imccircuit.benches.bench import Curve
from imccircuit.errors import UsageError
from imccircuit.metrics.adc import compute_inl_dnl
from imccircuit.metrics.array import compute_ir_drop

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Choice:
    """Which part of a results file is drawn.

    Attributes
    ----------
    point : row of the shape group.
    sample : one chip; None for all.
    batch : input vector of a map; None for the worst one.
    method : convention of INL and DNL.
    """

    point: int = 0
    sample: int | None = None
    batch: int | None = None
    method: str = "end-point"


def draw(kind: str, data: Any, choice: Choice, curves: Sequence[Curve] = ()) -> Figure:
    """Draw one kind of picture of a shape group.

    Raises
    ------
    UsageError : the results have no such picture, or nothing good to draw.
    """
    kinds = kinds_of(data, curves)
    if kind not in kinds:
        raise UsageError(f"no picture {kind!r} of these results; there are: {', '.join(kinds)}")
    good = data["status"].values[choice.point] == 0
    if choice.sample is not None:
        if not 0 <= choice.sample < len(good):
            raise UsageError(f"no sample {choice.sample}; there are 0 to {len(good) - 1}")
        good = good & (np.arange(len(good)) == choice.sample)
    if not np.any(good):
        raise UsageError(f"point {choice.point} has no good sample to draw")
    from imccircuit.plots.style import house_style

    data, chips = data.isel(point=choice.point), np.flatnonzero(good)
    with house_style():
        for curve in curves:
            if curve.kind == kind:
                return _curve(data, chips, curve)
        return _DRAW[kind](data, chips, choice)


def kinds_of(data: Any, curves: Sequence[Curve] = ()) -> list[str]:
    """Kinds of pictures that a shape group gives."""
    kinds = [curve.kind for curve in curves if all(name in data for name in curve.y)]
    if "transition_level" in data:
        chips = data.sizes["sample"] > 1
        return ["transfer", "inl", *(["histogram"] if chips else []), *kinds]
    if any(name not in data for name in ("output_current", "row_voltage", "conductance")):
        return kinds
    kinds += ["ir-drop"] if "cell_voltage" in data else []
    if "output_current" in data:
        kinds.append("error")
        if data.sizes["sample"] > 1:
            kinds.append("histogram")
    return kinds


def _curve(data: Any, chips: Any, curve: Curve) -> Figure:
    from imccircuit.plots.curves import plot_curves
    from imccircuit.plots.style import make_figure

    along = data[curve.x]
    figure, (ax,) = make_figure()
    for name in curve.y:
        y = data[name].isel(sample=chips).transpose("sample", ..., curve.x)
        labels = [f"{dim} {i}" for dim in y.dims[1:-1] for i in range(y.sizes[dim])]
        plot_curves(
            ax, along.values, y.values,
            x_label=along.attrs["long_name"], x_unit=along.attrs["units"],
            y_label=data[curve.y[0]].attrs["long_name"], y_unit=data[curve.y[0]].attrs["units"],
            name=data[name].attrs["long_name"] if len(curve.y) > 1 else "",
            line_names=labels if y.ndim == 3 else (),
        )  # fmt: skip
    if curve.x_log:
        ax.set_xscale("log")
    if curve.y_log:
        ax.set_yscale("log")
    if curve.title:
        ax.set_title(curve.title, loc="left", fontsize=7)
    return figure


def _transfer(data: Any, chips: Any, _choice: Choice) -> Figure:
    from imccircuit.plots.adc import plot_transfer
    from imccircuit.plots.style import make_figure

    levels = data["transition_level"].values[chips]
    levels = levels.reshape(-1, levels.shape[-1])  # of a macro every converter
    full_scale = float(data["reference_voltage"].values[chips[0]])
    linearity = compute_inl_dnl(levels[:1], full_scale_v=full_scale)
    figure, (ax,) = make_figure()
    code = int(linearity.worst_inl_code[0])
    plot_transfer(ax, levels, full_scale, zoom_code=max(code, 1))
    return figure


def _inl(data: Any, chips: Any, choice: Choice) -> Figure:
    from imccircuit.plots.adc import plot_inl_dnl
    from imccircuit.plots.style import make_figure

    levels = data["transition_level"].values[chips]
    full_scale = float(data["reference_voltage"].values[chips[0]])
    method: Any = choice.method
    figure, (above, below) = make_figure(2)
    plot_inl_dnl(above, below, compute_inl_dnl(levels, full_scale_v=full_scale, method=method))
    return figure


def _ir_drop(data: Any, chips: Any, choice: Choice) -> Figure:
    from imccircuit.plots.array import plot_ir_drop
    from imccircuit.plots.style import make_figure

    chip, batch = chips[0], choice.batch
    if batch is None:
        every = data["row_voltage"].values[chip][..., None] - data["cell_voltage"].values[chip]
        batch = int(np.argmax(np.abs(every).max(axis=(1, 2))))
    if not 0 <= batch < data.sizes["batch"]:
        raise UsageError(f"no input vector {batch}; there are 0 to {data.sizes['batch'] - 1}")
    voltage = data["cell_voltage"].values[chip, batch]
    drive = data["row_voltage"].values[chip, batch]
    if np.all(drive <= 0):  # an array driven below its virtual ground loses magnitude alike
        voltage, drive = -voltage, -drive
    drop = compute_ir_drop(voltage, drive[:, None]).drop_v
    figure, (ax,) = make_figure(height_in=2.9)
    plot_ir_drop(ax, drop, title=f"IR drop, input vector {batch}")
    return figure


def _error(data: Any, chips: Any, _choice: Choice) -> Figure:
    from imccircuit.plots.statistics import plot_parity
    from imccircuit.plots.style import make_figure

    current = data["output_current"].values[chips]
    ideal = np.einsum(
        "sbr,src->sbc", data["row_voltage"].values[chips], data["conductance"].values[chips]
    )
    figure, (above, below) = make_figure(2, height_in=3.8)
    names = ("ideal", "circuit")
    plot_parity(above, ideal, current, "A", quantity="column current", names=names, ax_error=below)
    return figure


def _histogram(data: Any, chips: Any, choice: Choice) -> Figure:
    if "transition_level" in data:
        levels = data["transition_level"].values[chips]
        full_scale = float(data["reference_voltage"].values[chips[0]])
        linearity = compute_inl_dnl(levels, full_scale_v=full_scale)
        worst = np.abs(linearity.worst_inl_lsb)
        return _with_law(worst, "LSB", "Largest |INL| of a chip")
    currents = data["output_current"].values[chips]
    batch, col = choice.batch or 0, 0
    return _with_law(currents[:, batch, col], "A", f"Current of column {col}, input {batch}")


def _with_law(values: Any, unit: str, quantity: str) -> Figure:
    """Histogram with the lognormal (positive quantities) or normal law fitted to it."""
    from scipy import stats

    from imccircuit.plots.statistics import plot_histogram
    from imccircuit.plots.style import make_figure, scale_unit

    if np.all(values > 0):
        shape, _, scale = stats.lognorm.fit(values, floc=0)
        law, name = stats.lognorm(shape, scale=scale), "lognormal"
    else:
        law, name = stats.norm(*stats.norm.fit(values)), "normal"
    factor, shown = scale_unit(values, unit)
    label = f"{name}\nmean {law.mean() * factor:.3g} {shown}\nσ {law.std() * factor:.3g} {shown}"
    figure, (ax,) = make_figure()
    plot_histogram(ax, values, unit=unit, quantity=quantity, law_pdf=law.pdf, law_label=label)
    return figure


_DRAW: dict[str, Callable[[Any, Any, Choice], Figure]] = {
    "transfer": _transfer,
    "inl": _inl,
    "ir-drop": _ir_drop,
    "error": _error,
    "histogram": _histogram,
}
