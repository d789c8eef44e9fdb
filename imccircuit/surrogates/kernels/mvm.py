"""Vectors to codes: a matrix product in single precision and its conversion while in the cache.

The product is numpy's. It is made in chunks of vectors into one buffer that stays in the second
level of the cache, and each chunk is converted there and then, so the product never goes to memory.
Threads take chunks, not rows of one: OpenMP threads of their own beside those of BLAS wait for each
other for ever.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.kernels.codes import (
    Codes,
    CodeTable,
    code_rows,
    once,
)
from imccircuit.surrogates.kernels.noise import ConversionNoise, add_noise

# 256 vectors at 1024 columns: with fewer, numpy packs the weights so often that the product takes
# up to a fifth longer, which is more than a second-level cache of half this size costs.
_BUFFER_BYTES = 2**20
_FEWEST_ROWS = 64


class CodedProduct:
    """Weights (row, col) with a converter on each column.

    Parameters
    ----------
    weights : (row, col) float32; the voltage of a column in V is the sum of inputs times weights.
    table : converters of the columns, made for float32 by `code_table`.
    threads : that take chunks of vectors, each product with as many again as numpy's BLAS has. The
        codes do not depend on them.

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
        self._buffers = [np.empty((rows, table.columns), np.float32) for _ in range(threads)]

    def __call__(
        self,
        inputs: NDArray[np.float32],
        noise: ConversionNoise | None = None,
        out: Codes | None = None,
    ) -> Codes:
        """Codes (batch, col) of inputs (batch, row), with noise drawn once a conversion if given.

        Parameters
        ----------
        out : where to write the codes, if not to a new array; contiguous, row by row.

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
        if not codes.flags.c_contiguous:
            # The kernel writes along memory: elsewhere it would fill a copy that nobody sees.
            raise UsageError(
                "out must be contiguous, row by row; allowed: a whole array in C order"
            )
        drawn = None if noise is None else once(noise, codes.shape, np.float32)
        chunk = len(self._buffers[0])
        if len(self._buffers) == 1 or len(codes) <= chunk:
            self._fill(codes, inputs, drawn, range(0, len(codes), chunk), 0)
            return codes
        with ThreadPoolExecutor(len(self._buffers)) as pool:
            step = chunk * len(self._buffers)
            tasks = [
                pool.submit(self._fill, codes, inputs, drawn, range(k * chunk, len(codes), step), k)
                for k in range(len(self._buffers))
            ]
        for task in tasks:
            task.result()
        return codes

    def _fill(
        self,
        codes: Codes,
        inputs: NDArray[np.float32],
        drawn: tuple[Any, ...] | None,
        starts: range,
        thread: int,
    ) -> None:
        """Codes of the chunks that begin at ``starts``, in the buffer of ``thread``."""
        buffer = self._buffers[thread]
        for start in starts:
            part = inputs[start : start + len(buffer)]
            voltage = np.dot(part, self._weights, out=buffer[: len(part)])
            if drawn is not None:
                add_noise(voltage, 0, len(voltage), *drawn[:-1], drawn[-1] + start)  # type: ignore[call-arg]
            done = codes[start : start + len(part)]
            code_rows(*self._table.arrays, voltage, done, 0, len(done))  # type: ignore[call-arg]
