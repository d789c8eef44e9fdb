"""Law of the levels of a ramp converter with many columns, and its fit to levels alone.

A current into a capacitor with a finite output resistance gives v = I·r·(1 − e^(−t/rC)), so with
x = k/2^bits the level of code k in column j of a chip is

    T_jk = o + A·(1 − e^(−κx))/κ + c·T_3(2x − 1) + o_j + g_j·(x − 1/2) :

offset o, span A and curvature κ of the one ramp, a low-order residual c, and of each column an
offset and what its delay adds along the ramp; means over columns of o_j and g_j are 0. Columns of
one chip differ only by these two: their errors are correlated through the ramp.

A comparator of transistors has an offset that bends near the ends of its range. Then T_jk is what
`imccircuit.surrogates.ramp_common_mode` makes of the right-hand side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from imccircuit.surrogates.ramp_common_mode import CommonMode

Floats = NDArray[np.float64]

RAMP_TERMS = ("offset", "span", "curvature", "residual")


def bend(x: Floats, curvature: float) -> Floats:
    """(1 − e^(−κx))/κ, which is x where κ is 0."""
    if abs(curvature) < 1e-9:
        return x
    return np.asarray(-np.expm1(-curvature * x) / curvature)


def ramp_levels(ramp: Floats, bits: int) -> Floats:
    """Levels (chip, code) in V of ramps (chip, term): offset, span, κ, residual, in V but κ."""
    x = np.arange(1, 2**bits) / 2**bits
    cubic = _cubic(x)
    return np.stack([o + a * bend(x, kappa) + c * cubic for o, a, kappa, c in ramp])


def column_levels(ramp: Floats, columns: Floats, bits: int, bends: CommonMode) -> Floats:
    """Levels (chip, column, code) in V, never falling; ``columns`` (chip, column, 2) in V."""
    along = np.arange(1, 2**bits) / 2**bits - 0.5
    own = columns[..., :1] + columns[..., 1:] * along
    levels = bends.levels_v(ramp_levels(ramp, bits)[:, None] + own)
    return np.maximum.accumulate(levels, axis=-1)


def fit_ramps(
    levels_v: Floats, codes: NDArray[np.int64], bends: CommonMode
) -> tuple[Floats, Floats, Floats]:
    """Ramps (chip, 4), columns (chip, column, 2) and errors of the ramps (chip, 4) from levels.

    Parameters
    ----------
    levels_v : (chip, column, code) in V of all codes.
    codes : those that the fit may see, eight or more.
    bends : of the comparators' offset.
    """
    count = levels_v.shape[2] + 1
    x = codes / count
    seen = bends.ramp_v(levels_v[:, :, codes - 1])
    middle = seen.mean(axis=1)
    design = np.column_stack([np.ones_like(x), x - 0.5])
    own = (seen - middle[:, None]) @ np.linalg.pinv(design).T
    ramps, errors = zip(*(_fit_one(x, level) for level in middle), strict=True)
    return np.stack(ramps), own, np.stack(errors)


def _fit_one(x: Floats, level_v: Floats) -> tuple[Floats, Floats]:
    span = float(np.ptp(level_v) / np.ptp(x))
    scale = np.array([span, span, 1.0, span])
    cubic = _cubic(x)

    def left(p: Floats) -> Floats:
        return np.asarray(p[0] + p[1] * bend(x, p[2]) + p[3] * cubic - level_v / span)

    found = least_squares(left, [level_v[0] / span, 1.0, 1e-3, 0.0], xtol=1e-15, ftol=1e-15,
                          gtol=1e-15)  # fmt: skip
    rms = np.sqrt(2 * found.cost / max(1, len(x) - 4))
    error = rms * np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac)))
    return found.x * scale, error * scale


def _cubic(x: Floats) -> Floats:
    y = 2 * x - 1
    return np.asarray(4 * y**3 - 3 * y)
