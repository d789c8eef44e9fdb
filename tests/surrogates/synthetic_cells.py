"""Cells of known origin: plain numpy and scipy, no bench, generator or law of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Floats = NDArray[np.float64]

LEVELS = (39e-6, 5e-6)
BIT = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
WORD = (0.3, 0.45, 0.6, 0.9, 1.2)


def settings(cells: int, *more: str) -> list[str]:
    """Settings of ``rram_iv`` for two levels."""
    levels = "[" + ", ".join(f'"{1e6 * g!r} uS"' for g in LEVELS) + "]"
    return [f"circuit.levels={levels}", f"circuit.cells={cells}", *more]


def gated_settings(cells: int, *more: str) -> list[str]:
    """Settings of ``onet1r_iv`` for two levels and five word lines."""
    words = "[" + ", ".join(f'"{v!r} V"' for v in WORD) + "]"
    bits = "[" + ", ".join(f'"{v!r} V"' for v in BIT) + "]"
    return settings(
        cells, f"stimulus.word_line_voltages={words}", f"stimulus.bit_line_voltages={bits}", *more
    )


def chip(current: Floats, bit: Floats, word: Floats | None = None) -> dict[str, NDArray[Any]]:
    """All variables of the bench; drawn conductances are NaN: a fit that looked would show."""
    blocks = 1 if word is None else 2
    arrays = {
        "cell_current": current,
        "bit_line_voltage": bit,
        "conductance": np.full(current.shape[:2], np.nan),
        "level_current": current.reshape(*current.shape[:2], -1, len(bit))[:, :, -1].mean(axis=1),
        "energy": np.full(blocks, 3e-15),
        "energy_returned": np.zeros(blocks),
        "latency": np.asarray(1e-10),
        "area": np.asarray(np.nan if word is None else 2e-13),
    }
    if word is not None:
        arrays["word_line_voltage"] = word
        arrays["gated_current"] = current[..., -1].mean(axis=1)
    return arrays


def resistive_chip(g: Floats, v0: float | None = None) -> dict[str, NDArray[Any]]:
    """Cells (level, cell) of conductances ``g``."""
    bit = np.array(BIT)
    bent = bit if v0 is None else v0 * np.sinh(bit / v0)
    return chip(g[..., None] * bent, bit)


def transistor_a(drain_v: float, gate_v: float, shift_v: float, factor: float) -> float:
    """A transistor of another law: alpha power with a soft threshold, and a soft triode."""
    over = 0.06 * np.log1p(np.exp((gate_v - 0.4 - shift_v) / 0.06))
    saturated = factor * 2.5e-4 * over**1.4
    return float(saturated * np.tanh(drain_v / (0.05 + 0.6 * over)))


def gated_chip(g: Floats, shift: Floats, factor: Floats) -> dict[str, NDArray[Any]]:
    """Cells (level, cell) with a transistor each."""
    current = np.zeros((*g.shape, len(WORD), len(BIT)))
    for index in np.ndindex(*g.shape):
        for w, gate in enumerate(WORD):
            for b, volt in enumerate(BIT):
                if volt == 0:
                    continue
                args = (gate, shift[index], factor[index])
                drain = brentq(
                    lambda d, v=volt, a=args, c=g[index]: c * (v - d) - transistor_a(d, *a),
                    0, volt, xtol=1e-15,
                )  # fmt: skip
                current[(*index, w, b)] = g[index] * (volt - drain)
    return chip(current, np.array(BIT), np.array(WORD))


def conductances(
    count: int, cells: int, seed: int, cv: float = 0.1,
    chip: float = 0.0, level: float = 0.0, place: float = 0.0,
) -> Floats:  # fmt: skip
    """Lognormal conductances (chip, level, cell) of mean `LEVELS`.

    ``chip``, ``level`` and ``place`` are the shares of the scores' variance that all cells of a
    chip, those of one level, and the same cell of all levels have in common.
    """
    rng = np.random.default_rng(seed)
    s = np.sqrt(np.log1p(cv**2))
    levels = len(LEVELS)
    score = np.sqrt(1 - chip - level - place) * rng.standard_normal((count, levels, cells))
    score += np.sqrt(level) * rng.standard_normal((count, levels, 1))
    score += np.sqrt(place) * rng.standard_normal((count, 1, cells))
    score += np.sqrt(chip) * rng.standard_normal((count, 1, 1))
    return np.array(LEVELS)[:, None] * np.exp(s * score - s**2 / 2)


def resistive_population(count: int, seed: int, cells: int = 2, **law: Any) -> list[Any]:
    """Chips of resistors."""
    return [resistive_chip(g) for g in conductances(count, cells, seed, **law)]


def gated_population(count: int, seed: int) -> list[Any]:
    """Chips of one cell a level with a transistor."""
    rng = np.random.default_rng(seed + 100)
    return [
        gated_chip(
            g, 0.03 * rng.standard_normal(g.shape), np.exp(0.05 * rng.standard_normal(g.shape))
        )
        for g in conductances(count, 1, seed)
    ]
