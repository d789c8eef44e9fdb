"""Integer matrix products from sums of digits: passes of inputs, slices and halves of weights.

Inputs x ≥ 0 are cut into digits of a few bits, one pass of the array each (one bit: bit-serial; all
bits: multi-bit drive). Weights are signed. As differential columns w = w⁺ − w⁻, two columns each;
as offset columns w + 2^(bits − 1), one column, from whose result the offset times Σx, which is
known, is taken. What is stored is cut into slices of a few bits, a column each. A column's sum of
products of digits goes through the converter; the rest is shifting and adding:

    y = Σ_half ± Σ_slice 2^(slice·s) Σ_pass 2^(pass·p) ADC(Σ_row x_pass · w_slice) − offset·Σ x

Pure arithmetic: what a column's sum is, is the caller's. With exact sums y is the integer product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

Integers = NDArray[np.int64]
ColumnSums = Callable[[Integers, Integers], NDArray[np.float64]]
"""Digits of inputs (batch, row) and of weights (row, col) → sums (batch, col) as converted."""

_MOST_BITS = 16


@dataclass(frozen=True)
class Composition:
    """How numbers are laid on an array.

    Attributes
    ----------
    input_bits : of an input, 0 … 2^bits − 1.
    weight_bits : of a weight with its sign, −2^(bits − 1) … 2^(bits − 1) − 1; as differential
        columns the least one is −2^(bits − 1) + 1.
    pass_bits : of an input that one pass drives, 1 for bit-serial.
    slice_bits : of a weight that one column stores.
    signed : how a sign is stored.
    """

    input_bits: int
    weight_bits: int
    pass_bits: int = 1
    slice_bits: int = 1
    signed: Literal["differential", "offset"] = "differential"

    def __post_init__(self) -> None:
        for name, least in (("input_bits", 1), ("weight_bits", 2), ("pass_bits", 1),
                            ("slice_bits", 1)):  # fmt: skip
            value = getattr(self, name)
            if not least <= value <= _MOST_BITS:
                raise UsageError(f"{name} = {value!r}; allowed: {least} to {_MOST_BITS}")
        if self.signed not in ("differential", "offset"):
            raise UsageError(f"signed = {self.signed!r}; allowed: differential, offset")

    @property
    def passes(self) -> int:
        """Number of passes of an input."""
        return -(-self.input_bits // self.pass_bits)

    @property
    def stored_bits(self) -> int:
        """Bits of what is stored of a weight: its magnitude, or the weight with the offset."""
        return self.weight_bits - (self.signed == "differential")

    @property
    def slices(self) -> int:
        """Number of columns that store one half of a weight."""
        return -(-self.stored_bits // self.slice_bits)

    @property
    def offset(self) -> int:
        """What is added to every weight; 0 with differential columns."""
        return 2 ** (self.weight_bits - 1) if self.signed == "offset" else 0

    @property
    def largest_input_digit(self) -> int:
        """Largest digit of a pass."""
        return int(2**self.pass_bits - 1)

    @property
    def largest_weight_digit(self) -> int:
        """Largest digit of a slice."""
        return int(2**self.slice_bits - 1)

    def largest_sum(self, rows: int) -> int:
        """Largest sum of a column of that many rows."""
        return rows * self.largest_input_digit * self.largest_weight_digit


def input_digits(inputs: ArrayLike, composition: Composition) -> Integers:
    """Digits (pass, batch, row) of inputs (batch, row), lowest first.

    Raises
    ------
    UsageError : an input is no integer from 0 to 2^input_bits − 1.
    """
    x = _integers(inputs, "inputs", 0, 2**composition.input_bits - 1)
    return _digits(x, composition.passes, composition.pass_bits)


def weight_digits(weights: ArrayLike, composition: Composition) -> Integers:
    """Digits (half, slice, row, col) of weights (row, col), lowest first.

    Halves are plus and minus of differential columns, or the only one of offset columns.

    Raises
    ------
    UsageError : a weight is no integer, or out of range; see `Composition`.
    """
    most = 2 ** (composition.weight_bits - 1)
    least = -most if composition.signed == "offset" else 1 - most
    w = _integers(weights, "weights", least, most - 1)
    halves = [w + most] if composition.signed == "offset" else [np.maximum(w, 0), np.maximum(-w, 0)]
    return np.stack([_digits(h, composition.slices, composition.slice_bits) for h in halves])


def compose_product(
    inputs: ArrayLike, weights: ArrayLike, composition: Composition, column_sums: ColumnSums
) -> Integers:
    """Product (batch, col) of inputs (batch, row) and weights (row, col); see the module.

    Parameters
    ----------
    column_sums : gives each column's sum of products of digits; it is rounded to an integer once
        all are added.

    Raises
    ------
    UsageError : values out of range, or shapes that do not fit.
    """
    x, w = input_digits(inputs, composition), weight_digits(weights, composition)
    if x.shape[2] != w.shape[2]:
        raise UsageError(f"inputs have {x.shape[2]} rows and weights {w.shape[2]}")
    halves, slices, rows, cols = w.shape
    # All columns of all weights side by side: one product a pass.
    side = np.moveaxis(w, 2, 0).reshape(rows, halves * slices * cols)
    total = np.zeros((x.shape[1], cols))
    slice_weight = 2.0 ** (composition.slice_bits * np.arange(slices))
    sign = np.array([1.0, -1.0])[:halves]
    for number, digits in enumerate(x):
        sums = np.asarray(column_sums(digits, side)).reshape(-1, halves, slices, cols)
        part = np.einsum("bhsc,h,s->bc", sums, sign, slice_weight)
        total += 2.0 ** (composition.pass_bits * number) * part
    known = composition.offset * np.asarray(inputs, dtype=np.int64).sum(axis=1, keepdims=True)
    return np.asarray(np.rint(total).astype(np.int64) - known)


def ideal_sums(bits: int, full_scale: int) -> ColumnSums:
    """Columns and converters without error, but for a stated full scale and a number of codes.

    A code is the sum in steps of full_scale/(2^bits − 1), rounded, and stays at the last one
    beyond full scale. Sums are exact up to full scale if the step is 1 or a whole part of it.

    Parameters
    ----------
    bits : of the converter.
    full_scale : sum that the last code stands for.

    Raises
    ------
    UsageError : either is below 1.
    """
    if bits < 1 or full_scale < 1:
        raise UsageError(f"bits = {bits}, full_scale = {full_scale}; allowed: from 1")
    last = 2**bits - 1

    def sums(digits: Integers, stored: Integers) -> NDArray[np.float64]:
        code = np.minimum(np.rint((digits @ stored) * (last / full_scale)), last)
        return np.asarray(code * (full_scale / last))

    return sums


def _integers(values: ArrayLike, what: str, least: int, most: int) -> Integers:
    given = np.asarray(values)
    if given.ndim != 2 or given.size == 0 or given.dtype.kind not in "iu":
        raise UsageError(f"{what} must be integers along two axes")
    if np.min(given) < least or np.max(given) > most:
        low, high = int(np.min(given)), int(np.max(given))
        raise UsageError(f"{what} of {low} to {high}; allowed: {least} to {most}")
    return given.astype(np.int64)


def _digits(values: Integers, count: int, bits: int) -> Integers:
    """Digits (digit, …) of ``bits`` each, lowest first."""
    shifts = bits * np.arange(count).reshape(-1, *(1,) * values.ndim)
    return np.asarray((values[None] >> shifts) & (2**bits - 1))
