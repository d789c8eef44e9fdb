"""Charge-redistribution converters with a bridge capacitor: weights, levels, sampling noise.

A split array has two top plates. Upper bits, parasitic C_p and the comparator are at plate x; lower
bits, dummy and a parasitic of its own are at plate y; the bridge C_b joins the two. Sampling puts
the input on all bottom plates and the common mode on both top plates. With u_k = V_ref·b_k − V_in
the change of a bottom plate, C_x and C_y all capacitance of a plate but the bridge, and the charge
of both plates kept,

    (C_x + C_b)·ΔV_x − C_b·ΔV_y = Σ_upper C_k·u_k
    (C_y + C_b)·ΔV_y − C_b·ΔV_x = Σ_lower C_k·u_k + C_dummy·u_dummy.

Eliminating ΔV_y gives C_load·ΔV_x = Σ w_k·u_k with the weights w_k = C_k of an upper bit and
w_k = C_k·C_b/(C_y + C_b) of a lower one, and C_load = C_x + C_b·C_y/(C_y + C_b). So a split array
is a binary one of capacitors w_k whose top plate has C_load.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

BOLTZMANN = 1.380649e-23
ZERO_CELSIUS_K = 273.15


@dataclass(frozen=True)
class CdacWeights:
    """A capacitor array as the comparator sees it.

    Attributes
    ----------
    bit_f : (bits,) capacitance by which each bit moves the comparator's plate, lowest bit first.
    dummy_f : that of the dummy.
    load_f : capacitance of that plate; ``bit_f / load_f`` is a bit's gain.
    """

    bit_f: NDArray[np.float64]
    dummy_f: float
    load_f: float

    @property
    def input_f(self) -> float:
        """Capacitance by which the input moves the plate, in F."""
        return float(np.sum(self.bit_f) + self.dummy_f)

    def levels_v(self, v_ref: float, offset_v: float = 0.0) -> NDArray[np.float64]:
        """Level (2^bits − 1,) in V at which each trial code decides, before tree clipping.

        S_d = (V_ref·Σ w_k·b_k − V_os·C_load) / (Σ w_k + w_dummy).
        """
        bits = len(self.bit_f)
        switched = (np.arange(1, 2**bits) >> np.arange(bits)[:, None]) & 1
        return np.asarray((v_ref * (self.bit_f @ switched) - offset_v * self.load_f) / self.input_f)

    def sampling_noise_v(self, temperature_degc: float) -> float:
        """Standard deviation in V of the sampled input, of thermal origin.

        What a switch that opens leaves behind on a plate of total capacitance C is a charge of
        variance k·T·C, whatever else hangs on the other plates. Over the capacitance by which the
        input moves the plate: √(k·T·C_load) / (Σ w_k + w_dummy); without parasitics √(k·T/C).
        """
        thermal = BOLTZMANN * (temperature_degc + ZERO_CELSIUS_K)
        return float(np.sqrt(thermal * self.load_f) / self.input_f)


def compute_cdac_weights(
    bit_capacitors_f: ArrayLike,
    dummy_f: float,
    parasitic_f: float,
    *,
    lower_bits: int = 0,
    bridge_f: float = 0.0,
    bridge_parasitic_f: float = 0.0,
) -> CdacWeights:
    """Weights of an array, split if ``lower_bits`` is above 0.

    Parameters
    ----------
    bit_capacitors_f : (bits,) capacitors in F, lowest bit first.
    dummy_f : dummy in F; at the lower bits' plate where there is one.
    parasitic_f : comparator's plate to ground in F.
    lower_bits : bits below the bridge.
    bridge_f, bridge_parasitic_f : bridge, and the lower bits' plate to ground, in F.

    Raises
    ------
    UsageError : a negative capacitor, no upper bit, or a split array without a bridge.
    """
    caps = np.asarray(bit_capacitors_f, dtype=np.float64)
    if np.any(caps < 0) or min(dummy_f, parasitic_f, bridge_f, bridge_parasitic_f) < 0:
        raise UsageError("capacitors must not be negative")
    if not 0 <= lower_bits < len(caps):
        raise UsageError(f"{lower_bits} of {len(caps)} bits cannot be below a bridge")
    if lower_bits == 0:
        return CdacWeights(caps, dummy_f, float(caps.sum() + dummy_f + parasitic_f))
    if bridge_f == 0:
        raise UsageError("a split array needs a bridge capacitor above 0 F")
    below = float(caps[:lower_bits].sum() + dummy_f + bridge_parasitic_f)
    ratio = bridge_f / (below + bridge_f)
    weights = np.concatenate([caps[:lower_bits] * ratio, caps[lower_bits:]])
    load = float(caps[lower_bits:].sum() + parasitic_f + below * ratio)
    return CdacWeights(weights, dummy_f * ratio, load)
