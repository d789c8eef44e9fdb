"""Where the spread of a 1T1R cell's current is smallest, over its word-line voltage.

At a high word-line voltage the resistor sets the current and its spread; at a low one the
transistor does, as a current source whose threshold spreads. Between them lies an optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Optimum:
    """Smallest value of a figure over a voltage, with its uncertainty from a bootstrap over chips.

    Attributes
    ----------
    voltage_v, low_v, high_v : place of the minimum and the ends of its interval in V.
    figure, figure_low, figure_high : its value there, likewise.
    edge_share : share of the resampled sets of chips whose minimum is at an end of the sweep;
        where it is not small the interval is cut off by the sweep.
    confidence : level of both intervals.
    """

    voltage_v: float
    low_v: float
    high_v: float
    figure: float
    figure_low: float
    figure_high: float
    edge_share: float
    confidence: float


def compute_cell_spread(current_a: ArrayLike, nominal_a: ArrayLike) -> Floats:
    """σ/µ of a current over its nominal value: (…, cell) → (…), no unit.

    Dividing each cell by its own nominal current takes out what its place in the column does.
    """
    ratio = np.asarray(current_a, dtype=np.float64) / np.asarray(nominal_a, dtype=np.float64)
    return np.asarray(np.std(ratio, axis=-1, ddof=1) / np.mean(ratio, axis=-1))


def compute_step_spread(low_resistive_a: ArrayLike, high_resistive_a: ArrayLike) -> Floats:
    """Spread of a cell over the step between its states: (…, cell) → (…), no unit.

    √((σ_on² + σ_off²)/2)/(µ_on − µ_off): what one cell, in either state with even odds, adds to
    the error of a sum, in units of one count. Unlike σ/µ it minds a small on/off ratio.

    Raises
    ------
    UsageError : the low-resistive current is not the larger one.
    """
    on = np.asarray(low_resistive_a, dtype=np.float64)
    off = np.asarray(high_resistive_a, dtype=np.float64)
    step = on.mean(axis=-1) - off.mean(axis=-1)
    if np.any(step <= 0):
        raise UsageError("the low-resistive current must be larger than the high-resistive one")
    variance = (on.var(axis=-1, ddof=1) + off.var(axis=-1, ddof=1)) / 2
    return np.asarray(np.sqrt(variance) / step)


def compute_word_line_optimum(
    voltage_v: ArrayLike,
    spread: ArrayLike,
    *,
    confidence: float = 0.9,
    resamples: int = 1000,
    seed: int = 1,
) -> Optimum:
    """Voltage at which the rms spread over chips is smallest.

    A parabola through the smallest point and its two neighbours, of the logarithm of the rms over
    chips, gives the place between the points. Chips are resampled as wholes, for chip k is the
    same at every voltage.

    Parameters
    ----------
    voltage_v : (point,) ascending, three or more.
    spread : (point, chip) of `compute_cell_spread` or `compute_step_spread`; positive.
    resamples, seed : of the bootstrap.

    Raises
    ------
    UsageError : shapes, an order or values that do not fit; the smallest value is at an end of the
        sweep, so that the optimum lies outside it.
    """
    x, y = np.asarray(voltage_v, dtype=np.float64), np.asarray(spread, dtype=np.float64)
    if x.ndim != 1 or len(x) < 3 or np.any(np.diff(x) <= 0):
        raise UsageError("voltage_v must be three or more ascending voltages")
    if y.shape[:1] != x.shape or y.ndim != 2 or not (np.all(np.isfinite(y)) and np.all(y > 0)):
        raise UsageError(f"spread must be ({len(x)}, chip), finite and above 0")
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence level lies between 0 and 1, not {confidence!r}")
    place, value, at_edge = _minimum(x, _rms(y)[:, None])
    if at_edge[0]:
        raise UsageError(
            f"the smallest spread is at the end of the sweep, {place[0]:g} V: sweep farther"
        )
    generator = np.random.Generator(np.random.PCG64(seed))
    chips = generator.integers(0, y.shape[1], (resamples, y.shape[1]))
    figure = np.stack([_rms(y[:, some]) for some in chips], axis=1)
    places, values, edges = _minimum(x, figure)
    tail = (1 - confidence) / 2
    ends = np.quantile(places, [tail, 1 - tail])
    value_ends = np.quantile(values, [tail, 1 - tail])
    return Optimum(
        float(place[0]), float(ends[0]), float(ends[1]),
        float(value[0]), float(value_ends[0]), float(value_ends[1]),
        float(edges.mean()), confidence,
    )  # fmt: skip


def _rms(spread: Floats) -> Floats:
    return np.asarray(np.sqrt(np.mean(np.square(spread), axis=-1)))


def _minimum(x: Floats, figure: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Place and value of the minimum of each column of (point, column), and whether at an end."""
    logs = np.log(figure)
    index = np.argmin(logs, axis=0)
    at_edge = (index == 0) | (index == len(x) - 1)
    inner = np.clip(index, 1, len(x) - 2)
    column = np.arange(logs.shape[1])
    x0, x1, x2 = x[inner - 1], x[inner], x[inner + 1]
    y0, y1, y2 = logs[inner - 1, column], logs[inner, column], logs[inner + 1, column]
    slope_low, slope_high = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    bend = (slope_high - slope_low) / (x2 - x0)
    flat = at_edge | (bend <= 0)
    safe = np.where(flat, 1.0, bend)
    place = np.where(flat, x[index], (x0 + x1) / 2 - slope_low / (2 * safe))
    # Newton's form of the parabola through the three points.
    value = y0 + slope_low * (place - x0) + safe * (place - x0) * (place - x1)
    value = np.where(flat, logs[index, column], value)
    return place, np.asarray(np.exp(value)), at_edge
