"""Energy, latency, area, noise and settling that a model carries beside what it predicts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Along
from imccircuit.surrogates.base import Parameter
from imccircuit.surrogates.data import Measured
from imccircuit.units import format_quantity

COSTS = ("energy", "latency", "area")
"""Parameters of a model that say what an operation costs."""

# Parameter of a model → (variable of the results, unit).
_SCALARS = {
    "latency": ("latency", "s"),
    "settling_time": ("settling_time", "s"),
    "area": ("area", "m**2"),
    "noise": ("noise_sigma", "V"),
}


def carried_figures(measured: Measured, chips: NDArray[np.bool_]) -> dict[str, Parameter]:
    """Figures of ``chips`` as parameters of a model: energy in J, latency, area, noise, settling.

    Each is the mean over chips ± its standard error; the note gives the standard deviation over
    chips. ``energy`` is the sum of the blocks that are modelled, and its note names those that
    are not; ``settling_time`` the longest of all that settles. What a chip has no number for is
    left out: it was not measured of all.

    Parameters
    ----------
    chips : (chip,) True for the chips that the fit may see.
    """
    found = {}
    if "energy" in measured.arrays:
        energy = measured.arrays["energy"][chips]
        known = np.all(np.isfinite(energy), axis=0)
        if known.any():
            names = block_names(measured)
            missing = ", ".join(str(names[k]) for k in np.flatnonzero(~known))
            note = f"without {missing}: not modelled" if missing else ""
            found["energy"] = _mean("energy", energy[:, known].sum(axis=1), "J", note)
    for name, (variable, unit) in _SCALARS.items():
        if variable not in measured.arrays:
            continue
        values = np.asarray(measured.arrays[variable][chips], dtype=np.float64)
        values = values.reshape(len(values), -1).max(axis=1)
        if np.all(np.isfinite(values)):
            found[name] = _mean(name, values, unit)
    return found


def power_figure(measured: Measured, chips: NDArray[np.bool_]) -> dict[str, Parameter]:
    """``power`` in W that goes into wires and cells, mean over vectors; empty if not measured."""
    power = measured.arrays.get("array_power")
    if power is None or not np.all(np.isfinite(power[chips])):
        return {}
    spread = format_quantity(float(power[chips].std()), "W", 2)
    note = f"wires and cells, mean over the measured vectors, which differ by {spread} rms"
    return {"power": _mean("power", power[chips].mean(axis=1), "W", note)}


def cost_figures(measured: Measured, chips: NDArray[np.bool_]) -> dict[str, Parameter]:
    """``energy`` in J, ``latency`` in s and ``area`` in m² alone, as `carried_figures`."""
    found = carried_figures(measured, chips)
    return {name: found[name] for name in COSTS if name in found}


def block_names(measured: Measured) -> NDArray[np.object_]:
    """Names (block,) of the blocks whose energy was measured."""
    along = measured.recipe.bench.coordinates(measured.parameters)["block"]
    return np.asarray(along.values if isinstance(along, Along) else along)


def _mean(name: str, values: NDArray[np.float64], unit: str, note: str = "") -> Parameter:
    count = len(values)
    notes = ["measured, not fitted"] + ([note] if note else [])
    if count == 1:
        return Parameter(name, float(values[0]), unit, 0.0, "; ".join(notes))
    spread = float(values.std(ddof=1))
    notes.append(f"standard deviation over {count} chips {format_quantity(spread, unit, 2)}")
    sigma = spread / float(np.sqrt(count))
    return Parameter(name, float(values.mean()), unit, sigma, "; ".join(notes))
