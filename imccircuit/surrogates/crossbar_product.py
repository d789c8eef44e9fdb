"""Arrays of nonlinear cells as one matrix product: a low-order correction on G_eff.

    I = (V + b·V·|V| + c·V³) @ G_eff

G_eff is the effective conductance of the cells' slopes at 0 V, wires included, so small drives are
exact. b and c are the same for all rows and are fitted to SPICE's column currents by least squares:
0 and 1/(6 V0²) for I = G·V0·sinh(V/V0) without wires; a transistor in series bends the current with
the voltage's magnitude, so b is negative there. What neither can say, how the nonlinear drops of
rows and columns change each other, is in the error that the verdict states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.array_fit import ChipData
from imccircuit.surrogates.array_model import ArrayModel
from imccircuit.surrogates.base import Parameter
from imccircuit.surrogates.crossbar_split import Split
from imccircuit.surrogates.data import Measured

if TYPE_CHECKING:
    from imccircuit.surrogates.crossbar import CrossbarSurrogate

Floats = NDArray[np.float64]

TERMS = {"product_quadratic": "1/V", "product_cubic": "1/V**2"}
"""Names and units of b and c."""


def fit_product(physics: ArrayModel, chips: Sequence[ChipData]) -> dict[str, Parameter]:
    """Fit of b and c, with their σ; nothing for linear cells.

    A constant of each chip's columns is left out, which is what offsets of amplifiers are to first
    order.
    """
    if physics.linear:
        return {}
    tables, left = [], []
    for chip in chips:
        matrix = physics.effective_conductance(chip.conductance_s)
        terms = [term @ matrix for term in _terms(chip.voltage_v)]
        linear = chip.voltage_v @ matrix
        tables.append(np.stack([_varying(term) for term in terms], axis=-1).reshape(-1, 2))
        left.append(_varying(chip.current_a - linear).ravel())
    table, wanted = np.concatenate(tables), np.concatenate(left)
    scale = np.maximum(np.linalg.norm(table, axis=0), np.finfo(float).tiny)
    found = np.linalg.lstsq(table / scale, wanted, rcond=None)[0]
    residual = wanted - table / scale @ found
    variance = float(residual @ residual) / max(1, len(wanted) - 2)
    spread = np.sqrt(np.diag(np.linalg.pinv((table / scale).T @ (table / scale))) * variance)
    return {
        name: Parameter(name, float(value / size), TERMS[name], float(sigma / size))
        for name, value, sigma, size in zip(TERMS, found, spread, scale, strict=True)
    }


def corrected_drive(model: CrossbarSurrogate, voltage_v: Floats) -> Floats:
    """V + b·V·|V| + c·V³ of drive voltages in V, and V of linear cells.

    Raises
    ------
    UsageError : the model is older than the correction.
    """
    if model.linear:
        return voltage_v
    if not TERMS.keys() <= model.model.parameters.keys():
        raise UsageError("the model is older than products of nonlinear cells; fit again")
    parts = zip(TERMS, _terms(voltage_v), strict=True)
    return np.asarray(voltage_v + sum(model.value(name) * term for name, term in parts))


def product_note(
    model: CrossbarSurrogate,
    measured: Measured,
    split: Split,
    offsets: tuple[Floats, Floats] | None,
) -> str:
    """Error of the one product on what is judged, in words; empty for linear cells."""
    if not TERMS.keys() <= model.model.parameters.keys():
        return ""
    errors, largest = [], 0.0
    for chip in np.flatnonzero(split.judged.any(axis=1)):
        use = split.judged[chip]
        truth = measured.arrays["output_current"][chip][use]
        found = model.one_product(
            measured.arrays["conductance"][chip],
            measured.arrays["row_voltage"][chip][use],
            None if offsets is None else offsets[0][chip],
        )
        errors.append((found - truth).ravel())
        largest = max(largest, float(np.max(np.abs(truth))))
    error = np.concatenate(errors) / largest
    return (
        "currents by one product, (V + b V|V| + c V**3) @ G_eff, held out: "
        f"max {100 * float(np.max(np.abs(error))):.3g} %, "
        f"rms {100 * float(np.sqrt(np.mean(error**2))):.3g} % of the largest current"
    )


def _terms(voltage_v: Floats) -> tuple[Floats, Floats]:
    return voltage_v * np.abs(voltage_v), voltage_v**3


def _varying(values: Floats) -> Floats:
    """Less the mean over the vectors."""
    return np.asarray(values - values.mean(axis=0))
