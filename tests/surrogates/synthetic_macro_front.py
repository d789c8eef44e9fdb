"""Macros whose front ends have curves of known origin, in plain numpy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic import crossbar_currents, search, static_levels, transitions, write

Floats = NDArray[np.float64]

BITS, ROWS, COLS, CONVERTERS, BATCH = 5, 6, 3, 2, 12
LSB, BIAS, FEEDBACK, LEVELS = 1 / 2**BITS, 0.35, 30e3, 9
# Of the recipe: from an output of 90 % of 1 V on.
LOW_A, HIGH_A = (BIAS - 0.9) / FEEDBACK, 8e-6
NOISE_V, SETTLES_S, CONVERTS_S = 1e-3, 17e-9, 132e-9
SETTINGS = (
    f"circuit.array.rows={ROWS}", f"circuit.array.cols={COLS}", f"circuit.converters={CONVERTERS}",
    f"circuit.converter.bits={BITS}", f"stimulus.batch={BATCH}",
    'circuit.front_end.feedback_resistance="30 kohm"', f"circuit.front_end.levels={LEVELS}",
    'circuit.front_end.step_time="50 ns"', "gates.input_error=0.1 LSB",
)  # fmt: skip


def input_v(numbers: Floats, current: Floats) -> Floats:
    """Input voltage: offset, ohms, and two bends that vanish at the ends of the range, in V.

    Cubic within the range, straight beyond it.
    """
    offset, ohm, bow, skew = numbers
    inside = np.clip(current, LOW_A, HIGH_A)
    x = (inside - (LOW_A + HIGH_A) / 2) / (HIGH_A - LOW_A)
    value = BIAS + offset + ohm * inside + (bow + skew * x) * (1 - 4 * x**2)
    # The slope at an end, by x: (1 - 4x²) falls by 4 there, and rises by 4 at the other.
    bend = np.where(current > HIGH_A, -4 * bow - 2 * skew, 4 * bow - 2 * skew) / (HIGH_A - LOW_A)
    return np.asarray(value + (ohm + bend) * (current - inside))


def front_chip(
    rng: np.random.Generator, bent: float = 1.0, spread: float = 1.0
) -> tuple[dict[str, Any], Floats]:
    """Variables of all columns' front ends, and their numbers (col, 4).

    ``bent`` scales the mean bends, ``spread`` what differs between them but their offsets.
    """
    draws = rng.standard_normal((COLS, 4)) * [1, spread, spread, spread]
    numbers = np.array([0, 40, 2e-4 * bent, 1e-4 * bent]) + draws * [2e-3, 5, 5e-5, 2e-5]
    drive = np.linspace(2 * LOW_A - HIGH_A, 2 * HIGH_A - LOW_A, 3 * (LEVELS - 1) + 1)
    current = drive[LEVELS - 1 : 2 * LEVELS - 1]
    seen = np.stack([input_v(own, current) for own in numbers])
    driven = np.stack([input_v(own, drive) - FEEDBACK * drive for own in numbers])
    output = seen - FEEDBACK * current
    each = np.ones(COLS)
    return {
        "front_end_output_voltage": output,
        "front_end_input_voltage": seen,
        "front_end_driven_output": driven,
        "front_end_gain": -FEEDBACK * each,
        "front_end_lsb": np.abs(output[:, -1] - output[:, 0]) / 2**BITS,
        "front_end_offset_voltage": numbers[:, 0],
        "front_end_input_resistance": numbers[:, 1],
        "front_end_settling_time": SETTLES_S * np.ones((COLS, 2)),
        "front_end_noise_sigma": NOISE_V * each,
        # Of rows, reference and supply: the rows' is not the amplifier's.
        "front_end_energy": np.tile([7e-14, 1e-13, 4.9e-12], (COLS, 1)),
        "front_end_latency": SETTLES_S * each,
        "front_end_area": 2e-10 * each,
    }, numbers


def with_front_ends(g: Floats, drive: Floats, numbers: Floats, **wires: Any) -> Floats:
    """Column currents (batch, col) with the ends where their front ends hold them, in turns."""
    found = []
    for vector in drive:
        ends = np.zeros(g.shape[1])
        for _ in range(12):
            current = crossbar_currents(g, vector[None], end_v=ends, **wires)[0]
            ends = np.array([input_v(n, i) for n, i in zip(numbers, current, strict=True)]) - BIAS
        found.append(current)
    return np.stack(found)


def macro_chip(
    rng: np.random.Generator,
    moved_v: float = 0.0,
    bent: float = 1.0,
    spread: float = 1.0,
    **cells: Any,
) -> dict[str, NDArray[Any]]:
    """All variables of the bench for one chip; what is sampled is moved by ``moved_v`` V."""
    inputs = np.random.default_rng(8).random((BATCH, ROWS))
    inputs[0, :2] = 0, 1
    g = 1e-6 * rng.uniform(1, 38, (ROWS, COLS))
    fronts, numbers = front_chip(rng, bent, spread)
    cells = {"r_row": 2.0, "r_col": 3.0, **cells}
    current = with_front_ends(g, -0.1 * inputs, numbers, **cells)
    output = np.stack([input_v(n, i) for n, i in zip(numbers, current.T, strict=True)], axis=1)
    output = output - FEEDBACK * current
    units = 2.0 ** np.arange(BITS)
    static = np.stack(
        [static_levels(units + 0.02 * np.sqrt(units) * rng.standard_normal(BITS), 1.0,
                       2e-3 * rng.standard_normal()) for _ in range(CONVERTERS)]
    )  # fmt: skip
    sampled = output[:, :CONVERTERS] + moved_v
    nan = np.full(CONVERTERS, np.nan)
    return {
        **fronts,
        "array_current": crossbar_currents(g, -0.1 * inputs, **cells),
        "row_voltage": BIAS - 0.1 * inputs,
        "conductance": g,
        "output_current": current,
        "output_voltage": output,
        "tia_offset": np.full(COLS, np.nan),
        "output_code": np.array(
            [[search(static[j], BITS, v) for j, v in enumerate(line)] for line in sampled]
        ),
        "sampled_voltage": sampled,
        "sampled_current": current,
        "forced_level": static,
        "transition_level": np.stack([transitions(level, BITS) for level in static]),
        "null_residual": np.zeros(CONVERTERS),
        "reference_voltage": np.asarray(1.0),
        "bit_capacitor": np.full((CONVERTERS, BITS), np.nan),
        "comparator_offset": nan,
        "conversion_time": np.asarray(CONVERTS_S),
        "latch_offset": nan,
        "converter_energy": np.full((CONVERTERS, 7), 1e-15),
        "converter_noise": np.full(CONVERTERS, 0.1 * LSB),
        "converter_latency": np.full(CONVERTERS, 120e-9),
        "converter_area": np.full(CONVERTERS, 5e-10),
    }


def results(
    path: Path, seed: int = 2, chips: int = 12, settings: Sequence[str] = SETTINGS, **chip: Any
) -> Path:
    """Results of such macros."""
    rng = np.random.default_rng(seed)
    return write(path, "macro_sar8_amplifiers", settings,
                 [macro_chip(rng, **chip) for _ in range(chips)])  # fmt: skip
