"""A layer for training whose products go through an array and its converters.

The weights W lie on pairs of columns, their positive part on one and their negative part on the
other, and each column has a converter of its own. Two arrays:

- current mode: conductances g = g_low + (g_high - g_low)·|w|/max|W| in each pair, every cell off by
  its own factor. A column's current goes through a front end, whose gain is set so that the
  calibrated range fills the converter's.
- charge mode: |w| in binary slices, the input's bits one after the other; a column's cells share
  their charge, so that it shows Σ x·w·C / ΣC. Slices and bits are added with their binary weights.

Everything a converter does comes from levels that are given; see
`imccircuit.networks.training_chips` for where they are drawn.

Gradient: straight through. The pass gives what the hardware answers, y + e with y = x @ W.T, and
the gradient is that of y and of the size of e. A converter's error in codes does not depend on the
weights, but what a code is worth does: it goes with the range s that the columns fill, so that
e = s·(e/s) with e/s held. Without that a network never learns to fill its range: it makes y and,
without knowing, e larger together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from imccircuit.errors import UsageError
from imccircuit.exporters.torch.runtime import convert_codes
from imccircuit.networks.fused_layer import (
    charge_products,
    charge_shares,
    current_products,
    slopes,
)
from imccircuit.networks.mapping import check_scaling
from imccircuit.networks.ranges import find_full_scale
from imccircuit.networks.read_table import ReadTable

_MOST_CALIBRATION = 20_000
_HALF = 0.5
_IDEAL = np.empty((0, 4), dtype=np.float32)


@dataclass(frozen=True)
class CurrentArray:
    """Cells of two conductances and what lies between.

    Attributes
    ----------
    low_s, high_s : range of the conductances in S.
    spread : σ of a programmed conductance, relative to it, whatever it is.
    read : how a card's cells are read instead, with ``spread`` 0; None: by ``spread``.
    """

    low_s: float
    high_s: float
    spread: float
    read: ReadTable | None = None

    def __post_init__(self) -> None:
        """Refuse a range without a width."""
        if not (0 <= self.low_s < self.high_s and self.spread >= 0):
            raise UsageError(f"{self}; allowed: 0 <= low_s < high_s and spread >= 0")
        if self.read is not None and self.spread > 0:
            raise UsageError(f"spread = {self.spread:g} beside read; allowed: one of the two")

    def columns(self, outputs: int) -> int:
        """Columns of a layer."""
        return 2 * outputs


@dataclass(frozen=True)
class ChargeArray:
    """Cells of one bit with a capacitor each.

    Attributes
    ----------
    weight_bits : binary slices of |w|.
    input_bits : bits of an input, one after the other.
    spread : σ of a cell's capacitor, relative to it.
    """

    weight_bits: int
    input_bits: int
    spread: float

    def __post_init__(self) -> None:
        """Refuse an array without bits."""
        if not (1 <= self.weight_bits <= 8 and 1 <= self.input_bits <= 8 and self.spread >= 0):
            raise UsageError(f"{self}; allowed: 1 to 8 bits and spread >= 0")

    def columns(self, outputs: int) -> int:
        """Columns of a layer."""
        return 2 * self.weight_bits * outputs


Array = CurrentArray | ChargeArray


@dataclass(frozen=True)
class LayerChip:
    """What one chip has for one layer.

    Attributes
    ----------
    levels : (col, code) transition levels of the columns' converters over their full scale.
    cells : (row, col) factor on each cell's conductance, or its capacitor over the mean of its
        column; normal scores where there is ``read``.
    front : (col, 4) offset, gain error, bow and asymmetry of the columns' front ends over their
        swing; None: ideal.
    table : (col, code) what the digital side takes each code for, in codes; None: for itself.
    read : what cells with those scores are read with; None: ``cells`` are factors.
    """

    levels: Tensor
    cells: Tensor
    front: Tensor | None = None
    table: Tensor | None = None
    read: ReadTable | None = None

    @cached_property
    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Cells, front ends and levels for compiled code, once: a chip may see many batches."""
        front = _IDEAL if self.front is None else self.front.numpy()
        levels = self.levels.expand(self.cells.shape[1], -1).numpy()
        return self.cells.numpy(), front, levels


class ImcLinear(nn.Module):
    """Linear layer that runs on a chip where it has one, else in float.

    Parameters
    ----------
    inputs, outputs : shape of the weights.
    array : where they lie.
    bits : of the converters.

    Attributes
    ----------
    weight, bias : (out, in) and (out,); the bias is added digitally.
    chip : of the next passes; None is float.
    input_range, full_scale : largest input, and what fills a converter: a column's current over
        that of one cell of ``high_s`` under the largest input, or its number of active products.
    """

    input_range: Tensor
    full_scale: Tensor
    _sums: Tensor

    def __init__(self, inputs: int, outputs: int, array: Array, bits: int) -> None:
        super().__init__()
        self.array, self.bits = array, bits
        self.inputs, self.outputs = inputs, outputs
        self.columns = array.columns(outputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.chip: LayerChip | None = None
        self.register_buffer("input_range", torch.tensor(1.0))
        self.register_buffer("full_scale", torch.tensor(float(inputs)))
        self.register_buffer("_sums", self._weights_of_sums(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Products (batch, out) of inputs (batch, in), not negative where there is a chip."""
        if self.chip is None:
            return functional.linear(x, self.weight, self.bias)
        with torch.no_grad():
            found = self._on_chip(x, self.chip)
        # In charge mode the low slices, of which half the cells are on whatever the weights, are
        # the bottom of the range.
        low = self._low if isinstance(self.array, CurrentArray) else _HALF
        products: Tensor = _ThroughChip.apply(x, self.weight, self.bias, found, low)  # type: ignore[no-untyped-call]
        return products

    @property
    def _low(self) -> float:
        """Lowest conductance over the highest; 0 in charge mode, where a cell can be off."""
        array = self.array
        return array.low_s / array.high_s if isinstance(array, CurrentArray) else 0.0

    def calibrate(self, x: Tensor, rule: str) -> None:
        """Set both ranges from inputs (batch, in) of calibration data, on cells without spread.

        Parameters
        ----------
        rule : as in `imccircuit.networks.ranges`; inputs take the largest unless it is
            ``percentile``.

        Raises
        ------
        UsageError : an unknown rule, inputs of another scaling, or without a signal.
        """
        # Here and not in every pass, which would only clamp them and must be fast.
        check_scaling(x.numpy())
        with torch.no_grad():
            by = rule if rule == "percentile" else "maximum"
            self.input_range.fill_(find_full_scale(x.numpy(), by, self.bits))
            column = self._nominal(x)
            # Not every n-th: that may be the same columns again and again.
            most = min(len(column), _MOST_CALIBRATION)
            some = np.linspace(0, len(column) - 1, most).astype(np.int64)
            self.full_scale.fill_(find_full_scale(column[some], rule, self.bits))

    def _nominal(self, x: Tensor) -> NDArray[np.float32]:
        """Column values (any order,) of inputs (batch, in) on cells without spread."""
        if not (isinstance(self.array, ChargeArray) and _is_fused(x)):
            values: NDArray[np.float32] = self._columns(x, None).flatten().numpy()
            return values
        given = (np.ascontiguousarray(x.numpy()), self.weight.detach().numpy())
        alike = np.ones((self.inputs, self.columns), dtype=np.float32)
        ranges = (np.float32(self.input_range.item()), np.float32(1.0))
        bits = (self.array.weight_bits, self.array.input_bits)
        return np.ravel(charge_shares(*given, alike, *ranges, *bits)[0])

    @property
    def conversions(self) -> int:
        """Conversions of one product."""
        passes = self.array.input_bits if isinstance(self.array, ChargeArray) else 1
        return passes * self.columns

    def _on_chip(self, x: Tensor, chip: LayerChip) -> Tensor:
        if _is_fused(x) and chip.table is None and chip.levels.dtype == x.dtype:
            return self._fused(x, chip)
        share = self._columns(x, self._factors(chip)) / self.full_scale
        if chip.front is not None:
            share = _through_front_end(share, chip.front)
        share = share.reshape(len(self._sums), len(x), self.columns)
        codes = convert_codes(chip.levels, share)
        values = codes.to(share.dtype)
        if chip.table is not None:
            values = chip.table[torch.arange(self.columns), codes]
        parts = values.reshape(*share.shape[:2], self._sums.shape[1], -1)
        return self._scaled(torch.einsum("pbsc,ps->bc", parts, self._sums))

    def _factors(self, chip: LayerChip) -> Tensor:
        """Factors (row, col) on the cells as they are programmed now."""
        if chip.read is None:
            return chip.cells
        given = (item.detach().cpu().float().numpy() for item in (self.weight, chip.cells))
        return torch.from_numpy(chip.read.factors(*given)).to(chip.cells)

    def _fused(self, x: Tensor, chip: LayerChip) -> Tensor:
        """As the rest of `_on_chip`, in compiled code."""
        cells, front, levels = chip.arrays
        if chip.read is not None:
            cells = self._factors(chip).numpy()
        given = (
            *(np.ascontiguousarray(x.numpy()), self.weight.detach().numpy(), cells),
            *(front, levels, self._sums.numpy()),
            *(np.float32(self.input_range.item()), np.float32(self.full_scale.item())),
        )
        if isinstance(self.array, ChargeArray):
            return torch.from_numpy(charge_products(*given))
        return torch.from_numpy(current_products(*given, np.float32(self._low)))

    def _columns(self, x: Tensor, cells: Tensor | None) -> Tensor:
        """Column values (…, col) in the unit of `full_scale`."""
        inputs = (x / self.input_range).clamp(0.0, 1.0)
        weights = self.weight.T / self.weight.abs().max()
        if isinstance(self.array, ChargeArray):
            return self._charge(inputs, weights, self.array, cells)
        low = self._low
        parts = torch.cat([weights, -weights], dim=1).clamp(min=0.0)
        conductance = low + (1.0 - low) * parts
        return inputs @ (conductance if cells is None else conductance * cells)

    @staticmethod
    def _charge(
        inputs: Tensor, weights: Tensor, array: ChargeArray, cells: Tensor | None
    ) -> Tensor:
        """Active products (pass, batch, col), weighted with their capacitors."""
        whole = torch.round(torch.cat([weights, -weights], dim=1) * (2**array.weight_bits - 1))
        stored = _bits(whole.clamp(min=0.0), array.weight_bits)
        stored = stored.permute(1, 0, 2).reshape(len(weights), -1)
        if cells is not None:
            stored = stored * cells
        digits = _bits(torch.round(inputs * (2**array.input_bits - 1)), array.input_bits)
        return digits @ stored

    def _weights_of_sums(self) -> Tensor:
        """Weight (pass, slice) of what each pass sees in each slice."""
        if not isinstance(self.array, ChargeArray):
            return torch.ones(1, 1)
        passes = 2.0 ** torch.arange(self.array.input_bits)
        slices = 2.0 ** torch.arange(self.array.weight_bits)
        return torch.outer(passes, slices)

    def _scaled(self, sums: Tensor) -> Tensor:
        """Products (batch, out) from sums (batch, 2 · out) of codes, positive columns first."""
        products: Tensor = (sums[:, : self.outputs] - sums[:, self.outputs :]) * self._scale()
        return products

    def _scale(self) -> Tensor:
        """What a code of the lowest pass and slice is worth."""
        scale = self.full_scale / 2**self.bits * self.weight.abs().max() * self.input_range
        if isinstance(self.array, ChargeArray):
            most: float = (2**self.array.weight_bits - 1) * (2**self.array.input_bits - 1)
        else:
            most = 1.0 - self._low
        worth: Tensor = scale / most
        return worth


class _ThroughChip(torch.autograd.Function):
    """What the hardware answers, with the gradient of x @ W.T + e·s/s₀ at s = s₀.

    s is what a column shows on average, in the unit of the products: of a pair's cells one is at
    the bottom ``low`` of the range, the other there or above,
    s = (1 - low)·mean_o Σ_i |W_oi|·x̄_i + low·max|W|·Σ_i x̄_i with x̄ the mean over the batch.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, found: Tensor, low: float
    ) -> Tensor:
        """Products (batch, out) as found, with the bias, of inputs (batch, in)."""
        ctx.save_for_backward(x, weight, found)
        ctx.low = low
        return found + bias

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> Any:
        """Slopes along inputs, weights and bias."""
        x, weight, found = ctx.saved_tensors
        low = ctx.low
        if _is_fused(x):
            arrays = (np.ascontiguousarray(item.numpy()) for item in (x, weight, found, up))
            wanted = ctx.needs_input_grad[0]
            along = slopes(*arrays, np.float32(low), wanted)  # type: ignore[call-arg]
            back, *rest = (torch.from_numpy(item) for item in along)
            return back if wanted else None, *rest, None, None
        size, mean = weight.abs(), x.mean(dim=0)
        top = torch.argmax(size)
        by_input = size.mean(dim=0) * (1.0 - low) + low * size.view(-1)[top]
        error = found - functional.linear(x, weight)
        pull = torch.sum(error * up) / (mean @ by_input)
        slope = torch.sign(weight) * (mean * (pull * (1.0 - low) / len(weight)))
        slope.view(-1)[top] += pull * low * mean.sum() * torch.sign(weight.view(-1)[top])
        inputs = up @ weight + by_input * (pull / len(x)) if ctx.needs_input_grad[0] else None
        return inputs, slope.addmm_(up.T, x), up.sum(dim=0), None, None


def _is_fused(x: Tensor) -> bool:
    """Whether compiled code computes it."""
    return x.device.type == "cpu" and x.dtype == torch.float32


def _bits(whole: Tensor, count: int) -> Tensor:
    """Bits (bit, …) of whole numbers, lowest first, as 0.0 and 1.0."""
    shifts = torch.arange(count, dtype=torch.int32).reshape(-1, *(1,) * whole.dim())
    return ((whole.to(torch.int32) >> shifts) & 1).to(whole.dtype)


def _through_front_end(share: Tensor, front: Tensor) -> Tensor:
    """A line with a bow and an asymmetry, over the swing; as `FrontEndSurrogate`, without its m."""
    x = share - 0.5
    inside = x.clamp(-0.5, 0.5)
    offset, gain, bow, asymmetry = front.unbind(dim=1)
    bend = (1.0 - 4.0 * inside**2) * (bow + asymmetry * inside)
    # Beyond its ends a curve goes on straight, with the slope it has there.
    slope = -torch.sign(x) * 4.0 * bow - 2.0 * asymmetry
    return 0.5 + offset + (1.0 + gain) * x + bend + slope * (x - inside)
