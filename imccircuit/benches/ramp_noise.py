"""Noise of a ramp at the counter's edges, by kind of ramp."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from imccircuit.benches.bench import MeasurementError
from imccircuit.benches.problem import NOISE_VECTOR, Answer, Noise, Probe, Problem
from imccircuit.circuits.ramp_adc import (
    SENSE_OHM,
    Pole,
    RampAdc,
    ramp_current_circuit,
    ramp_noise_circuit,
)
from imccircuit.circuits.ramp_parts import Cdac, CurrentSource, Ladder, Mirror
from imccircuit.metrics.integrated_noise import compute_integrated_variance

Floats = NDArray[np.float64]

_NOISE_BOUND_V = 0.1
# The current's density is looked at decade by decade, up to so many times the ramp's rate.
_HIGHEST = 30.0
_POINTS_PER_DECADE = 40


class RampNoise:
    """Noise of one drawn ramp at one temperature.

    Parameters
    ----------
    adc : the converter.
    temperature_degc : temperature.
    conversions : what is slower than so many conversions is drift, not noise.
    """

    def __init__(self, adc: RampAdc, temperature_degc: float, conversions: int) -> None:
        self._adc = adc
        self._temperature_degc = temperature_degc
        self._start_hz = 1 / (conversions * adc.period_s)

    def measure(self) -> Generator[Problem, Answer, Floats]:
        """Noise of the ramp at every edge (code,), in V rms, common to all columns."""
        adc, source = self._adc, self._adc.source
        thermal = constants.k * (self._temperature_degc + 273.15)
        time = adc.edges_s(0) - adc.reset_s
        if isinstance(source, Ladder):
            # White noise of the output resistance through the line's pole and the comparator's.
            ohm = source.end_ohm / 2
            pole = adc.comparator.delay_s if isinstance(adc.comparator, Pole) else 0.0
            return np.full(len(time), np.sqrt(thermal * ohm / (ohm * adc.line_f + pole)))
        answer = yield self._reset()
        variance = float(answer.final("noise")[0]) ** 2
        if isinstance(source, Cdac):
            return np.full(len(time), np.sqrt(variance))
        capacitance = source.capacitor_f + adc.line_f
        if isinstance(source, CurrentSource):
            fade = np.exp(-2 * time / (source.output_ohm * capacitance))
            return np.asarray(np.sqrt(variance * fade + thermal / capacitance * (1 - fade)))
        frequency, density = yield from self._current()
        charge = compute_integrated_variance(frequency, density, self._start_hz, time)
        return np.asarray(np.sqrt(variance + charge / capacitance**2))

    def _reset(self) -> Problem:
        """What the reset leaves: kT/C."""
        adc, source = self._adc, self._adc.source
        if isinstance(source, Cdac):
            # The charge that is sampled: its switches' own noise is beyond every band.
            adc = replace(adc, source=replace(source, switch_ohm=1e-6))
            capacitance = sum(source.bit_capacitors_f) + source.dummy_f + adc.line_f
        else:
            capacitance = adc.line_f
            capacitance += source.capacitor_f if isinstance(source, CurrentSource | Mirror) else 0
        corner = 1 / (2 * np.pi * adc.r_on_ohm * capacitance)
        return Problem(
            circuit=ramp_noise_circuit(adc, adc.r_on_ohm),
            analysis=Noise("ramp", "vnoise", corner * 1e-4, corner * 1e4, _POINTS_PER_DECADE),
            probes=(Probe("noise", (NOISE_VECTOR,), (), _NOISE_BOUND_V),),
            temperature_degc=self._temperature_degc,
            label="noise of the reset",
        )

    def _current(self) -> Generator[Problem, Answer, tuple[Floats, Floats]]:
        """Density of a mirror's noise current (A²/Hz) at some frequencies, at mid-range.

        The mean of W + K/f over a decade from f is its value at 9·f/ln 10, whatever W and K.
        """
        adc = self._adc
        highest = _HIGHEST / (2**adc.bits * adc.clock_s)
        decades = max(2, int(np.ceil(np.log10(highest / self._start_hz))))
        starts = self._start_hz * 10.0 ** np.arange(decades)
        bound = SENSE_OHM * adc.full_scale_v
        density = []
        for start in starts.tolist():
            answer = yield Problem(
                circuit=ramp_current_circuit(adc),
                analysis=Noise("sense", "vnoise", start, 10 * start, _POINTS_PER_DECADE),
                probes=(Probe("noise", (NOISE_VECTOR,), (), bound),),
                temperature_degc=self._temperature_degc,
                label="noise of the ramp's current",
            )
            density.append((float(answer.final("noise")[0]) / SENSE_OHM) ** 2 / (9 * start))
        if min(density) <= 0:
            raise MeasurementError("the current of the ramp has no noise: its models have none")
        return 9 / np.log(10) * starts, np.array(density)
