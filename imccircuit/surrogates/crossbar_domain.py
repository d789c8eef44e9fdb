"""Where a model of a crossbar holds: drive voltages, conductances of cells, rows and columns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.crossbar_parameters import CrossbarParameters
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.data import Measured
from imccircuit.units import format_quantity

SPREADS = 4.0
"""Standard deviations of the card's spread by which a cell may lie outside its states."""
_LEVELS = 65


def limits_of(parameters: CrossbarParameters, measured: Measured) -> dict[str, tuple[float, float]]:
    """Limits of the inputs by name, SI.

    ``voltage_v``: the range that drive voltages were drawn from, else that of the given ones and
    0 V. ``conductance_s``: see `conductance_limits`. ``rows`` and ``columns`` of the array: those
    that were measured.
    """
    rows, columns = measured.arrays["conductance"].shape[1:]
    drive, stimulus = measured.arrays["row_voltage"], parameters.stimulus
    drawn = 0.0 if stimulus.voltages is not None else stimulus.read_voltage
    return {
        "voltage_v": (min(0.0, float(drive.min())), max(drawn, float(drive.max()))),
        "conductance_s": conductance_limits(parameters, measured),
        "rows": (float(rows), float(rows)),
        "columns": (float(columns), float(columns)),
    }


def conductance_limits(parameters: CrossbarParameters, measured: Measured) -> tuple[float, float]:
    """Lowest and highest conductance in S of a cell for which the model holds.

    That is what was measured and what the recipe may program: the given conductances or, drawn,
    those from the off to the on conductance of the card, at 27 °C and at the recipe's temperature;
    where the recipe varies them, with `SPREADS` standard deviations of the card on either side.
    """
    circuit, found = parameters.circuit, [measured.arrays["conductance"].ravel()]
    card, given = circuit.device_card, circuit.conductances
    ends = np.array([card.off_conductance.value, card.on_conductance.value])
    if given is not None:
        ends = np.array([given.min(), given.max()])
    found += [ends, ends * card.temperature_factor(parameters.conditions.temperature)]
    if "conductance" in measured.recipe.common.variation.quantities:
        spread = card.spread_at(circuit.read_time)
        levels = np.linspace(ends[0], ends[1], _LEVELS)
        mean, margin = spread.mean_of(levels), SPREADS * spread.sd_of(levels)
        found += [mean - margin, mean + margin]
    every = np.concatenate(found)
    return max(0.0, float(every.min())), float(every.max())


def check_array(
    model: Surrogate, conductance_s: NDArray[np.float64], *, strict: bool = False
) -> None:
    """Warn once about an array (row, col) in S outside the model's limits, or refuse it.

    Raises
    ------
    UsageError : ``strict``, and its size or a conductance is outside.
    """
    model.check_domain("conductance_s", conductance_s, strict=strict)
    for name, count in zip(("rows", "columns"), conductance_s.shape, strict=True):
        model.check_domain(name, count, strict=strict)


def domain_of(
    parameters: CrossbarParameters, limits: Mapping[str, tuple[float, float]]
) -> dict[str, str]:
    """Domain in words, of limits by `limits_of`: what is printed is what is checked."""
    circuit = parameters.circuit
    return {
        "drive voltage": f"{quantities_text(limits['voltage_v'], 'V')}, at rest",
        "cell conductance": quantities_text(limits["conductance_s"], "S"),
        "array": f"{limits['rows'][0]:g} rows x {limits['columns'][0]:g} columns",
        "cell": circuit.cell,
        "read-out": circuit.readout,
        "temperature": f"{parameters.conditions.temperature:g} degC",
        "noise": "none",
    }


def quantities_text(limits: tuple[float, float], unit: str) -> str:
    """Say limits in SI, such as ``0 V to 200 mV``."""
    low, high = (format_quantity(end, unit) for end in limits)
    return f"{low} to {high}"
