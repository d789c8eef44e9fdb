"""Error of a grouped-capacitor array with time accumulators, composed from its parts.

Each part gives a first-order error of the product, in fractions of full scale, for a vector of
inputs and the weights of one output; parts add. With V and U normalised to their full scale, A
arrays of R rows, B input bits, W weight bits, S = 2^W − 1, d = C_output/(C + b) units of load on
the output line, k_r = C/(C + r), k_b = C/(C + b) (see `GroupedGains`), δ the relative deviation of
a unit capacitor:

    v_i = X_i/(2^B − 1),  m_j = Σ_i w_ij v_i/R,  u = Σ_j 2^j m_j/S,  product = mean of u over arrays
    row DAC          dv_i = Σ_g n_g (b_g − k_r X_i/2^B) δ_g/(2^B − 1)
    sum and weigh    du = Σ_j Σ_i [2^j (w_ij v_i − k_b m_j)/R
                                   + (i < 2^j) k_b (m_j − u S/(S + d))] δ_ij/S
    switches         du = Σ_j 2^j/(S R) Σ_i [w_ij f_1(v_i) + (1 − w_ij) f_0] − u
    leakage          du = −(a + ½) l(u), for array a is read a stages after the first
    switch mismatch  du = Σ_j Σ_i 2^j ε_ij/(S R), from one cell to the next
    row drivers      dv_i = v_i Σ ε + Σ o, over the drivers of the chain, and the curve of the chain
                     as of the switches: Σ_j 2^j/(S R) Σ_i [w_ij c(v_i) + (1 − w_ij) c_0] − u
    time curvature   du = h(u)
    time mismatch    du = (u − product·[end points]) ε + s(u) ξ, its slope and its curvature
    time offset      du = o_a − o_reference, nothing if end points calibrate it away
    noise            Gaussian, one of each array
    time noise       the same of the edges, those of the reference as well
    converter        rounding to 2^bits − 1 steps

f_1, f_0, c, c_0, l, h and s are measured. The sum of A independent errors of one size is √A of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.metrics.grouped import GroupedGains

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

PARTS = (
    "row DAC", "sum and weigh", "switches", "switch mismatch", "leakage", "row drivers",
    "time curvature", "time mismatch", "time offset", "noise", "time noise", "converter",
)  # fmt: skip


@dataclass(frozen=True)
class BudgetParts:
    """What is known about each part. Curves are given at even steps from 0 to full scale.

    Attributes
    ----------
    gains : nominal gains of the charge steps.
    unit_sigma : σ(C)/C of a unit capacitor.
    dummy_units : units among the load of the output line.
    path_one : (level,) output of an array whose weights are all largest, over its full scale, if
        all its inputs have that level: f_1.
    path_zero : the same if all weights are 0, inputs of half scale: f_0.
    switch_sigma : σ of what the switches of one cell add, cell to cell, over its full scale: ε.
    loss : (level,) what the output line loses while one time cell delays, over full scale: l.
    time_residual : (level,) delay of a time cell less the line through its ends, over its span: h.
    residual_sigma : (level,) σ of that from cell to cell: s.
    slope_sigma : σ of a time cell's slope over its mean.
    offset_sigma : σ of a time cell's delay at 0 V, over the span of its delay.
    drivers : row drivers in the chain.
    driver_gain_sigma, driver_offset_sigma : σ of one, the latter over the row's full scale.
    driver_curve : (level,) output of a chain of drivers without mismatch, from 0 to 1: c.
    driver_zero : 0 V, less what the chain makes of it, over its span: c_0.
    noise_sigma : rms of one array's output line, over its full scale.
    jitter : rms noise of the delay of one time cell, over its span.
    output_bits : of the time-to-digital converter.
    end_points : each output is calibrated at product 0 and 1.
    """

    gains: GroupedGains
    unit_sigma: float = 0.0
    dummy_units: int = 0
    path_one: Floats = field(default_factory=lambda: np.linspace(0, 1, 2))
    path_zero: float = 0.0
    switch_sigma: float = 0.0
    loss: Floats = field(default_factory=lambda: np.zeros(2))
    time_residual: Floats = field(default_factory=lambda: np.zeros(2))
    residual_sigma: Floats = field(default_factory=lambda: np.zeros(2))
    slope_sigma: float = 0.0
    offset_sigma: float = 0.0
    drivers: int = 0
    driver_gain_sigma: float = 0.0
    driver_offset_sigma: float = 0.0
    driver_curve: Floats = field(default_factory=lambda: np.linspace(0, 1, 2))
    driver_zero: float = 0.0
    noise_sigma: float = 0.0
    jitter: float = 0.0
    output_bits: int = 8
    end_points: bool = True


def compute_error_parts(
    parts: BudgetParts, inputs: Whole, weights: Whole, rng: np.random.Generator
) -> Floats:
    """Error of each part on one drawn chip: (part, vector), in fractions of full scale.

    Parameters
    ----------
    inputs : (vector, array, row) whole numbers.
    weights : (array, row) whole numbers of one output.
    rng : of this chip.

    Raises
    ------
    UsageError : shapes that do not fit each other.
    """
    if inputs.ndim != 3 or weights.shape != inputs.shape[1:]:
        raise UsageError(
            f"inputs {inputs.shape} and weights {weights.shape}; allowed: (vector, array, row) "
            "and (array, row)"
        )
    return _Chip(parts, inputs, weights, rng).errors()


def compute_noise_sigma(gains: GroupedGains, full_scale_v: float, temperature_k: float) -> float:
    """√(kT/C) of an output line with all that shares on it, over its full scale.

    Every share leaves each capacitor with kT·C of charge noise, so what the second share adds up
    has kT·ΣC, and is divided by ΣC.
    """
    units = (2**gains.weight_bits - 1) * (gains.unit_f + gains.bit_line_f)
    return float(np.sqrt(1.380649e-23 * temperature_k / (units + gains.output_f)) / full_scale_v)


class _Chip:
    def __init__(
        self, parts: BudgetParts, inputs: Whole, weights: Whole, rng: np.random.Generator
    ) -> None:
        self.parts, self.rng, gains = parts, rng, parts.gains
        self.inputs, self.weights = inputs, weights
        self.arrays, self.rows = weights.shape
        self.scale = 2**gains.weight_bits - 1
        self.x_max = 2**gains.input_bits - 1
        bit = np.arange(gains.weight_bits)
        self.w = (weights[..., None] >> bit & 1).astype(np.float64)  # (array, row, bit)
        self.v = inputs / self.x_max
        self.m = np.einsum("nai,aij->naj", self.v, self.w) / self.rows
        self.u = self.m @ (2.0**bit) / self.scale
        self.product = self.u.mean(axis=1)

    def errors(self) -> Floats:
        """(part, vector) in the order of `PARTS`."""
        found = [
            self._rows(self._dac()),
            self._cells(),
            self._curve(self.parts.path_one, self.parts.path_zero),
            self._switch_mismatch(),
            self._leakage(),
            self._rows(self._drivers()) + self._chain(),
            _at(self.u, self.parts.time_residual).mean(axis=1),
            self._mismatch(),
            self._offset(),
            self._noise(),
            self._time_noise(),
        ]
        steps = 2**self.parts.output_bits - 1
        return np.stack([*found, np.rint(self.product * steps) / steps - self.product])

    def _rows(self, dv: Floats) -> Floats:
        """Error of the product of errors (vector, array, row) of row voltages."""
        weight = self.weights / (self.scale * self.rows * self.arrays)
        return np.asarray(np.einsum("nai,ai->n", dv, weight))

    def _dac(self) -> Floats:
        gains, sigma = self.parts.gains, self.parts.unit_sigma
        units = np.concatenate([[1], 2 ** np.arange(gains.input_bits)])
        size = (self.arrays, self.rows, len(units))
        delta = sigma * np.sqrt(units) * self.rng.standard_normal(size)  # n_g·δ_g
        on = self.inputs[..., None] >> np.arange(gains.input_bits) & 1
        k_row = gains.unit_f / (gains.unit_f + gains.row_line_f)
        mean = k_row * self.inputs / (self.x_max + 1) * delta.sum(axis=2)
        return np.asarray((np.einsum("naig,aig->nai", on, delta[..., 1:]) - mean) / self.x_max)

    def _cells(self) -> Floats:
        gains = self.parts.gains
        size = (self.arrays, self.rows, gains.weight_bits)
        delta = self.parts.unit_sigma * self.rng.standard_normal(size)
        units = 2.0 ** np.arange(gains.weight_bits)
        k_bit = gains.sum
        load = gains.output_f / (gains.unit_f + gains.bit_line_f)
        held = self.u * self.scale / (self.scale + load)
        summed = np.einsum("nai,aij->naj", self.v, self.w * delta)
        summed = (summed - k_bit * self.m * delta.sum(axis=1)) / self.rows
        near = np.arange(self.rows)[:, None] < units
        weighed = k_bit * (self.m - held[..., None]) * (delta * near).sum(axis=1)
        found = (summed @ units + weighed.sum(axis=2)) / self.scale
        if self.parts.dummy_units:
            # The dummies deviate as well, by which the whole is divided.
            dummies = np.sqrt(self.parts.dummy_units) * self.parts.unit_sigma
            share = k_bit / (self.scale + load)
            found -= self.u * share * dummies * self.rng.standard_normal(self.arrays)
        return np.asarray(found.mean(axis=1))

    def _curve(self, one: Floats, zero: float) -> Floats:
        """Error if cells of weight 1 give a curve of their input, and those of weight 0 a level."""
        real = self._rows(_at(self.v, one)) + zero * (1 - self.weights.mean() / self.scale)
        return np.asarray(real - self.product)

    def _switch_mismatch(self) -> Floats:
        gains = self.parts.gains
        units = 4.0 ** np.arange(gains.weight_bits)
        share = np.sqrt(units.sum() / (self.rows * self.arrays)) / self.scale
        return np.full(
            len(self.inputs), share * self.parts.switch_sigma * self.rng.standard_normal()
        )

    def _chain(self) -> Floats:
        if self.parts.drivers == 0:
            return np.zeros(len(self.inputs))
        return self._curve(self.parts.driver_curve, self.parts.driver_zero)

    def _leakage(self) -> Floats:
        loss = self.parts.loss
        if self.parts.end_points:
            loss = loss - np.linspace(loss[0], loss[-1], len(loss))
        stages = np.arange(self.arrays) + 0.5
        return np.asarray(-(stages * _at(self.u, loss)).mean(axis=1))

    def _drivers(self) -> Floats:
        parts, size = self.parts, (self.arrays, self.rows)
        root = np.sqrt(parts.drivers)
        gain = root * parts.driver_gain_sigma * self.rng.standard_normal(size)
        offset = root * parts.driver_offset_sigma * self.rng.standard_normal(size)
        return np.asarray(self.v * gain + offset)

    def _mismatch(self) -> Floats:
        drawn = self.rng.standard_normal((2, self.arrays))
        slope = self.parts.slope_sigma * drawn[0]
        bent = _at(self.u, self.parts.residual_sigma) * drawn[1]
        base = self.product[:, None] if self.parts.end_points else 0.0
        return np.asarray(((self.u - base) * slope + bent).mean(axis=1))

    def _offset(self) -> Floats:
        drawn = self.rng.standard_normal((2, self.arrays))
        if self.parts.end_points:
            return np.zeros(len(self.inputs))
        return np.full(len(self.inputs), self.parts.offset_sigma * (drawn[0] - drawn[1]).mean())

    def _noise(self) -> Floats:
        drawn = self.rng.standard_normal(self.u.shape)
        return np.asarray(self.parts.noise_sigma * drawn.mean(axis=1))

    def _time_noise(self) -> Floats:
        """Edges through the cascade of the output and through that of the reference."""
        drawn = self.rng.standard_normal((2, *self.u.shape))
        return np.asarray(self.parts.jitter * (drawn[0] - drawn[1]).mean(axis=1))


def _at(level: Floats, curve: Floats) -> Floats:
    """A curve between its even steps."""
    return np.interp(level, np.linspace(0, 1, len(curve)), curve)
