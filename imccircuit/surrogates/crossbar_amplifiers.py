"""Transresistance and offsets of a crossbar's read-out amplifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.surrogates.array_fit import ChipData, fit_array
from imccircuit.surrogates.array_model import ArrayModel
from imccircuit.surrogates.base import ModelArray, Parameter
from imccircuit.surrogates.crossbar_split import Split
from imccircuit.surrogates.data import Measured
from imccircuit.units import format_quantity

Floats = NDArray[np.float64]

_MOST_STEPS = 20
_LAST_STEP_V = 1e-10
# Where a fit is repeated with offsets that are known better; a nanovolt is below what SPICE tells.
_MOST_ROUNDS = 12
_LAST_MOVE_V = 1e-9
_MOVE = "input_offset_move"


def fit_amplifiers(
    physics: ArrayModel, measured: Measured, split: Split, r_t_ohm: float | None = None
) -> tuple[dict[str, Parameter], dict[str, ModelArray]]:
    """Transresistance of all amplifiers, and offsets of each, from the vectors that may be used.

    Least squares of V_out = o_j - R_t·I over what the fit may see; input offsets such that the
    mean of the currents over the vectors is that of the model, by Newton.
    """
    arrays = measured.arrays
    e, o = [], []
    use = ~split.hidden_vectors
    fitted = Parameter("transresistance", r_t_ohm or 0.0, "ohm")
    if r_t_ohm is None:
        fitted = _transresistance(measured, ~split.hidden_chips, use)
    r_t = fitted.value
    for chip in range(measured.chips):
        used = split.calibration_vectors if split.hidden_chips[chip] else use
        g, drive = arrays["conductance"][chip], arrays["row_voltage"][chip][used]
        current, voltage = (arrays[n][chip][used] for n in ("output_current", "output_voltage"))
        e.append(input_offsets(physics, g, drive, current))
        o.append((voltage + r_t * current).mean(axis=0))
    dims = ("chip", "col")
    return (
        {"transresistance": fitted},
        {
            "input_offset": ModelArray(np.stack(e), "V", dims, "voltage of an amplifier's input"),
            "output_offset": ModelArray(np.stack(o), "V", dims, "its output at no current"),
        },
    )


def fit_behind_amplifiers(
    data: Sequence[ChipData], names: tuple[str, ...]
) -> tuple[ArrayModel, dict[str, Parameter]]:
    """Fit of an array whose bit lines' ends stand at offsets that nobody has measured.

    What an offset does to first order is eliminated from the fit. Of nonlinear cells that is not
    all: the offsets follow from the fit and are taken as known in the next, until they stand.

    Parameters
    ----------
    data, names : as of `fit_array`.

    Returns
    -------
    The model and each fitted number as of `fit_array`. Where the offsets do not settle, there is
    also ``input_offset_move``: by how much in V the last round moved the one that moved most.
    """
    physics, fitted = fit_array(data, names, offset=True)
    if physics.linear:
        return physics, fitted
    before = [np.zeros(chip.current_a.shape[1]) for chip in data]
    for _ in range(_MOST_ROUNDS):
        stand = [
            input_offsets(physics, chip.conductance_s, chip.voltage_v, chip.current_a)
            for chip in data
        ]
        moved = max(float(np.max(np.abs(e - b))) for e, b in zip(stand, before, strict=True))
        if moved <= _LAST_MOVE_V:
            return physics, fitted
        known = [replace(chip, sense_v=e) for chip, e in zip(data, stand, strict=True)]
        physics, fitted = fit_array(known, names, offset=True, begin=physics)
        before = stand
    note = (
        f"the amplifiers' input offsets did not settle: the last of {_MOST_ROUNDS} rounds still "
        f"moved them by {format_quantity(moved, 'V', 2)}, so wires and cells were fitted with "
        "offsets that are wrong by about as much"
    )
    return physics, {**fitted, _MOVE: Parameter(_MOVE, moved, "V", note=note)}


def input_offsets(physics: ArrayModel, g: Floats, drive: Floats, current: Floats) -> Floats:
    """Voltages (col,) of a chip's amplifiers' inputs in V; one step is exact for linear cells.

    Parameters
    ----------
    g, drive, current : (row, col) S, (batch, row) V, and what was measured, (batch, col) A.
    """
    found = np.zeros(g.shape[1])
    for _ in range(_MOST_STEPS):
        rest = (current - physics.currents(g, drive, found)).mean(axis=0)
        admittance = physics.driven_admittance(g, drive, found)
        # Least squares, for a column without cells has no admittance; its offset counts as 0.
        step = -np.linalg.lstsq(admittance, rest, rcond=1e-12)[0]
        found = found + step
        if physics.linear or np.max(np.abs(step)) <= _LAST_STEP_V:
            break
    return found


def _transresistance(
    measured: Measured, chips: NDArray[np.bool_], vectors: NDArray[np.bool_]
) -> Parameter:
    """Slope of -V_out over I in ohm, each column about its own mean, with its σ."""
    current, voltage = (
        measured.arrays[name][chips][:, vectors] for name in ("output_current", "output_voltage")
    )
    current = current - current.mean(axis=1, keepdims=True)
    voltage = voltage - voltage.mean(axis=1, keepdims=True)
    square = float(np.sum(current**2))
    if square == 0:
        note = "the currents are all the same, so the data do not identify it"
        return Parameter("transresistance", 0.0, "ohm", np.nan, note)
    slope = float(-np.sum(current * voltage)) / square
    rest = voltage + slope * current
    freedom = max(1, rest.size - rest.shape[0] * rest.shape[2] - 1)
    sigma = float(np.sqrt(np.sum(rest**2) / freedom / square))
    return Parameter("transresistance", slope, "ohm", sigma)
