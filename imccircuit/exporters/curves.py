"""Crossbars of nonlinear cells as one curve for each row, for layers without a solver.

A row driven alone with V gives each column a current that the solver knows. Three terms,

    I_j(V) = Σ_p c_pj·V·|V|^(p-1),  p = 1, 2, 3,

pass through it at a third, two thirds and all of the largest stored drive: odd in V, as the cells
are. The layer adds the rows. That leaves out what rows do to each other through the resistance
they share; how much is measured on the stored vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.content import Content, Fidelity
from imccircuit.surrogates.array_model import ArrayModel

Floats = NDArray[np.float64]

_SHARES = np.array([1.0, 2.0, 3.0]) / 3


def row_terms(content: Content) -> Floats:
    """Matrices (chip, 3, row, col) in A/V^p of the rows' curves."""
    drive = float(np.max(np.abs(content.replay["voltage"].values)))
    physics = _physics(content)
    found = []
    for cells in content.arrays["cell_conductance"].values:
        rows = cells.shape[0]
        alone = np.concatenate([share * drive * np.eye(rows) for share in _SHARES])
        current = physics.currents(cells, alone).reshape(3, -1)
        powers = (_SHARES * drive)[:, None] ** np.arange(1, 4)
        found.append(np.linalg.solve(powers, current).reshape(3, *cells.shape))
    return np.stack(found)


def stated_error(content: Content, terms: Floats) -> float:
    """Largest error in A of the curves against the surrogate on the stored vectors."""
    voltage, chip = content.replay["voltage"].values, content.replay["chip"].values
    powers = np.stack([voltage * np.abs(voltage) ** p for p in range(terms.shape[1])], axis=1)
    current = np.einsum("npr,nprc->nc", powers, terms[chip])
    if "offset_current" in content.arrays:
        current = current + content.arrays["offset_current"].values[chip]
    return float(np.max(np.abs(current - content.replay["expected_current"].values)))


@dataclass(frozen=True)
class LinearError:
    """What cells taken as linear are off by on the stored vectors.

    Attributes
    ----------
    largest_a : largest error of a current in A.
    share : that over the largest current.
    """

    largest_a: float
    share: float


def linear_error(content: Content) -> LinearError | None:
    """What the effective conductance at 0 V is off by; None where no vectors are stored.

    Column currents are then ``voltage @ G_eff``, G_eff with the wires and the slope of the cells
    at 0 V.
    """
    expected = content.replay["expected_current"].values
    if expected.size == 0:
        return None
    physics, cells = cells_and_wires(content)
    matrices = np.stack([physics.effective_conductance(own) for own in cells])
    error = stated_error(content, matrices[:, None])
    return LinearError(error, error / float(np.max(np.abs(expected))))


def cells_and_wires(content: Content) -> tuple[ArrayModel, Floats]:
    """What is around the cells, and conductances (chip, row, col) in S of these at 0 V.

    Series resistances are in the conductances, and no more in the model around them.
    """
    if "cell_conductance" in content.arrays:
        return _physics(content), np.asarray(content.arrays["cell_conductance"].values)
    series = content.numbers.get("r_series_ohm") or 0.0
    conductance = content.arrays["conductance"].values
    return _physics(content), np.asarray(conductance / (1.0 + conductance * series))


def curves_fidelity(content: Content, quantity: str, terms: Floats) -> Fidelity:
    """What becomes of cells and wires as one curve for each row."""
    error = stated_error(content, terms)
    largest = float(np.max(np.abs(content.replay["expected_current"].values)))
    how = (
        "a curve of three terms for each row driven alone, summed over rows: on the stored "
        f"vectors off by up to {error:.3g} A, {100 * error / largest:.2g} % of the largest current"
    )
    if content.numbers.get("offset_error_a"):
        how += ", constant offset currents included"
    return Fidelity(quantity, "approximated", how, error, "A")


def _physics(content: Content) -> ArrayModel:
    """The array with its fitted numbers; series resistances are in the cells already."""
    names = ("r_row_ohm", "r_col_ohm", "r_driver_ohm", "r_sense_ohm", "r_rise_ohm_per_a", "v0_v")
    known = {name: content.numbers.get(name) for name in names}
    return ArrayModel(**{name: value for name, value in known.items() if value is not None})
