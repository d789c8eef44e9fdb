"""Charge columns, ramps and time cells of known origin, in plain numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic import checked

Floats = NDArray[np.float64]

SUPPLY_V = 0.9
FULL_SCALE_V = 0.6
PARASITIC = 0.4
"""Line capacitance over the nominal sum of a column's capacitors."""


def bits_of(rows: int, cols: int, batch: int, seed: int = 4) -> tuple[Floats, Floats]:
    """Inputs (batch, row), each vector with a density of its own, and stored bits (row, col)."""
    rng = np.random.default_rng(seed)
    x = rng.random((batch, rows)) < rng.random((batch, 1))
    return x.astype(float), (rng.random((rows, cols)) < 0.7).astype(float)


def charge_chip(
    caps: Floats, x: Floats, w: Floats, extra_v: Floats | float = 0.0
) -> dict[str, NDArray[Any]]:
    """All variables a fit may look at, for capacitors (row, col) in units; the drawn ones NaN.

    V = VDD Σ x w C/(Σ C + C_line) + extra.
    """
    rows = len(caps)
    total = caps.sum(axis=0) + PARASITIC * rows
    output = SUPPLY_V * (x @ (w * caps)) / total + extra_v
    return {
        "output_voltage": output,
        "active_products": (x @ w).astype(np.int64),
        "input": x,
        "weight": w,
        "unit_capacitor": np.full(caps.shape, np.nan),
        "noise_sigma": np.asarray(3e-4),
    }


def charge_population(
    sigmas: Sequence[float], rows: int, cols: int, batch: int, seed: int = 2
) -> list[dict[str, NDArray[Any]]]:
    """One chip for each relative spread of capacitors."""
    rng = np.random.default_rng(seed)
    x, w = bits_of(rows, cols, batch)
    return [charge_chip(1 + s * rng.standard_normal((rows, cols)), x, w) for s in sigmas]


def charge_settings(rows: int, cols: int, batch: int, *more: str) -> list[str]:
    """Settings of the shipped recipe of an array for this size."""
    return [f"circuit.rows={rows}", f"circuit.cols={cols}", f"stimulus.batch={batch}",
            'circuit.product="and"', *more]  # fmt: skip


def ramp_chip(
    *, bits: int, slope: float, curvature: float, offsets: Floats, bow_v: float = 0.0
) -> dict[str, NDArray[Any]]:
    """Levels of columns on v = slope·FS·(1 − e^(−κx))/κ, and whole conversions of them."""
    x = np.arange(1, 2**bits) / 2**bits
    ramp = slope * FULL_SCALE_V * (1 - np.exp(-curvature * x)) / curvature
    levels = ramp - offsets[:, None] + bow_v * np.sin(9 * np.pi * x)
    lsb = FULL_SCALE_V / 2**bits
    codes = np.array(checked(bits))
    around = levels[0][codes - 1][:, None] + 0.01 * lsb * np.array([-1.0, 1.0])
    inputs = around.ravel()
    found = np.stack([np.searchsorted(level, inputs) for level in levels])
    return {
        "transition_level": levels[0],
        "column_level": levels,
        "ramp_level": ramp,
        "loop_input": inputs / FULL_SCALE_V,
        "loop_code": found[0],
        "column_code": found,
        "reference_voltage": np.asarray(FULL_SCALE_V),
        "comparator_offset": np.full(len(offsets), np.nan),
        "ramp_noise": np.full(len(x), 1e-5),
    }


def ramp_population(
    slopes: Floats, columns: int, offset_v: float, bits: int = 6, seed: int = 3
) -> list[dict[str, NDArray[Any]]]:
    """One chip for each slope, column offsets Gaussian."""
    rng = np.random.default_rng(seed)
    return [
        ramp_chip(
            bits=bits, slope=s, curvature=0.03, offsets=offset_v * rng.standard_normal(columns)
        )
        for s in slopes
    ]


T0_S, SLOPE, BEND = 500e-12, 1e-9, 30e-12
"""Delay of a time cell at 0 V in s, its slope in s/V, and its share of (V/0.4 V)² in s."""


def time_chip(own: Floats, voltage_v: Floats, reference_s: float = 0.0) -> dict[str, Any]:
    """Edges of cells with own offsets in s and slopes in s/V (output, stage, 2) at voltages
    (vector, output, stage); the reference column's cells have ``reference_s`` of their own."""
    each = T0_S + SLOPE * voltage_v + BEND * (voltage_v / 0.4) ** 2
    each = each + own[None, ..., 0] + own[None, ..., 1] * voltage_v
    edges = np.cumsum(each, axis=-1)
    outputs, stages = own.shape[:2]
    return {
        "output_voltage": voltage_v,
        "edge_time": edges,
        "output_delay": edges[..., -1] - stages * T0_S - reference_s,
        "zero_delay": np.zeros(outputs),
        "full_delay": np.full(outputs, stages * SLOPE * 0.4),
    }


def scrambled(chip: Mapping[str, NDArray[Any]], names: Sequence[str], seed: int) -> dict[str, Any]:
    """The same chip with noise in place of some of its variables."""
    rng = np.random.default_rng(seed)
    return {**chip, **{n: rng.random(np.shape(chip[n])) * 1e-15 for n in names if n in chip}}
