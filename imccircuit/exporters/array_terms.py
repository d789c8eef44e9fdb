"""Crossbars as matrices that a simulator without our solver can multiply, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.amounts import sense_ends_at_drive
from imccircuit.exporters.content import COST_NUMBERS, Content, Fidelity
from imccircuit.exporters.curves import curves_fidelity, row_terms, stated_error
from imccircuit.surrogates.array_model import ArrayModel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ArrayTerms:
    """Column currents I_j = offset_j + Σ_p Σ_i V_i·|V_i|^(p-1)·matrices[p-1, i, j].

    Attributes
    ----------
    matrices : (chip, term, row, col) in A/V^p; one term where the cells are linear.
    offset_a : (chip, col) current at 0 V drive in A.
    stated_error_a : largest error of the terms on the stored vectors in A; 0 for linear cells.
    output_offset_v : (chip, col) in V; None where there are no amplifiers.
    transresistance_ohm : output = output_offset - transresistance·I; None likewise.
    """

    matrices: Floats
    offset_a: Floats
    stated_error_a: float
    output_offset_v: Floats | None
    transresistance_ohm: float | None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of chips, terms, rows and columns."""
        chips, terms, rows, cols = self.matrices.shape
        return chips, terms, rows, cols


def array_terms(content: Content) -> ArrayTerms:
    """Terms of a crossbar's content; see `imccircuit.exporters.curves` for more than one."""
    arrays = content.arrays
    if content.needs_solver:
        matrices = row_terms(content)
        error = stated_error(content, matrices)
    else:
        matrices = arrays["effective_conductance"].values[:, None]
        error = 0.0
    amplified = content.numbers.get("transresistance_ohm") is not None
    none = np.zeros((len(matrices), matrices.shape[-1]))
    return ArrayTerms(
        matrices=matrices,
        offset_a=arrays["offset_current"].values if amplified else none,
        stated_error_a=error,
        output_offset_v=arrays["output_offset"].values if amplified else None,
        transresistance_ohm=content.numbers.get("transresistance_ohm"),
    )


def sense_admittance(content: Content) -> Floats:
    """Matrix (chip, col, col) in S: current that 1 V at sense j drives out of sense k, at 0 V."""
    names = ("r_row_ohm", "r_col_ohm", "r_driver_ohm", "r_sense_ohm", "r_series_ohm")
    known = {name: content.numbers.get(name) for name in names}
    physics = ArrayModel(**{name: value for name, value in known.items() if value is not None})
    return np.stack([physics.port_admittance(g) for g in content.arrays["conductance"].values])


def sense_ends(content: Content, how: str) -> Fidelity:
    """What becomes of the voltages of the sense ends where cells are not linear."""
    return Fidelity(
        "voltages of the sense ends",
        "approximated",
        f"{how}; amount: by how much it is another where all cells have the largest stored drive",
        sense_ends_at_drive(content),
        "1",
    )


def table_fidelity(content: Content, place: str) -> list[Fidelity]:
    """What a target of tables keeps of every quantity of ``content``.

    Parameters
    ----------
    place : where such a target states the numbers that nothing of it uses.
    """
    return [_in_tables(item, content, place) for item in content.fidelity]


def _in_tables(item: Fidelity, content: Content, place: str) -> Fidelity:
    if item.quantity == "population of chips" and item.treatment == "exact":
        how = "the chips of the model only; none can be drawn"
        return Fidelity(item.quantity, "dropped", how)
    if item.quantity in COST_NUMBERS and item.treatment != "dropped":
        return replace(item, how=f"{item.how}; a number in {place}, which nothing uses")
    if not content.needs_solver:
        return item
    if item.quantity == "cells and wires":
        return curves_fidelity(content, item.quantity, array_terms(content).matrices)
    if item.quantity == "read-out":
        return offset_fidelity(content, item)
    return item


def offset_fidelity(content: Content, item: Fidelity) -> Fidelity:
    """What becomes of the read-out of cells that are not linear where there is no solver."""
    error = content.numbers.get("offset_error_a")
    if error is None:
        return replace(item, how=f"{item.how}, on the currents above")
    how = (
        f"{item.how}, on the currents above; input offsets as the constant current that they "
        "cause at 0 V drive: on the stored vectors off by up to the amount"
    )
    return Fidelity(item.quantity, "approximated", how, error, "A")
