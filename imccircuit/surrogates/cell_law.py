"""Current of a memory cell as a function of its voltages: physical law first, then a residual.

Resistive element: I = G·V·sinh(√b V)/(√b V) with b = 1/V0², a resistor where b = 0.

Transistor (EKV: Enz, Krummenacher, Vittoz, 1995; source grounded): with the overdrive
v = V_wl − V_T − ΔV_T + σ·V_d, thermal voltage φ = kT/q and F(x) = ln²(1 + exp(x/2φ)),

    I = β·k·φ²·(F(v/n) − F(v/n − V_d))·exp(λ·|V_d|) / (1 + θ·2φ·√F(v/n)) .

Cells 1T1R: both carry the same current; the drain voltage is the root of that, by the method of
Illinois, all cells and points at once.

Residual: the current of the transistor (of the element, where there is no transistor) times
exp(r), r a polynomial of few coefficients: for an element in its voltage, for a transistor in how
saturated (√F of source less drain side, over their sum) and how strongly inverted it is, so that
in saturation no residual can make the current fall. At V = 0 the current stays 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BOLTZMANN_OVER_CHARGE = 8.617333262e-5  # V/K
ELEMENT = ("curvature",)
TRANSISTOR = ("threshold", "slope_factor", "log_gain", "log_mobility_reduction", "drain_coupling",
              "log_drain_slope")  # fmt: skip
OWN = ("log_conductance", "threshold_shift", "log_factor")
"""Numbers that each cell has of its own."""

_MOST_DRAIN_DEGREE = 2
_MOST_GATE_DEGREE = 5
_POWERS = (1, 3, 4)
# Width over which the residual tells weak from strong inversion, in V.
_BEND_V = 0.25
# What a fit may try on its way saturates: logarithm of S, voltages in V, 1/V0² in 1/V².
_LOG_CONDUCTANCE = (-100.0, 50.0)
_MOST_V = 1e3
_MOST_CURVATURE = 1e9
_MOST_SINH = 100.0
_ITERATIONS = 100
_STEP = 1e-6


@dataclass(frozen=True)
class CellLaw:
    """What the law's numbers mean.

    Attributes
    ----------
    gated : whether there is a transistor.
    thermal_v : kT/q in V.
    scale_v : largest magnitude of the bit line's voltage in V.
    degrees : of the residual in drain and gate voltage; not used without a transistor.
    """

    gated: bool
    thermal_v: float
    scale_v: float
    degrees: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, bit_v: Floats, word_v: Floats | None, temperature_degc: float) -> CellLaw:
        """Law for axes of these voltages; fewer voltages allow fewer coefficients."""
        thermal = BOLTZMANN_OVER_CHARGE * (temperature_degc + 273.15)
        scale = float(np.max(np.abs(bit_v)))
        if word_v is None:
            return cls(False, thermal, scale)
        drain = min(_MOST_DRAIN_DEGREE, max(int(np.count_nonzero(bit_v)) - 2, 0))
        gate = min(_MOST_GATE_DEGREE, max(len(word_v) - 2, 0))
        return cls(True, thermal, scale, (drain, gate))

    @property
    def physical(self) -> tuple[str, ...]:
        """Names of the shared numbers with a meaning, in order."""
        return ELEMENT + TRANSISTOR if self.gated else ELEMENT

    @property
    def coefficients(self) -> int:
        """Number of coefficients of the residual, which follow the physical numbers."""
        if not self.gated:
            return len(_POWERS)
        drain, gate = self.degrees
        return (drain + 1) * (gate + 1)

    @property
    def own(self) -> tuple[str, ...]:
        """Names of the numbers that each cell has of its own."""
        return OWN if self.gated else OWN[:1]

    def current(self, shared: Floats, own: Floats, bit_v: Floats, word_v: Floats) -> Floats:
        """Current in A.

        Parameters
        ----------
        shared : physical numbers and coefficients.
        own : (…, own) of each cell; its leading axes broadcast with the voltages.
        bit_v, word_v : voltages in V; the word line's are not used without a transistor.
        """
        conductance = _conductance(own)
        bit_v, word_v = np.asarray(bit_v, np.float64), np.asarray(word_v, np.float64)
        if not self.gated:
            x = bit_v / self.scale_v
            terms = np.stack([x**power for power in _POWERS], axis=-1)
            return np.asarray(
                element_current(conductance, shared[0], bit_v) * _exp(terms @ shared[1:])
            )

        drain = self._drain(shared, own, bit_v, word_v)
        return element_current(conductance, shared[0], bit_v - drain)

    def derivatives(
        self, shared: Floats, own: Floats, bit_v: Floats, word_v: Floats, count: int
    ) -> tuple[Floats, Floats]:
        """Derivatives of the current by the first ``count`` shared numbers and by the own ones.

        Where element and transistor carry I(p) = I_e(p, V − d) = I_t(p, d), a change of p moves d,
        and dI = (∂I_e·g_t + ∂I_t·g_e)/(g_e + g_t) with g their conductances: one root serves all.

        Returns
        -------
        (…, count) and (…, own).
        """
        if not self.gated:
            return _differences(lambda s, o: self.current(s, o, bit_v, word_v), shared, own, count)
        drain = self._drain(shared, own, bit_v, word_v)
        across = bit_v - drain

        def element(s: Floats, o: Floats) -> Floats:
            return element_current(_conductance(o), s[0], across)

        def transistor(s: Floats, o: Floats) -> Floats:
            return self.transistor_current(s, o, drain, word_v)

        step = _STEP * self.scale_v
        near = element_current(_conductance(own), shared[0], across + step)
        g_e = (near - element(shared, own)) / step
        g_t = self.transistor_current(shared, own, drain + step, word_v)
        g_t = (g_t - transistor(shared, own)) / step
        share = g_e / (g_e + g_t)
        of_element = _differences(element, shared, own, count)
        of_transistor = _differences(transistor, shared, own, count)
        by_shared, by_own = (
            e * (1 - share[..., None]) + t * share[..., None]
            for e, t in zip(of_element, of_transistor, strict=True)
        )
        return by_shared, by_own

    def _drain(self, shared: Floats, own: Floats, bit_v: Floats, word_v: Floats) -> Floats:
        """Drain voltage at which element and transistor carry the same current."""
        conductance = _conductance(own)

        def difference(drain: Floats) -> Floats:
            across = element_current(conductance, shared[0], bit_v - drain)
            return self.transistor_current(shared, own, drain, word_v) - across

        shape = np.broadcast_shapes(conductance.shape, np.shape(bit_v), np.shape(word_v))
        return _root(difference, np.zeros(shape), np.array(np.broadcast_to(bit_v, shape)))

    def transistor_current(
        self, shared: Floats, own: Floats, drain_v: Floats, gate_v: Floats
    ) -> Floats:
        """Drain current in A of a transistor whose source is at 0 V."""
        threshold, slope, gain, reduction, coupling, rise = shared[1 : 1 + len(TRANSISTOR)]
        phi = self.thermal_v
        over = np.clip(gate_v - threshold - own[..., 1], -_MOST_V, _MOST_V)
        # A slope factor is above 1; what a fit tries must only not be 0.
        pinch = (over + coupling * drain_v) / np.maximum(slope, 0.1)
        pinch = np.clip(pinch, -_MOST_V, _MOST_V)
        forward = np.logaddexp(0.0, pinch / (2 * phi))
        reverse = np.logaddexp(0.0, (pinch - drain_v) / (2 * phi))
        plain = (forward - reverse) * (forward + reverse) * phi**2
        total = np.maximum(forward + reverse, 1e-300)
        residual = self._residual(shared, over, (forward - reverse) / total)
        lengthening = np.exp(np.clip(rise, -50.0, 5.0)) * np.abs(drain_v)
        factor = gain + own[..., 2] + lengthening + residual
        scale = np.exp(np.clip(factor, -200.0, 100.0))
        mobility = np.exp(np.clip(reduction, -50.0, 50.0))
        return np.asarray(scale * plain / (1 + mobility * 2 * phi * forward))

    def _residual(self, shared: Floats, over: Floats, saturation: Floats) -> Floats:
        drain_degree, gate_degree = self.degrees
        table = shared[1 + len(TRANSISTOR) :].reshape(drain_degree + 1, gate_degree + 1)
        u = over / _BEND_V
        gate = u / np.sqrt(1 + u**2)
        drain = 2 * np.abs(saturation) - 1
        drain, gate = np.broadcast_arrays(drain, gate)
        return np.asarray(chebyshev.chebval2d(drain, gate, table))


def _conductance(own: Floats) -> Floats:
    """Conductance in S of own numbers (…, own)."""
    return np.asarray(np.exp(np.clip(own[..., 0], *_LOG_CONDUCTANCE)))


def _exp(exponent: Floats) -> Floats:
    return np.asarray(np.exp(np.clip(exponent, -100.0, 100.0)))


def _differences(
    function: Callable[[Floats, Floats], Floats], shared: Floats, own: Floats, count: int
) -> tuple[Floats, Floats]:
    """Derivatives of a function of shared and own numbers, by differences."""
    here = function(shared, own)
    by_shared, by_own = np.empty((*here.shape, count)), np.empty((*here.shape, own.shape[-1]))
    for k in range(count):
        moved, step = shared.copy(), _STEP * max(abs(shared[k]), 1.0)
        moved[k] += step
        by_shared[..., k] = (function(moved, own) - here) / step
    for k in range(own.shape[-1]):
        changed = own.copy()
        changed[..., k] += _STEP
        by_own[..., k] = (function(shared, changed) - here) / _STEP
    return by_shared, by_own


def element_current(conductance: Floats, curvature: float, voltage_v: Floats) -> Floats:
    """G·V·sinh(x)/x with x² = b·V²; for b < 0 that is sin(x)/x, which noise may ask for."""
    curvature = min(max(float(curvature), -_MOST_CURVATURE), _MOST_CURVATURE)
    square = curvature * np.square(voltage_v)
    x = np.sqrt(np.abs(square))
    small = x < 1e-4
    safe = np.where(small, 1.0, x)
    bent = np.where(square >= 0, np.sinh(np.minimum(safe, _MOST_SINH)), np.sin(safe)) / safe
    return np.asarray(conductance * voltage_v * np.where(small, 1 + square / 6, bent))


def _root(function: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Roots of an increasing function of each entry, between the ends of its interval."""
    f_low, f_high = function(low), function(high)
    side = np.zeros(low.shape)
    for _ in range(_ITERATIONS):
        gap = f_high - f_low
        done = (gap == 0) | (np.abs(high - low) <= 1e-15)
        middle = np.where(done, low, high - f_high * (high - low) / np.where(done, 1.0, gap))
        f_middle = function(middle)
        above = f_middle * f_high > 0
        # Illinois: an end that stays twice counts half.
        f_low = np.where(above, np.where(side > 0, f_low / 2, f_low), f_middle)
        f_high = np.where(above, f_middle, np.where(side < 0, f_high / 2, f_high))
        low, high = np.where(above, low, middle), np.where(above, middle, high)
        side = np.where(above, 1.0, -1.0)
        size = np.maximum(np.abs(low), np.abs(high))
        if np.all((np.abs(f_middle) == 0) | (np.abs(high - low) <= 1e-12 * size + 1e-15) | done):
            break
    return np.where(np.abs(f_low) < np.abs(f_high), low, high)
