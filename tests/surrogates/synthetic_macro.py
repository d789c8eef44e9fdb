"""Macros of known origin: parts and the whole from plain numpy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic import crossbar_chip, search, static_levels, transitions, write

BITS, ROWS, COLS, CONVERTERS, BATCH = 5, 6, 3, 2, 12
DRIVER_BITS = 4
LSB = 1 / 2**BITS
SETTINGS = (
    f"circuit.array.rows={ROWS}", f"circuit.array.cols={COLS}", f"circuit.converters={CONVERTERS}",
    f"circuit.converter.bits={BITS}", f"stimulus.batch={BATCH}",
    'circuit.array.tia_feedback_resistance="30 kohm"', "gates.input_error=0.1 LSB",
)  # fmt: skip


def macro_chip(
    rng: np.random.Generator, moved_v: float = 0.0, costs: float = np.nan, driven: bool = False,
    reported: float = 1.0, area: float = np.nan, **cells: float,
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """All variables of the bench for one chip.

    What the whole samples is moved by ``moved_v`` V. ``costs`` is what a conversion takes, in units
    of six blocks of 1 fJ and of 60 ns. With ``driven`` rows are driven by `driver_levels` of
    their own through 20 ohm; what is measured of these is ``reported`` times as far from the bias.
    A converter takes ``area`` m².
    """
    inputs = np.random.default_rng(8).random((BATCH, ROWS))
    inputs[0, :2] = 0, 1
    drive = 0.1 - 0.1 * inputs
    drivers = {}
    if driven:
        level = driver_levels(rng)
        code = np.rint((2**DRIVER_BITS - 1) * inputs).astype(np.int64)
        drive = level[np.arange(ROWS), code]
        ohm = np.full(level.shape, 20.0)
        shown = 0.1 + reported * (level - 0.1)
        drivers = {"input_code": code, "driver_level": shown, "driver_resistance": ohm}
        cells = {**cells, "r_driver": 20.0}
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
        **drivers,
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
        "converter_area": np.full(CONVERTERS, area),
    }


def driver_levels(rng: np.random.Generator) -> NDArray[np.float64]:
    """Voltages (row, code) of drivers whose bit weights are 2 % off, and with them their steps."""
    weight = 2.0 ** np.arange(DRIVER_BITS) * (1 + 0.02 * rng.standard_normal((ROWS, DRIVER_BITS)))
    bits = np.arange(2**DRIVER_BITS)[:, None] >> np.arange(DRIVER_BITS) & 1
    return np.asarray(0.1 - 0.1 * (weight @ bits.T) / (2**DRIVER_BITS - 1))


def results(path: Path, moved_v: float = 0.0, seed: int = 2, chips: int = 12,
            settings: Sequence[str] = SETTINGS, costs: float = np.nan, driven: bool = False,
            reported: float = 1.0, **cells: float) -> Path:  # fmt: skip
    """Results of macros; ``cells`` as `synthetic.crossbar_currents`."""
    rng = np.random.default_rng(seed)
    table = [macro_chip(rng, moved_v, costs, driven, reported, **cells) for _ in range(chips)]
    if driven:
        settings = (*settings, f"circuit.driver.bits={DRIVER_BITS}",
                    'variation.quantities=["driver_resistors", "conductance", "tia_offset", '
                    '"bit_capacitors", "comparator_offset"]')  # fmt: skip
    return write(path, "macro_sar8", settings, table)
