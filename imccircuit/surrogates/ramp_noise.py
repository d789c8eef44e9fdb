"""Noise of a ramp converter's conversions, from what its model carries.

A conversion is off by the noise of the ramp when it passes the input, ``ramp_noise`` (code) V, and
by the comparator's own, which is what the model's ``noise`` (rms of both over the levels) has
beyond the ramp's. The ramp's variate is one a conversion for all columns, the comparator's one a
column. Of a ramp that walks, columns that fire far apart share less than that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.base import Parameter
from imccircuit.surrogates.inputs import seed_of, whole
from imccircuit.units import format_quantity

if TYPE_CHECKING:
    from imccircuit.surrogates.ramp_adc import RampAdcSurrogate

Floats = NDArray[np.float64]


def noise_text(noise: Parameter | None) -> str:
    """Line of the domain, from the rms ``noise`` of a conversion in V; None where it is unknown."""
    if noise is None:
        return "none: that of the comparators is not known"
    return f"where a seed is given, {format_quantity(noise.value, 'V')} rms a conversion"


def draw_ramp_noise(
    model: RampAdcSurrogate,
    voltage_v: Floats,
    chip: int,
    column: int,
    seed: int,
    first_index: int,
) -> Floats:
    """What the noise adds to inputs (conversion,) in V, in V; drawn as vectors from the first on.

    Raises
    ------
    UsageError : the model knows no noise, or seed or index do not fit the generator.
    """
    from imccircuit.surrogates.kernels.noise import DECISION, SAMPLED, draw_normals

    if "noise" not in model.model.parameters or "ramp_noise" not in model.model.arrays:
        raise UsageError("the model knows no noise, so a seed has no meaning; leave it out")
    seed, chip, column = seed_of(seed), whole("chip", chip), whole("column", column)
    first_index = whole("first_index", first_index)
    if first_index < 0:
        raise UsageError(f"the first index must not be negative, it is {first_index}")
    sigma = model.array("ramp_noise")
    own = math.sqrt(max(model.value("noise") ** 2 - float(np.mean(sigma**2)), 0.0))
    of_ramp, of_column = (
        draw_normals(
            (len(voltage_v), columns), seed=seed, chip=chip, stream=stream, first_index=first_index
        )[:, -1]
        for stream, columns in ((SAMPLED, 1), (DECISION, column + 1))
    )
    nominal = model.lsb_v * np.arange(1, len(sigma) + 1)
    return np.asarray(np.interp(voltage_v, nominal, sigma) * of_ramp + own * of_column)
