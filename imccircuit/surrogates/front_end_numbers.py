"""Physical numbers of a front end's curves: transresistance, offset, input, bow, stops."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from imccircuit.surrogates.base import ModelArray, Parameter
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.front_end_law import TERMS, TransferLaw
from imccircuit.units import format_quantity

Floats = NDArray[np.float64]

# An output that moves by less than this share of its slope in the range has stopped.
_STOPPED = 0.05


def physical_parameters(
    current_a: Floats,
    measured: Measured,
    arrays: Mapping[str, ModelArray],
    own_v: Floats,
    levels: NDArray[np.bool_],
) -> dict[str, Parameter]:
    """Numbers a designer knows, of the fitted chips.

    Many chips: mean ± standard error, the spread in the note. One chip: the uncertainty of the
    least squares. Zero output and input voltage are those at no current, by the end-point line and
    its bow, also where the range does not reach there.

    Parameters
    ----------
    own_v : (fitted chip, 2 · term).
    levels : (level,) those that the fit of a single chip saw.
    """
    span = float(current_a[-1] - current_a[0])
    law = TransferLaw(current_a, np.zeros(len(current_a)))
    at_zero = np.stack([law.voltage(np.eye(TERMS)[k], np.zeros(())) for k in range(TERMS)])
    found = {}
    for curve, at, slope in (
        ("output", "zero_output", "transresistance"),
        ("input", "input_voltage", "input_resistance"),
    ):
        mine = slice(0, TERMS) if curve == "output" else slice(TERMS, None)
        rows = np.stack([at_zero, *(np.eye(TERMS)[k] for k in (1, 2, 3))])
        # Of the output by the convention of all surrogates, V = V_0 - R_t·I.
        rows[1] /= -span if curve == "output" else span
        common = arrays[f"{curve}_residual"].values
        residual = float(TransferLaw(current_a, common).common(np.zeros(1))[0])
        values = own_v[:, mine] @ rows.T
        values[:, 0] += residual
        seen = measured.arrays[f"{curve}_voltage"][0][levels] if len(own_v) == 1 else None
        sigmas = _least_squares_sigma(law, current_a[levels], seen, rows)
        names = (at, slope, f"{curve}_bow", f"{curve}_asymmetry")
        for name, unit, column, sigma in zip(
            names, ("V", "ohm", "V", "V"), values.T, sigmas, strict=True
        ):
            found[name] = _parameter(name, unit, column, float(sigma))
    return found


def stops_of(measured: Measured, chips: NDArray[np.bool_]) -> dict[str, Parameter]:
    """``low_stop`` and ``high_stop`` in V: where the output of the fitted chips stopped.

    An output that had not stopped when the current did is known to go at least as far: the
    parameter is that, its σ NaN.
    """
    driven = measured.arrays["driven_output"][chips]
    steps = np.abs(np.diff(driven, axis=1))
    usual = np.median(steps, axis=1)
    found = {}
    for name, ends in (("low_stop", driven.min(axis=1)), ("high_stop", driven.max(axis=1))):
        falling = driven[0, 0] > driven[0, -1]
        side = -1 if (name == "low_stop") == falling else 0
        if np.all(steps[:, side] < _STOPPED * usual):
            found[name] = _parameter(name, "V", ends, 0.0)
        else:
            far = float(ends.min() if name == "low_stop" else ends.max())
            note = "not reached: the farthest output that was driven"
            found[name] = Parameter(name, far, "V", float("nan"), note)
    return found


def _least_squares_sigma(
    law: TransferLaw, current_a: Floats, seen_v: Floats | None, rows: Floats
) -> Floats:
    """σ of ``rows`` @ numbers of a single curve; zeros where there are many."""
    if seen_v is None or len(seen_v) <= TERMS:
        return np.zeros(len(rows))
    design = law.design(current_a)
    left = seen_v - design @ law.fit(current_a, seen_v[None])[0]
    variance = float(left @ left) / (len(seen_v) - TERMS)
    covariance = variance * np.linalg.inv(design.T @ design)
    return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows)))


def _parameter(name: str, unit: str, values: Floats, sigma: float) -> Parameter:
    if len(values) == 1:
        return Parameter(name, float(values[0]), unit, sigma)
    spread = float(values.std(ddof=1))
    note = f"standard deviation over {len(values)} chips {format_quantity(spread, unit, 2)}"
    return Parameter(name, float(values.mean()), unit, spread / float(np.sqrt(len(values))), note)
