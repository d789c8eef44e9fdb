"""Noise of a SAR converter, referred to its input: sampling by SPICE, comparator by its key."""

from __future__ import annotations

import numpy as np

from imccircuit.benches.adc_sar import weights_of
from imccircuit.benches.problem import NOISE_VECTOR, Noise, Probe, Problem
from imccircuit.circuits.sar_adc import SarAdc
from imccircuit.circuits.sar_noise import SWITCH_OHM, sar_noise

# Decades below and above the corners of the network: each end leaves out 1e-4 of the power.
_BEYOND = 1e4
_MOST_V = 1.0


def sampling_noise(adc: SarAdc, temperature_degc: float) -> Problem:
    """Noise of the sampled charge; its only probe is ``noise``, in V at the input."""
    caps = [*map(float, adc.bit_capacitors_f), adc.dummy_f, adc.parasitic_f]
    smallest, total = min(value for value in caps if value > 0), sum(caps)
    corner = 1 / (2 * np.pi * SWITCH_OHM)
    # Every bottom plate's current flows through the switch of the top plate as well.
    start = corner / (len(caps) * total) / _BEYOND
    stop = corner * len(caps) / smallest * _BEYOND
    # Whole decades, as the grid of frequencies wants it.
    stop = start * 10 ** np.ceil(np.log10(stop / start))
    return Problem(
        circuit=sar_noise(adc),
        analysis=Noise("sampled", "vin", float(start), float(stop)),
        probes=(Probe("noise", (NOISE_VECTOR,), (), _MOST_V),),
        temperature_degc=temperature_degc,
    )


def total_noise_v(adc: SarAdc, sampling_v: float, comparator_v: float) -> float:
    """Noise of a conversion at the input in V: sampling and comparator add as powers.

    The comparator sees the input attenuated by the array and its parasitics; referred to the input
    its noise is larger by that.
    """
    weights = weights_of(adc)
    return float(np.hypot(sampling_v, comparator_v * weights.load_f / weights.input_f))
