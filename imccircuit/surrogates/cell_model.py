"""What a model of cells holds: arrays, parameters with their sigma, domain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.cell_iv_parameters import CellParameters
from imccircuit.errors import UsageError
from imccircuit.surrogates.base import Model, ModelArray, Parameter, provenance_of
from imccircuit.surrogates.carried import cost_figures
from imccircuit.surrogates.cell_conditions import as_settings, conditions_of
from imccircuit.surrogates.cell_data import CellData
from imccircuit.surrogates.cell_fit import BlockFit
from imccircuit.surrogates.cell_population import fit_spread
from imccircuit.surrogates.data import Measured
from imccircuit.units import format_quantity

Floats = NDArray[np.float64]

OWN_ARRAYS = (
    ("cell_conductance", "S", "fitted conductance at 0 V"),
    ("threshold_shift", "V", "fitted shift of the threshold"),
    ("current_factor", "1", "fitted factor on the transistor's current"),
)
_UNITS = {
    "curvature": "1/V**2",
    "threshold": "V",
    "slope_factor": "1",
    "gain": "A/V**2",
    "mobility_reduction": "1/V",
    "drain_coupling": "1",
    "drain_slope": "1/V",
}
LOG = "log_"
SHARES = ("chip", "level", "cell")
"""What cells of a chip may have in common, see `imccircuit.surrogates.cell_correlation`."""


def own_numbers(
    conductance_s: Floats, threshold_shift_v: Floats | None, current_factor: Floats | None
) -> Floats:
    """Own numbers as the law takes them: (…, own)."""
    parts = [np.log(conductance_s)]
    if threshold_shift_v is not None and current_factor is not None:
        parts += [threshold_shift_v, np.log(current_factor)]
    return np.stack(parts, axis=-1)


def build_model(
    measured: Measured, data: CellData, law: BlockFit, own: Floats, mask: NDArray[np.bool_]
) -> Model:
    """Everything a model file holds, but gates and verdict.

    Parameters
    ----------
    law : what all cells share.
    own : (chip, level, cell, own) numbers of each cell.
    mask : (chip,) True where held out; these do not enter the population.
    """
    dims = ("chip", "level", "cell")
    values = [np.exp(own[..., 0])]
    if data.law.gated:
        values += [own[..., 1], np.exp(own[..., 2])]
    arrays = {
        name: ModelArray(value, unit, dims, text)
        for value, (name, unit, text) in zip(values, OWN_ARRAYS, strict=False)
    }
    parameters = _parameters(measured, data, law, mask) | cost_figures(measured, ~mask)
    settings = {
        "cell": "1t1r" if data.law.gated else "1r",
        "varied": ",".join(sorted(data.varied)),
        **as_settings(conditions_of(measured)),
    }
    if measured.chips > 1:
        for value, (name, unit, text) in zip(values, OWN_ARRAYS, strict=False):
            spread = fit_spread(value[~mask], positive=name != "threshold_shift")
            settings[f"{name}_law"] = ",".join(spread.laws)
            for part in SHARES:
                key = f"{name}_{part}_share"
                parameters[key] = Parameter(key, getattr(spread.shared, part), "1")
            for moment, array, axes in (
                ("mean", spread.mean, ("level",)),
                ("sd", spread.sd, ("level",)),
                ("quantile", spread.quantiles, ("level", "share")),
            ):
                arrays[f"{name}_{moment}"] = ModelArray(array, unit, axes, f"{moment}, {text}")
    residual = law.shared[len(data.law.physical) :]
    level = _parameters_of(measured).circuit.level_s
    arrays |= {
        "programmed_conductance": ModelArray(level, "S", ("level",), "programmed conductance"),
        "residual_coefficient": ModelArray(residual, "1", ("coefficient",), "of the residual"),
        "bit_line_voltage": ModelArray(
            measured.arrays["bit_line_voltage"][0], "V", ("bit_line",), "measured voltages"
        ),
        "sample": ModelArray(measured.samples, "1", ("chip",), "Monte Carlo sample"),
        "held_out": ModelArray(mask.astype(np.int8), "1", ("chip",), "not seen by the fit"),
        "reference_current": ModelArray(
            data.current[..., -1], "A", dims, "measured at the last point"
        ),
    }
    if data.law.gated:
        arrays["word_line_voltage"] = ModelArray(
            measured.arrays["word_line_voltage"][0], "V", ("word_line",), "measured voltages"
        )
    return Model(
        arrays=arrays,
        parameters=parameters,
        settings=settings,
        gates={},
        domain=_domain(measured, data),
        limits=_limits(data),
        provenance=provenance_of(measured),
    )


def _parameters(
    measured: Measured, data: CellData, law: BlockFit, mask: NDArray[np.bool_]
) -> dict[str, Parameter]:
    found = {}
    for name, value, sigma in zip(data.law.physical, law.shared, law.sigma, strict=False):
        key = name.removeprefix(LOG)
        number = np.exp(value) if key != name else value
        scale = number if key != name else 1.0
        found[key] = Parameter(key, float(number), _UNITS[key], float(sigma * scale))
    curvature = found["curvature"]
    if curvature.value > 5 * curvature.sigma and curvature.value * data.law.scale_v**2 > 1e-3:
        v0 = curvature.value**-0.5
        sigma = 0.5 * v0 * curvature.sigma / curvature.value
        found["sinh_voltage"] = Parameter("sinh_voltage", v0, "V", sigma, "1/root of curvature")
    chips = float(np.count_nonzero(~mask))
    facts = {
        "fit_rms": (law.rms, "1"),
        "temperature": (measured.parameters.conditions.temperature, "degC"),
        "fitted_chips": (chips, "1"),
        "fitted_cells": (chips * data.shape[2], "1"),
    }
    return found | {name: Parameter(name, float(v), unit) for name, (v, unit) in facts.items()}


def _domain(measured: Measured, data: CellData) -> dict[str, str]:
    found = {"bit line": _range(np.append(data.bit_v, 0.0))}
    if data.law.gated:
        found["word line"] = _range(data.word_v)
    return conditions_of(measured) | found | {"dynamics": "none: static currents"}


def _limits(data: CellData) -> dict[str, tuple[float, float]]:
    axes = {"bit_line_v": np.append(data.bit_v, 0.0)}
    if data.law.gated:
        axes["word_line_v"] = data.word_v
    return {name: (float(v.min()), float(v.max())) for name, v in axes.items()}


def _range(voltage_v: Floats) -> str:
    low, high = float(voltage_v.min()), float(voltage_v.max())
    return f"{format_quantity(low, 'V')} to {format_quantity(high, 'V')}"


def _parameters_of(measured: Measured) -> CellParameters:
    if not isinstance(measured.parameters, CellParameters):
        raise UsageError(f"{measured.results.path} holds no I-V curves of cells")
    return measured.parameters
