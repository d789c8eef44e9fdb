"""Products of a charge-domain array, and the cells of a chip as its outputs tell them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.surrogates.base import ModelArray
from imccircuit.surrogates.charge_law import ChargeLaw, design

Floats = NDArray[np.float64]


def products_of(inputs: ArrayLike, stored: ArrayLike, kind: str) -> tuple[Floats, Floats]:
    """Products (vector, row, col) that are one, and active rows (vector,), of a recipe's bits."""
    x, w = np.asarray(inputs)[:, :, None] > 0, np.asarray(stored)[None] > 0
    one = x & w if kind == "and" else x == w
    return one.astype(np.float64), x[:, :, 0].sum(axis=1).astype(np.float64)


def design_of_counts(count: Floats, active: Floats, rows: int, order: int) -> Floats:
    """Residual terms (batch, col, term) of numbers of products (batch, col) that are one."""
    return design(rows, count / rows, active, order)[..., 2:]


def cells_of(
    law: ChargeLaw, output_v: Floats, products: Floats, active: Floats, order: int
) -> dict[str, ModelArray]:
    """Weights of cells and offsets of columns of chips, from outputs (chip, vector, col) in V."""
    rows = products.shape[1]
    left = output_v - law.mean(design(rows, products.sum(axis=1) / rows, active, order))
    found = [law.cells(products[:, :, j], left[:, :, j]) for j in range(left.shape[2])]
    weight = law.step_v * (1 + np.stack([delta for delta, _ in found], axis=-1))
    offset = np.stack([offset for _, offset in found], axis=-1)
    return {
        "cell_weight": ModelArray(weight, "V", ("chip", "row", "col"), "what a product adds"),
        "column_offset": ModelArray(offset, "V", ("chip", "col"), "a column's own offset"),
    }
