"""Vectors to codes: a matrix product and its conversion while it is in the cache.

The product is numpy's in single precision; of digits it is that of whole numbers, see
`imccircuit.surrogates.kernels.digits`. It is made in tiles of some vectors and some columns, into
one buffer that stays in the second level of the cache, and each tile is converted there and then,
so the product never goes to memory. Threads take tiles, not rows of one: OpenMP threads of their
own beside those of BLAS wait for each other for ever.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.kernels.codes import Codes, CodeTable, fill_codes, once
from imccircuit.surrogates.kernels.digits import Digits, DigitWeights
from imccircuit.surrogates.kernels.noise import GROUP, ConversionNoise, add_noise
from imccircuit.threads import spread
from imccircuit.vectors import vector_zeros

# Numpy packs the weights once a tile: of fewer vectors that takes up to a fifth of the product.
# Half as many columns cost nothing, for inputs are fewer than weights.
_TILE_ROWS, _TILE_COLUMNS = 256, 4 * GROUP
# Products and sums below which a second thread costs more than it does, and how many of them a
# conversion and its noise take the time of.
_LEAST_WORK, _CONVERSION, _NOISE = 2**25, 30, 70


class CodedProduct:
    """Weights (row, col) with a converter on each column.

    It keeps its buffers and a copy of the weights, and makes one call at a time: callers in several
    threads need one each.

    Parameters
    ----------
    weights : (row, col) float32; the voltage of a column in V is the sum of inputs times weights.
    table : converters of the columns, made for float32 by `code_table`.
    threads : that take tiles, each product with as many again as numpy's BLAS has. The codes do not
        depend on them.
    input_bits : where the inputs are digits of so many bits; weights are then rounded to sixteen.

    Attributes
    ----------
    rounding_v : (col,) most in V that rounding the weights may change; 0 without digits.

    Raises
    ------
    UsageError : weights and converters do not fit, or are not allowed; see `DigitWeights`.
    """

    def __init__(
        self,
        weights: NDArray[np.float32],
        table: CodeTable,
        threads: int = 1,
        input_bits: int | None = None,
    ) -> None:
        if weights.ndim != 2 or weights.dtype != np.float32 or weights.shape[1] != table.columns:
            raise UsageError(f"weights must be float32 of (row, {table.columns})")
        if table.dtype != np.float32 or threads < 1:
            raise UsageError("the table must be made for float32, and threads be at least 1")
        self._table, self._threads, self._rows = table, threads, len(weights)
        # As wide as each other, in whole groups of the noise.
        panels = -(-table.columns // _TILE_COLUMNS)
        width = -(-table.columns // (panels * GROUP)) * GROUP
        self._columns = [
            slice(first, min(first + width, table.columns))
            for first in range(0, table.columns, width)
        ]
        self._panels: list[_RealWeights] | list[DigitWeights]
        parts = [weights[:, part] for part in self._columns]
        if input_bits is None:
            self._panels = [_RealWeights(part) for part in parts]
        else:
            self._panels = [DigitWeights(part, input_bits) for part in parts]
        self.rounding_v = np.concatenate([panel.rounding for panel in self._panels])
        self._tables = [table.part(part.start, part.stop) for part in self._columns]
        size = _TILE_ROWS * min(_TILE_COLUMNS, table.columns)
        self._buffers = [vector_zeros((size,)) for _ in range(threads)]

    def __call__(
        self,
        inputs: NDArray[np.float32] | Digits,
        noise: ConversionNoise | None = None,
        out: Codes | None = None,
    ) -> Codes:
        """Codes (batch, col) of inputs (batch, row), with noise drawn once a conversion if given.

        Parameters
        ----------
        inputs : float32; with ``input_bits`` digits, uint8.
        out : where to write the codes, if not to a new array; contiguous, row by row.

        Raises
        ------
        UsageError : types or shapes do not fit, or the key of the noise does not; or a digit is too
            large, when ``out`` may have been written in part.
        """
        table = self._table
        shape = (len(inputs), table.columns)
        self._panels[0].check(inputs)
        codes = np.empty(shape, dtype=table.code_dtype) if out is None else out
        if codes.shape != shape or codes.dtype != table.code_dtype:
            raise UsageError(f"codes must be {shape} of {np.dtype(table.code_dtype)}")
        if not codes.flags.c_contiguous or not codes.flags.writeable:
            # The kernel writes along memory, and asks nobody.
            raise UsageError(
                "out must be contiguous, row by row, and writeable; allowed: a whole array in C "
                "order"
            )
        drawn = None if noise is None else once(noise, codes.shape, np.float32)
        tiles = [
            (slice(first, min(first + _TILE_ROWS, len(codes))), number)
            for first in range(0, len(codes), _TILE_ROWS)
            for number in range(len(self._columns))
        ]
        each = self._rows + _CONVERSION + (0 if drawn is None else _NOISE)
        threads = 1 if codes.size * each < _LEAST_WORK else self._threads
        packed: dict[int, tuple[slice, NDArray[Any]]] = {}

        def fill(tile: tuple[slice, int], thread: int) -> None:
            # Panels of the same vectors follow each other.
            rows = tile[0]
            if thread not in packed or packed[thread][0] != rows:
                packed[thread] = rows, self._panels[0].pack(inputs[rows])
            self._fill(codes, packed[thread][1], drawn, tile, thread)

        spread(fill, tiles, threads)
        return codes

    def _fill(
        self,
        codes: Codes,
        packed: NDArray[Any],
        drawn: tuple[Any, ...] | None,
        tile: tuple[slice, int],
        thread: int,
    ) -> None:
        """Codes of some vectors and the columns of one panel, in the buffer of ``thread``."""
        rows, number = tile
        columns = self._columns[number]
        width = columns.stop - columns.start
        buffer = self._buffers[thread][: len(packed) * width].reshape(len(packed), width)
        self._panels[number].times(packed, buffer)
        voltage = buffer[: rows.stop - rows.start]
        if drawn is not None:
            *key, first = drawn
            add_noise(voltage, *key, first + rows.start, columns.start)  # type: ignore[call-arg]
        fill_codes(self._tables[number], voltage, codes[rows, columns])


class _RealWeights:
    """Weights for numpy's product, with the verbs of `DigitWeights`."""

    def __init__(self, weights: NDArray[np.float32]) -> None:
        self._weights = weights.copy()
        self.rounding = np.zeros(weights.shape[1])

    def check(self, inputs: NDArray[Any]) -> None:
        if inputs.ndim != 2 or inputs.dtype != np.float32:
            raise UsageError("inputs must be float32 of (batch, row)")
        if inputs.shape[1] != len(self._weights):
            raise UsageError(f"inputs must have {len(self._weights)} rows")

    def pack(self, inputs: NDArray[Any]) -> NDArray[Any]:
        return inputs

    def times(self, packed: NDArray[Any], out: NDArray[np.float32]) -> None:
        np.dot(packed, self._weights, out=out)
