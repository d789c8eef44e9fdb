"""Vectors to codes: a matrix product in single precision and its conversion while in the cache.

The product is numpy's. It is made in chunks of vectors into one buffer that stays in the second
level of the cache, and each chunk is converted there and then, so the product never goes to memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.kernels.codes import (
    Codes,
    CodeTable,
    code_rows,
    once,
)
from imccircuit.surrogates.kernels.noise import ConversionNoise, add_noise

# Half of a second-level cache of 1 MB; at 128 columns that is 1024 vectors.
_BUFFER_BYTES = 2**19
_FEWEST_ROWS = 64


@njit(cache=True, parallel=True)
def _code_parallel(low, scale, start, threshold, level, depth, voltage, codes, parts):  # type: ignore[no-untyped-def]
    rows = len(voltage)
    for part in prange(parts):
        code_rows(low, scale, start, threshold, level, depth, voltage, codes,
                  rows * part // parts, rows * (part + 1) // parts)  # fmt: skip


@njit(cache=True, parallel=True)
def _noise_parallel(voltage, parts, sigma, key, chip, first_index):  # type: ignore[no-untyped-def]
    rows = len(voltage)
    for part in prange(parts):
        add_noise(voltage, rows * part // parts, rows * (part + 1) // parts,
                  sigma, key, chip, first_index)  # fmt: skip


class CodedProduct:
    """Weights (row, col) with a converter on each column.

    Parameters
    ----------
    weights : (row, col) float32; the voltage of a column in V is the sum of inputs times weights.
    table : converters of the columns, made for float32 by `code_table`.
    threads : of the conversion; the product has those of numpy's BLAS. The codes do not depend on
        them.

    Raises
    ------
    UsageError : weights and converters do not fit.
    """

    def __init__(self, weights: NDArray[np.float32], table: CodeTable, threads: int = 1) -> None:
        if weights.ndim != 2 or weights.dtype != np.float32 or weights.shape[1] != table.columns:
            raise UsageError(f"weights must be float32 of (row, {table.columns})")
        if table.dtype != np.float32 or threads < 1:
            raise UsageError("the table must be made for float32, and threads be at least 1")
        self._weights, self._table, self._threads = weights, table, threads
        rows = max(_FEWEST_ROWS, _BUFFER_BYTES // (4 * table.columns))
        self._buffer = np.empty((rows, table.columns), dtype=np.float32)

    def __call__(
        self,
        inputs: NDArray[np.float32],
        noise: ConversionNoise | None = None,
        out: Codes | None = None,
    ) -> Codes:
        """Codes (batch, col) of inputs (batch, row), with noise drawn once a conversion if given.

        Parameters
        ----------
        out : where to write the codes, if not to a new array.

        Raises
        ------
        UsageError : types or shapes do not fit, or the key of the noise does not.
        """
        table = self._table
        shape = (len(inputs), table.columns)
        if inputs.ndim != 2 or inputs.dtype != np.float32:
            raise UsageError("inputs must be float32 of (batch, row)")
        if inputs.shape[1] != self._weights.shape[0]:
            raise UsageError(f"inputs must have {self._weights.shape[0]} rows")
        codes = np.empty(shape, dtype=table.code_dtype) if out is None else out
        if codes.shape != shape or codes.dtype != table.code_dtype:
            raise UsageError(f"codes must be {shape} of {np.dtype(table.code_dtype)}")
        drawn = None if noise is None else once(noise, codes.shape, np.float32)
        for start in range(0, len(codes), len(self._buffer)):
            part = inputs[start : start + len(self._buffer)]
            voltage = np.dot(part, self._weights, out=self._buffer[: len(part)])
            if drawn is not None:
                self._add(voltage, *drawn[:-1], drawn[-1] + start)
            self._convert(voltage, codes[start : start + len(part)])
        return codes

    def _add(self, voltage: NDArray[np.float32], *drawn: Any) -> None:
        if self._threads == 1:
            add_noise(voltage, 0, len(voltage), *drawn)
        else:
            _noise_parallel(voltage, self._threads, *drawn)

    def _convert(self, voltage: NDArray[np.float32], codes: Codes) -> None:
        if self._threads == 1:
            code_rows(*self._table.arrays, voltage, codes, 0, len(codes))  # type: ignore[call-arg]
        else:
            _code_parallel(*self._table.arrays, voltage, codes, self._threads)  # type: ignore[call-arg]
