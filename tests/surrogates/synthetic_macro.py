"""Macros of known origin: parts and the whole from plain numpy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic import crossbar_chip, search, static_levels, transitions, write

BITS, ROWS, COLS, CONVERTERS, BATCH = 5, 6, 3, 2, 12
LSB = 1 / 2**BITS
SETTINGS = (
    f"circuit.array.rows={ROWS}", f"circuit.array.cols={COLS}", f"circuit.converters={CONVERTERS}",
    f"circuit.converter.bits={BITS}", f"stimulus.batch={BATCH}",
    'circuit.array.tia_feedback_resistance="30 kohm"', "gates.input_error=0.1 LSB",
)  # fmt: skip


def macro_chip(
    rng: np.random.Generator, moved_v: float = 0.0, costs: float = np.nan, **cells: float
) -> dict[str, NDArray[Any]]:
    """All variables of the bench for one chip.

    What the whole samples is moved by ``moved_v`` V. ``costs`` is what a conversion takes, in units
    of six blocks of 1 fJ and of 60 ns.
    """
    inputs = np.random.default_rng(8).random((BATCH, ROWS))
    inputs[0, :2] = 0, 1
    drive = 0.1 - 0.1 * inputs
    chip = crossbar_chip(
        1e-6 * rng.uniform(1, 90, (ROWS, COLS)), drive, feedback=30e3, r_row=2.0, r_col=3.0,
        amplifier_offset=0.1 + 1e-3 * rng.standard_normal(COLS), **cells,
    )  # fmt: skip
    units = 2.0 ** np.arange(BITS)
    static = np.stack(
        [static_levels(units + 0.02 * np.sqrt(units) * rng.standard_normal(BITS), 1.0,
                       2e-3 * rng.standard_normal()) for _ in range(CONVERTERS)]
    )  # fmt: skip
    sampled = chip["output_voltage"][:, :CONVERTERS] + moved_v
    code = [[search(static[j], BITS, v) for j, v in enumerate(line)] for line in sampled]
    return {
        **chip,
        "output_code": np.array(code),
        "sampled_voltage": sampled,
        "sampled_current": chip["output_current"],
        "forced_level": static,
        "transition_level": np.stack([transitions(level, BITS) for level in static]),
        "null_residual": np.zeros(CONVERTERS),
        "reference_voltage": np.asarray(1.0),
        "bit_capacitor": np.full((CONVERTERS, BITS), np.nan),
        "comparator_offset": np.full(CONVERTERS, np.nan),
        "conversion_time": np.asarray(66e-9),
        "latch_offset": np.full(CONVERTERS, np.nan),
        # Of seven blocks the second is behavioural.
        "converter_energy": np.tile(
            1e-15 * np.where(np.arange(7) == 1, np.nan, costs), (CONVERTERS, 1)
        ),
        "converter_noise": np.full(CONVERTERS, 0.3 * LSB),
        "converter_latency": np.full(CONVERTERS, 60e-9 * costs),
        "converter_area": np.full(CONVERTERS, np.nan),
    }


def results(path: Path, moved_v: float = 0.0, seed: int = 2, chips: int = 12,
            settings: Sequence[str] = SETTINGS, costs: float = np.nan,
            **cells: float) -> Path:  # fmt: skip
    """Results of macros; ``cells`` as `synthetic.crossbar_currents`."""
    rng = np.random.default_rng(seed)
    table = [macro_chip(rng, moved_v, costs, **cells) for _ in range(chips)]
    return write(path, "macro_sar8", settings, table)
