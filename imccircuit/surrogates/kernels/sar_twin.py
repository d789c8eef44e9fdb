"""Noisy conversions of a SAR ADC in plain numpy, and the probabilities of their codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from imccircuit.surrogates.kernels.noise_twin import draw_normals_twin


def convert_sar_twin(
    decision_level_v: ArrayLike,
    voltage_v: ArrayLike,
    *,
    seed: int,
    sampled_v: float = 0.0,
    decision_v: float = 0.0,
    chip: int = 0,
    first_index: int = 0,
) -> NDArray[np.int64]:
    """Codes (batch, col) with a draw in every decision, near or far; arguments as the kernel's."""
    levels = np.asarray(decision_level_v, dtype=np.float64)
    voltage = np.asarray(voltage_v, dtype=np.float64)

    def draw(stream: int) -> NDArray[np.float64]:
        return draw_normals_twin(
            (voltage.shape[0], voltage.shape[1]),
            seed=seed,
            chip=chip,
            stream=stream,
            first_index=first_index,
        )

    noisy = voltage + sampled_v * draw(0)
    codes = np.zeros(voltage.shape, dtype=np.int64)
    columns = np.arange(voltage.shape[1])
    for bit in reversed(range((levels.shape[1] + 1).bit_length() - 1)):
        trial = codes | 1 << bit
        above = noisy + decision_v * draw(1 + bit) > levels[columns, trial - 1]
        codes = np.where(above, trial, codes)
    return codes


def compute_code_probabilities(
    decision_level_v: ArrayLike, voltage_v: float, decision_v: float
) -> NDArray[np.float64]:
    """Probability (code,) of each code of one SAR converter with noise in its decisions only.

    P(code) = Π Φ(s (v - S_d) / σ) over the trial codes d on its path through the tree, with s = 1
    where the bit is kept and -1 where it is not.

    Parameters
    ----------
    decision_level_v : (2^bits - 1,) level S_d in V of each trial code.
    voltage_v : input in V.
    decision_v : σ of a decision at the input in V, above 0.
    """
    levels = np.asarray(decision_level_v, dtype=np.float64)
    codes = np.arange(len(levels) + 1)
    found = np.ones(len(codes))
    for bit in range((len(levels) + 1).bit_length() - 1):
        trial = (codes >> (bit + 1) << (bit + 1)) | (1 << bit)
        kept = np.where((codes >> bit) & 1 == 1, 1.0, -1.0)
        found *= ndtr(kept * (voltage_v - levels[trial - 1]) / decision_v)
    return found
