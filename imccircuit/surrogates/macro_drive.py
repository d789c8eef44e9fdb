"""Voltages of a macro's rows, from the bias on: of sources, or of drivers by their surrogate.

They are those without load: what a driver's resistance takes is the array's part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.macro_parts import MacroParts, driver_of, macro_parameters

if TYPE_CHECKING:
    from imccircuit.surrogates.macro import MacroSurrogate

Floats = NDArray[np.float64]

WAYS = ("input", "input_code", "voltage_v")
"""How inputs may be given, one of them."""


def drive_of(
    parts: MacroParts,
    inputs: Mapping[str, Any],
    driver_level_v: Any,
    chip: int,
    bias_v: float,
    read_v: float,
) -> Floats:
    """Voltages (batch, row) in V for the inputs of a macro; see `MacroSurrogate.predict`.

    Parameters
    ----------
    inputs : by the names of `WAYS`, None for those not given.
    driver_level_v : of other drivers, None for those of ``chip``.

    Raises
    ------
    UsageError : not one way of `WAYS` is given, shapes do not fit, or a code is none.
    """
    ways = [name for name in WAYS if inputs.get(name) is not None]
    if driver_level_v is not None and (ways == ["voltage_v"] or not parts.driver):
        raise UsageError("driver_level_v is for inputs or codes of a macro that has drivers")
    if len(ways) != 1:
        raise UsageError(f"a macro takes one of {', '.join(WAYS)}; given: {len(ways)}")
    given = np.atleast_2d(np.asarray(inputs[ways[0]]))
    if ways[0] == "voltage_v":
        return np.asarray(given - bias_v, dtype=np.float64)
    if ways[0] == "input" and parts.driver is None:
        return np.asarray(read_v * given, dtype=np.float64)
    if driver_level_v is None:
        level = parts.row_levels(chip) * np.sign(read_v)
    else:
        level = _given_levels(driver_level_v) - bias_v
    if given.shape[1] != len(level):
        raise UsageError(f"inputs {given.shape} do not fit the drivers of {len(level)} rows")
    return np.asarray(level[np.arange(len(level)), _codes(ways[0], given, level.shape[1] - 1)])


def _given_levels(table: Any) -> Floats:
    level = np.asarray(table, dtype=np.float64)
    if level.ndim != 2 or not np.all(np.isfinite(level)):
        raise UsageError(
            f"driver_level_v of shape {level.shape}; allowed: finite numbers, (row, code)"
        )
    return level


def _codes(way: str, given: NDArray[Any], last: int) -> NDArray[np.int64]:
    """Codes of the drivers: the nearest ones to inputs from 0 to 1."""
    if way == "input":
        if not (np.all(given >= 0) and np.all(given <= 1)):
            raise UsageError("an input of a macro with drivers is out of range; allowed: 0 to 1")
        return np.asarray(np.rint(last * given), dtype=np.int64)
    if given.dtype.kind not in "iu" or np.any(given < 0) or np.any(given > last):
        raise UsageError(f"a code is none of the drivers'; allowed: whole, 0 to {last}")
    return given.astype(np.int64)


def predicted_drives(model: MacroSurrogate, measured: Measured) -> Floats:
    """Voltages (chip, batch, row) in V of measured chips that the model predicts.

    A chip's drivers show their numbers at a few codes, as where their own surrogate is judged.
    """
    view, driver = driver_of(measured), model.parts.driver
    if view is None or driver is None:
        return np.asarray(measured.arrays["row_voltage"] - model.value("bias_voltage"))
    law = driver.law
    levels = law.levels(law.fit(view.arrays["output_level"], law.shown()))
    code = measured.arrays["input_code"]
    table = levels.reshape(len(code), code.shape[2], -1)
    found = np.take_along_axis(table, code.transpose(0, 2, 1), axis=2).transpose(0, 2, 1)
    return np.asarray(found * np.sign(model.value("read_voltage")))


def drivers_sigma(model: MacroSurrogate, measured: Measured, level_v: float) -> Floats:
    """Error (col,) in V at the front ends' outputs, rms, by what the model knows of drivers.

    Two terms: levels that are off by ``level_v`` V rms, and resistances of which the model has
    the mean. A row whose cells are S together stands at V/(1 + R·S) and draws S times that; if R
    is off by δ, δ times the current is missing, which the row feels less by 1 + R·S. Wires are
    left out.
    """
    ohm, g = measured.arrays["driver_resistance"], measured.arrays["conductance"]
    cells = g.sum(axis=2)  # (chip, row)
    loaded = 1 / (1 + model.parts.array.physics.r_driver_ohm * cells)
    row_a = predicted_drives(model, measured) * (cells * loaded)[:, None]
    missing = np.mean((float(ohm.std()) * row_a) ** 2, axis=1)
    squares = np.einsum("kr,krc->kc", (level_v**2 + missing) * loaded**2, g**2)
    return np.asarray(abs(model.parts.transresistance_ohm) * np.sqrt(squares.mean(axis=0)))


def ideal_drives(measured: Measured) -> Floats:
    """Voltages (chip, batch, row) in V of drivers without error."""
    parameters = macro_parameters(measured)
    bits = parameters.circuit.driver.bits
    if bits is None:
        return np.asarray(measured.arrays["row_voltage"] - parameters.circuit.bias_voltage)
    share = measured.arrays["input_code"] / (2**bits - 1)
    return np.asarray(parameters.stimulus.read_voltage * share)
