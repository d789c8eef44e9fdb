"""Gains of a grouped-capacitor array and its output in fractions of full scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GroupedGains:
    """Nominal charge division of every step, linear capacitors.

    With unit C, row wire r and bit-line wire b for each unit, and output capacitance o:

    - row DAC: V = V_DD·X/2^B · C/(C + r);
    - sum of R cells: V_j = Σ w_ij V_i/R · C/(C + b);
    - weigh: V = Σ 2^j V_j·(C + b)/((2^W − 1)·(C + b) + o).

    Attributes
    ----------
    unit_f, row_line_f, bit_line_f, output_f : these four, in F; ``output_f`` is the output line
        with its dummies.
    input_bits, weight_bits : B and W.
    """

    unit_f: float
    row_line_f: float
    bit_line_f: float
    output_f: float
    input_bits: int
    weight_bits: int

    @property
    def row(self) -> float:
        """Row voltage of the largest input, over V_DD."""
        steps = 2**self.input_bits
        return float((steps - 1) / steps * self.unit_f / (self.unit_f + self.row_line_f))

    @property
    def sum(self) -> float:
        """Bit-column voltage over row voltage, if all rows are equal and all weights 1."""
        return self.unit_f / (self.unit_f + self.bit_line_f)

    @property
    def weigh(self) -> float:
        """Output voltage over bit-column voltage, if all bit columns are equal."""
        units = (2**self.weight_bits - 1) * (self.unit_f + self.bit_line_f)
        return float(units / (units + self.output_f))

    @property
    def full_scale(self) -> float:
        """Output voltage of the largest inputs and weights, over V_DD."""
        return self.row * self.sum * self.weigh


def compute_ideal_product(
    inputs: ArrayLike, weights: ArrayLike, input_bits: int, weight_bits: int
) -> Floats:
    """Σ X·W over arrays and rows as a fraction of its largest value: (vector, output).

    Parameters
    ----------
    inputs : (vector, array, row) whole numbers from 0 to 2^input_bits − 1.
    weights : (array, row, output) whole numbers from 0 to 2^weight_bits − 1.
    """
    x, w = np.asarray(inputs, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    largest = x.shape[1] * x.shape[2] * (2**input_bits - 1) * (2**weight_bits - 1)
    return np.asarray(np.einsum("nai,aio->no", x, w) / largest)


def compute_crossing(time_s: Floats, value: Floats) -> float:
    """Last time in s at which a waveform rises through zero, linear between points; NaN if never.

    Parameters
    ----------
    time_s, value : (step,).
    """
    (rising,) = np.nonzero((value[:-1] < 0) & (value[1:] >= 0))
    if len(rising) == 0:
        return float("nan")
    at = int(rising[-1])
    share = -value[at] / (value[at + 1] - value[at])
    return float(time_s[at] + share * (time_s[at + 1] - time_s[at]))


def compute_jitter(
    current_a: float, density_a2_hz: float, charge_s: float, slope_v_s: float, temperature_k: float
) -> tuple[float, float]:
    """Jitter in s, rms, of a ramp's crossing by the noise of its current and by kT/C of its reset.

    White noise of one-sided density S moves Gaussian charge of variance S·t/2 in a time t, which a
    current I makes up for in √(S·t/2)/I. The capacitor is C = I/slope; √(kT/C)/slope of time comes
    from where it begins.

    Parameters
    ----------
    current_a, density_a2_hz : I and S.
    charge_s : time from the begin of the ramp to the crossing.
    slope_v_s : of the ramp at the crossing.
    """
    capacitor_f = current_a / slope_v_s
    ramp = np.sqrt(density_a2_hz * charge_s / 2) / current_a
    reset = np.sqrt(1.380649e-23 * temperature_k / capacitor_f) / slope_v_s
    return float(ramp), float(reset)
